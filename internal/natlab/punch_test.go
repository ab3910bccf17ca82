//go:build linux

package natlab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A punch is a pair whose sides may be connected again and again: the networks
// stay, the sockets, and so the mappings, are new each time.
type punch struct {
	Pair
	w      *World
	places [2]*Place
	stun   []netip.AddrPort
	relay  *labRelay
	ids    [2]*identity.Local // the lower first
	intro  [2]*rendezvous.Client
	names  [2]*identity.Local // under which intro is registered
	chat   bool               // the sides talk from when they are connected on
	idle   time.Duration      // they are silent for so long when they are direct, then talk
	early  bool               // who offers sends before the other side knows of it, and no NAT is opened
}

// lookup is the lookup secret of everybody here.
var lookup = [32]byte{7}

// newPunch makes the networks of a pair, and servers that both sides are
// connected to.
func newPunch(t *testing.T, c Pair) *punch {
	t.Helper()
	cond := c.Conditions
	if cond == (Conditions{}) {
		cond = Conditions{Delay: PairRTT / 2}
	}
	p := &punch{Pair: c, w: world(t, Conditions{Delay: cond.Delay})}
	server := must[*Place](t)(p.w.Public(2))
	for i, a := range []netip.Addr{server.Addr, server.Addr, server.Addr.Next(), server.Addr6, server.Addr6, server.Addr6.Next()} {
		ap := netip.AddrPortFrom(a, uint16(3478+i%3%2))
		p.stun = append(p.stun, ap)
		e := endpointAt(t, server.Site, ap, transport.Config{STUN: true})
		t.Cleanup(func() { e.Close() })
	}
	addr := server.Addr
	if c.A == "ipv6" {
		addr = server.Addr6
	}
	p.relay = newLabRelayAt(t, server, netip.AddrPortFrom(addr, 4433))
	var err error
	var a, b *Place
	if a, b, err = c.Places(p.w); err != nil {
		t.Fatal(err)
	}
	p.places = [2]*Place{a, b}
	p.introductions(t, server, netip.AddrPortFrom(addr, 4434))
	if p.ids = [2]*identity.Local{identityOf(t, "Ann"), identityOf(t, "Bob")}; p.ids[0].PeerID().Compare(p.ids[1].PeerID()) > 0 {
		p.ids[0], p.ids[1] = p.ids[1], p.ids[0]
	}
	if p.w.Net != nil {
		p.w.Net.Set(cond) // not before all is warm
	}
	return p
}

// introductions starts a rendezvous and connects both sides to it.
func (p *punch) introductions(t *testing.T, server *Place, addr netip.AddrPort) {
	key := must[*identity.ServerKey](t)(identity.NewServerKey(make([]byte, 32)))
	often := rendezvous.Rate{Burst: 1 << 16, Every: time.Millisecond}
	s := must[*rendezvous.Server](t)(rendezvous.NewServer(rendezvous.ServerConfig{Key: key, Limits: rendezvous.Limits{Introduce: often, Offer: often}}))
	t.Cleanup(func() { s.Close() })
	e := endpointAt(t, server.Site, addr, transport.Config{ServerKey: key, Services: map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: s.Serve}})
	t.Cleanup(func() { e.Close() })
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range p.intro {
		p.names[i] = identityOf(t, "Name")
		own := endpointAt(t, p.places[i].Site, bindAddr(p.kind(i), p.places[i]), transport.Config{Identity: p.names[i]})
		t.Cleanup(func() { own.Close() })
		wg.Go(func() {
			cl, err := rendezvous.Dial(t.Context(), own, identity.ServerAddr{ID: key.ID(), Host: addr.Addr().String(), Port: addr.Port()})
			if err == nil {
				err = cl.Register(t.Context(), time.Now(), p.names[i], lookup, rendezvous.Content{Record: p.names[i].Record()}, 0)
			}
			if err != nil {
				t.Errorf("side %d at the rendezvous: %v", i, err)
				return
			}
			p.intro[i] = cl
		})
	}
}

type pairResult struct {
	direct  time.Duration // from the offer until both sides are direct, and know each other; 0: never
	proven  time.Duration // the same until the dialling side has the proof against a stolen key of its own
	begun   time.Duration // from the offer until both were told to begin
	usable  time.Duration // from the offer until both sides are connected, by whatever path
	packets int           // probes of the side that sent most
	fault   string        // what is not as it should be

	// Of the chat, if there was one.
	echoes int           // that came back before both sides were direct
	gap    time.Duration // the longest time between two of them, and after that
}

