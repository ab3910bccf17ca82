package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
)

// A tunnelWorld is a server, a client between which UDP can be cut, and a
// tunnel: a stand-in beside the server whose packets the client is handed.
type tunnelWorld struct {
	*simNet
	cut    *cutRouter
	key    *identity.ServerKey
	server *Endpoint
	addr   identity.ServerAddr

	opened  atomic.Int32
	refused atomic.Bool
	mu      sync.Mutex
	open    []*fakeTunnel
	changes []bool
}

const tunnelHops = 3 // TCP, TLS, and the upgrade

func newTunnelWorld(t *testing.T) *tunnelWorld {
	w := &tunnelWorld{simNet: newSimNet(t), key: serverKey(t, 1)}
	w.cut = &cutRouter{a: netip.MustParseAddr("11.0.0.1"), b: netip.MustParseAddr("11.0.0.3")}
	w.router = w.cut
	w.server, w.addr = echoServer(t, w.key, w.conn("11.0.0.3:4433"))
	return w
}

// A fakeTunnel is late by the client's distance, as the stand-in has none.
type fakeTunnel struct {
	net.PacketConn
	server *net.UDPAddr
	once   sync.Once
	closed atomic.Bool
}

func (f *fakeTunnel) Close() (err error) {
	f.once.Do(func() { f.closed.Store(true); err = f.PacketConn.Close() })
	return err
}

func (f *fakeTunnel) WriteTo(b []byte, _ net.Addr) (int, error) {
	return f.PacketConn.WriteTo(b, f.server)
}

func (w *tunnelWorld) tunnel(ctx context.Context, _ identity.ServerAddr, addr netip.AddrPort) (net.PacketConn, error) {
	select {
	case <-time.After(tunnelHops * 2 * simLatency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if w.refused.Load() {
		return nil, errors.New("refused")
	}
	n := w.opened.Add(1)
	f := &fakeTunnel{
		PacketConn: w.conn(netip.AddrPortFrom(netip.MustParseAddr("11.0.0.9"), uint16(n)).String()), server: net.UDPAddrFromAddrPort(addr),
	}
	w.mu.Lock()
	w.open = append(w.open, f)
	w.mu.Unlock()
	return f, nil
}

func (w *tunnelWorld) client() *Endpoint {
	return w.endpoint("11.0.0.1:1", Config{Tunnel: w.tunnel, RouteChanged: func(_ identity.ServerAddr, on bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, on)
	}})
}

// say sends text through a stream of its own and wants it back.
func say(t *testing.T, ctx context.Context, c *Conn, text string) {
	t.Helper()
	s, err := c.OpenStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got, err := io.ReadAll(s); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

func waitTunnelled(t *testing.T, ctx context.Context, e *Endpoint, a netip.AddrPort, want bool) {
	t.Helper()
	for e.Tunnelled(a) != want {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("tunnelled: %v, want %v", !want, want)
		}
	}
}

// Spec §5.8: without UDP a server is reached through a tunnel, within ten round
// trips, and over UDP again when that works, by the same connection.
func TestUDPBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		w := newTunnelWorld(t)
		w.cut.cut.Store(true)
		c := w.client()
		start := time.Now()
		conn, err := c.DialServer(ctx, w.addr, testALPN)
		if err != nil {
			t.Fatal(err)
		}
		trips := float64(time.Since(start)) / float64(2*simLatency)
		say(t, ctx, conn, "through the tunnel")
		first := float64(time.Since(start)) / float64(2*simLatency)
		t.Logf("%.2f round trips to an authenticated server, %.2f to its first answer", trips, first)
		if first > 10 {
			t.Errorf("got the first answer after %.2f round trips, want 10 at most", first)
		}
		if !c.Tunnelled(w.server.LocalAddr()) {
			t.Error("it says that there is no tunnel")
		}
		// A second service knows already.
		start = time.Now()
		again, err := c.DialServer(ctx, w.addr, testALPN)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got > 5*simLatency {
			t.Errorf("the second connection took %v, want two round trips", got)
		}

		w.cut.cut.Store(false)
		waitTunnelled(t, ctx, c, w.server.LocalAddr(), false)
		before := w.cut.count.Load()
		say(t, ctx, conn, "over UDP")
		say(t, ctx, again, "over UDP as well")
		if w.cut.count.Load() == before {
			t.Error("no packet took UDP")
		}
		time.Sleep(standby + time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.open[0].closed.Load() {
			t.Error("the tunnel is still open")
		}
		if len(w.changes) != 2 || !w.changes[0] || w.changes[1] {
			t.Errorf("told %v, want true, false", w.changes)
		}
	})
}

