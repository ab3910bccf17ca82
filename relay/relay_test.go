package relay_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
)

func timeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func seed(v byte) []byte { return append(make([]byte, 31), v) }

func owner(t testing.TB, v byte) identity.SecretKey {
	t.Helper()
	return must[identity.SecretKey](t)(identity.NewSecretKey(seed(v)))
}

// endpoint returns an endpoint on a loopback socket of its own.
func endpoint(t testing.TB, c transport.Config) *transport.Endpoint {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ok(t, err)
	c.PacketConn = pc
	ep := must[*transport.Endpoint](t)(transport.New(c))
	t.Cleanup(func() { ep.Close() })
	return ep
}

// A testRelay is a relay on loopback.
type testRelay struct {
	*relay.Server
	addr  identity.ServerAddr
	store relay.Store

	mu   sync.Mutex
	sent map[netip.AddrPort]int // packets of the data plane, by where they went
}

func newRelay(t testing.TB, c relay.ServerConfig) *testRelay {
	t.Helper()
	if c.Key == nil {
		c.Key = must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	}
	if c.Store == nil {
		c.Store = must[*sqlite.Store](t)(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "relay.db")))
	}
	r := &testRelay{store: c.Store, sent: map[netip.AddrPort]int{}}
	t.Cleanup(func() { c.Store.Close() })
	r.Server = must[*relay.Server](t)(relay.NewServer(c))
	ep := endpoint(t, transport.Config{
		ServerKey: c.Key, Forward: r.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: r.Serve},
	})
	r.SetSend(func(to netip.AddrPort, b []byte) {
		r.mu.Lock()
		r.sent[to]++
		r.mu.Unlock()
		ep.WritePacket(to, b)
	})
	t.Cleanup(func() { r.Close() })
	r.addr = identity.ServerAddr{ID: c.Key.ID(), Host: "127.0.0.1", Port: ep.LocalAddr().Port()}
	return r
}

func (r *testRelay) dial(t testing.TB, ownerSeed byte) *relay.Client {
	t.Helper()
	c := must[*relay.Client](t)(relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, owner(t, ownerSeed), ""))
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *testRelay) sender(t testing.TB) *relay.Sender {
	t.Helper()
	s := must[*relay.Sender](t)(relay.DialSender(timeout(t), endpoint(t, transport.Config{}), r.addr))
	t.Cleanup(func() { s.Close() })
	return s
}

// raw is a connection to the relay without the package's client.
func (r *testRelay) raw(t testing.TB) *transport.Conn {
	t.Helper()
	c := must[*transport.Conn](t)(endpoint(t, transport.Config{}).DialServer(timeout(t), r.addr, relay.ALPN))
	t.Cleanup(func() { c.Close(0, "") })
	return c
}

var (
	inbox = [32]byte{1}
	token = [32]byte{2}
	knock = [32]byte{3}
)

func contactInbox(id [32]byte) relay.InboxParams {
	return relay.InboxParams{ID: id, TokenHash: relay.TokenHash(token)}
}

func next(t testing.TB, c *relay.Client) relay.Mail {
	t.Helper()
	select {
	case m, open := <-c.Mail():
		if !open {
			t.Fatalf("the connection ended: %v", c.Err())
		}
		return m
	case <-timeout(t).Done():
		t.Fatal("no mail")
	}
	panic("unreachable")
}
