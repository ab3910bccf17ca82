package transport

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/nat"
)

// Spec §5.20.2: each address once; mapped ones stand between hosts and what
// servers saw; nonsense of a gateway is dropped.
func TestMappedCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		ann, _ := pair(t)
		e := n.endpoint("11.0.0.1:1", Config{Identity: ann})
		at := netip.MustParseAddrPort
		e.SetMapped([]netip.AddrPort{at("11.0.0.9:700"), at("[::ffff:11.0.0.9]:700"), at("11.0.0.1:1"), at("0.0.0.0:1"), at("224.0.0.1:1"), at("11.0.0.9:0")})
		got := e.withMapped([]nat.Candidate{
			{Addr: at("11.0.0.1:1"), Kind: nat.Host},
			{Addr: at("11.0.0.9:700"), Kind: nat.ServerReflexive},
			{Addr: at("11.0.0.9:701"), Kind: nat.Predicted},
		})
		want := []nat.Candidate{
			{Addr: at("11.0.0.1:1"), Kind: nat.Host},
			{Addr: at("11.0.0.9:700"), Kind: nat.Mapped},
			{Addr: at("11.0.0.9:701"), Kind: nat.Predicted},
		}
		if len(got) != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("candidate %d: got %v, want %v", i, got[i], want[i])
			}
		}
		if got := e.Gather(t.Context(), nil); len(got) != 2 || got[1].Kind != nat.Mapped {
			t.Errorf("Gather: got %v, want the host and the mapping", got)
		}
		e.SetMapped(nil)
		if got := e.localCandidates(); len(got) != 1 {
			t.Errorf("after the mapping ended: got %v, want the host alone", got)
		}
	})
}

// A mapping that is made while a connection is on the relay leads to another
// search, whichever side's it is.
func TestMappedLate(t *testing.T) {
	for side := range 2 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			n := newSimNet(t)
			router := &cutRouter{a: netip.MustParseAddr("11.0.0.1"), b: netip.MustParseAddr("11.0.0.2")}
			router.cut.Store(true)
			n.router = router
			ann, bob := pair(t)
			ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
			relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
			a, b := connect(t, ctx, ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0)}, eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1)})
			time.Sleep(100 * time.Second) // the next search by itself is minutes away
			if got := a.Path().Kind; got != PathRelay {
				t.Fatalf("got %v, want the relay while there is no other way", got)
			}
			router.cut.Store(false)
			[]*Endpoint{ea, eb}[side].SetMapped([]netip.AddrPort{netip.MustParseAddrPort("11.0.0.77:5")})
			start := time.Now()
			waitPath(t, ctx, a, PathDirect)
			waitPath(t, ctx, b, PathDirect)
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("side %d: direct %v after the mapping, want at most 2s", side, d)
			}
		})
	}
}
