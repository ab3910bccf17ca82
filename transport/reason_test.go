package transport

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// waitWhy waits until a connection is on the relay for a reason.
func waitWhy(t *testing.T, ctx context.Context, who string, p *PeerConn, want Reason) {
	t.Helper()
	for {
		got := p.Path()
		if got.Kind == PathRelay && got.Why == want {
			if got.Reason != want.String() {
				t.Errorf("%s: got %q, want %q", who, got.Reason, want)
			}
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s: got %v because %q, want relay because %q", who, got.Kind, got.Reason, want)
		}
	}
}

// cutPair connects two sides between which only the relay delivers. local are
// the candidates that they offer, if not their own.
func cutPair(t *testing.T, ctx context.Context, local [2][]nat.Candidate, relayOnly bool) (relay *testRelay, a, b *PeerConn) {
	n := newSimNet(t)
	cut := &cutRouter{a: netip.MustParseAddr("11.0.0.1"), b: netip.MustParseAddr("11.0.0.2")}
	cut.cut.Store(true)
	n.router = cut
	ann, bob := pair(t)
	ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
	ea.local, eb.local = local[0], local[1]
	relay = newTestRelay(t, n.conn("11.0.0.3:1"), ea, eb)
	key := [32]byte{9}
	a, b = connect(t, ctx,
		ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.localCandidates(), RelayOnly: relayOnly},
		eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.localCandidates()})
	return relay, a, b
}

// Spec §5.4.8: what stays on the relay says why, on both sides.
func TestReasons(t *testing.T) {
	random := []nat.Candidate{{Addr: netip.MustParseAddrPort("11.0.0.1:9"), Kind: nat.Random}}
	for name, tt := range map[string]struct {
		local  [2][]nat.Candidate
		relay  bool
		lower  Reason
		higher Reason
	}{
		"unanswered":   {lower: ReasonUnanswered, higher: ReasonUnanswered},
		"random ports": {local: [2][]nat.Candidate{random, random}, lower: ReasonRandomPorts, higher: ReasonRandomPorts},
		"relay only":   {relay: true, lower: ReasonRelayOnly, higher: ReasonPeerRelayOnly},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := withTimeout(t)
				_, a, b := cutPair(t, ctx, tt.local, tt.relay)
				waitWhy(t, ctx, "the lower id", a, tt.lower)
				waitWhy(t, ctx, "the higher id", b, tt.higher)
			})
		})
	}
}

// A side whose network lets no UDP out says so to the other, and takes it back.
func TestReasonUDPBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		relay, a, b := cutPair(t, ctx, [2][]nat.Candidate{}, false)
		waitWhy(t, ctx, "the lower id", a, ReasonUnanswered)
		server := relay.leg(0).Server
		r := &route{e: a.e, addr: server, changed: make(chan struct{})}
		a.e.m.routes.mu.Lock()
		a.e.m.routes.setLocked(server, r)
		a.e.m.routes.mu.Unlock()
		// The relay of the test is reached as before: the frames are let through.
		r.carrier.Store(&carrier{pc: a.e.c.PacketConn})
		r.setTunnelled(true)
		waitWhy(t, ctx, "the side without UDP", a, ReasonUDPBlocked)
		waitWhy(t, ctx, "the other", b, ReasonPeerUDPBlocked)
		r.setTunnelled(false)
		for p := b.Path(); p.Why == ReasonPeerUDPBlocked; p = b.Path() {
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// Every reason has a code and words, and the words lead back to it; a stranger's
// words lead to none.
func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := ReasonSearching; r <= ReasonUnanswered; r++ {
		if r.Code() == "" || r.String() == "" || seen[r.Code()] || reasonOf(r.String()) != r {
			t.Errorf("reason %d: %q, %q, %v", r, r.Code(), r, reasonOf(r.String()))
		}
		seen[r.Code()] = true
		if len(r.String()) > wire.MaxControlReason {
			t.Errorf("reason %d does not fit a path frame", r)
		}
	}
	if got := reasonOf("because I say so"); got != ReasonNone {
		t.Errorf("got %v for a stranger's words, want none", got)
	}
}

// The loss shown is that of the last half a minute, and of one path.
func TestLossMeter(t *testing.T) {
	var m lossMeter
	start := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		second   int
		sent     uint64
		lost     uint64
		wantSent uint64
		wantLost uint64
	}{
		{0, 100, 10, 100, 10},
		{0, 101, 10, 101, 10},
		{1, 120, 10, 120, 10},
		{20, 200, 20, 200, 20},
		{31, 300, 20, 180, 10},
		{32, 310, 15, 110, 0},
	} {
		if got, _ := m.look(at(tt.second), Loss{tt.sent, tt.lost}); got != (Loss{tt.wantSent, tt.wantLost}) {
			t.Errorf("second %d: got %+v, want %d sent and %d lost", tt.second, got, tt.wantSent, tt.wantLost)
		}
	}
	if got := (Loss{Sent: 4, Lost: 1}).Share(); got != 0.25 {
		t.Errorf("share: got %v, want 0.25", got)
	}
	if got := (Loss{}).Share(); got != 0 {
		t.Errorf("share of nothing: got %v, want 0", got)
	}
}
