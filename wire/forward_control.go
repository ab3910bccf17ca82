package wire

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Control packets of a forwarding session (spec §6.6.5). The relay challenges an
// address that it has not validated for a side; the side's holder answers from
// there. Their first byte is 8 | side | from-relay<<1.
//
//	challenge            answer
//	0   type             0   type
//	1   session          1   session
//	9   cookie[16]       9   cookie[16]
//	25  mac[8]           25  sent, received: uint64
//	                     41  grant[80]
//	                     121 mac[8]
const (
	ForwardCookieLen    = 16
	ForwardGrantLen     = 80
	ForwardChallengeLen = 1 + 8 + ForwardCookieLen + 8
	ForwardAnswerLen    = 1 + 8 + ForwardCookieLen + 16 + ForwardGrantLen + 8

	forwardControl = 8
)

// A ForwardChallenge asks a side of a session to answer from where it is.
type ForwardChallenge struct {
	Side    uint8 // 0 or 1: the side that is asked
	Session uint64
	Cookie  [ForwardCookieLen]byte
}

// Append appends the packet, sealed with the side's key.
func (x ForwardChallenge) Append(b []byte, key [16]byte) []byte {
	start := len(b)
	b = append(b, forwardControl|x.Side|ForwardFromRelay)
	b = binary.BigEndian.AppendUint64(b, x.Session)
	b = append(b, x.Cookie[:]...)
	return appendControlMAC(b, start, key)
}

// OpenForwardChallenge verifies a challenge to the side that holds key.
func OpenForwardChallenge(b []byte, side uint8, key [16]byte) (x ForwardChallenge, ok bool) {
	if len(b) != ForwardChallengeLen || b[0] != forwardControl|side|ForwardFromRelay || !controlMACHolds(b, key) {
		return x, false
	}
	return ForwardChallenge{side, binary.BigEndian.Uint64(b[1:]), [ForwardCookieLen]byte(b[9:])}, true
}

// A ForwardAnswer returns the cookie, and what a relay that has forgotten the
// session needs to go on with it.
type ForwardAnswer struct {
	Side     uint8
	Session  uint64
	Cookie   [ForwardCookieLen]byte
	Sent     uint64 // the largest counter that this side has used
	Received uint64 // the largest that it has accepted
	Grant    [ForwardGrantLen]byte
}

// Append appends the packet, sealed with the side's key.
func (x ForwardAnswer) Append(b []byte, key [16]byte) []byte {
	start := len(b)
	b = append(b, forwardControl|x.Side)
	b = binary.BigEndian.AppendUint64(b, x.Session)
	b = append(b, x.Cookie[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Sent)
	b = binary.BigEndian.AppendUint64(b, x.Received)
	b = append(b, x.Grant[:]...)
	return appendControlMAC(b, start, key)
}

// ParseForwardAnswer reads an answer. Nothing is verified: see
// [ForwardAnswerHolds].
func ParseForwardAnswer(b []byte) (x ForwardAnswer, ok bool) {
	if len(b) != ForwardAnswerLen || b[0]&^1 != forwardControl {
		return x, false
	}
	return ForwardAnswer{
		Side: b[0] & 1, Session: binary.BigEndian.Uint64(b[1:]), Cookie: [ForwardCookieLen]byte(b[9:]),
		Sent: binary.BigEndian.Uint64(b[25:]), Received: binary.BigEndian.Uint64(b[33:]), Grant: [ForwardGrantLen]byte(b[41:]),
	}, true
}

// ForwardAnswerHolds reports whether the answer in b was sealed with key.
func ForwardAnswerHolds(b []byte, key [16]byte) bool {
	return len(b) == ForwardAnswerLen && controlMACHolds(b, key)
}

// ParseForwardControl reads which session and side a control packet is of, and
// whether the relay sent it. Nothing is verified.
func ParseForwardControl(b []byte) (session uint64, side uint8, fromRelay, ok bool) {
	if len(b) < ForwardChallengeLen || b[0]&^3 != forwardControl {
		return 0, 0, false, false
	}
	return binary.BigEndian.Uint64(b[1:]), b[0] & 1, b[0]&ForwardFromRelay != 0, true
}

func appendControlMAC(b []byte, start int, key [16]byte) []byte {
	return binary.LittleEndian.AppendUint64(b, controlMAC(b[start:], key))
}

func controlMAC(b []byte, key [16]byte) uint64 {
	return siphash.Hash(binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:]), b)
}

func controlMACHolds(b []byte, key [16]byte) bool {
	n := len(b) - 8
	// A comparison of words takes one time for all.
	return controlMAC(b[:n], key) == binary.LittleEndian.Uint64(b[n:])
}
