package nat

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ErrGateway is returned for packets that are no answer of a gateway.
var ErrGateway = errors.New("nat: not a gateway's answer")

// GatewayPort is where gateways take requests of PCP and NAT-PMP, and
// AnnouncePort where they tell everybody that they have restarted, by multicast
// to 224.0.0.1.
const (
	GatewayPort  = 5351
	AnnouncePort = 5350
)

// Numbers of PCP (RFC 6887, sections 7.1, 7.4, 11).
const (
	pcpVersion = 2

	pcpAnnounce = 0
	pcpMap      = 1
	pcpResponse = 0x80

	protocolUDP = 17

	pcpHeaderLen = 24
	pcpMapLen    = pcpHeaderLen + 36
	pcpMaxLen    = 1100 // section 7
)

// A PCPNonce makes a mapping of PCP its owner's.
type PCPNonce [12]byte

// A PCPMap asks for a mapping of a UDP port (RFC 6887, section 11.1).
type PCPMap struct {
	Client    netip.Addr // of ours, as the gateway sees it
	Nonce     PCPNonce   // the same when a mapping is renewed or deleted
	Internal  uint16
	Suggested netip.AddrPort // what we had before; zero: anything
	Lifetime  uint32         // seconds; 0 deletes
}

// Append appends the request, 60 bytes.
func (m PCPMap) Append(b []byte) []byte {
	b = append(b, pcpVersion, pcpMap, 0, 0)
	b = binary.BigEndian.AppendUint32(b, m.Lifetime)
	b = appendAddr16(b, m.Client)
	b = append(b, m.Nonce[:]...)
	b = append(b, protocolUDP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.Internal)
	b = binary.BigEndian.AppendUint16(b, m.Suggested.Port())
	suggested := m.Suggested.Addr()
	if !suggested.IsValid() {
		suggested = netip.IPv4Unspecified() // any, of the family that we want (section 11.1)
		if m.Client.Is6() && !m.Client.Is4In6() {
			suggested = netip.IPv6Unspecified()
		}
	}
	return appendAddr16(b, suggested)
}

func appendAddr16(b []byte, a netip.Addr) []byte {
	x := a.As16()
	return append(b, x[:]...)
}

// A GatewayCode is the result of a request, 0 is success.
type GatewayCode uint16

// A PCPAnswer is a gateway's response, or its announcement of a restart.
type PCPAnswer struct {
	Code     GatewayCode // RFC 6887, section 7.4
	Lifetime uint32      // of the mapping; of an error: how long it will last
	Epoch    uint32      // seconds
	Announce bool        // no mapping is in it

	Nonce    PCPNonce
	Internal uint16
	External netip.AddrPort // invalid with an error
}

// ParsePCP parses a packet of a PCP server: a response to MAP for UDP, or an
// ANNOUNCE. The caller compares nonce and port with its own. Options are skipped.
func ParsePCP(b []byte) (a PCPAnswer, err error) {
	if len(b) < pcpHeaderLen || len(b) > pcpMaxLen || len(b)%4 != 0 || b[0] != pcpVersion || b[1]&pcpResponse == 0 {
		return a, ErrGateway
	}
	a = PCPAnswer{
		Code: GatewayCode(b[3]), Lifetime: binary.BigEndian.Uint32(b[4:]), Epoch: binary.BigEndian.Uint32(b[8:]),
	}
	switch b[1] &^ pcpResponse {
	case pcpAnnounce:
		a.Announce = true
		return a, nil
	case pcpMap:
	default:
		return PCPAnswer{}, ErrGateway
	}
	if len(b) < pcpMapLen || b[pcpHeaderLen+12] != protocolUDP {
		return PCPAnswer{}, ErrGateway
	}
	m := b[pcpHeaderLen:]
	a.Nonce, a.Internal = PCPNonce(m), binary.BigEndian.Uint16(m[16:])
	if a.Code != 0 {
		return a, nil
	}
	external, ok := usable(netip.AddrPortFrom(netip.AddrFrom16([16]byte(m[20:])), binary.BigEndian.Uint16(m[18:])))
	if !ok && a.Lifetime != 0 { // of a deleted mapping there is none
		return PCPAnswer{}, ErrGateway
	}
	if ok {
		a.External = external
	}
	return a, nil
}
