package transport

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// A cutRouter drops what two hosts send to each other while it is cut.
type cutRouter struct {
	simnet.PerfectRouter
	a, b  netip.Addr
	cut   atomic.Bool
	there atomic.Bool  // from a to b only
	back  atomic.Bool  // from b to a only
	mtu   atomic.Int64 // between them, 0: none
	other atomic.Int64 // the MTU of all other ways, 0: none
	count atomic.Int64 // packets between a and b, dropped ones included
	most  atomic.Int64 // the longest of them
}

func (r *cutRouter) SendPacket(p simnet.Packet) error {
	from, to := addrPort(p.From).Addr(), addrPort(p.To).Addr()
	if from == r.a && to == r.b || from == r.b && to == r.a {
		r.count.Add(1)
		r.most.Store(max(r.most.Load(), int64(len(p.Data))))
		mtu := r.mtu.Load()
		if r.cut.Load() || from == r.a && r.there.Load() || from == r.b && r.back.Load() || mtu > 0 && int64(len(p.Data)) > mtu {
			return nil
		}
	} else if mtu := r.other.Load(); mtu > 0 && int64(len(p.Data)) > mtu {
		return nil
	}
	return r.PerfectRouter.SendPacket(p)
}

func simPair(t *testing.T, relayOnly bool) (router *cutRouter, relay *testRelay, a, b *PeerConn) {
	return simPairAround(t, relayOnly, 0)
}

// simPairAround is simPair with a relay that is far from both.
func simPairAround(t *testing.T, relayOnly bool, detour time.Duration) (router *cutRouter, relay *testRelay, a, b *PeerConn) {
	return simPairRouted(t, relayOnly, detour, func(*cutRouter) {})
}

// simPairRouted is simPairAround with a router that is set up first.
func simPairRouted(t *testing.T, relayOnly bool, detour time.Duration, set func(*cutRouter)) (router *cutRouter, relay *testRelay, a, b *PeerConn) {
	n := newSimNet(t)
	router = &cutRouter{a: netip.MustParseAddr("11.0.0.1"), b: netip.MustParseAddr("11.0.0.2")}
	set(router)
	n.router = router
	ann, bob := pair(t)
	ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
	relay = newTestRelay(t, n.connAt("11.0.0.3:1", detour), ea, eb)
	key := [32]byte{9}
	a, b = connect(t, t.Context(),
		ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates(), RelayOnly: relayOnly},
		eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates()})
	return router, relay, a, b
}

// Spec §5.4.5: a direct path that goes silent is left for the relay while bytes
// flow, and taken again when it works again; nothing is lost or doubled.
func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		router, _, a, b := simPair(t, false)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			waitPath(t, ctx, a, PathDirect)
			waitPath(t, ctx, b, PathDirect)
			time.Sleep(3 * time.Second) // the way back is validated meanwhile
			router.cut.Store(true)
			start := time.Now()
			waitPath(t, ctx, a, PathRelay)
			waitPath(t, ctx, b, PathRelay)
			if got := time.Since(start); got > 5*time.Second {
				t.Errorf("back on the relay after %v, want 5s at most", got)
			}
			router.cut.Store(false)
			waitPath(t, ctx, a, PathDirect)
			waitPath(t, ctx, b, PathDirect)
		}()
		count(t, ctx, a, b, 20*time.Millisecond, stop)
	})
}

// A path is shown with its own round trip from the first moment, not with that
// of the path before.
func TestDirectRTT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, a, b := simPairAround(t, false, 200*time.Millisecond)
		// The relay's round trip is 600 ms.
		const want = 2*simLatency + simLatency/2
		for _, p := range []*PeerConn{a, b} {
			if got := waitPath(t, t.Context(), p, PathDirect).RTT; got > want {
				t.Errorf("direct path's round trip: got %v, want at most %v", got, want)
			}
		}
		exchange(t, t.Context(), a, b)
		exchange(t, t.Context(), b, a)
		time.Sleep(time.Second)
		for _, p := range []*PeerConn{a, b} {
			if got := p.Path().RTT; got == 0 || got > want {
				t.Errorf("a second later: got %v, want at most %v", got, want)
			}
		}
	})
}

// An idle connection does not take its own silence for a dead path, and stays
// where it is.
func TestIdleStaysDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, relay, a, b := simPair(t, false)
		waitPath(t, t.Context(), a, PathDirect)
		waitPath(t, t.Context(), b, PathDirect)
		time.Sleep(10 * time.Second)
		before := relay.packets.Load()
		time.Sleep(10 * time.Minute)
		if a.Path().Kind != PathDirect || b.Path().Kind != PathDirect {
			t.Errorf("after ten idle minutes: %v and %v", a.Path(), b.Path())
		}
		if got := relay.packets.Load() - before; got > 0 {
			t.Errorf("%d packets went through the relay beside a good direct path", got)
		}
	})
}

// Spec §5.4.6: no packet goes to a contact that is relay only, although it
// names its addresses and probes ours.
func TestRelayOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		router := &cutRouter{a: netip.MustParseAddr("11.0.0.1"), b: netip.MustParseAddr("11.0.0.2")}
		n.router = router
		ann, bob := pair(t)
		ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
		relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
		key := [32]byte{9}
		a, b := connect(t, t.Context(),
			ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates(), RelayOnly: true},
			eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: nil})
		exchange(t, t.Context(), a, b)
		time.Sleep(time.Minute)
		if got := router.count.Load(); got != 0 {
			t.Errorf("%d packets between the hosts, want 0", got)
		}
		if got := a.Path(); got.Kind != PathRelay || got.Reason != reasonRelayOnly {
			t.Errorf("path: got %+v", got)
		}
	})
}
