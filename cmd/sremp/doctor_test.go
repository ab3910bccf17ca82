package main

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/portmap"
	"github.com/sremp/sremp/transport"
)

func TestDoctorReport(t *testing.T) {
	addr := identity.ServerAddr{Host: "chat.example.org", Port: 4433}
	mapped, other := netip.MustParseAddrPort("192.0.2.7:5000"), netip.MustParseAddrPort("192.0.2.7:5001")
	seen := serverExam{addr: addr, rtt: 20 * time.Millisecond, mapped: mapped, other: mapped, paired: true, mtu: 1500}
	symmetric, open, late, wrong, narrow, tcp, both := seen, seen, seen, seen, seen, seen, seen
	symmetric.other = other
	open.unasked = true
	late.clock = -3 * time.Hour
	wrong.dialErr = transport.ErrServerKey
	narrow.mtu = 1280
	tcp = serverExam{addr: addr, tcp: time.Second, dialErr: errors.New("no answer")}
	both.rtt6 = time.Millisecond
	six := []netip.Addr{mapped.Addr(), netip.MustParseAddr("2001:db8::1")}
	forwards := routerExam{mapping: portmap.Mapping{Method: portmap.PCP, External: netip.MustParseAddrPort("192.0.2.7:4444")}}
	inner := routerExam{mapping: portmap.Mapping{Method: portmap.UPnP, External: netip.MustParseAddrPort("100.64.0.9:4444")}}
	all := func(e examination, x ...serverExam) examination {
		e.servers = x
		for _, s := range x {
			e.received = e.received || s.rtt > 0
		}
		return e
	}
	for _, tt := range []struct {
		name string
		e    examination
		nat  string
		want string // "state what", in order
	}{
		{"no server", examination{}, "", "problem server, note port, note ipv6"},
		{"home", all(examination{}, seen), "easy", "ok udp, ok nat, ok firewall, note port, note ipv6, ok server, ok mtu, ok clock"},
		{"full cone", all(examination{router: forwards}, open), "easy", "ok udp, ok nat, ok firewall, ok port, note ipv6, ok server, ok mtu, ok clock"},
		{"symmetric", all(examination{router: forwards}, symmetric), "symmetric", "ok udp, note nat, ok firewall, ok port, note ipv6, ok server, ok mtu, ok clock"},
		{"two routers", all(examination{router: inner}, symmetric), "symmetric", "ok udp, note nat, ok firewall, note port, note ipv6, ok server, ok mtu, ok clock"},
		{"public", all(examination{local: six, router: routerExam{absent: true}}, seen), "none", "ok udp, ok nat, note port, ok ipv6, ok server, ok mtu, ok clock"},
		{"ipv6", all(examination{local: six}, both), "none", "ok udp, ok nat, note port, ok ipv6, ok server, ok mtu, ok clock"},
		{"blocked", all(examination{}, serverExam{addr: addr, dialErr: errors.New("no answer")}), "", "problem udp, note port, note ipv6, problem server"},
		{"TCP only", all(examination{}, tcp), "", "problem udp, note port, note ipv6, note server"},
		{"tunnel", all(examination{}, narrow), "easy", "ok udp, ok nat, ok firewall, note port, note ipv6, ok server, note mtu, ok clock"},
		{"clock", all(examination{}, late), "easy", "ok udp, ok nat, ok firewall, note port, note ipv6, ok server, ok mtu, problem clock"},
		{"wrong key", all(examination{}, wrong), "easy", "ok udp, ok nat, ok firewall, note port, note ipv6, problem server, ok mtu"},
		{"short mapping", all(examination{waited: time.Minute, lifetime: lifetime{AtLeast: 10 * time.Second, Below: 20 * time.Second}}, seen), "easy",
			"ok udp, ok nat, ok firewall, note lifetime, note port, note ipv6, ok server, ok mtu, ok clock"},
		{"long mapping", all(examination{waited: time.Minute, lifetime: lifetime{AtLeast: 60 * time.Second}}, seen), "easy",
			"ok udp, ok nat, ok firewall, ok lifetime, note port, note ipv6, ok server, ok mtu, ok clock"},
		{"old server", all(examination{waited: time.Minute, lifetime: lifetime{NotTold: true}}, seen), "easy",
			"ok udp, ok nat, ok firewall, note lifetime, note port, note ipv6, ok server, ok mtu, ok clock"},
	} {
		r := tt.e.report(false)
		var got []string
		for _, f := range r.Findings {
			got = append(got, f.State+" "+f.What)
			if topics[f.What] == "" {
				t.Errorf("%s: %q has no heading", tt.name, f.What)
			}
			if !strings.HasSuffix(f.Text, ".") {
				t.Errorf("%s: no sentence: %q", tt.name, f.Text)
			}
		}
		if s := strings.Join(got, ", "); s != tt.want || r.NAT != tt.nat {
			t.Errorf("%s: got %q, %s\nwant %q, %s", tt.name, r.NAT, s, tt.nat, tt.want)
		}
	}
}

