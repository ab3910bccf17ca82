package wire

import (
	"encoding/binary"
	"net/netip"
)

// Frames of the control stream between two peers (spec §5.3.2).
const (
	FrameControlCandidates uint16 = 0x0001 // ControlCandidates
	FrameControlPath       uint16 = 0x0002 // ControlPath
	FrameControlPing       uint16 = 0x0003 // ControlPing, answered by
	FrameControlPong       uint16 = 0x0004 // ControlPing, the same bytes
	FrameControlHindrance  uint16 = 0x0005 // ControlHindrance
	FrameControlSpare      uint16 = 0x0006 // ControlSpare
)

// MaxControlFrame is the longest payload of a control frame: a full list of
// candidates is 645 bytes.
const MaxControlFrame = 1024

// A ControlCandidates tells the peer where we may be reached (spec §5.4.3).
type ControlCandidates struct {
	Round      uint32 // of the path search, 0 for the first
	Candidates []Candidate
}

// Append appends the payload.
func (x ControlCandidates) Append(b []byte) []byte {
	return AppendCandidates(binary.BigEndian.AppendUint32(b, x.Round), x.Candidates)
}

// ParseControlCandidates parses it.
func ParseControlCandidates(b []byte) (ControlCandidates, error) {
	r := NewReader(b)
	return done(r, ControlCandidates{Round: r.Uint32(), Candidates: r.Candidates()})
}

// Paths of a ControlPath.
const (
	ControlPathRelay  = 1
	ControlPathDirect = 2
)

// MaxControlReason is the most bytes of a reason.
const MaxControlReason = 120

// A ControlPath says which path the QUIC client has switched to (spec §5.4.4).
type ControlPath struct {
	Seq    uint32 // counts the client's switches
	Path   uint8
	Reason string // for people
}

// Append appends the payload.
func (x ControlPath) Append(b []byte) []byte {
	return AppendVec8(append(binary.BigEndian.AppendUint32(b, x.Seq), x.Path), []byte(x.Reason))
}

// ParseControlPath parses it.
func ParseControlPath(b []byte) (ControlPath, error) {
	r := NewReader(b)
	x := ControlPath{Seq: r.Uint32(), Path: r.Uint8(), Reason: string(r.Vec8(0, MaxControlReason))}
	if x.Path != ControlPathRelay && x.Path != ControlPathDirect {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A ControlPing asks for a ControlPong with the same number.
type ControlPing struct{ Nonce uint64 }

// Append appends the payload.
func (x ControlPing) Append(b []byte) []byte { return binary.BigEndian.AppendUint64(b, x.Nonce) }

// ParseControlPing parses it, and the pong.
func ParseControlPing(b []byte) (ControlPing, error) {
	r := NewReader(b)
	return done(r, ControlPing{r.Uint64()})
}

// What hinders a direct path, in a ControlHindrance.
const (
	HindranceNone      = 0
	HindranceNoUDP     = 1 // the sender's network lets no UDP out
	HindranceRelayOnly = 2 // the sender lets the connection use a relay only
)

// A ControlHindrance tells the other side what it cannot find out by itself.
type ControlHindrance struct{ What byte }

// Append appends the payload.
func (x ControlHindrance) Append(b []byte) []byte { return append(b, x.What) }

// ParseControlHindrance parses it.
func ParseControlHindrance(b []byte) (ControlHindrance, error) {
	r := NewReader(b)
	x := ControlHindrance{r.Uint8()}
	if x.What > HindranceRelayOnly {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A ControlSpare tells where a socket is that the sender has opened for one more
// search (spec §5.4.10).
type ControlSpare struct {
	Number  uint32 // of the search, the same in the answer
	Address netip.AddrPort
}

// Append appends the payload.
func (x ControlSpare) Append(b []byte) []byte {
	return AppendAddrPort(binary.BigEndian.AppendUint32(b, x.Number), x.Address)
}

// ParseControlSpare parses it.
func ParseControlSpare(b []byte) (ControlSpare, error) {
	r := NewReader(b)
	return done(r, ControlSpare{Number: r.Uint32(), Address: r.AddrPort()})
}
