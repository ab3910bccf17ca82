//go:build linux

package natlab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/transport"
)

// gatherAt gathers in the place's own network.
func gatherAt(t *testing.T, p *Place, e *transport.Endpoint, stun []netip.AddrPort) (cs []nat.Candidate) {
	t.Helper()
	// The interfaces are looked up on the thread that calls; nobody is asked there.
	if err := p.Do(func() error { cs = e.Gather(t.Context(), nil); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(stun) == 0 {
		return cs
	}
	hosts := cs
	cs = nil
	for _, c := range hosts {
		if c.Kind == nat.Host {
			cs = append(cs, c)
		}
	}
	for _, c := range e.Gather(t.Context(), stun) {
		if c.Kind != nat.Host {
			cs = append(cs, c)
		}
	}
	return cs
}

// Spec §5.20.2: bridges, containers and tunnels with many addresses leave room
// for what leads to a peer, which comes first.
func TestJunkInterfaces(t *testing.T) {
	w := world(t, Conditions{})
	r := must[*Router](t)(w.Router(RouterOptions{Kind: Port, IPv6: true}))
	home := must[*Place](t)(r.Home())
	err := home.Do(func() error {
		for i, name := range []string{"docker0", "br-0a1b2c", "virbr0", "wg0", "tun5", "veth77"} {
			if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
				return err
			}
			for j := range 5 {
				if err := address(name, netip.MustParsePrefix(fmt.Sprintf("172.%d.%d.1/24", 17+i, j))); err != nil {
					return err
				}
			}
			if err := address(name, netip.MustParsePrefix(fmt.Sprintf("fd00:%x::1/64", i+1))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := endpointAt(t, home.Site, netip.AddrPortFrom(netip.IPv6Unspecified(), 0), transport.Config{})
	defer e.Close()
	cs := gatherAt(t, home, e, nil)
	place := map[netip.Addr]int{}
	junk := 0
	for i, c := range cs {
		if _, twice := place[c.Addr.Addr()]; twice {
			t.Errorf("%v is there twice", c.Addr)
		}
		place[c.Addr.Addr()] = i + 1
		if a := c.Addr.Addr(); a != home.Addr && a != home.Addr6 && !a.IsLoopback() {
			junk++
		}
	}
	if p4, p6 := place[home.Addr], place[home.Addr6]; p4 == 0 || p4 > 2 || p6 == 0 || p6 > 2 {
		t.Errorf("our own addresses are number %d and %d of %v, want them first", p4, p6, cs)
	}
	if junk > 2 {
		t.Errorf("%d candidates of bridges and tunnels, want at most 2: %v", junk, cs)
	}
}

// All kinds of candidates at once: hosts of both families, the mapped port, what
// the server saw; each address once.
func TestCandidateKinds(t *testing.T) {
	if !HasGateway() {
		t.Skip("NO GATEWAY DAEMON ON THIS MACHINE: install miniupnpd-nftables")
	}
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(1))
	var stun []netip.AddrPort
	for port := uint16(3478); port < 3480; port++ {
		ap := netip.AddrPortFrom(server.Addr, port)
		stun = append(stun, ap)
		s := endpointAt(t, server.Site, ap, transport.Config{STUN: true})
		defer s.Close()
	}
	for kind, want := range map[Kind]string{
		PortRnd: "host4 host6 mapped reflexive",
		SymSeq:  "host4 host6 mapped predicted",
		Sym:     "host4 host6 mapped random",
	} {
		r := must[*Router](t)(w.Router(RouterOptions{Kind: kind, IPv6: true}))
		home := must[*Place](t)(r.Home())
		stop := must[func() error](t)(r.MapPorts(MapProtocols{PMP: true}))
		e := endpointAt(t, home.Site, netip.AddrPortFrom(netip.IPv6Unspecified(), 0), transport.Config{})
		unmap := mapHere(t, string(kind)+"/mapped", home, e)
		cs := gatherAt(t, home, e, stun)
		got, seen := "", map[netip.AddrPort]bool{}
		for _, c := range cs {
			if seen[c.Addr] {
				t.Errorf("%s: %v is there twice", kind, c.Addr)
			}
			seen[c.Addr] = true
			name := ""
			switch {
			case c.Addr.Addr() == home.Addr && c.Kind == nat.Host:
				name = "host4"
			case c.Addr.Addr() == home.Addr6 && c.Kind == nat.Host:
				name = "host6"
			case c.Addr.Addr() == r.Addr && c.Kind == nat.Mapped:
				name = "mapped"
			case c.Addr.Addr() == r.Addr && c.Kind == nat.ServerReflexive:
				name = "reflexive"
			case c.Addr.Addr() == r.Addr && c.Kind == nat.Predicted:
				name = "predicted"
			case c.Addr.Addr() == r.Addr && c.Kind == nat.Random:
				name = "random"
			}
			if name != "" && !strings.Contains(got, name) {
				got += " " + name
			}
		}
		for _, name := range strings.Fields(want) {
			if !strings.Contains(got, name) {
				t.Errorf("%s: got%s, want %s; %v", kind, got, want, cs)
			}
		}
		unmap()
		e.Close()
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
