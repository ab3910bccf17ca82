//go:build linux

package natlab

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestMappingExpires: what a host sends opens the router for Opening, a flow that
// was answered stays for Mapping; a router with usual times keeps both.
func TestMappingExpires(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server, server.Addr)
	for _, kind := range []Kind{Port, PortCone, PortRnd, Sym} {
		t.Run(string(kind), func(t *testing.T) {
			type side struct {
				c      *net.UDPConn
				mapped netip.AddrPort
			}
			begin := func(o RouterOptions) side {
				home := must[*Place](t)(must[*Router](t)(w.Router(o)).Home())
				s := side{c: listen(t, home.Site, ":2000")}
				if s.mapped = r.ask(t, s.c, 0, 0); !s.mapped.IsValid() {
					t.Fatal("no answer from the internet")
				}
				return s
			}
			usual := begin(RouterOptions{Kind: kind, Seed: 7})
			short := begin(RouterOptions{Kind: kind, Seed: 7, Mapping: time.Second, Opening: time.Second})
			t.Parallel()                // once all are built
			time.Sleep(2 * time.Second) // the routers' own time
			if !reaches(t, r.conns[0], usual.c, usual.mapped) {
				t.Error("closed after 2 s, want it open for 30 s")
			}
			if reaches(t, r.conns[0], short.c, short.mapped) {
				t.Error("open after 2 s, want it closed after 1 s")
			}
			if kind != Sym {
				return
			}
			if again := r.ask(t, usual.c, 0, 0); again != usual.mapped {
				t.Errorf("%v after 2 s, want it to stay %v", again, usual.mapped)
			}
			if again := r.ask(t, short.c, 0, 0); again == short.mapped || !again.IsValid() {
				t.Errorf("%v after 2 s, want another than %v", again, short.mapped)
			}
		})
	}
}

// TestRebind: mappings end, with Rebind, and the address, with Renumber.
func TestRebind(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server, server.Addr)
	router := must[*Router](t)(w.Router(RouterOptions{Kind: PortRnd, Seed: 1}))
	home := must[*Place](t)(router.Home())
	c := listen(t, home.Site, ":0")
	first := r.ask(t, c, 0, 0)
	if again := r.ask(t, c, 0, 0); again != first || !first.IsValid() {
		t.Fatalf("got %v and %v, want the same", first, again)
	}
	if err := router.Rebind(); err != nil {
		t.Fatal(err)
	}
	rebound := r.ask(t, c, 0, 0)
	if !rebound.IsValid() || rebound == first {
		t.Errorf("after rebinding: %v, want another than %v", rebound, first)
	}
	if w.Net == nil {
		return
	}
	if err := router.Renumber(); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, c, 0, 0); got.Addr() != router.Addr || got.Addr() == first.Addr() {
		t.Errorf("after renumbering: %v, want address %v", got, router.Addr)
	}
}

// TestSilenceBehindShortMappings: two sides are direct and silent for longer than
// their routers keep a mapping; the first message then goes the direct way at once.
func TestSilenceBehindShortMappings(t *testing.T) {
	needsTime(t, false)
	p := newPunch(t, Pair{A: "port/short", B: "portrnd/short", Direct: true})
	p.idle = 3 * ShortMapping
	r := p.run(t, 0)
	if r.fault != "" {
		t.Fatal(r.fault)
	}
	fmt.Printf("figure: paths.8.short_mapping.gap %d ms at most between two echoes after %v of silence behind mappings of %v\n", r.gap.Milliseconds(), p.idle, ShortMapping)
}
