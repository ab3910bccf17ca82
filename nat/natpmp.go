package nat

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of NAT-PMP (RFC 6886, sections 3.2 to 3.5).
const (
	pmpVersion  = 0
	pmpAddress  = 0
	pmpMapUDP   = 1
	pmpResponse = 0x80

	pmpAddressLen = 12
	pmpMapLen     = 16
	pmpErrorLen   = 8
)

// PMPAddress returns the request for the gateway's outside address.
func PMPAddress() []byte { return []byte{pmpVersion, pmpAddress} }

// PMPMap returns the request for a mapping of UDP port internal, if possible to
// port suggested. A lifetime of 0 seconds deletes it; suggested must then be 0.
func PMPMap(internal, suggested uint16, lifetime uint32) []byte {
	b := []byte{pmpVersion, pmpMapUDP, 0, 0}
	b = binary.BigEndian.AppendUint16(b, internal)
	b = binary.BigEndian.AppendUint16(b, suggested)
	return binary.BigEndian.AppendUint32(b, lifetime)
}

// A PMPAnswer is a gateway's response, or its announcement of a restart, which
// looks like the response about its address.
type PMPAnswer struct {
	Code  GatewayCode // RFC 6886, section 3.5
	Epoch uint32      // seconds

	Address netip.Addr // outside; invalid in other answers and with an error

	Map      bool // the following are of a mapping
	Internal uint16
	External uint16 // 0 with an error and of a deleted mapping
	Lifetime uint32 // seconds
}

// ParsePMP parses a packet of a NAT-PMP server about its address or a UDP
// mapping. It is also what a PCP server says to whom it cannot talk.
func ParsePMP(b []byte) (a PMPAnswer, err error) {
	if len(b) < pmpErrorLen || len(b) > pmpMapLen || b[0] != pmpVersion || b[1]&pmpResponse == 0 {
		return a, ErrGateway
	}
	a = PMPAnswer{Code: GatewayCode(binary.BigEndian.Uint16(b[2:])), Epoch: binary.BigEndian.Uint32(b[4:])}
	op := b[1] &^ pmpResponse
	switch {
	case a.Code != 0: // many gateways leave out the rest
		a.Map = op == pmpMapUDP
		if a.Map && len(b) == pmpMapLen {
			a.Internal = binary.BigEndian.Uint16(b[8:])
		}
		return a, nil
	case op == pmpAddress && len(b) == pmpAddressLen:
		address, ok := usable(netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[8:])), 1))
		if !ok {
			return PMPAnswer{}, ErrGateway
		}
		a.Address = address.Addr()
		return a, nil
	case op == pmpMapUDP && len(b) == pmpMapLen:
		a.Map, a.Internal = true, binary.BigEndian.Uint16(b[8:])
		a.External, a.Lifetime = binary.BigEndian.Uint16(b[10:]), binary.BigEndian.Uint32(b[12:])
		if a.External == 0 && a.Lifetime != 0 {
			return PMPAnswer{}, ErrGateway
		}
		return a, nil
	}
	return PMPAnswer{}, ErrGateway
}
