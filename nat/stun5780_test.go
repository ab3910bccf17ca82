package nat

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pion/stun/v2"
)

// places makes a server of the first n places of a list.
func places(n int, all ...string) (s STUNServer) {
	for i, a := range all[:n] {
		s.Places[i] = netip.MustParseAddrPort(a)
	}
	return s
}

// RFC 5780, section 7, as far as spec §5.21 has it: with one place, with another
// port, and with another address as well.
func TestSTUNDiscovery(t *testing.T) {
	for _, tt := range []struct {
		from string
		all  []string
	}{
		{"192.0.2.1:4000", []string{"203.0.113.1:443", "203.0.113.1:444", "203.0.113.2:443", "203.0.113.2:444"}},
		{"[2001:db8::1]:4000", []string{"[2001:db8::2]:443", "[2001:db8::2]:444", "[2001:db8::3]:443", "[2001:db8::3]:444"}},
	} {
		from := netip.MustParseAddrPort(tt.from)
		for _, n := range []int{0, 2, 4} {
			s := places(n, tt.all...)
			for change := range STUNChange(4) {
				id, request := STUNDiscover(change)
				reply, by := s.Reply(request, from)
				if change != 0 && int(change) >= n {
					if reply != nil {
						t.Errorf("%d places: a request for place %d is answered", n, change)
					}
					continue
				}
				if len(reply) > len(request) || by != change {
					t.Errorf("reply of %d bytes to %d, by %d, want %d", len(reply), len(request), by, change)
				}
				want := STUNDiscovery{Mapped: from}
				if n > 0 {
					want.Origin, want.Other = s.Places[change], s.Places[n-1]
				}
				gotID, got, err := ParseSTUNDiscovery(reply)
				if err != nil || gotID != id || got != want {
					t.Errorf("%d places, change %d: got %+v, %v, want %+v", n, change, got, err, want)
				}
				for n := range reply {
					if _, _, err := ParseSTUNDiscovery(reply[:n]); err == nil {
						t.Errorf("the first %d bytes accepted", n)
					}
				}
				// Shortened requests never get more than they sent (negative test 14).
				for n := range request {
					if r, _ := s.Reply(request[:n], from); r != nil {
						t.Errorf("the first %d bytes of a request answered", n)
					}
				}
			}
			_, short := STUNRequest()
			reply, _ := s.Reply(short, from)
			if len(reply) == 0 || len(reply) > len(short) || !bytes.Equal(reply, STUNReply(short, from)) {
				t.Errorf("to a plain request: %d bytes to %d, want the plain reply", len(reply), len(short))
			}
		}
	}
}

// A request that would send the answer elsewhere, or is not understood, gets none.
func TestSTUNDiscoveryRefuses(t *testing.T) {
	s := places(2, "203.0.113.1:443", "203.0.113.1:444")
	for what, a := range map[string]stun.RawAttribute{
		"RESPONSE-PORT":              {Type: 0x0027, Value: []byte{0, 53, 0, 0}},
		"change of the address":      {Type: attrChangeRequest, Value: []byte{0, 0, 0, changeIP}},
		"change of both":             {Type: attrChangeRequest, Value: []byte{0, 0, 0, changeIP | changePort}},
		"unknown flags":              {Type: attrChangeRequest, Value: []byte{0, 0, 1, 0}},
		"a cut CHANGE-REQUEST":       {Type: attrChangeRequest, Value: []byte{0, 0}},
		"RESPONSE-ADDRESS, RFC 3489": {Type: 0x0002, Value: []byte{0, 1, 0, 53, 192, 0, 2, 9}},
	} {
		m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, a)
		m.Add(stun.AttrSoftware, make([]byte, 100))
		if reply, _ := s.Reply(m.Raw, netip.MustParseAddrPort("192.0.2.1:4000")); reply != nil {
			t.Errorf("%s: answered", what)
		}
	}
}

func FuzzSTUNServer(f *testing.F) {
	s := places(2, "203.0.113.1:443", "203.0.113.1:444")
	from := netip.MustParseAddrPort("[2001:db8::1]:4000")
	for change := range STUNChange(4) {
		_, request := STUNDiscover(change)
		f.Add(request)
		reply, _ := s.Reply(request, from)
		f.Add(reply)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if reply, _ := s.Reply(b, from); len(reply) > len(b) {
			t.Errorf("%d bytes to %d", len(reply), len(b))
		}
		_, _, _ = ParseSTUNDiscovery(b)
	})
}
