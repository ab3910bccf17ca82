package client

import (
	"bytes"
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// startRendezvous runs one without a relay.
func startRendezvous(t *testing.T, seed byte) identity.ServerAddr {
	t.Helper()
	key, err := identity.NewServerKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	rv, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rv.Close() })
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: key, STUN: true,
		Services: map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: rv.Serve},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	return identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: ep.LocalAddr().Port()}
}

// until asks until cond holds; the limit is there for tests that fail.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// openAt returns a client that uses servers.
func openAt(t *testing.T, name string, servers ...identity.ServerAddr) *Client {
	t.Helper()
	cfg := Config{Store: newMemStore(), Listen: "127.0.0.1:0", KDF: identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}}
	if err := Create(t.Context(), cfg, name); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, a := range servers {
		if err := c.AddServer(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "servers", func() bool {
		all, err := c.Servers(t.Context())
		return err == nil && !slices.ContainsFunc(all, func(s Server) bool { return !s.Connected })
	})
	return c
}

func (c *Client) mustMe(t *testing.T) identity.PeerID {
	t.Helper()
	me, err := c.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return me.ID
}

func befriend(t *testing.T, a, b *Client) {
	t.Helper()
	inv, err := a.Invite(t.Context(), InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(t.Context(), inv.URI, ""); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ c, with *Client }{{a, b}, {b, a}} {
		until(t, "a path", func() bool {
			p, err := x.c.Path(t.Context(), x.with.mustMe(t))
			return err == nil && p.Kind == PathDirect
		})
	}
}

// Two people whose servers have nothing in common meet: each offer goes to the
// server that the other's record names.
func TestContactsOfOtherServers(t *testing.T) {
	a := openAt(t, "Ann", startRendezvous(t, 1))
	b := openAt(t, "Bob", startRendezvous(t, 2))
	// Without addresses in the invite only the rendezvous is left.
	inv, err := a.Invite(t.Context(), InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := identity.ParseInvite(inv.URI)
	if err != nil {
		t.Fatal(err)
	}
	i.Addrs = nil
	if _, err := b.Add(t.Context(), i.URI(), ""); err != nil {
		t.Fatal(err)
	}
	until(t, "a path", func() bool {
		p, err := a.Path(t.Context(), b.mustMe(t))
		return err == nil && p.Kind == PathDirect
	})
}

// A contact's record that changes at a server is heard of at once: the new
// servers in it are where the contact is looked for.
func TestContactMoves(t *testing.T) {
	at := startRendezvous(t, 1)
	elsewhere := identity.ServerAddr{ID: startRendezvous(t, 2).ID, Host: "198.51.100.7", Port: 4433}
	a, b := openAt(t, "Ann", at), openAt(t, "Bob", at)
	befriend(t, a, b)
	bob := b.mustMe(t)
	var p rendezvous.Presence
	if err := b.do(t.Context(), func(k *core) error { p = *k.presence(); return nil }); err != nil {
		t.Fatal(err)
	}
	// No card says so: it is the record alone.
	p.Content.Rendezvous = []identity.ServerAddr{elsewhere}
	b.net.pool.Register(&p)
	until(t, "the new server", func() bool { return a.net.knowsServers(bob, p.Content.Rendezvous) })
	if !a.net.knowsServers(bob, []identity.ServerAddr{at}) {
		t.Error("the server that the card names is forgotten")
	}
}

// Somebody blocked finds nothing under the name that it knows, at once.
func TestBlockedFindsNothing(t *testing.T) {
	at := startRendezvous(t, 1)
	a, b := openAt(t, "Ann", at), openAt(t, "Bob", at)
	befriend(t, a, b)
	ann := a.mustMe(t)
	b.net.mu.Lock()
	lookup := b.net.targets[ann].lookup
	b.net.mu.Unlock()
	if _, err := b.net.pool.LookupNow(t.Context(), ann, lookup); err != nil {
		t.Fatalf("before: %v", err)
	}
	if err := a.SetTrust(t.Context(), b.mustMe(t), Rejected); err != nil {
		t.Fatal(err)
	}
	until(t, "the record is gone", func() bool {
		_, err := b.net.pool.LookupNow(t.Context(), ann, lookup)
		return err != nil
	})
	bob := b.mustMe(t)
	until(t, "the subscription to the blocked contact is over", func() bool {
		a.net.mu.Lock()
		defer a.net.mu.Unlock()
		return a.net.targets[bob].unwatch == nil
	})
}
