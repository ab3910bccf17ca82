package transport

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/wire"
)

// A dfConn lets quic-go find the path's MTU in a simulated network: it has a
// descriptor to set the option on.
type dfConn struct {
	net.PacketConn
	syscall.Conn
}

func (dfConn) SetReadBuffer(int) error  { return nil }
func (dfConn) SetWriteBuffer(int) error { return nil }

func newDFConn(t *testing.T, pc net.PacketConn) dfConn {
	raw := udpConn(t).(*net.UDPConn)
	t.Cleanup(func() { raw.Close() })
	return dfConn{pc, raw}
}

// mtuPair is a pair of peers that find path MTUs.
func mtuPair(t *testing.T) (router *cutRouter, a, b *PeerConn) {
	n := newSimNet(t)
	router = &cutRouter{a: netip.MustParseAddr("11.0.0.1"), b: netip.MustParseAddr("11.0.0.2")}
	n.router = router
	ann, bob := pair(t)
	ea := endpoint(t, Config{PacketConn: newDFConn(t, n.conn("11.0.0.1:1")), Identity: ann})
	eb := endpoint(t, Config{PacketConn: newDFConn(t, n.conn("11.0.0.2:1")), Identity: bob})
	relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
	key := [32]byte{9}
	a, b = connect(t, t.Context(),
		ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates()},
		eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates()})
	return router, a, b
}

// flowing runs change while numbers flow from one side to the other, and checks
// that none is lost or doubled.
func flowing(t *testing.T, from, to *PeerConn, change func()) {
	t.Helper()
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		change()
	}()
	count(t, t.Context(), from, to, 40*time.Millisecond, stop)
}

// Spec §5.4.4: a backup path with a smaller MTU takes over from a path on which
// long packets were in use, and nothing hangs. Relay framing comes on top of the
// smallest MTU that QUIC can live with.
func TestSmallerMTU(t *testing.T) {
	step := 21
	if testing.Short() {
		step = 126
	}
	longest := time.Duration(0)
	for mtu := 1200; mtu <= 1452; mtu += step {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router, a, b := mtuPair(t)
				router.other.Store(int64(mtu + wire.ForwardHeaderLen))
				for _, dir := range [][2]*PeerConn{{a, b}, {b, a}} {
					flowing(t, dir[0], dir[1], func() {
						waitPath(t, t.Context(), a, PathDirect)
						waitPath(t, t.Context(), b, PathDirect)
						time.Sleep(10 * time.Second)
						if got := router.most.Swap(0); got <= 1400 {
							t.Errorf("packets of %d bytes on the direct path: its MTU was not found", got)
						}
						router.cut.Store(true)
						start := time.Now()
						waitPath(t, t.Context(), a, PathRelay)
						waitPath(t, t.Context(), b, PathRelay)
						longest = max(longest, time.Since(start))
						time.Sleep(5 * time.Second)
						router.cut.Store(false)
						waitPath(t, t.Context(), a, PathDirect)
						waitPath(t, t.Context(), b, PathDirect)
					})
				}
			})
		})
	}
	t.Logf("figure: paths.6.slowest_change %.2f RTT until both sides are on a backup path with an MTU of 1200 to 1452, in steps of %d, each way", float64(longest)/float64(simRTT), step)
}

// Spec §5.22.9: a direct path that begins to lose long packets, in either
// direction or both, is left, with its reason, while short ones get through.
func TestNarrowPath(t *testing.T) {
	for _, way := range []string{"there", "back"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router, a, b := mtuPair(t)
				from, to := a, b
				if way == "back" {
					from, to = b, a
				}
				flowing(t, from, to, func() {
					waitPath(t, t.Context(), a, PathDirect)
					waitPath(t, t.Context(), b, PathDirect)
					time.Sleep(10 * time.Second)
					router.mtu.Store(1100)
					start := time.Now()
					path := waitPath(t, t.Context(), a, PathRelay)
					waitPath(t, t.Context(), b, PathRelay)
					if path.Reason != reasonNarrow {
						t.Errorf("reason: got %q, want %q", path.Reason, reasonNarrow)
					}
					if b.Path().Reason != reasonNarrow {
						t.Errorf("the other side's reason: got %q, want %q", b.Path().Reason, reasonNarrow)
					}
					left := time.Since(start)
					t.Logf("figure: paths.5.narrow_%s %.2f RTT until both sides have left it", way, float64(left)/float64(simRTT))
					if left > 5*time.Second { // QUIC's back-offs bring the packets that are missed
						t.Errorf("left after %v, want 5s", left)
					}
					time.Sleep(20 * time.Second)
					if a.Path().Kind != PathRelay {
						t.Error("a path that loses long packets was taken again")
					}
					router.mtu.Store(0)
					waitPath(t, t.Context(), a, PathDirect)
					waitPath(t, t.Context(), b, PathDirect)
				})
			})
		})
	}
}
