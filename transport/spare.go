package transport

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// Tuning of searches from spare sockets (spec §5.4.10).
const (
	// spareTries follow a search in vain, the first spareAfter after it began and the
	// second four times as long after that.
	spareTries = 2
	spareAfter = 500 * time.Millisecond
	// spareServers are asked where they see the socket, every spareRetry, for
	// spareTimeout at most.
	spareServers = 2
	spareRetry   = 100 * time.Millisecond
	spareTimeout = time.Second
	// spareLife is what a search has to find a path.
	spareLife = 10 * time.Second
)

// A spareSearch searches from a socket of its own, for one of the peer's: a packet
// that came to a router before the side behind it had sent any may keep the usual two
// apart for as long as they try, and even change the port of the one for everybody.
type spareSearch struct {
	x      *extraSocket
	number uint32
	agent  *nat.Agent // nil before the peer's socket is known
	end    time.Time  // of the search
}

// An openedSpare is a socket, and where others see it.
type openedSpare struct {
	x      *extraSocket
	at     netip.AddrPort
	number uint32
	peer   netip.AddrPort // of the dialled side
}

// planSpare plans a search from spare sockets after one that has begun. It is the
// client's.
func (m *manager) planSpare(now time.Time) {
	if m.client && m.active == slotRelay {
		m.spares, m.spareAt = spareTries, now.Add(spareAfter)
	}
}

// stepSpare begins a search that is due.
func (m *manager) stepSpare(now time.Time) {
	if m.spareAt.IsZero() || now.Before(m.spareAt) {
		return
	}
	if _, ok := m.p.link.prober.validated(); ok || m.busy[slotDirect] || m.spares == 0 || !m.mayOpenSpare() {
		m.spareAt = time.Time{}
		return
	}
	m.spares--
	m.spareAt = now.Add(4 * spareAfter)
	m.spareNo++
	m.openSpare(netip.AddrPort{})
}

// mayOpenSpare reports whether another socket may reach the peer where the usual one
// does not: neither NAT takes a port for each destination.
func (m *manager) mayOpenSpare() bool {
	if m.p.link.relayOnly || m.told != wire.HindranceNone || m.theirs != wire.HindranceNone {
		return false
	}
	p := m.p.link.prober
	p.mu.Lock()
	told := slices.Clone(p.told)
	p.mu.Unlock()
	return mapped(m.e.localCandidates()) && mapped(told)
}

// mapped reports whether candidates show an IPv4 address of a NAT with one port for
// all destinations.
func mapped(cs []nat.Candidate) bool {
	if hasKind(cs, nat.Predicted) || hasKind(cs, nat.Random) {
		return false
	}
	return slices.ContainsFunc(cs, func(c nat.Candidate) bool {
		return c.Kind == nat.ServerReflexive && c.Addr.Addr().Unmap().Is4()
	})
}

// openSpare opens a socket for search spareNo. The result is an event, if there is one.
func (m *manager) openSpare(peer netip.AddrPort) {
	number := m.spareNo
	m.e.run(func() {
		ctx, cancel := context.WithTimeout(m.p.q.Context(), spareTimeout)
		defer cancel()
		x, at := m.e.openSpare(ctx)
		if x == nil {
			return
		}
		select {
		case m.events <- event{opened: &openedSpare{x, at, number, peer}}:
		case <-m.p.Done():
			x.close()
		}
	})
}

// handleOpened tells the peer where our socket is. The dialled side then knows the
// peer's, has opened its NAT for it, and lets its packets come first.
func (m *manager) handleOpened(o openedSpare) error {
	if o.number != m.spareNo {
		o.x.close()
		return nil
	}
	p := m.p.link.prober
	p.useSpare(o.x, o.number)
	if o.peer.IsValid() {
		p.searchSpare(o.number, spareKey(m.p.result.ChannelKey, o.number), o.peer, true)
	}
	return m.send(wire.FrameControlSpare, wire.ControlSpare{Number: o.number, Address: o.at}.Append(nil))
}

// handleSpare answers the client's word of its socket, or takes the answer. What is
// not expected, or too much, is dropped.
func (m *manager) handleSpare(x wire.ControlSpare, now time.Time) {
	to, ok := nat.Usable(x.Address)
	if !ok || !to.Addr().Is4() || m.p.link.relayOnly {
		return
	}
	if m.client {
		if x.Number == m.spareNo {
			m.p.link.prober.searchSpare(x.Number, spareKey(m.p.result.ChannelKey, x.Number), to, false)
		}
		return
	}
	if x.Number <= m.spareNo || now.Before(m.spareGap.next(roundGap, roundBurst)) || !m.mayOpenSpare() {
		return
	}
	m.spareGap.take(now, roundGap)
	m.spareNo = x.Number
	m.openSpare(to)
}

