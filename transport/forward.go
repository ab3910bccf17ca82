package transport

import (
	"net/netip"
	"time"

	"github.com/sremp/sremp/wire"
)

// A Router decides about relay framing (spec §6.6). Its method is called by
// several readers at once and must neither block nor keep packet. It rewrites
// packet in place; to is where it goes, the zero address for nowhere.
type Router interface {
	Route(reader int, now time.Time, from netip.AddrPort, packet []byte) (to netip.AddrPort)
}

// control handles a control packet of a forwarding session: it answers the
// relay's challenges to our legs and hands on what is for a relay. It reports
// false if d is none.
func (m *mux) control(d datagram) bool {
	session, _, fromRelay, ok := wire.ParseForwardControl(d.data)
	if !ok {
		return false
	}
	if !fromRelay {
		if m.forward != nil {
			m.forward(d.from, d.data)
		} else {
			m.stats.dropped.Add(1)
		}
		return true
	}
	leg := m.paths.session(session)
	if leg == nil || leg.owner.Load() == nil || d.from != leg.Server {
		m.stats.dropped.Add(1)
		return true
	}
	c, ok := wire.OpenForwardChallenge(d.data, leg.Side, leg.Key)
	if !ok {
		m.stats.dropped.Add(1)
		return true
	}
	m.send(leg.Server, wire.ForwardAnswer{
		Side: leg.Side, Session: leg.Session, Cookie: c.Cookie,
		Sent: leg.counter.Load(), Received: leg.window.Largest(), Grant: leg.Grant,
	}.Append(nil, leg.Key))
	return true
}

// tellRelay sends a packet through a leg for the relay alone, which takes its
// source for the side's address if it is another one: as long as the challenge by
// which it makes sure, which is never longer than what it answers (spec §5.4.5,
// §6.6.5). The other side drops it by its first byte.
func (m *mux) tellRelay(leg *legState) {
	m.writeRelay(leg, make([]byte, wire.ForwardChallengeLen-wire.ForwardHeaderLen), 0)
}
