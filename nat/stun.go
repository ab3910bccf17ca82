package nat

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/pion/stun/v2"
)

// ErrSTUN is returned for packets that are no successful binding response.
var ErrSTUN = errors.New("nat: not a STUN binding response")

const (
	stunHeaderLen = 20
	// stunPadding makes our request as long as the longest reply, 44 bytes: a
	// server that never answers with more than it got answers it (spec §5.21).
	stunPadding = 20
	// maxSTUN bounds what is parsed at all.
	maxSTUN = 548
)

// IsSTUN reports whether b has the form of a STUN message (RFC 8489, section
// 5): two zero bits, the magic cookie, a length that is the packet's.
func IsSTUN(b []byte) bool {
	return len(b) >= stunHeaderLen && len(b) <= maxSTUN && b[0] < 4 && stun.IsMessage(b) &&
		b[3]&3 == 0 && int(b[2])<<8|int(b[3]) == len(b)-stunHeaderLen
}

// STUNRequest returns a binding request and its random transaction id.
func STUNRequest() (txid [12]byte, packet []byte) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	m.Add(stun.AttrSoftware, make([]byte, stunPadding))
	return m.TransactionID, m.Raw
}

// attrDelay asks for an answer after so many seconds, a uint32 (spec §5.21.2). It
// is comprehension-optional: other servers answer at once.
const attrDelay = stun.AttrType(0xc053)

// MaxSTUNDelay is the longest delay of an answer.
const MaxSTUNDelay = 150 * time.Second

// STUNLater returns a binding request that asks for an answer after d: whether
// it arrives tells whether our NAT's mapping lives that long with no packet of
// ours.
func STUNLater(d time.Duration) (txid [12]byte, packet []byte) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	m.Add(stun.AttrSoftware, make([]byte, stunPadding))
	m.Add(attrDelay, binary.BigEndian.AppendUint32(nil, uint32(d/time.Second)))
	return m.TransactionID, m.Raw
}

// STUNDelay returns how long the answer to a request is to wait, 0 if it says
// nothing of that, and ok is false if it is to have none.
func STUNDelay(request []byte) (d time.Duration, ok bool) {
	m, ok := decodeSTUN(request)
	if !ok {
		return 0, false
	}
	v, err := m.Get(attrDelay)
	if err != nil {
		return 0, true
	}
	if len(v) != 4 {
		return 0, false
	}
	d = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
	return d, d <= MaxSTUNDelay
}

// ParseSTUNResponse returns the transaction and the mapped address of a
// successful binding response. The caller compares the transaction with its own.
func ParseSTUNResponse(packet []byte) (txid [12]byte, mapped netip.AddrPort, err error) {
	m, ok := decodeSTUN(packet)
	if !ok || m.Type != stun.BindingSuccess {
		return txid, mapped, ErrSTUN
	}
	// The codec reads four bytes before it looks at the length.
	raw, err := m.Get(stun.AttrXORMappedAddress)
	if err != nil || len(raw) != 8 && len(raw) != 20 {
		return txid, mapped, ErrSTUN
	}
	var a stun.XORMappedAddress
	if err := a.GetFrom(m); err != nil {
		return txid, mapped, ErrSTUN
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return txid, mapped, ErrSTUN
	}
	mapped, ok = usable(netip.AddrPortFrom(ip, uint16(a.Port)))
	if !ok {
		return txid, netip.AddrPort{}, ErrSTUN
	}
	return m.TransactionID, mapped, nil
}

// STUNReply returns the answer of a server with one port to a binding request
// from the address from: its XOR-MAPPED-ADDRESS and nothing else. It is nil if
// request is no well-formed binding request, asks for something that we do not
// understand, or is shorter than the answer: UDP sources can be forged, so nobody
// is sent more bytes than somebody spent (spec §5.21).
func STUNReply(request []byte, from netip.AddrPort) []byte {
	reply, _ := STUNServer{}.Reply(request, from)
	return reply
}

func decodeSTUN(b []byte) (*stun.Message, bool) {
	if !IsSTUN(b) {
		return nil, false
	}
	m := new(stun.Message)
	if err := stun.Decode(b, m); err != nil {
		return nil, false
	}
	return m, true
}
