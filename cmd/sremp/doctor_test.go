package main

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

func TestDoctorReport(t *testing.T) {
	addr := identity.ServerAddr{Host: "chat.example.org", Port: 4433}
	mapped, other := netip.MustParseAddrPort("192.0.2.7:5000"), netip.MustParseAddrPort("192.0.2.7:5001")
	seen := serverExam{addr: addr, rtt: 20 * time.Millisecond, mapped: mapped, other: mapped, paired: true}
	symmetric, open, late, wrong := seen, seen, seen, seen
	symmetric.other = other
	open.unasked = true
	late.clock = -3 * time.Hour
	wrong.dialErr = transport.ErrServerKey
	for _, tt := range []struct {
		name string
		e    examination
		want []string // "state what", in order
	}{
		{"no server", examination{}, []string{"problem server", "note ipv6"}},
		{"home", examination{servers: []serverExam{seen}, received: true}, []string{"ok server", "ok nat", "ok firewall", "note ipv6"}},
		{"full cone", examination{servers: []serverExam{open}, received: true}, []string{"ok server", "ok nat", "ok firewall", "note ipv6"}},
		{"symmetric", examination{servers: []serverExam{symmetric}, received: true}, []string{"ok server", "note nat", "ok firewall", "note ipv6"}},
		{"public", examination{servers: []serverExam{seen}, received: true, local: []netip.Addr{mapped.Addr(), netip.MustParseAddr("2001:db8::1")}}, []string{"ok server", "ok nat", "ok ipv6"}},
		{"blocked", examination{servers: []serverExam{{addr: addr, dialErr: errors.New("no answer")}}}, []string{"problem server", "problem udp", "note ipv6"}},
		{"clock", examination{servers: []serverExam{late}, received: true}, []string{"ok server", "problem clock", "ok nat", "ok firewall", "note ipv6"}},
		{"wrong key", examination{servers: []serverExam{wrong}, received: true}, []string{"problem server", "ok nat", "ok firewall", "note ipv6"}},
	} {
		r := tt.e.report(false)
		var got []string
		for _, f := range r.Findings {
			got = append(got, f.State+" "+f.What)
			// What is pasted somewhere names nobody.
			for _, secret := range []string{"192.0.2.7", "chat.example.org", "2001:db8"} {
				if strings.Contains(f.Text, secret) {
					t.Errorf("%s: the report shows %s: %s", tt.name, secret, f.Text)
				}
			}
		}
		if strings.Join(got, ", ") != strings.Join(tt.want, ", ") {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if r := (&examination{servers: []serverExam{seen}}).report(true); r.Servers[0].Mapped != mapped.String() || r.Servers[0].Server != addr.HostPort() {
		t.Errorf("with addresses: got %+v", r.Servers[0])
	}
}
