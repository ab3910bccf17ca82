package wire

import "encoding/binary"

// A ForwardLeg is one side's half of a forwarding session (spec §6.6).
type ForwardLeg struct {
	Session uint64
	Side    uint8                 // 0: opened it, 1: joined
	Key     [16]byte              // SipHash key of this side and the relay
	Ticket  []byte                // RelayTicketLen bytes for side 0, none for side 1
	Expires uint64                // of the ticket, Unix ms; 0 for side 1
	Grant   [ForwardGrantLen]byte // what takes the side back at a relay that has restarted, sealed by it
}

// Append appends the payload.
func (x ForwardLeg) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint64(b, x.Session), x.Side)
	b = AppendVec8(append(b, x.Key[:]...), x.Ticket)
	return append(binary.BigEndian.AppendUint64(b, x.Expires), x.Grant[:]...)
}

// ParseForwardLeg parses it.
func ParseForwardLeg(b []byte) (ForwardLeg, error) {
	r := NewReader(b)
	x := ForwardLeg{Session: r.Uint64(), Side: r.Uint8(), Key: r.Array16(), Ticket: r.Vec8(0, RelayTicketLen), Expires: r.Uint64()}
	r.Copy(x.Grant[:])
	if x.Side > 1 || len(x.Ticket) != RelayTicketLen*int(1-x.Side&1) {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A ForwardJoin takes the other side of the session that the ticket names.
type ForwardJoin struct{ Ticket [RelayTicketLen]byte }

// Append appends the payload.
func (x ForwardJoin) Append(b []byte) []byte { return append(b, x.Ticket[:]...) }

// ParseForwardJoin parses it.
func ParseForwardJoin(b []byte) (ForwardJoin, error) {
	r := NewReader(b)
	return done(r, ForwardJoin{r.Array32()})
}
