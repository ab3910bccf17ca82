package transport

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// testALPN is a service that echoes every stream.
const testALPN = "sremp-test/1"

func seed(b byte) []byte {
	s := make([]byte, 32)
	s[0] = b
	return s
}

func serverKey(t testing.TB, b byte) *identity.ServerKey {
	t.Helper()
	k, err := identity.NewServerKey(seed(b))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// udpConn is a real loopback socket.
func udpConn(t testing.TB) net.PacketConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func endpoint(t testing.TB, c Config) *Endpoint {
	t.Helper()
	if c.PacketConn == nil {
		c.PacketConn = udpConn(t)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return e
}

func echo(ctx context.Context, c *Conn) {
	for {
		s, err := c.AcceptStream(ctx)
		if err != nil {
			return
		}
		io.Copy(s, s)
		s.Close()
	}
}

func echoServer(t testing.TB, key *identity.ServerKey, pc net.PacketConn) (*Endpoint, identity.ServerAddr) {
	t.Helper()
	e := endpoint(t, Config{
		PacketConn: pc,
		ServerKey:  key,
		Services:   map[string]func(context.Context, *Conn){testALPN: echo},
		STUN:       true,
	})
	return e, serverAddr(key.ID(), e.LocalAddr())
}

func serverAddr(id identity.ServerID, a netip.AddrPort) identity.ServerAddr {
	return identity.ServerAddr{ID: id, Host: a.Addr().String(), Port: a.Port()}
}

// pair returns two identities; the first has the lower id: it dials.
func pair(t testing.TB) (lower, higher *identity.Local) {
	t.Helper()
	a, b := local(t, "Ann"), local(t, "Bob")
	if a.PeerID().Compare(b.PeerID()) > 0 {
		a, b = b, a
	}
	return a, b
}

func local(t testing.TB, name string) *identity.Local {
	t.Helper()
	l, _, err := identity.NewLocal(name, time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connect runs Connect at both ends.
func connect(t testing.TB, ctx context.Context, ea *Endpoint, aa Attempt, eb *Endpoint, ab Attempt) (a, b *PeerConn) {
	t.Helper()
	var errA, errB error
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, errB = eb.Connect(ctx, ab)
	}()
	a, errA = ea.Connect(ctx, aa)
	<-done
	if errA != nil || errB != nil {
		t.Fatalf("connecting: %v, %v", errA, errB)
	}
	return a, b
}

// exchange sends a message each way over streams.
func exchange(t testing.TB, ctx context.Context, a, b *PeerConn) {
	t.Helper()
	for _, dir := range [][2]*PeerConn{{a, b}, {b, a}} {
		s, err := dir[0].OpenStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteFrame(s, 0x0300, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		r, err := dir[1].AcceptStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := ReadFrame(r, 100); err != nil || string(got) != "hi" {
			t.Errorf("got %q, %v, want %q", got, err, "hi")
		}
		s.Close()
		r.Close()
	}
}
