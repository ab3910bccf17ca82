package nat

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v2"
)

// Attributes of RFC 5780, section 7.
const (
	attrChangeRequest  = stun.AttrType(0x0003)
	attrResponseOrigin = stun.AttrType(0x802b)
	attrOtherAddress   = stun.AttrType(0x802c)

	changePort = 0x02 // in CHANGE-REQUEST
	changeIP   = 0x04
)

// stunDiscoveryPadding makes a discovery as long as the longest reply to it: a
// header, and three addresses of IPv6.
const stunDiscoveryPadding = 3*24 - 4 - 8

// A STUNServer answers binding requests on a port that has a sibling. Its zero
// value has none.
type STUNServer struct {
	Self  netip.AddrPort // where clients reach this port
	Other netip.AddrPort // where they reach the sibling: the same host, another port
}

// Reply returns the answer to request, and whether the sibling must send it
// (CHANGE-REQUEST with the port flag). Like [STUNReply] it is nil for what is not
// understood and never longer than request; RESPONSE-ORIGIN and OTHER-ADDRESS are
// in it if they are known and the request was long enough. It always goes to
// from: RESPONSE-PORT is not understood, as the address that it makes is not the
// asker's word alone to give (spec §5.21).
func (s STUNServer) Reply(request []byte, from netip.AddrPort) (reply []byte, sibling bool) {
	m, ok := decodeSTUN(request)
	if !ok || m.Type != stun.BindingRequest || !from.IsValid() {
		return nil, false
	}
	for _, a := range m.Attributes {
		switch {
		case a.Type == attrChangeRequest:
			if len(a.Value) != 4 || !s.Other.IsValid() {
				return nil, false
			}
			flags := binary.BigEndian.Uint32(a.Value)
			if flags&^changePort != 0 { // changeIP among others: there is one address
				return nil, false
			}
			sibling = flags&changePort != 0
		case a.Type.Required():
			return nil, false
		}
	}
	origin, other := s.Self, s.Other
	if sibling {
		origin, other = s.Other, s.Self
	}
	set := []stun.Setter{stun.BindingSuccess, stun.NewTransactionIDSetter(m.TransactionID), xorMapped(from)}
	if origin.IsValid() && other.IsValid() {
		if b := buildSTUN(append(set, address(attrResponseOrigin, origin), address(attrOtherAddress, other))); b != nil && len(b) <= len(request) {
			return b, sibling
		}
	}
	if b := buildSTUN(set); b != nil && len(b) <= len(request) {
		return b, sibling
	}
	return nil, false
}

func xorMapped(a netip.AddrPort) stun.Setter {
	return &stun.XORMappedAddress{IP: a.Addr().Unmap().AsSlice(), Port: int(a.Port())}
}

func buildSTUN(set []stun.Setter) []byte {
	m, err := stun.Build(set...)
	if err != nil {
		return nil
	}
	return m.Raw
}

// address is an attribute in the format of MAPPED-ADDRESS.
func address(t stun.AttrType, a netip.AddrPort) stun.Setter {
	family := byte(1)
	if !a.Addr().Unmap().Is4() {
		family = 2
	}
	v := binary.BigEndian.AppendUint16([]byte{0, family}, a.Port())
	return stun.RawAttribute{Type: t, Value: append(v, a.Addr().Unmap().AsSlice()...)}
}

// A STUNDiscovery is what a server with a sibling answers.
type STUNDiscovery struct {
	Mapped        netip.AddrPort
	Origin, Other netip.AddrPort // invalid if the server did not say
}

// STUNDiscover returns a binding request that is long enough for RFC 5780's
// attributes. With fromSibling the answer is to come from the server's other
// port: if it arrives, our NAT lets in packets from ports that we never sent to.
func STUNDiscover(fromSibling bool) (txid [12]byte, packet []byte) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	padding := stunDiscoveryPadding
	if fromSibling {
		m.Add(attrChangeRequest, []byte{0, 0, 0, changePort})
	} else {
		padding += 8
	}
	m.Add(stun.AttrSoftware, make([]byte, padding))
	return m.TransactionID, m.Raw
}

// ParseSTUNDiscovery is [ParseSTUNResponse] with the attributes of RFC 5780.
func ParseSTUNDiscovery(packet []byte) (txid [12]byte, d STUNDiscovery, err error) {
	if txid, d.Mapped, err = ParseSTUNResponse(packet); err != nil {
		return txid, d, err
	}
	m, ok := decodeSTUN(packet)
	if !ok {
		return txid, d, ErrSTUN
	}
	d.Origin, d.Other = takeAddress(m, attrResponseOrigin), takeAddress(m, attrOtherAddress)
	return txid, d, nil
}

func takeAddress(m *stun.Message, t stun.AttrType) netip.AddrPort {
	v, err := m.Get(t)
	if err != nil || len(v) != 8 && len(v) != 20 || v[0] != 0 || (v[1] == 1) != (len(v) == 8) || v[1] > 2 {
		return netip.AddrPort{}
	}
	ip, ok := netip.AddrFromSlice(v[4:])
	if !ok {
		return netip.AddrPort{}
	}
	a, ok := usable(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(v[2:])))
	if !ok {
		return netip.AddrPort{}
	}
	return a
}
