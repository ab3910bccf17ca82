package transport

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"

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
