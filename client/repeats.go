package client

import (
	"fmt"
	"slices"
)

const (
	// repeatsKept is how many messages of a contact are known again: more than it may
	// have sent, by a few connections and its mailbox, before an acknowledgement of
	// ours reaches it. One leaves for every 64 (spec §8.4).
	repeatsKept = 256
	// repeatLen is how much of a message's tag is kept. A relay could give one to
	// another message, which only makes that one dropped without counting it.
	repeatLen = 4
	// seqRepeats is the place of a contact's repeats in TableSessions.
	seqRepeats = 1
)

// repeats are the ends of the newest messages that a contact's sessions opened,
// oldest first (spec §8.30). The ratchet knows 8 of them, and what is in chains that
// are not over; but who is stopped before it could acknowledge gets many again.
type repeats [repeatsKept][repeatLen]byte

// tagEnd is the end of a message's tag.
func tagEnd(msg []byte) (end [repeatLen]byte) {
	copy(end[:], msg[max(0, len(msg)-repeatLen):])
	return end
}

func (r *repeats) add(msg []byte) {
	copy(r[:], r[1:])
	r[len(r)-1] = tagEnd(msg)
}

// hasRead notes a message that the contact's session opened; the session is stored in
// the same batch.
func (c *contact) hasRead(msg []byte) {
	c.seen.add(msg)
	c.dirtySeen = true
}

func (r *repeats) has(msg []byte) bool {
	end := tagEnd(msg)
	return end != [repeatLen]byte{} && slices.Contains(r[:], end)
}

// append encodes them: as many bytes however many there are.
func (r *repeats) append(b []byte) []byte {
	for _, end := range r {
		b = append(b, end[:]...)
	}
	return b
}

// parseRepeats is none for a contact without a row.
func parseRepeats(b []byte) (r repeats, err error) {
	if b == nil {
		return r, nil
	}
	if len(b) != repeatsKept*repeatLen {
		return r, fmt.Errorf("%w: %d bytes of repeats", ErrDamaged, len(b))
	}
	for i := range r {
		r[i] = [repeatLen]byte(b[i*repeatLen:])
	}
	return r, nil
}
