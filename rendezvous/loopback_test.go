package rendezvous_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

func endpoint(t *testing.T, c transport.Config) *transport.Endpoint {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c.PacketConn = pc
	ep, err := transport.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	return ep
}

// serve runs a rendezvous on loopback.
func serve(t *testing.T, seed byte) identity.ServerAddr {
	t.Helper()
	key, err := identity.NewServerKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ep := endpoint(t, transport.Config{
		ServerKey: key, Services: map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: s.Serve},
	})
	at := ep.LocalAddr()
	return identity.ServerAddr{ID: key.ID(), Host: at.Addr().String(), Port: at.Port()}
}

func dial(t *testing.T, ep *transport.Endpoint, a identity.ServerAddr) *rendezvous.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := rendezvous.Dial(ctx, ep, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLoopback is the whole way over real sockets, QUIC and Noise. It uses
// no SQLite, which a fuzzing build would compile anew for minutes.
func TestLoopback(t *testing.T) {
	addr := serve(t, 1)
	l, _, err := identity.NewLocal("Ada", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lookup := [32]byte{1}
	ownerEnd := endpoint(t, transport.Config{})
	owner, seeker := dial(t, ownerEnd, addr), dial(t, endpoint(t, transport.Config{}), addr)
	if got, want := owner.Observed(), ownerEnd.LocalAddr(); got != want {
		t.Errorf("observed %v, want %v", got, want)
	}
	content := rendezvous.Content{Record: l.Record(), Rendezvous: []identity.ServerAddr{addr}}
	if err := owner.Register(t.Context(), time.Now(), l, lookup, content, 0); err != nil {
		t.Fatal(err)
	}
	got, online, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup)
	if err != nil || !online || got.Rendezvous[0] != addr || !got.Record.Equal(l.Record()) {
		t.Fatalf("got %+v, %v, %v", got, online, err)
	}

	answered := make(chan error, 1)
	go func() {
		in := <-owner.Introductions()
		answered <- in.Answer(context.Background(), append([]byte("re: "), in.Sealed...))
	}()
	answer, err := seeker.Introduce(t.Context(), time.Now(), l.PeerID(), lookup, []byte("offer"))
	if err != nil || string(answer) != "re: offer" {
		t.Fatalf("got %q, %v", answer, err)
	}
	if err := <-answered; err != nil {
		t.Errorf("answering: %v", err)
	}

	owner.Close()
	for online {
		if _, online, err = seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err != nil {
			if errors.Is(err, rendezvous.ErrBusy) {
				continue
			}
			t.Fatal(err)
		}
	}
}

func TestDialWrongKey(t *testing.T) {
	addr, other := serve(t, 1), serve(t, 2)
	addr.ID = other.ID
	if _, err := rendezvous.Dial(t.Context(), endpoint(t, transport.Config{}), addr); !errors.Is(err, transport.ErrServerKey) {
		t.Errorf("got %v, want ErrServerKey", err)
	}
}