// openSpare opens a socket and finds out where others see it. It returns nil if that is
// not known before ctx ends.
func (e *Endpoint) openSpare(ctx context.Context) (*extraSocket, netip.AddrPort) {
	e.stun.mu.Lock()
	var servers []netip.AddrPort
	for _, s := range e.stun.asked {
		if s = unmap(s); s.Addr().Is4() && len(servers) < spareServers {
			servers = append(servers, s)
		}
	}
	e.stun.mu.Unlock()
	if servers = e.withUDP(servers); len(servers) == 0 {
		return nil, netip.AddrPort{}
	}
	pc, err := e.listenExtra()
	if err != nil {
		return nil, netip.AddrPort{}
	}
	at := whereSeen(ctx, pc, servers)
	if !at.IsValid() {
		pc.Close()
		return nil, at
	}
	return &extraSocket{pc: pc, index: 1, out: writeOnly(pc, &e.m.stats)}, at
}

// whereSeen asks servers for the outside address of a socket that nobody else reads,
// until one answers; the zero value if ctx ends first.
func whereSeen(ctx context.Context, pc net.PacketConn, servers []netip.AddrPort) netip.AddrPort {
	defer context.AfterFunc(ctx, func() { pc.SetReadDeadline(time.Unix(1, 0)) })()
	txid, request := nat.STUNRequest()
	b := make([]byte, 1500)
	for ctx.Err() == nil {
		for _, s := range servers {
			if _, err := pc.WriteTo(request, net.UDPAddrFromAddrPort(s)); err != nil {
				return netip.AddrPort{}
			}
		}
		pc.SetReadDeadline(time.Now().Add(spareRetry))
		for ctx.Err() == nil {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				break // it is time to ask again
			}
			got, at, err := nat.ParseSTUNResponse(b[:n])
			if err == nil && got == txid && slices.Contains(servers, addrPort(from)) {
				pc.SetReadDeadline(time.Time{})
				return at
			}
		}
	}
	return netip.AddrPort{}
}

// useSpare takes a socket for a search that begins when the peer's is known.
func (p *prober) useSpare(x *extraSocket, number uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropSpareLocked()
	s := &spareSearch{x: x, number: number, end: time.Now().Add(spareLife)}
	handle := func(now time.Time, from netip.AddrPort, b []byte) { p.handleSpare(s, now, from, b) }
	if p.ctx.Err() != nil || !p.e.run(func() { p.readExtra(x, handle) }) {
		x.close()
		return
	}
	p.spare = s
	notify(p.wake)
}

// dropSpareLocked ends the search, if there is one.
func (p *prober) dropSpareLocked() {
	if p.spare == nil {
		return
	}
	p.spare.x.close()
	p.link.extra.CompareAndSwap(p.spare.x, nil)
	p.spare = nil
}

// searchSpare begins the search for a socket of the peer's. A side that waits opens
// its NAT for it.
func (p *prober) searchSpare(number uint32, key [32]byte, peer netip.AddrPort, waits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.spare
	if s == nil || s.number != number || s.agent != nil {
		return
	}
	if waits && p.e.m.oob {
		_ = s.x.out.write(nat.Opening(), appendTTL(nil, peer.Addr().Is4(), openingTTL), peer) // best effort
	}
	s.agent = nat.NewAgent(time.Now(), nat.AgentConfig{
		Key: key, Controlling: p.link.client, Remote: []nat.Candidate{{Addr: peer, Kind: nat.ServerReflexive}}, Waiting: waits,
	})
	notify(p.wake)
}

// stepSpareLocked does what is due, and returns when there will be more.
func (p *prober) stepSpareLocked(now time.Time) time.Time {
	s := p.spare
	if s == nil {
		return time.Time{}
	}
	next := s.end
	if s.agent != nil {
		s.agent.HandleTimeout(now)
		s.flush()
		if _, _, ok := s.agent.Validated(); ok {
			next = time.Time{}
		}
		if t := s.agent.NextTimeout(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if !next.IsZero() && !now.Before(s.end) && next == s.end {
		p.dropSpareLocked()
		return time.Time{}
	}
	return next
}

func (s *spareSearch) flush() {
	for t, ok := s.agent.PollTransmit(); ok; t, ok = s.agent.PollTransmit() {
		_ = s.x.out.write(t.Payload, nil, t.To) // best effort, like send
	}
}

// handleSpare takes a probe that came to the socket of s.
func (p *prober) handleSpare(s *spareSearch, now time.Time, from netip.AddrPort, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spare != s || s.agent == nil || !s.agent.HandlePacket(now, from, b) {
		p.handleCheckLocked(now, from, b)
		return
	}
	p.e.m.paths.know(p.link, from)
	s.flush()
	if s.x.remote.Load() == nil {
		s.x.remote.Store(&from) // its packets may come before the answer to our probe
		p.link.extra.CompareAndSwap(nil, s.x)
	}
	if addr, _, ok := s.agent.Validated(); ok {
		s.x.remote.Store(&addr)
		if old := p.link.extra.Swap(s.x); old != nil && old != s.x {
			old.close()
		}
	}
	notify(p.wake)
	notify(p.changed)
}
