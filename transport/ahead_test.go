package transport

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/nat"
)

// An offerer that waits where it last knew the peer is connected as soon as the peer
// begins, without an answer; what the answer says later serves the connection. If
// what it knew is wrong, the answer counts (spec §5.4.2).
func TestAhead(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		for _, offererDials := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				n := newSimNet(t)
				ids := [2]Config{}
				lower, higher := pair(t)
				ids[0].Identity, ids[1].Identity = lower, higher // of the offerer, of the answerer
				if !offererDials {
					ids[0].Identity, ids[1].Identity = higher, lower
				}
				ea, eb := n.endpoint("11.0.0.1:1", ids[0]), n.endpoint("11.0.0.2:1", ids[1])
				relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
				known := eb.hostCandidates()
				if wrong {
					known = []nat.Candidate{{Addr: netip.MustParseAddrPort("11.0.0.99:1"), Kind: nat.ServerReflexive}}
				}
				key := [32]byte{9}
				later, theirs := make(chan Answer, 1), make(chan Answer, 1)
				type end struct {
					p  *PeerConn
					at time.Time
				}
				ends := [2]chan end{make(chan end, 1), make(chan end, 1)}
				start := func(i int, e *Endpoint, a Attempt) {
					go func() {
						p, err := e.Connect(t.Context(), a)
						if err != nil {
							t.Error(err)
						}
						ends[i] <- end{p, time.Now()}
					}()
				}
				offered := time.Now()
				start(0, ea, Attempt{Peer: ids[1].Identity.PeerID(), Record: ids[1].Identity.Record(), ProbeKey: key, Remote: known, Later: later, Waiting: true, ToldAfter: simRTT})
				time.Sleep(simRTT) // the offer is there
				if !wrong {
					start(1, eb, Attempt{Peer: ids[0].Identity.PeerID(), Record: ids[0].Identity.Record(), ProbeKey: key, Remote: ea.hostCandidates(), Later: theirs})
				}
				time.Sleep(simRTT) // and the answer
				if wrong {
					start(1, eb, Attempt{Peer: ids[0].Identity.PeerID(), Record: ids[0].Identity.Record(), ProbeKey: key, Later: theirs})
				}
				theirs <- Answer{Relay: relay.leg(1)}
				later <- Answer{Remote: eb.hostCandidates(), Relay: relay.leg(0)}
				a, b := <-ends[0], <-ends[1]
				if a.p == nil || b.p == nil {
					t.Fatal("not connected")
				}
				limit := 3.0 // with the third message; both may send at 2.5
				if wrong {
					limit += 2
				}
				if got := float64(laterOf(a.at, b.at).Sub(offered)) / float64(simRTT); got > limit+0.06 {
					t.Errorf("offerer dials: %v, wrong address: %v: connected after %.2f round trips, want %v", offererDials, wrong, got, limit)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				waitPath(t, ctx, a.p, PathDirect)
				waitPath(t, ctx, b.p, PathDirect)
				if l := a.p.link.leg.Load(); l == nil {
					t.Error("the relay of the answer is not used")
				}
				exchange(t, ctx, a.p, b.p)
			})
		}
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// An attempt that waits for an answer that never comes ends with its context, and
// with the endpoint.
func TestAheadInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		lower, higher := pair(t)
		ea := n.endpoint("11.0.0.1:1", Config{Identity: lower})
		for _, closes := range []bool{false, true} {
			later := make(chan Answer)
			if closes {
				close(later)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, err := ea.Connect(ctx, Attempt{
				Peer: higher.PeerID(), ProbeKey: [32]byte{1}, Later: later, Waiting: true,
				Remote: []nat.Candidate{{Addr: netip.MustParseAddrPort("11.0.0.9:1"), Kind: nat.ServerReflexive}},
			})
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want that the time is over", err)
			}
		}
	})
}