// run connects the two sides once: one makes an offer by the rendezvous, the
// other answers it, both begin. Bits 0 and 1 of n choose who offers, and who has
// the lower key. What is found out before the offer (candidates, a place at the
// relay) is kept warm in reality too.
func (p *punch) run(t *testing.T, n int) (r pairResult) {
	t.Helper()
	if p.intro[0] == nil || p.intro[1] == nil {
		t.Fatal("no rendezvous")
	}
	offers, answers := n&1, 1-n&1
	order := n >> 1 & 1
	var ends [2]*transport.Endpoint
	var cands [2][]nat.Candidate
	var ids [2]*identity.Local
	p.relay.reset()
	for i, place := range p.places {
		ids[i] = p.ids[i^order]
		ends[i] = endpointAt(t, place.Site, bindAddr(p.kind(i), place), transport.Config{Identity: ids[i]})
		defer ends[i].Close()
		defer mapHere(t, p.kind(i), place, ends[i])()
	}
	var warm sync.WaitGroup
	for i := range ends {
		warm.Go(func() {
			// The relay first: its mapping must not take a port that is predicted.
			p.relay.register(ends[i], uint8(i))
			cands[i] = p.gather(t, i, ends[i])
		})
	}
	warm.Wait()
	patience := 5 * time.Second
	if !p.Direct {
		patience = 2 * time.Second
	}
	if p.early {
		patience = time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	key := [32]byte{byte(rand.Uint32()), byte(n)}
	attempt := func(i int, answering bool) transport.Attempt {
		other := 1 - i
		return transport.Attempt{
			Peer: ids[other].PeerID(), Record: ids[other].Record(), ProbeKey: key, Remote: cands[other],
			Relay: p.relay.leg(uint8(i)), Attested: reflexive(cands[other]), Answering: answering,
		}
	}
	// Who offers has known the other before, and opens its NAT for where that was: it
	// need not wait for the answer to be reached.
	var ahead atomic.Bool
	ahead.Store(!predicted(cands[answers]) && !p.early)
	answered := make(chan transport.Answer, 1)
	offering := func() transport.Attempt {
		a := attempt(offers, false)
		if ahead.Load() {
			a.Remote, a.Relay, a.Attested, a.Later, a.Waiting = outside(cands[answers]), nil, nil, answered, true
			if !predicted(cands[offers]) {
				a.ToldAfter = p.intro[offers].RTT()
			}
			ahead.Store(ends[offers].Open(a.Remote))
		}
		return a
	}
	count := newCounter(p.w)
	type reached struct{ known, connected, direct time.Time }
	var begun, done [2]time.Time
	var errs [2]error // of Connect
	var got [2]reached
	start := time.Now()
	talk := &conversation{}
	connected := make(chan struct{}, 2) // a token for each side
	connect := func(i int, a transport.Attempt) {
		begun[i] = time.Now()
		if wait := p.Skew; i == 1 && wait > 0 || i == 0 && wait < 0 {
			sleep(ctx, max(wait, -wait))
		}
		// The dialling side knows the other from the first message of Noise IK on, which
		// is bound to this very connection, and may send what only the other can read.
		var known atomic.Int64
		a.Early = func() []byte { known.Store(int64(time.Since(start))); return nil }
		c, err := connectOrAccept(ctx, ends[i], a)
		if errs[i] = err; err != nil {
			return
		}
		got[i].connected = time.Now()
		if got[i].known = got[i].connected; known.Load() > 0 {
			got[i].known = start.Add(time.Duration(known.Load()))
		}
		talk.conns[i] = c
		connected <- struct{}{}
		got[i].direct = got[i].known
		for c.Path().Kind != transport.PathDirect {
			select {
			case <-c.PathChanges():
				got[i].direct = time.Now()
			case <-ctx.Done():
				got[i].direct = time.Time{}
				return
			}
		}
	}
	start = time.Now()
	if p.chat {
		go func() {
			for range talk.conns {
				select {
				case <-connected:
				case <-ctx.Done():
					return
				}
			}
			talk.echo(t)
		}()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case in := <-p.intro[answers].Introductions():
			if !p.early {
				ends[answers].Open(cands[offers])
			}
			a := wire.Answer{What: wire.AnswerConnect, Candidates: cands[answers], Joined: true}
			if ahead.Load() {
				wg.Go(func() { in.Answer(ctx, a.Append(nil)) }) // not needed for the first path
			} else if err := in.Answer(ctx, a.Append(nil)); err != nil {
				return
			}
			connect(answers, attempt(answers, !ahead.Load()))
		case <-ctx.Done():
		}
	})
	wg.Go(func() {
		o := wire.Offer{Peer: ids[offers].PeerID(), Candidates: cands[offers]}
		if a := offering(); ahead.Load() {
			wg.Go(func() {
				defer close(answered)
				if _, err := p.intro[offers].Introduce(ctx, time.Now(), p.names[answers].PeerID(), lookup, o.Append(nil)); err == nil {
					x := attempt(offers, false)
					answered <- transport.Answer{Remote: x.Remote, Relay: x.Relay, Attested: x.Attested}
				}
			})
			connect(offers, a)
			return
		}
		if p.early {
			wg.Go(func() { connect(offers, attempt(offers, false)) })
			sleep(ctx, 3*PairRTT)
		}
		if _, err := p.intro[offers].Introduce(ctx, time.Now(), p.names[answers].PeerID(), lookup, o.Append(nil)); err != nil {
			return
		}
		if !p.early {
			connect(offers, attempt(offers, false))
		}
	})
	wg.Wait()
	r.packets = count()
	if p.chat && talk.answered.Load() > 0 {
		r.echoes = int(talk.answered.Load())
		talk.settle(t, 10)
		r.gap = time.Duration(talk.gap.Load())
	}
	if p.idle > 0 && !got[0].direct.IsZero() && !got[1].direct.IsZero() {
		time.Sleep(p.idle) // the routers' own time
		before := [2]transport.PathKind{talk.conns[0].Path().Kind, talk.conns[1].Path().Kind}
		talk.echo(t)
		talk.settle(t, 10)
		r.gap = time.Duration(talk.gap.Load())
		if before != [2]transport.PathKind{transport.PathDirect, transport.PathDirect} {
			r.fault = fmt.Sprintf("paths %v after %v of silence, want direct", before, p.idle)
			return r
		}
	}
	for i := range got {
		r.begun = max(r.begun, begun[i].Sub(start))
		done[i] = got[i].direct
	}
	if !got[0].connected.IsZero() && !got[1].connected.IsZero() {
		r.usable = later(got[0].known, got[1].known).Sub(start)
		r.proven = max(r.usable, later(got[0].connected, got[1].connected).Sub(start))
	}
	if !done[0].IsZero() && !done[1].IsZero() {
		r.direct = later(done[0], done[1]).Sub(start)
		r.proven = max(r.proven, r.direct)
	}
	switch {
	case r.usable == 0:
		r.fault = fmt.Sprintf("not connected: side %d dials; begun %v and %v after the offer: %v, %v; %d packets", order, round(begun[0].Sub(start)), round(begun[1].Sub(start)), errs[0], errs[1], r.packets)
	case (r.direct > 0) != p.Direct:
		r.fault = fmt.Sprintf("direct: %v, want %v; side %d offers, %d dials; begun %v and %v after the offer; %d packets; paths %v and %v; candidates %v and %v", r.direct > 0, p.Direct,
			offers, order, round(begun[0].Sub(start)), round(begun[1].Sub(start)), r.packets, talk.path(0), talk.path(1), cands[0], cands[1])
	case p.Within > 0 && r.direct-r.begun > p.Within:
		r.fault = fmt.Sprintf("direct %v after both began, want %v", r.direct-r.begun, p.Within)
	default:
		t.Logf("usable after %v, begun after %v, direct after %v, %d packets", round(r.usable), round(r.begun), round(r.direct), r.packets)
	}
	return r
}

