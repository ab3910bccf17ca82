package transport

import (
	"net/netip"

	"github.com/sremp/sremp/nat"
)

// A stunPlace is one of the places of a server that answers STUN.
type stunPlace struct {
	server nat.STUNServer
	send   [4]func(to netip.AddrPort, b []byte) // from the place that differs so
}

// STUNPlaces are the endpoints of one server that answer STUN, and where clients
// reach each: 0 is the first, 1 another port, 2 another address, 3 both. Nil:
// there is none.
type STUNPlaces struct {
	Endpoints [4]*Endpoint
	Addrs     [4]netip.AddrPort
}

// Join makes the endpoints tell of each other, and answer from each other's place
// who asks for that (RFC 5780, section 7), until Part.
func (s STUNPlaces) Join() {
	for i, e := range s.Endpoints {
		if e == nil {
			continue
		}
		p := &stunPlace{}
		for j, other := range s.Endpoints {
			if other != nil && s.Addrs[j].IsValid() {
				p.server.Places[i^j], p.send[i^j] = s.Addrs[j], other.WritePacket
			}
		}
		e.stunPlace.Store(p)
	}
}

// Part makes the endpoints answer for themselves only.
func (s STUNPlaces) Part() {
	for _, e := range s.Endpoints {
		if e != nil {
			e.stunPlace.Store(nil)
		}
	}
}

// replySTUN answers a binding request with at most as many bytes, to where it
// came from.
func (e *Endpoint) replySTUN(from netip.AddrPort, request []byte) {
	p := e.stunPlace.Load()
	if p == nil {
		p = &stunPlace{}
	}
	reply, change := p.server.Reply(request, from)
	switch {
	case reply == nil:
	case change != 0:
		p.send[change](from, reply)
	default:
		e.m.send(from, reply)
	}
}
