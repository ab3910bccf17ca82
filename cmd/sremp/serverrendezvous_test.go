package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/pgtest"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/rendezvous"
)

// freePort is a UDP port that is free on these addresses, and so is the next.
func freePort(t *testing.T, addrs ...string) uint16 {
	t.Helper()
search:
	for range 100 {
		first, err := net.ListenPacket("udp", addrs[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		first.Close()
		for _, a := range addrs {
			for next := range 2 {
				c, err := net.ListenPacket("udp", fmt.Sprintf("%s:%d", a, int(port)+next))
				if err != nil {
					continue search
				}
				c.Close()
			}
		}
		return port
	}
	t.Fatal("no free ports")
	return 0
}

// A server that its operator gave an address is announced by those that ask it,
// shown, and not used.
func TestGossip(t *testing.T) {
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t, "127.0.0.1"))
	_, known := startServerCommand(t, "rendezvous", "--dir", t.TempDir(), "--listen", at, "--public", at)
	_, asks := startServerCommand(t, "rendezvous", "--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--gossip", known.String())
	ann := newUser(t, "Ann", asks)
	within(t, "the announcement", func() (bool, string) {
		out := ann.run(t, "servers", "--announced")
		return out == known.String()+"  not used", out
	})
	if out := ann.run(t, "servers"); strings.Contains(out, known.String()) {
		t.Errorf("a server was used for having been announced: %s", out)
	}
	ann.run(t, "servers", "add", known.String())
	if out := ann.run(t, "servers"); !strings.Contains(out, known.String()) {
		t.Errorf("added, and not there: %s", out)
	}
	if _, errs, status := sremp(t, "rendezvous", "--dir", t.TempDir(), "--gossip", "nonsense"); status != exitUsage {
		t.Errorf("status %d, %s", status, errs)
	}
}

// Two processes with one key and one PostgreSQL are one server: who registers
// with one is found, and reached, through the other.
func TestServersOfOneDatabase(t *testing.T) {
	database := pgtest.Start(t, "fsync=off").Database(t)
	dirs := [2]string{t.TempDir(), t.TempDir()}
	var addrs [2]identity.ServerAddr
	_, addrs[0] = startServerCommand(t, "rendezvous", "--dir", dirs[0], "--listen", "127.0.0.1:0", "--database", database)
	key, err := os.ReadFile(filepath.Join(dirs[0], serverKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dirs[1], serverKeyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	_, addrs[1] = startServerCommand(t, "server", "--dir", dirs[1], "--listen", "127.0.0.1:0", "--database", database)
	if addrs[0].ID != addrs[1].ID {
		t.Fatal("two keys")
	}
	l, _, err := identity.NewLocal("Ada", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*rendezvous.Client
	for i, a := range addrs {
		if ends[i], err = rendezvous.Dial(t.Context(), udpEndpoint(t), a); err != nil {
			t.Fatal(err)
		}
		defer ends[i].Close()
	}
	lookup := [32]byte{1}
	content := rendezvous.Content{Record: l.Record()}
	if err := ends[0].Register(t.Context(), time.Now(), l, lookup, content, 0); err != nil {
		t.Fatal(err)
	}
	if err := ends[0].List(t.Context(), time.Now(), l, rendezvous.Listing{Content: content}, 0); err != nil {
		t.Fatal(err)
	}
	if _, online, err := ends[1].Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err != nil || !online {
		t.Errorf("through the other process: online %v, %v", online, err)
	}
	if page, err := ends[1].Browse(t.Context(), time.Now(), rendezvous.Search{Name: "a"}); err != nil || len(page.People) != 1 {
		t.Errorf("the other process's list: %+v, %v", page, err)
	}
	go func() {
		for in := range ends[0].Introductions() {
			_ = in.Answer(context.Background(), append([]byte("re: "), in.Sealed...))
		}
	}()
	got, err := ends[1].Introduce(t.Context(), time.Now(), l.PeerID(), lookup, []byte("hello"))
	if err != nil || string(got) != "re: hello" {
		t.Errorf("introduced through the other process: %q, %v", got, err)
	}
}

// A server with a second address has RFC 5780's four places.
func TestSecondAddress(t *testing.T) {
	port := freePort(t, "127.0.0.1", "127.0.0.2")
	startServerCommand(t, "rendezvous", "--dir", t.TempDir(), "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--second-address", "127.0.0.2")
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	place := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i>>1)}), port+uint16(i&1))
	}
	for change := range 4 {
		d, rtt := ask(t.Context(), c, place(0), nat.STUNChange(change))
		if rtt == 0 || d.Origin != place(change) || d.Other != place(3) {
			t.Errorf("change %d: got %+v, want from %v, and of %v", change, d, place(change), place(3))
		}
	}
	for _, args := range [][]string{{"--second-address", "127.0.0.2"}, {"--listen", "127.0.0.1:0", "--second-address", "x"}} {
		if _, errs, status := sremp(t, append([]string{"rendezvous", "--dir", t.TempDir()}, args...)...); status != exitUsage {
			t.Errorf("%q: status %d, %s", args, status, errs)
		}
	}
}
