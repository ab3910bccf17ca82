package wire

import "encoding/binary"

// Payloads that change messages, and the extensions of a text (spec §8.2, §8.10).
const (
	PayloadEdit      PayloadType = 3    // Edit
	PayloadDelete    PayloadType = 4    // Deletion
	PayloadReaction  PayloadType = 5    // Reaction
	PayloadSuccessor PayloadType = 7    // URI of an invite that the sender's new identity made
	PayloadTimer     PayloadType = 6    // Timer
	PayloadTyping    PayloadType = 0x82 // Typing

	ExtensionReply = 1 // opaque id[16] of the message that the text answers
	ExtensionTimer = 2 // Timer: the text disappears that long after it is stored
	ExtensionAgain = 3 // empty: it may have arrived before, under another number
)

// Limits of those payloads.
const (
	MaxDeletions = 64
	MaxEmoji     = 64           // bytes of a reaction
	MaxTimer     = 366 * 86_400 // seconds
)

// An Edit replaces the text of one of its sender's own messages.
//
//	struct { opaque id[16]; opaque text<1..2^24-1>; } Edit;    // at most 65536 bytes
type Edit struct {
	ID   [16]byte
	Text []byte
}

// Append appends the edit.
func (x Edit) Append(b []byte) []byte { return AppendVec24(append(b, x.ID[:]...), x.Text) }

// ParseEdit decodes an edit; the text is not looked into.
func ParseEdit(b []byte) (Edit, error) {
	r := NewReader(b)
	x := Edit{r.Array16(), r.Vec24(1, MaxText)}
	return done(r, x)
}

// A Deletion removes messages of its sender's own on both sides.
//
//	struct { uint8 count; opaque ids[count][16]; } Deletion;   // 1 to 64
type Deletion struct{ IDs [][16]byte }

// Append appends the deletion.
func (x Deletion) Append(b []byte) []byte {
	if len(x.IDs) == 0 || len(x.IDs) > MaxDeletions {
		panic("wire: deletion over its limits")
	}
	b = append(b, byte(len(x.IDs)))
	for _, id := range x.IDs {
		b = append(b, id[:]...)
	}
	return b
}

// ParseDeletion decodes a deletion.
func ParseDeletion(b []byte) (x Deletion, err error) {
	r := NewReader(b)
	n := int(r.Uint8())
	if n > MaxDeletions {
		r.Fail(ErrTooLarge)
	}
	if r.Err() == nil && n == 0 {
		r.Fail(ErrNotCanonical)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		x.IDs = append(x.IDs, r.Array16())
	}
	return done(r, x)
}

// A Reaction is its sender's one reaction to a message of either side; an empty
// one takes it back.
//
//	struct { opaque id[16]; opaque emoji<0..64>; } Reaction;
type Reaction struct {
	ID    [16]byte
	Emoji []byte // UTF-8
}

// Append appends the reaction.
func (x Reaction) Append(b []byte) []byte { return AppendVec8(append(b, x.ID[:]...), x.Emoji) }

// ParseReaction decodes a reaction; the emoji is not looked into.
func ParseReaction(b []byte) (Reaction, error) {
	r := NewReader(b)
	x := Reaction{r.Array16(), r.Vec8(0, MaxEmoji)}
	return done(r, x)
}

// A Timer says how long messages stay, in seconds: 0, in a payload, for ever.
//
//	struct { uint32 seconds; } Timer;    // at most a year
type Timer struct{ Seconds uint32 }

// Append appends the timer.
func (x Timer) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, x.Seconds) }

// ParseTimer decodes a timer.
func ParseTimer(b []byte) (Timer, error) {
	r := NewReader(b)
	x := Timer{r.Uint32()}
	if x.Seconds > MaxTimer {
		r.Fail(ErrTooLarge)
	}
	return done(r, x)
}

// Typing says that its sender writes, or no longer does.
//
//	struct { bool on; } Typing;
type Typing struct{ On bool }

// Append appends the notice.
func (x Typing) Append(b []byte) []byte {
	if x.On {
		return append(b, 1)
	}
	return append(b, 0)
}

// ParseTyping decodes a notice.
func ParseTyping(b []byte) (Typing, error) {
	r := NewReader(b)
	x := Typing{r.Bool()}
	return done(r, x)
}
