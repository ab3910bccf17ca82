package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/pgtest"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/storetest"
	"github.com/sremp/sremp/transport"
)

func TestConformance(t *testing.T) {
	server := pgtest.Start(t, "fsync=off")
	storetest.Run(t, func(t *testing.T) rendezvous.Store { return open(t, server.Database(t)) })
}

func TestSurvivesRestart(t *testing.T) {
	at := database(t)
	now := time.Now()
	s := open(t, at)
	if err := s.Put(t.Context(), rendezvous.StoredRecord{Blinded: [32]byte{1}, Sealed: []byte("x"), Expires: now.Add(time.Hour)}, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, at)
	r, ok, err := s.Get(t.Context(), [32]byte{1}, now)
	if err != nil || !ok || string(r.Sealed) != "x" {
		t.Errorf("got %q, %v, %v, want x", r.Sealed, ok, err)
	}
	if err := s.Put(t.Context(), rendezvous.StoredRecord{Blinded: [32]byte{2}, Sealed: []byte("x"), Expires: now.Add(time.Hour)}, 1); err != rendezvous.ErrFull {
		t.Errorf("got %v, want ErrFull", err)
	}
}

func TestNewerSchema(t *testing.T) {
	at := database(t)
	s := open(t, at)
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO rendezvous_schema VALUES (1000)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), at, nil); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("got %v, want ErrNewerSchema", err)
	}
}

// A process that ended without leaving reaches nobody.
func TestDeadNode(t *testing.T) {
	at := database(t)
	a, b := open(t, at), open(t, at)
	now := time.Now()
	name := [32]byte{1}
	where := func(want string) {
		t.Helper()
		if got, ok, err := b.Where(t.Context(), name, now); err != nil || got != want || ok != (want != "") {
			t.Errorf("got %q, %v, %v, want %q", got, ok, err, want)
		}
	}
	where("")
	if err := a.Online(t.Context(), name, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	where(a.Node())
	a.cancel()
	a.wg.Wait()
	if _, err := b.pool.Exec(t.Context(), "UPDATE nodes SET seen = seen - 16 WHERE node = $1", a.Node()); err != nil {
		t.Fatal(err)
	}
	where("")
	if err := b.Online(t.Context(), name, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	// The dead one's last word does not count any more.
	if err := a.Offline(t.Context(), [][32]byte{name}); err != nil {
		t.Fatal(err)
	}
	where(b.Node())
}

// A process whose listening connection is lost listens again.
func TestListensAgain(t *testing.T) {
	at := database(t)
	a, b := open(t, at), open(t, at)
	if _, err := b.pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	for {
		if err := b.Send(t.Context(), a.Node(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-a.Receive():
			if string(m) != "hello" {
				t.Errorf("got %q", m)
			}
			return
		case <-time.After(100 * time.Millisecond): // sent while nobody listened
		case <-t.Context().Done():
			t.Fatal("nothing arrives")
		}
	}
}

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

// process is one of a fleet: its own socket, the same key and database.
func process(t *testing.T, dsn string) identity.ServerAddr {
	t.Helper()
	key, err := identity.NewServerKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	store := open(t, dsn)
	s, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: key, Store: store, Cluster: store, Limits: rendezvous.Limits{Lookup: rendezvous.Rate{Burst: 100000, Every: time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ep := endpoint(t, transport.Config{ServerKey: key, Services: map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: s.Serve}})
	return identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: ep.LocalAddr().Port()}
}

func dial(t *testing.T, a identity.ServerAddr) *rendezvous.Client {
	t.Helper()
	c, err := rendezvous.Dial(t.Context(), endpoint(t, transport.Config{}), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// spec §7.15: one phone book of two processes.
func TestTwoProcesses(t *testing.T) {
	at := database(t)
	a, b := process(t, at), process(t, at)
	l, _, err := identity.NewLocal("Ada", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lookup := [32]byte{1}
	owner, seeker := dial(t, a), dial(t, b)
	if _, err := seeker.Subscribe(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, rendezvous.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	content := rendezvous.Content{Record: l.Record()}
	register := func(c *rendezvous.Client) {
		t.Helper()
		if err := c.Register(t.Context(), time.Now(), l, lookup, content, 0); err != nil {
			t.Fatal(err)
		}
		if err := c.List(t.Context(), time.Now(), l, rendezvous.Listing{Content: content}, 0); err != nil {
			t.Fatal(err)
		}
	}
	register(owner)
	change := func() {
		t.Helper()
		select {
		case ch := <-seeker.Changes():
			if ch.ID != l.PeerID() || !ch.Online {
				t.Errorf("got %+v, want Ada online", ch)
			}
		case <-time.After(time.Minute):
			t.Error("no change was pushed")
		}
	}
	change()
	online := func(want bool) {
		t.Helper()
		for {
			_, got, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup)
			if err != nil {
				t.Fatal(err)
			}
			page, err := seeker.Browse(t.Context(), time.Now(), rendezvous.Search{Name: "ada"})
			if err != nil || len(page.People) != 1 {
				t.Fatalf("got %+v, %v, want Ada", page, err)
			}
			if got == want && page.People[0].Online == want {
				return
			}
			time.Sleep(50 * time.Millisecond) // until the other process has noticed
		}
	}
	online(true)
	introduce := func(owner *rendezvous.Client, want string) {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			in := <-owner.Introductions()
			done <- in.Answer(context.Background(), append([]byte(want+" re: "), in.Sealed...))
		}()
		b, err := seeker.Introduce(t.Context(), time.Now(), l.PeerID(), lookup, []byte("hello"))
		if err != nil || string(b) != want+" re: hello" {
			t.Errorf("got %q, %v", b, err)
		}
		if err := <-done; err != nil {
			t.Errorf("answering: %v", err)
		}
	}
	introduce(owner, "there")
	if _, err := seeker.Introduce(t.Context(), time.Now(), l.PeerID(), [32]byte{9}, []byte("x")); !errors.Is(err, rendezvous.ErrOffline) {
		t.Errorf("a hidden peer: %v, want ErrOffline", err)
	}
	// The owner moves to a third process; the first one's word does not count.
	third := dial(t, process(t, at))
	register(third)
	change()
	owner.Close()
	introduce(third, "third")
	online(true)
	third.Close()
	online(false)
	if _, err := seeker.Introduce(t.Context(), time.Now(), l.PeerID(), lookup, []byte("x")); !errors.Is(err, rendezvous.ErrOffline) {
		t.Errorf("after it left: %v, want ErrOffline", err)
	}
}
