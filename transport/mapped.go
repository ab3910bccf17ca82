package transport

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// SetMapped replaces the addresses that our gateway says to forward to the
// socket (spec §5.24): candidates of kind [nat.Mapped] from now on. Connections
// that have found no direct path look for one again.
func (e *Endpoint) SetMapped(addrs []netip.AddrPort) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.Equal(addrs, e.mapped) {
		return
	}
	e.mapped = slices.Clone(addrs)
	if len(addrs) == 0 {
		return
	}
	e.mappings.Add(1)
	for p := range e.probers {
		notify(p.changed)
	}
}

// withMapped returns cs and the mapped candidates, which come before what
// servers saw: they are meant to be reached by anybody.
func (e *Endpoint) withMapped(cs []nat.Candidate) []nat.Candidate {
	e.mu.Lock()
	mapped := e.mapped
	e.mu.Unlock()
	at := slices.IndexFunc(cs, func(c nat.Candidate) bool { return c.Kind != nat.Host })
	if at < 0 {
		at = len(cs)
	}
	out := slices.Clone(cs[:at])
	for _, a := range mapped {
		a, ok := nat.Usable(a)
		c := nat.Candidate{Addr: a, Kind: nat.Mapped}
		if ok && !slices.ContainsFunc(out, func(o nat.Candidate) bool { return o.Addr == a }) {
			out = append(out, c)
		}
	}
	for _, c := range cs[at:] {
		if !slices.ContainsFunc(out, func(o nat.Candidate) bool { return o.Addr == c.Addr }) {
			out = append(out, c)
		}
	}
	return out
}

// mapAgain has a round begin when a mapping was made after the search before: the
// client plans one, the server asks for it.
func (m *manager) mapAgain(now time.Time) error {
	n := m.e.mappings.Load()
	if n == m.mapSeen {
		return nil
	}
	m.mapSeen = n
	switch {
	case m.active != slotRelay || m.p.link.relayOnly:
	case m.client:
		m.searchAgain(now)
	default:
		return m.send(wire.FrameControlCandidates, wire.ControlCandidates{Round: askRound}.Append(nil))
	}
	return nil
}
