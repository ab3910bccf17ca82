package main

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/natlab"
)

// readdress gives a host another address, as DHCP does.
func readdress(t *testing.T, p *natlab.Place, last byte) {
	t.Helper()
	b := p.Addr.As4()
	gateway := netip.AddrFrom4([4]byte{b[0], b[1], b[2], 1})
	b[3] = last
	a := netip.AddrFrom4(b)
	err := p.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		old, err := netlink.ParseAddr(p.Addr.String() + "/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrDel(link, old); err != nil {
			return err
		}
		now, err := netlink.ParseAddr(a.String() + "/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, now); err != nil {
			return err
		}
		all, err := netlink.ParseIPNet("0.0.0.0/0")
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: all, Gw: gateway.AsSlice()})
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Addr = a
}

// Two people on one network, without any server and any internet: the one sees
// the other, who wants to be seen, sends a request, and they chat. When both have
// other addresses they find each other again.
func TestNearby(t *testing.T) {
	w, err := natlab.NewWorld(natlab.Conditions{})
	if err != nil {
		t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
	}
	t.Cleanup(w.Close)
	r, err := w.Router(natlab.RouterOptions{Kind: natlab.Port})
	if err != nil {
		t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
	}
	var left atomic.Int64 // packets that left the local network
	if w.Net != nil {
		w.Net.Filter(func(_, _ byte, p []byte) bool {
			left.Add(1)
			return true
		})
	}
	var places [2]*natlab.Place
	for i := range places {
		if places[i], err = r.Home(); err != nil {
			t.Fatal(err)
		}
	}
	ann, bob := newUser(t, "Ann"), newUser(t, "Bob")
	ann.listenBy(t, places[0].Start)
	bob.listenBy(t, places[1].Start)

	if out := bob.run(t, "nearby"); out != "" {
		t.Errorf("nobody wants to be seen, and nearby prints %q", out)
	}
	ann.run(t, "nearby", "--announce")
	within(t, "Ann nearby", func() (bool, string) {
		out := bob.run(t, "nearby")
		return strings.HasSuffix(out, "  Ann") && strings.HasPrefix(ann.id.String(), strings.Fields(out)[0]), out
	})
	bob.run(t, "nearby", "--add", "Ann")
	within(t, "Bob's request", func() (bool, string) {
		list, err := ann.api.Contacts(t.Context())
		return err == nil && len(list) == 1 && list[0].ID == bob.id && list[0].Trust == client.TrustUnknown, describe(list)
	})
	ann.run(t, "trust", "Bob")
	chat(t, ann, bob, "hello")

	// Who was added does not use up the announcement.
	within(t, "Ann nearby again", func() (bool, string) {
		out := bob.run(t, "nearby")
		return strings.Contains(out, "Ann") && strings.Contains(out, "contact"), out
	})
	ann.run(t, "nearby", "--hide")
	within(t, "Ann hidden", func() (bool, string) {
		out := bob.run(t, "nearby")
		return out == "", out
	})

	// Both have other addresses, one of them while it was away.
	bob.end(t, syscall.SIGTERM)
	readdress(t, places[0], 102)
	readdress(t, places[1], 103)
	bob.listenBy(t, places[1].Start)
	chat(t, bob, ann, "found again")
	for _, x := range []struct {
		u, with *user
		want    *natlab.Place
	}{{ann, bob, places[1]}, {bob, ann, places[0]}} {
		p, err := x.u.api.Path(t.Context(), x.with.id)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := netip.ParseAddrPort(p.Remote); err != nil || a.Addr() != x.want.Addr {
			t.Errorf("got a path to %s, want one to %v", p.Remote, x.want.Addr)
		}
		if !strings.Contains(p.Reason, "local network") {
			t.Errorf("got reason %q, want that it is on the local network", p.Reason)
		}
	}
	// And one while they are connected.
	readdress(t, places[0], 110)
	chat(t, ann, bob, "moved")

	// An invite whose addresses are old before it is used.
	uri := ann.run(t, "invite")
	readdress(t, places[0], 120)
	carol := newUser(t, "Carol")
	carol.listenBy(t, places[1].Start)
	if out := carol.run(t, "nearby"); out != "" { // what it hears of Ann means nothing to it yet
		t.Errorf("Ann hides, and nearby prints %q", out)
	}
	carol.run(t, "add", uri)
	chat(t, carol, ann, "by an old invite")

	if n := left.Load(); n > 0 {
		t.Errorf("%d packets left the local network", n)
	}
}

func describe(list []client.Contact) string {
	var s []string
	for _, c := range list {
		s = append(s, c.Label()+" "+c.Trust.String())
	}
	return strings.Join(s, ", ")
}

// chat has a send b a text, and waits until it is acknowledged directly.
func chat(t *testing.T, a, b *user, text string) {
	t.Helper()
	m, err := a.api.Send(t.Context(), b.id, text)
	if err != nil {
		t.Fatal(err)
	}
	within(t, text, func() (bool, string) {
		list, err := a.api.History(t.Context(), b.id, client.HistoryQuery{})
		if err != nil {
			return false, err.Error()
		}
		p, err := a.api.Path(t.Context(), b.id)
		if err != nil {
			return false, err.Error()
		}
		for _, x := range list {
			if x.ID == m.ID {
				return x.State >= client.Delivered && p.Kind == client.PathDirect, x.State.String() + " " + describePath(p)
			}
		}
		return false, "not there"
	})
}
