package transport

import (
	"context"
	"iter"
	"net/netip"
	"sync"
	"time"

	"github.com/sremp/sremp/nat"
)

// A prober runs the path searches of one link: the one of its Connect and those
// of the rounds after it, each a nat.Agent. It gives them a clock, a timer and
// the socket.
type prober struct {
	e       *Endpoint
	link    *link
	changed chan struct{} // holds one token after validated may have changed
	wake    chan struct{} // holds one token after the agents have changed
	ctx     context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	agents []*nat.Agent // newest first, at most maxAgents
	extras []*extraSocket
	told   []nat.Candidate // what the peer has told last
	// extraOf is the agent that searches with extras; nil once it needs no more.
	extraOf *nat.Agent
	opening *nat.Agent // the agent that asked for sockets last
	spare   *spareSearch
	// checker watches the connection's direct path; nil before there is one.
	checker *nat.Checker
	lively  func() bool
	seen    nat.PathState // what the manager was told
	due     time.Time     // of the timer
}

// starved is how late a timer may be before we blame this machine, and not the
// path, for the silence.
const starved = 50 * time.Millisecond

// maxAgents: a probe of the round before may still arrive.
const maxAgents = 2

// newProber makes a prober that runs until it is stopped.
func (e *Endpoint) newProber(l *link) *prober {
	p := &prober{e: e, link: l, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(e.ctx)
	e.mu.Lock()
	e.probers[p] = struct{}{}
	e.mu.Unlock()
	if !e.run(func() { p.loop() }) {
		p.remove()
	}
	return p
}

func (p *prober) remove() {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	delete(p.e.probers, p)
}

// A search is what a new agent knows beyond our own candidates.
type search struct {
	key       [32]byte
	remote    []nat.Candidate
	answering bool
	waiting   bool
	attested  []netip.Addr
}

// search starts a new search.
func (p *prober) search(s search) {
	now := time.Now()
	p.mu.Lock()
	a := nat.NewAgent(now, nat.AgentConfig{
		Key: s.key, Controlling: p.link.client, Local: p.e.localCandidates(), Remote: s.remote,
		Answering: s.answering, Waiting: s.waiting, Attested: s.attested,
	})
	if len(s.remote) > 0 {
		p.told = s.remote
	}
	p.agents = append([]*nat.Agent{a}, p.agents...)
	p.agents = p.agents[:min(len(p.agents), maxAgents)]
	p.mu.Unlock()
	notify(p.wake)
}

// begin ends the wait of a search that was waiting.
func (p *prober) begin(remote []nat.Candidate, attested []netip.Addr) {
	p.mu.Lock()
	if len(remote) > 0 {
		p.told = remote
	}
	if n := len(p.agents); n > 0 {
		p.agents[n-1].Begin(time.Now(), remote, attested) // later ones are of rounds
	}
	p.mu.Unlock()
	notify(p.wake)
}

// validated returns the address that the newest successful search has proven.
func (p *prober) validated() (netip.AddrPort, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.searchesLocked() {
		if addr, _, ok := a.Validated(); ok {
			return addr, true
		}
	}
	return netip.AddrPort{}, false
}

// searchesLocked returns all searches, that from a spare socket last.
func (p *prober) searchesLocked() iter.Seq[*nat.Agent] {
	return func(yield func(*nat.Agent) bool) {
		for _, a := range p.agents {
			if !yield(a) {
				return
			}
		}
		if p.spare != nil && p.spare.agent != nil {
			yield(p.spare.agent)
		}
	}
}

// heard returns the address that validated returns, else one from which an
// authentic ping came: the peer gets through to us from there, and most probably
// we to it.
func (p *prober) heard() (netip.AddrPort, bool) {
	if addr, ok := p.validated(); ok {
		return addr, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.agents {
		if addr, ok := a.Heard(); ok {
			return addr, true
		}
	}
	return netip.AddrPort{}, false
}

// hurry makes the first probe to a candidate leave before it returns.
func (p *prober) hurry(to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.agents {
		a.Hurry(time.Now(), to)
		p.flushLocked(a)
	}
	notify(p.wake)
}

// rtt returns the round trip that the probes measured to addr, 0 if none did.
func (p *prober) rtt(addr netip.AddrPort) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.searchesLocked() {
		if to, rtt, ok := a.Validated(); ok && to == addr {
			return rtt
		}
	}
	return 0
}

// forget drops what all searches have found.
func (p *prober) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.agents = nil
	closeAll(p.extras, nil)
	p.extras, p.extraOf = nil, nil
	p.dropSpareLocked()
	p.link.extra.Store(nil)
}

func (p *prober) loop() {
	defer p.remove()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		if next := p.step(now); next.IsZero() {
			timer.Stop()
			notify(p.changed) // nothing was found, perhaps
		} else {
			timer.Reset(max(time.Until(next), 0))
		}
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.ctx.Done():
			return
		}
	}
}

// step does what is due, and returns when there will be more.
func (p *prober) step(now time.Time) (next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := !p.due.IsZero() && now.Sub(p.due) > starved
	defer func() { p.due = next }()
	next = p.stepCheckLocked(now, late)
	for _, a := range p.agents {
		a.HandleTimeout(now)
		p.flushLocked(a)
		if n := a.WantSockets(); n > 0 && p.opening != a {
			p.opening = a
			if !p.e.run(func() { p.openExtra(a, n) }) {
				continue
			}
		}
		p.settleExtraLocked(a)
		if t := a.NextTimeout(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if t := p.stepSpareLocked(now); !t.IsZero() && (next.IsZero() || t.Before(next)) {
		next = t
	}
	return next
}

func (p *prober) flushLocked(a *nat.Agent) {
	for t, ok := a.PollTransmit(); ok; t, ok = a.PollTransmit() {
		switch {
		case t.Extra && !p.e.budgets.spend(time.Now(), t.To.Addr()):
		case t.Socket == 0:
			p.e.m.send(t.To, t.Payload)
		case t.Socket <= len(p.extras):
			_ = p.extras[t.Socket-1].out.write(t.Payload, nil, t.To) // best effort, like send
		}
	}
}

// handle runs on the read loop of a socket (0 is the main one): answers leave at
// once.
func (p *prober) handle(now time.Time, sock int, from netip.AddrPort, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.agents {
		if !a.HandlePacketOn(now, sock, from, b) {
			continue
		}
		if sock > 0 && sock <= len(p.extras) {
			p.extras[sock-1].heard = from
		}
		p.e.m.paths.know(p.link, from)
		p.flushLocked(a)
		p.settleExtraLocked(a)
		notify(p.wake)
		notify(p.changed)
		return true
	}
	return p.handleCheckLocked(now, from, b)
}

// handleProbe runs on the read loop. A forged probe costs one failed decryption
// for each search under way.
func (e *Endpoint) handleProbe(from netip.AddrPort, b []byte) {
	now := time.Now()
	// Most come from where others came from.
	if l := e.m.paths.from(from); l != nil && l.prober.handle(now, 0, from, b) {
		return
	}
	e.mu.Lock()
	ps := make([]*prober, 0, len(e.probers))
	for p := range e.probers {
		ps = append(ps, p)
	}
	e.mu.Unlock()
	for _, p := range ps {
		if p.handle(now, 0, from, b) {
			return
		}
	}
	e.m.stats.dropped.Add(1)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
