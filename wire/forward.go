package wire

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Forwarded packets (spec §6.6). A relay session has two sides, 0 (who opened
// it) and 1 (who joined); each shares a key with the relay. In front of every
// QUIC packet stands
//
//	0   type: 4 | side | from-relay<<1
//	1   session, uint64, random
//	9   counter, the low 24 bits of 64
//	12  MAC: the first 4 bytes of SipHash-2-4
//
// The MAC keeps strangers from spending a session's bandwidth; it does not
// cover the packet, which QUIC authenticates end to end, only its length.
const (
	// ForwardHeaderLen is the length of the header.
	ForwardHeaderLen = 16
	// ForwardFromRelay is added to the side of packets that the relay sends,
	// so that a packet reflected to its sender is no valid one.
	ForwardFromRelay = 2

	forwardType = 4
)

// SealForward fills the first [ForwardHeaderLen] bytes of b, whose packet
// stands behind them. side is 0 or 1, with [ForwardFromRelay] added by the
// relay; key is the one of that side. A counter must never be used twice in
// one direction of one side.
func SealForward(b []byte, side uint8, session, counter uint64, key [16]byte) {
	if side > 3 {
		panic("wire: no such side of a forwarding session")
	}
	b[0] = forwardType | side
	binary.BigEndian.PutUint64(b[1:], session)
	b[9], b[10], b[11] = byte(counter>>16), byte(counter>>8), byte(counter)
	mac := forwardMAC(b, counter, key)
	copy(b[12:ForwardHeaderLen], mac[:])
}

// ParseForward reads which key a packet needs. side has [ForwardFromRelay]
// added in packets of the relay. Nothing is verified.
func ParseForward(b []byte) (session uint64, side uint8, ok bool) {
	if len(b) < ForwardHeaderLen || b[0]&^3 != forwardType {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b[1:]), b[0] & 3, true
}

// OpenForward verifies a packet that must come from side: 0 or 1 at a relay,
// own side | [ForwardFromRelay] at a client. largest is the largest counter
// accepted so far ([ReplayWindow.Largest]). payload aliases b. Whether the
// counter is fresh is the [ReplayWindow]'s to say.
func OpenForward(b []byte, side uint8, key [16]byte, largest uint64) (counter uint64, payload []byte, ok bool) {
	if len(b) < ForwardHeaderLen || b[0] != forwardType|side {
		return 0, nil, false
	}
	counter = expandCounter(uint64(b[9])<<16|uint64(b[10])<<8|uint64(b[11]), largest)
	mac := forwardMAC(b, counter, key)
	if subtle.ConstantTimeCompare(mac[:], b[12:ForwardHeaderLen]) != 1 {
		return 0, nil, false
	}
	return counter, b[ForwardHeaderLen:], true
}

// forwardMAC is over type, session, the full counter and the packet's length.
func forwardMAC(b []byte, counter uint64, key [16]byte) (mac [4]byte) {
	var in [1 + 8 + 8 + 4]byte
	copy(in[:9], b)
	binary.BigEndian.PutUint64(in[9:], counter)
	binary.BigEndian.PutUint32(in[17:], uint32(len(b)-ForwardHeaderLen))
	sum := siphash.Hash(binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:]), in[:])
	binary.LittleEndian.PutUint32(mac[:], uint32(sum))
	return mac
}

// expandCounter returns the counter next to largest+1 that has these low 24
// bits (RFC 9000, appendix A.3).
func expandCounter(low, largest uint64) uint64 {
	const win, half = uint64(1) << 24, uint64(1) << 23
	expected := largest + 1
	c := expected&^(win-1) | low
	switch {
	case c+half <= expected && c <= ^win:
		return c + win
	case c > expected+half && c >= win:
		return c - win
	}
	return c
}

// replayBits is how far behind the largest counter a packet may come. QUIC
// reorders by tens of packets; a burst over two paths by hundreds.
const replayBits = 1024

// A ReplayWindow accepts each counter once. The zero value has seen none. It is
// not safe for concurrent use.
type ReplayWindow struct {
	bits [replayBits / 64]uint64 // bit n%replayBits: counter n was seen, for n in (largest-replayBits, largest]
	max  uint64
}

// Largest returns the largest counter committed, 0 at first.
func (w *ReplayWindow) Largest() uint64 { return w.max }

// Check reports whether counter is neither seen nor older than the window.
func (w *ReplayWindow) Check(counter uint64) bool {
	if counter > w.max {
		return true
	}
	if w.max-counter >= replayBits {
		return false
	}
	return w.bits[counter%replayBits/64]&(1<<(counter%64)) == 0
}

// Commit marks counter as seen. Call it after the MAC was verified, else
// strangers could move the window.
func (w *ReplayWindow) Commit(counter uint64) {
	if counter > w.max {
		if counter-w.max >= replayBits {
			w.bits = [replayBits / 64]uint64{}
		} else {
			for n := w.max + 1; n <= counter; n++ {
				w.bits[n%replayBits/64] &^= 1 << (n % 64)
			}
		}
		w.max = counter
	} else if w.max-counter >= replayBits {
		return
	}
	w.bits[counter%replayBits/64] |= 1 << (counter % 64)
}
