package client_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// testServer is a relay and a rendezvous on one endpoint, which can be stopped
// and started again at the same address.
type testServer struct {
	t    *testing.T
	key  *identity.ServerKey
	path string
	addr identity.ServerAddr
	stop func()
}

func startServer(t *testing.T) *testServer {
	t.Helper()
	key, err := identity.NewServerKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{t: t, key: key, path: filepath.Join(t.TempDir(), "relay.db")}
	s.addr = identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1"}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *testServer) start() {
	s.t.Helper()
	store, err := relaysqlite.Open(context.Background(), s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	rs, err := relay.NewServer(relay.ServerConfig{Key: s.key, Store: store})
	if err != nil {
		s.t.Fatal(err)
	}
	rv, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: s.key})
	if err != nil {
		s.t.Fatal(err)
	}
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.addr.Port)))
	if err != nil {
		s.t.Fatal(err)
	}
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: s.key, STUN: true, Forward: rs.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: rs.Serve, rendezvous.ALPN: rv.Serve},
		Logger:   testLogger(s.t, "server"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	rs.SetSend(ep.WritePacket)
	s.addr.Port = ep.LocalAddr().Port()
	s.stop = func() {
		ep.Close()
		rs.Close()
		store.Close()
		s.stop = func() {}
	}
}

func useServer(t *testing.T, c *client.Client, s *testServer) {
	t.Helper()
	if err := c.AddServer(t.Context(), s.addr); err != nil {
		t.Fatal(err)
	}
	waitServer(t, c)
}

func waitServer(t *testing.T, c *client.Client) {
	t.Helper()
	eventually(t, "server", func() (bool, string) {
		servers, err := c.Servers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(servers) == 1 && servers[0].Connected, servers[0].Problem
	})
}

func invite(t *testing.T, c *client.Client) string {
	t.Helper()
	inv, err := c.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return inv.URI
}

func add(t *testing.T, c *client.Client, uri string) {
	t.Helper()
	if _, err := c.Add(t.Context(), uri, ""); err != nil {
		t.Fatal(err)
	}
}

// J3: the two are never online at the same time, and the relay is restarted in
// between.
func TestNeverOnlineTogether(t *testing.T) {
	s := startServer(t)
	b, bDir := newClient(t, "Bob")
	useServer(t, b, s)
	bID := me(t, b)
	uri := invite(t, b)
	b.Close()

	a, aDir := newClient(t, "Alice")
	useServer(t, a, s)
	aID := me(t, a)
	add(t, a, uri)
	for _, text := range []string{"one", "two", "three"} {
		send(t, a, bID, text)
	}
	waitTexts(t, a, bID, ">held one", ">held two", ">held three")
	a.Close()
	s.stop()
	s.start()

	b = open(t, bDir)
	waitTexts(t, b, aID, "<one", "<two", "<three")
	send(t, b, aID, "thanks")
	waitTexts(t, b, aID, "<one", "<two", "<three", ">held thanks")
	b.Close()

	a = open(t, aDir)
	waitTexts(t, a, bID, ">delivered one", ">delivered two", ">delivered three", "<thanks")
	a.Close()
	b = open(t, bDir)
	waitTexts(t, b, aID, "<one", "<two", "<three", ">delivered thanks")
}

// With a server both meet through the rendezvous, and the chat outlives it.
func TestServerDies(t *testing.T) {
	s := startServer(t)
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	useServer(t, a, s)
	useServer(t, b, s)
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	direct := func(c *client.Client, to identity.PeerID) {
		t.Helper()
		eventually(t, "path", func() (bool, string) {
			p, err := c.Path(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			return p.Kind == client.PathDirect, p.Kind.String() + ": " + p.Reason
		})
	}
	direct(a, me(t, b))
	direct(b, me(t, a))
	s.stop()
	send(t, a, me(t, b), "still here")
	waitTexts(t, b, me(t, a), ">delivered hello", "<still here")
	s.start()
	waitServer(t, a)
}
