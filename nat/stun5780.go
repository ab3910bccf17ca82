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

// A STUNChange says from which other place of a server an answer is to come: the
// bits of CHANGE-REQUEST, in our order.
type STUNChange uint8

// The changes, which may be joined.
const (
	STUNOtherPort    STUNChange = 1 << iota
	STUNOtherAddress            // another IP address
)

// A STUNServer answers binding requests at one of up to four places. Its zero
// value has no other.
type STUNServer struct {
	// Places are where clients reach this one (0) and those that differ by what
	// the index says; invalid: there is none.
	Places [4]netip.AddrPort
}

// Reply returns the answer to request, and from which place it must be sent
// (CHANGE-REQUEST). Like [STUNReply] it is nil for what is not understood, and
// for a place that there is not, and never longer than request; RESPONSE-ORIGIN
// and OTHER-ADDRESS are in it if they are known and the request was long enough.
// It always goes to from: RESPONSE-PORT is not understood, as the address that it
// makes is not the asker's word alone to give (spec §5.21).
func (s STUNServer) Reply(request []byte, from netip.AddrPort) (reply []byte, change STUNChange) {
	m, ok := decodeSTUN(request)
	if !ok || m.Type != stun.BindingRequest || !from.IsValid() {
		return nil, 0
	}
	for _, a := range m.Attributes {
		switch {
		case a.Type == attrChangeRequest:
			if len(a.Value) != 4 {
				return nil, 0
			}
			flags := binary.BigEndian.Uint32(a.Value)
			if flags&^(changePort|changeIP) != 0 {
				return nil, 0
			}
			change = 0
			if flags&changePort != 0 {
				change |= STUNOtherPort
			}
			if flags&changeIP != 0 {
				change |= STUNOtherAddress
			}
			if change != 0 && !s.Places[change].IsValid() {
				return nil, 0
			}
		case a.Type.Required():
			return nil, 0
		}
	}
	// What differs in both from where the request came; of one address, in what
	// there is.
	origin, other := s.Places[change], s.Places[STUNOtherPort|STUNOtherAddress]
	for _, place := range []STUNChange{STUNOtherPort, STUNOtherAddress} {
		if !other.IsValid() {
			other = s.Places[place]
		}
	}
	set := []stun.Setter{stun.BindingSuccess, stun.NewTransactionIDSetter(m.TransactionID), xorMapped(from)}
	if origin.IsValid() && other.IsValid() {
		if b := buildSTUN(append(set, address(attrResponseOrigin, origin), address(attrOtherAddress, other))); b != nil && len(b) <= len(request) {
			return b, change
		}
	}
	if b := buildSTUN(set); b != nil && len(b) <= len(request) {
		return b, change
	}
	return nil, 0
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

// A STUNDiscovery is what a server with other places answers.
type STUNDiscovery struct {
	Mapped        netip.AddrPort
	Origin, Other netip.AddrPort // invalid if the server did not say
}

// STUNDiscover returns a binding request that is long enough for RFC 5780's
// attributes. If an answer from another place arrives, our NAT lets in packets
// from ports, or addresses, that we never sent to.
func STUNDiscover(change STUNChange) (txid [12]byte, packet []byte) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	padding := stunDiscoveryPadding
	if change == 0 {
		padding += 8
	} else {
		var flags byte
		if change&STUNOtherPort != 0 {
			flags |= changePort
		}
		if change&STUNOtherAddress != 0 {
			flags |= changeIP
		}
		m.Add(attrChangeRequest, []byte{0, 0, 0, flags})
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
