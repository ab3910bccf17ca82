//go:build linux

package natlab

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/transport"
)

// A conversation is two connected sides behind routers, one of which echoes.
type conversation struct {
	w        *World
	routers  [2]*Router
	places   [2]*Place
	ends     [2]*transport.Endpoint
	conns    [2]*transport.PeerConn
	answered atomic.Uint32 // echoes that came back, in order
	gap      atomic.Int64  // the longest time between two, ns
	failed   atomic.Pointer[error]
}

// echoEvery is between two messages.
const echoEvery = 50 * time.Millisecond

// converse connects two sides behind routers of a kind, through a relay first,
// and starts the echo.
func converse(t *testing.T, kind Kind, relayOnly bool, watch func(from, to byte, packet []byte) bool) *conversation {
	t.Helper()
	return converseBehind(t, RouterOptions{Kind: kind}, relayOnly, watch)
}

// converseBehind is converse with all that a router can be.
func converseBehind(t *testing.T, behind RouterOptions, relayOnly bool, watch func(from, to byte, packet []byte) bool) *conversation {
	t.Helper()
	w := world(t, Conditions{Delay: PairRTT / 2})
	if w.Net == nil {
		t.Skip("NO DELAY AND NO CAPTURE HERE: no TUN device")
	}
	c := &conversation{w: w}
	server := must[*Place](t)(w.Public(1))
	relay := newLabRelay(t, server)
	var stun []netip.AddrPort
	at := []netip.Addr{server.Addr, server.Addr}
	if behind.IPv6 {
		at = append(at, server.Addr6)
	}
	for i, a := range at {
		stun = append(stun, netip.AddrPortFrom(a, uint16(3478+i)))
		e := endpointAt(t, server.Site, stun[i], transport.Config{STUN: true})
		t.Cleanup(func() { e.Close() })
	}
	la, lb := identityOf(t, "Ann"), identityOf(t, "Bob")
	if la.PeerID().Compare(lb.PeerID()) > 0 {
		la, lb = lb, la // side 0 dials
	}
	var cands [2][]nat.Candidate
	for i, l := range []*transport.Config{{Identity: la}, {Identity: lb}} {
		behind.Seed = uint32(i + 1)
		c.routers[i] = must[*Router](t)(w.Router(behind))
		c.places[i] = must[*Place](t)(c.routers[i].Home())
		bind := netip.AddrPortFrom(c.places[i].Addr, 0)
		if behind.IPv6 {
			bind = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		}
		site := c.places[i].Site
		l.PacketConn = socketAt(t, site, bind)
		l.ListenPacket = func() (net.PacketConn, error) { return tryListen(site, netip.AddrPortFrom(bind.Addr(), 0)) }
		if err := site.Do(func() (err error) { // it hears of changes in the namespace that it is made in
			c.ends[i], err = transport.New(*l)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.ends[i].Close() })
		cands[i] = c.ends[i].Gather(t.Context(), stun)
		relay.register(c.ends[i], uint8(i))
	}
	if watch != nil {
		w.Net.Filter(watch)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	var err error
	go func() {
		a := transport.Attempt{Peer: la.PeerID(), Record: la.Record(), Relay: relay.leg(1), ProbeKey: [32]byte{1}, Remote: cands[0], RelayOnly: relayOnly}
		if relayOnly {
			a.Remote = cands[0] // what a hostile rendezvous or peer might offer
		}
		var err error
		c.conns[1], err = c.ends[1].Connect(ctx, a)
		done <- err
	}()
	a := transport.Attempt{Peer: lb.PeerID(), Record: lb.Record(), Relay: relay.leg(0), ProbeKey: [32]byte{1}, Remote: cands[1]}
	if relayOnly {
		a.Remote = nil
	}
	if c.conns[0], err = c.ends[0].Connect(ctx, a); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.echo(t)
	return c
}

// echo sends a number every echoEvery and takes the time between the answers.
func (c *conversation) echo(t *testing.T) {
	ctx := t.Context()
	out := must[*transport.Stream](t)(c.conns[0].OpenStream(ctx))
	go func() {
		s, err := c.conns[1].AcceptStream(ctx)
		if err == nil {
			_, _ = io.Copy(s, s) // ends with the connection
		}
	}()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		tick := time.NewTicker(echoEvery)
		defer tick.Stop()
		for n := uint32(1); ; n++ {
			if _, err := out.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	go func() {
		last := time.Now()
		var b [4]byte
		for n := uint32(1); ; n++ {
			if _, err := io.ReadFull(out, b[:]); err != nil {
				return
			}
			if got := binary.BigEndian.Uint32(b[:]); got != n {
				err := fmt.Errorf("echo %d instead of %d: a byte was lost or doubled", got, n)
				c.failed.Store(&err)
				return
			}
			now := time.Now()
			if d := now.Sub(last); int64(d) > c.gap.Load() {
				c.gap.Store(int64(d))
			}
			last = now
			c.answered.Store(n)
		}
	}()
}

// path says what a side is on, and why.
func (c *conversation) path(side int) string {
	if c.conns[side] == nil {
		return "none"
	}
	p := c.conns[side].Path()
	return fmt.Sprintf("%v (%s)", p.Kind, p.Reason)
}

// until waits for both sides to be on a path, and returns how long it took.
func (c *conversation) until(t *testing.T, k transport.PathKind) time.Duration {
	t.Helper()
	start := time.Now()
	for c.conns[0].Path().Kind != k || c.conns[1].Path().Kind != k {
		if time.Since(start) > time.Minute {
			t.Fatalf("not %v after a minute: %+v, %+v", k, c.conns[0].Path(), c.conns[1].Path())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

// settle waits for n more echoes.
func (c *conversation) settle(t *testing.T, n uint32) {
	t.Helper()
	want := c.answered.Load() + n
	for start := time.Now(); c.answered.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("the echo stopped")
		}
	}
	if err := c.failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// TestRebinding changes the ports or the address of one router, or both, under
// an echo: nothing is lost, and the path is direct again.
func TestRebinding(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *conversation) error
	}{
		{"port of the dialling side", func(c *conversation) error { return c.routers[0].Rebind() }},
		{"port of the dialled side", func(c *conversation) error { return c.routers[1].Rebind() }},
		{"ports of both", func(c *conversation) error { return firstOf(c.routers[0].Rebind(), c.routers[1].Rebind()) }},
		{"address of the dialling side", func(c *conversation) error { return c.routers[0].Renumber() }},
		{"address of the dialled side", func(c *conversation) error { return c.routers[1].Renumber() }},
		{"addresses of both", func(c *conversation) error {
			return firstOf(c.routers[0].Renumber(), c.routers[1].Renumber())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needsTime(t, tt.name == "ports of both")
			c := converse(t, PortRnd, false, nil)
			c.until(t, transport.PathDirect)
			c.settle(t, 95) // the way back is validated, and a round may begin
			c.gap.Store(0)
			if k := c.conns[0].Path(); k.Kind != transport.PathDirect {
				t.Errorf("a path that delivers was left: %+v", k)
			}
			if err := tt.change(c); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			c.until(t, transport.PathRelay)
			c.until(t, transport.PathDirect)
			direct := time.Since(start)
			c.settle(t, 20)
			gap := time.Duration(c.gap.Load())
			t.Logf("figure: paths.7.%s.gap %d ms at most 600; longest time between two echoes every %v, RTT %v", underscores(tt.name), gap.Milliseconds(), echoEvery, PairRTT)
			t.Logf("figure: paths.7.%s.direct %d ms at most 1000; until direct again", underscores(tt.name), direct.Milliseconds())
		})
	}
}

// needsTime leaves a case to the long run, unless it is the telling one.
func needsTime(t *testing.T, telling bool) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	if !telling && os.Getenv("SREMP_NATLAB_RUNS") == "" {
		t.Skip("the other cases run with SREMP_NATLAB_RUNS")
	}
}

func underscores(s string) string {
	b := []byte(s)
	for i, x := range b {
		if x == ' ' {
			b[i] = '_'
		}
	}
	return string(b)
}

// TestBlackHole loses all direct packets in one direction, or both, or only long
// ones: the conversation goes on through the relay.
func TestBlackHole(t *testing.T) {
	for _, tt := range []struct {
		name string
		lost func(from, to byte, length int) bool
	}{
		{"to the dialled side", func(from, to byte, _ int) bool { return from == 2 && to == 3 }},
		{"to the dialling side", func(from, to byte, _ int) bool { return from == 3 && to == 2 }},
		{"both ways", func(from, to byte, _ int) bool { return from != 1 && to != 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needsTime(t, tt.name == "both ways")
			c := converse(t, Port, false, nil)
			c.until(t, transport.PathDirect)
			c.settle(t, 95)
			c.gap.Store(0)
			if k := c.conns[0].Path(); k.Kind != transport.PathDirect {
				t.Errorf("a path that delivers was left: %+v", k)
			}
			c.w.Net.Filter(func(from, to byte, packet []byte) bool { return !tt.lost(from, to, len(packet)) })
			c.until(t, transport.PathRelay)
			c.settle(t, 20)
			t.Logf("figure: paths.5.black_hole_%s.gap %d ms longest time between two echoes every %v, RTT %v", underscores(tt.name), time.Duration(c.gap.Load()).Milliseconds(), echoEvery, PairRTT)
		})
	}
}

// TestRelayOnly captures everything on the wire: no packet passes between the
// two networks, and no probe to anybody, although the peer offers candidates.
func TestRelayOnly(t *testing.T) {
	var direct, probes, relayed atomic.Int64
	c := converse(t, FullCone, true, func(from, to byte, packet []byte) bool {
		switch {
		case from != 1 && to != 1:
			direct.Add(1)
		default:
			relayed.Add(1)
		}
		if _, _, payload, ok := UDP(packet); ok && nat.IsProbe(payload) && from == 3 {
			probes.Add(1)
		}
		return true
	})
	c.settle(t, 60)
	if got := c.conns[1].Path().Kind; got != transport.PathRelay {
		t.Errorf("path %v, want relay", got)
	}
	if direct.Load() != 0 || probes.Load() != 0 || relayed.Load() == 0 {
		t.Errorf("%d packets between the two, %d probes of the relay-only side, %d through the relay; want 0, 0, some", direct.Load(), probes.Load(), relayed.Load())
	}
}
