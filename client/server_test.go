package client_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
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

	relay  *relay.Server
	limits relay.Limits
	around func(relay.Store) relay.Store // nil: nothing
}

func startServer(t *testing.T) *testServer {
	t.Helper()
	return startServerKey(t, 0)
}

// startServerWith starts one whose relay keeps its state in what around returns.
func startServerWith(t *testing.T, around func(relay.Store) relay.Store) *testServer {
	t.Helper()
	return startServerOf(t, 0, around)
}

func startServerKey(t *testing.T, seed byte) *testServer {
	t.Helper()
	return startServerOf(t, seed, nil)
}

func startServerOf(t *testing.T, seed byte, around func(relay.Store) relay.Store) *testServer {
	t.Helper()
	key, err := identity.NewServerKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{t: t, key: key, path: filepath.Join(t.TempDir(), "relay.db"), around: around}
	s.addr = identity.ServerAddr{ID: key.ID(), Host: loopback(t).String()}
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
	var kept relay.Store = store
	if s.around != nil {
		kept = s.around(store)
	}
	rs, err := relay.NewServer(relay.ServerConfig{Key: s.key, Store: kept, Limits: s.limits})
	if err != nil {
		s.t.Fatal(err)
	}
	rv, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: s.key})
	if err != nil {
		s.t.Fatal(err)
	}
	var pc *net.UDPConn
	eventually(s.t, "the port", func() (bool, string) {
		// A socket of a test beside this one may have it for a moment.
		pc, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback(s.t), s.addr.Port)))
		return err == nil, fmt.Sprint(err)
	})
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: s.key, STUN: true, Forward: rs.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: rs.Serve, rendezvous.ALPN: rv.Serve},
		Logger:   testLogger(s.t, "server"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	rs.SetSend(ep.WritePacket)
	s.relay = rs
	s.addr.Port = ep.LocalAddr().Port()
	s.stop = func() {
		ep.Close()
		rs.Close()
		rv.Close()
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
		last := servers[len(servers)-1]
		return last.Connected, last.Problem
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
	t.Parallel()
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
	t.Parallel()
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

// A clock three hours off is said, and the chat works all the same.
func TestClockOff(t *testing.T) {
	s := startServer(t)
	b, _ := newClient(t, "Bob")
	useServer(t, b, s)
	dir := t.TempDir()
	create(t, dir, "Alice")
	store, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Open(t.Context(), client.Config{
		Store: store, Passphrase: []byte("pw"), Listen: "127.0.0.1:0",
		Now: func() time.Time { return time.Now().Add(3 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	useServer(t, a, s)
	eventually(t, "the warning", func() (bool, string) {
		servers, err := a.Servers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return servers[0].Connected && servers[0].Problem == client.ErrClock.Error(), servers[0].Problem
	})
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	send(t, a, me(t, b), "late?")
	waitTexts(t, b, me(t, a), ">delivered hello", "<late?")
}

// J4: a server that proves another key than its address says gets nothing.
func TestWrongServerKey(t *testing.T) {
	s := startServer(t)
	other, err := identity.NewServerKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newClient(t, "Alice")
	addr := s.addr
	addr.ID = other.ID()
	if err := a.AddServer(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal", func() (bool, string) {
		servers, err := a.Servers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return servers[0].Problem == client.ErrServerIdentity.Error(), servers[0].Problem
	})
	servers, err := a.Servers(t.Context())
	if err != nil || servers[0].Connected {
		t.Errorf("servers = %+v, %v; want not connected", servers, err)
	}
}

// Events tell all that a face must show.
func TestEvents(t *testing.T) {
	s := startServer(t)
	a, _ := newClient(t, "Alice")
	events, err := a.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	useServer(t, a, s)
	b, _ := newClient(t, "Bob")
	useServer(t, b, s)
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	send(t, a, me(t, b), "welcome")
	waitTexts(t, a, me(t, b), "<hello", ">delivered welcome")
	a.Close()
	seen := map[string]bool{}
	for e := range events {
		switch e := e.(type) {
		case client.ServerEvent:
			seen[fmt.Sprint("server ", e.Server.Connected)] = true
		case client.ContactEvent:
			seen["contact "+e.Contact.Name] = true
		case client.MessageEvent:
			seen["message "+e.Message.Text] = true
		case client.DeliveryEvent:
			seen["delivery "+e.State.String()] = true
		case client.PathEvent:
			seen["path "+e.Path.Kind.String()] = true
		}
	}
	for _, want := range []string{
		"server true", "contact Bob", "message hello", "message welcome", "delivery delivered", "path direct",
	} {
		if !seen[want] {
			t.Errorf("no event %q in %v", want, seen)
		}
	}
}

// A clock that was ahead and is put right does not make mail wait until then.
func TestClockPutRight(t *testing.T) {
	s := startServer(t)
	b, _ := newClient(t, "Bob")
	useServer(t, b, s)
	bID := me(t, b)
	uri := invite(t, b)
	dir := t.TempDir()
	create(t, dir, "Alice")
	store, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64
	a, err := client.Open(t.Context(), client.Config{
		Store: store, Passphrase: []byte("pw"), Listen: "127.0.0.1:0",
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	useServer(t, a, s)
	add(t, a, uri)
	send(t, a, bID, "one")
	waitTexts(t, a, bID, ">delivered one")
	b.Close()
	s.stop()
	ahead.Store(int64(50 * time.Hour))
	send(t, a, bID, "two")
	eventually(t, "the relay is missed", func() (bool, string) {
		p, err := a.Path(t.Context(), bID)
		return err == nil && strings.Contains(p.Reason, "its relay"), p.Reason
	})
	ahead.Store(0)
	s.start()
	waitTexts(t, a, bID, ">delivered one", ">held two")
}