// A connection that began over UDP goes on through a tunnel when UDP fails, and
// back, without losing a byte.
func TestUDPFailsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		w := newTunnelWorld(t)
		c := w.client()
		conn, err := c.DialServer(ctx, w.addr, testALPN)
		if err != nil {
			t.Fatal(err)
		}
		if w.opened.Load() != 0 {
			t.Error("a tunnel was opened beside UDP that works")
		}
		for i, cut := range []bool{true, false, true} {
			w.cut.cut.Store(cut)
			start := time.Now()
			say(t, ctx, conn, "still here")
			waitTunnelled(t, ctx, c, w.server.LocalAddr(), cut)
			if got := time.Since(start); got > 3*time.Second {
				t.Errorf("change %d took %v, want 3 s at most", i, got)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// A tunnel that breaks is opened again under the same connection.
func TestTunnelBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		w := newTunnelWorld(t)
		w.cut.cut.Store(true)
		conn, err := w.client().DialServer(ctx, w.addr, testALPN)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.mu.Lock()
			w.open[len(w.open)-1].Close()
			w.mu.Unlock()
			say(t, ctx, conn, "again")
		}
		if got := w.opened.Load(); got != 4 {
			t.Errorf("opened %d tunnels, want 4", got)
		}
	})
}

// Whatever way there is not, the other one is taken; without any the dial ends
// as it does without tunnels.
func TestNoTunnelThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTunnelWorld(t)
		w.refused.Store(true)
		w.cut.cut.Store(true)
		c := w.client()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := c.DialServer(ctx, w.addr, testALPN); !errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v, want ErrUnreachable", err)
		}
		w.cut.cut.Store(false)
		if _, err := c.DialServer(t.Context(), w.addr, testALPN); err != nil {
			t.Errorf("over UDP: %v", err)
		}
		if c.Tunnelled(w.server.LocalAddr()) {
			t.Error("it says that there is a tunnel")
		}
	})
}

// The key in the address counts in a tunnel as anywhere.
func TestTunnelWrongKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTunnelWorld(t)
		w.cut.cut.Store(true)
		w.addr.ID = serverKey(t, 2).ID()
		if _, err := w.client().DialServer(t.Context(), w.addr, testALPN); !errors.Is(err, ErrServerKey) {
			t.Errorf("got %v, want ErrServerKey", err)
		}
	})
}

// Packets that pretend to come from the server keep nobody from its tunnel, and
// lure nobody out of it: only who received our question has its answer.
func TestForgedUDPAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		w := newTunnelWorld(t)
		w.cut.cut.Store(true)
		c := w.client()
		forge := func() {
			ask := &vnAsk{packet: make([]byte, vnLen)}
			answer := append(append([]byte{0x80, 0, 0, 0, 0, vnIDLen}, ask.packet[14:22]...), vnIDLen)
			answer = append(append(answer, ask.packet[6:14]...), 0, 0, 0, 1)
			c.m.injectSide(sideDatagram{b: answer, from: w.server.LocalAddr()})
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-time.After(20 * time.Millisecond):
					forge()
				case <-stop:
					return
				}
			}
		})
		conn, err := c.DialServer(ctx, w.addr, testALPN)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !c.Tunnelled(w.server.LocalAddr()) {
			t.Error("a forged answer lured us out of the tunnel")
		}
		say(t, ctx, conn, "hi")
		close(stop)
		wg.Wait()
	})
}

// The answer is recognised by what we chose at random, in full and unabridged.
func TestVersionNegotiationAnswer(t *testing.T) {
	ask := (&route{}).newAsk()
	p := ask.packet
	answer := append(append([]byte{0xab, 0, 0, 0, 0, vnIDLen}, p[6+vnIDLen+1:][:vnIDLen]...), vnIDLen)
	answer = append(answer, p[6:6+vnIDLen]...)
	if !ask.answeredBy(append(answer, 0, 0, 0, 1)) {
		t.Error("the answer was not recognised")
	}
	for i := range answer {
		if ask.answeredBy(answer[:i]) {
			t.Errorf("the first %d bytes passed for the answer", i)
		}
		if i == 0 {
			continue
		}
		answer[i] ^= 1
		if ask.answeredBy(answer) {
			t.Errorf("passed for the answer with byte %d changed", i)
		}
		answer[i] ^= 1
	}
	if ask.answeredBy(p) {
		t.Error("the question passed for its answer")
	}
}