// connectOrAccept returns the connection of an attempt, also if the peer was faster
// and connected before the attempt began.
func connectOrAccept(ctx context.Context, e *transport.Endpoint, a transport.Attempt) (*transport.PeerConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		c   *transport.PeerConn
		err error
	}
	ends := make(chan end, 2)
	go func() {
		c, err := e.Connect(ctx, a)
		ends <- end{c, err}
	}()
	go func() {
		c, err := e.Accept(ctx)
		ends <- end{c, err}
	}()
	first := <-ends
	if first.err == nil {
		return first.c, nil
	}
	second := <-ends
	return second.c, second.err
}

// predicted reports whether a side's next ports are predicted: nothing must use them up.
func predicted(cs []nat.Candidate) bool {
	return slices.ContainsFunc(cs, func(c nat.Candidate) bool { return c.Kind == nat.Predicted })
}

// outside returns what others can know of a side for long: addresses that are not of
// its own network.
func outside(cs []nat.Candidate) (out []nat.Candidate) {
	for _, c := range cs {
		if a := c.Addr.Addr(); a.IsGlobalUnicast() && !a.IsPrivate() {
			out = append(out, c)
		}
	}
	return out
}

func (p *punch) kind(side int) string { return [2]string{p.A, p.B}[side] }

func (p *punch) gather(t *testing.T, side int, e *transport.Endpoint) (cs []nat.Candidate) {
	stun := sameFamily(p.stun, p.kind(side))
	if p.kind(side) != "dual" {
		return e.Gather(t.Context(), stun)
	}
	// The addresses of a socket that is bound to none are those of its namespace.
	_ = p.places[side].Do(func() error { cs = e.Gather(t.Context(), stun); return nil }) // it never fails
	return cs
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
