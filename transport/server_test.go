package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

func withTimeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestDialServer(t *testing.T) {
	key := serverKey(t, 1)
	_, addr := echoServer(t, key, nil)
	client := endpoint(t, Config{})
	c, err := client.DialServer(withTimeout(t), addr, testALPN)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.ServerID(), key.ID(); got != want {
		t.Errorf("server id: got %v, want %v", got, want)
	}
	s, err := c.OpenStream(withTimeout(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFrame(s, 0x0301, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	typ, payload, err := ReadFrame(s, 100)
	if err != nil || typ != 0x0301 || string(payload) != "hello" {
		t.Errorf("got frame %#x %q, %v, want 0x301 %q", typ, payload, err, "hello")
	}
	if _, _, err := ReadFrame(s, 100); err != io.EOF {
		t.Errorf("got %v after the last frame, want EOF", err)
	}
	c.Close(0x100, "bye")
	<-c.Done()
	if err := c.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v after Close, want ErrClosed", err)
	}
}

func TestDialServerWrongKey(t *testing.T) {
	_, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	addr.ID = serverKey(t, 2).ID()
	if _, err := client.DialServer(withTimeout(t), addr, testALPN); !errors.Is(err, ErrServerKey) {
		t.Errorf("got %v, want ErrServerKey", err)
	}
}

func TestDialServerWrongProtocol(t *testing.T) {
	_, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	if _, err := client.DialServer(withTimeout(t), addr, "sremp-other/1"); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// Sockets bound to no address, of both families, get packet info from quic-go.
func TestWildcardSockets(t *testing.T) {
	for _, test := range []struct{ network, address string }{{"udp4", "0.0.0.0:0"}, {"udp", "[::]:0"}} {
		t.Run(test.network, func(t *testing.T) {
			listen := func() net.PacketConn {
				pc, err := net.ListenPacket(test.network, test.address)
				if err != nil {
					t.Fatal(err)
				}
				return pc
			}
			key := serverKey(t, 1)
			server, _ := echoServer(t, key, listen())
			client := endpoint(t, Config{PacketConn: listen()})
			addr := serverAddr(key.ID(), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.LocalAddr().Port()))
			c, err := client.DialServer(withTimeout(t), addr, testALPN)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := c.RemoteAddr().String(), addr.HostPort(); got != want {
				t.Errorf("remote address: got %v, want %v", got, want)
			}
			ann, bob := pair(t)
			ea, eb := endpoint(t, Config{PacketConn: listen(), Identity: ann}), endpoint(t, Config{PacketConn: listen(), Identity: bob})
			ctx := withTimeout(t)
			a, b := connect(t, ctx,
				ea, Attempt{Peer: bob.PeerID(), ProbeKey: [32]byte{1}, Remote: eb.Gather(ctx, nil)},
				eb, Attempt{Peer: ann.PeerID(), ProbeKey: [32]byte{1}, Remote: ea.Gather(ctx, nil)})
			exchange(t, ctx, a, b)
		})
	}
}