// What is pasted somewhere names nobody: every address and name that the doctor
// learned stands in this examination, and none in any form of the report.
func TestDoctorRedacts(t *testing.T) {
	at := netip.MustParseAddrPort
	e := examination{
		local: []netip.Addr{netip.MustParseAddr("192.168.77.5"), netip.MustParseAddr("2001:db8:77::5")}, received: true,
		waited: time.Minute, lifetime: lifetime{AtLeast: 10 * time.Second, Below: 20 * time.Second},
		router: routerExam{mapping: portmap.Mapping{Method: portmap.UPnP, Gateway: netip.MustParseAddr("192.168.77.1"), External: at("198.51.100.9:45678")}},
	}
	secrets := []string{
		"192.168.77", "2001:db8", "198.51.100.9", "45678", "192.0.2.7", "50001", "50002", "203.0.113.3", "chat.example.org", "4433", "sremp.example", "key",
	}
	for i, err := range []error{nil, errors.New("dial chat.example.org:4433: 203.0.113.3 refused"), transport.ErrServerKey, transport.ErrRefused} {
		x := serverExam{
			addr: identity.ServerAddr{ID: identity.ServerID{1, 2, 3}, Host: "chat.example.org", Port: 4433}, at: at("203.0.113.3:4433"),
			rtt: 20 * time.Millisecond, rtt6: time.Millisecond, tcp: time.Second, mtu: 1300,
			mapped: at("192.0.2.7:50001"), other: at("192.0.2.7:50002"), paired: true, clock: 3 * time.Hour, dialErr: err,
		}
		e.servers = append(e.servers, x)
		x.rtt = 0
		e.servers = append(e.servers, x)
		if i == 0 {
			secrets = append(secrets, x.addr.ID.String())
		}
	}
	check := func(form, s string) {
		t.Helper()
		for _, secret := range secrets {
			if secret != "key" && strings.Contains(s, secret) {
				t.Errorf("%s shows %s:\n%s", form, secret, s)
			}
		}
	}
	r := e.report(false)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	check("JSON", string(b))
	check("the plain report", r.text(0))
	check("the report on a terminal", r.text(80))

	full := e.report(true)
	if full.Servers[0].Mapped != "192.0.2.7:50001" || full.Servers[0].Server != "chat.example.org:4433" || full.Port.External != "198.51.100.9:45678" {
		t.Errorf("with addresses: got %+v", full)
	}
}

// Lines on a terminal are not wider than it is.
func TestDoctorText(t *testing.T) {
	e := examination{servers: []serverExam{{rtt: time.Millisecond, mtu: 1280, mapped: netip.MustParseAddrPort("192.0.2.7:1")}}, received: true}
	for _, width := range []int{1, 60, 80, 300} {
		for line := range strings.Lines(e.report(false).text(width)) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > min(max(width, minWidth), maxWidth) {
				t.Errorf("width %d: %d columns: %s", width, n, line)
			}
		}
	}
}

func TestVersionProbe(t *testing.T) {
	id, b := versionProbe(1200)
	if len(b) != 1200 || b[0]&0x80 == 0 {
		t.Errorf("got %d bytes", len(b))
	}
	answer := append([]byte{0x80, 0, 0, 0, 0, quicIDLen}, id[:]...)
	if got, ok := versionAnswer(append(answer, 0, 0, 0, 0, 1)); !ok || got != id {
		t.Errorf("got %x, %v, want %x", got, ok, id)
	}
	for n := range len(answer) {
		if _, ok := versionAnswer(answer[:n]); ok {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
	if _, ok := versionAnswer(b); ok {
		t.Error("a probe is taken for an answer")
	}
}
