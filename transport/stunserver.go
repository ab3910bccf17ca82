package transport

import (
	"net/netip"

	"github.com/sremp/sremp/nat"
)

// A stunSibling is another port of the same server.
type stunSibling struct {
	server nat.STUNServer
	send   func(to netip.AddrPort, b []byte)
}

// PairSTUN makes two endpoints that answer STUN tell of each other (RFC 5780,
// section 7): a is reached at aAddr, b at bAddr. Invalid addresses part them.
func PairSTUN(a, b *Endpoint, aAddr, bAddr netip.AddrPort) {
	if !aAddr.IsValid() || !bAddr.IsValid() {
		a.sibling.Store(nil)
		b.sibling.Store(nil)
		return
	}
	a.sibling.Store(&stunSibling{nat.STUNServer{Self: aAddr, Other: bAddr}, b.WritePacket})
	b.sibling.Store(&stunSibling{nat.STUNServer{Self: bAddr, Other: aAddr}, a.WritePacket})
}

// answerSTUN answers a binding request with at most as many bytes, to where it
// came from.
func (e *Endpoint) answerSTUN(from netip.AddrPort, request []byte) {
	s := e.sibling.Load()
	if s == nil {
		s = &stunSibling{}
	}
	reply, sibling := s.server.Reply(request, from)
	switch {
	case reply == nil:
	case sibling:
		s.send(from, reply)
	default:
		e.m.send(from, reply)
	}
}
