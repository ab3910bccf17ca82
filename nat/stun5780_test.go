package nat

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pion/stun/v2"
)

// RFC 5780, section 7, as far as spec §5.21 has it.
func TestSTUNDiscovery(t *testing.T) {
	for _, tt := range []struct{ from, self, other string }{
		{"192.0.2.1:4000", "203.0.113.1:443", "203.0.113.1:444"},
		{"[2001:db8::1]:4000", "[2001:db8::2]:443", "[2001:db8::2]:444"},
	} {
		from, self, other := netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort(tt.self), netip.MustParseAddrPort(tt.other)
		for _, s := range []STUNServer{{}, {Self: self, Other: other}} {
			for _, change := range []bool{false, true} {
				id, request := STUNDiscover(change)
				reply, sibling := s.Reply(request, from)
				if change && !s.Other.IsValid() {
					if reply != nil {
						t.Error("a server with one port answers a request to change it")
					}
					continue
				}
				if len(reply) > len(request) || sibling != change {
					t.Errorf("reply of %d bytes to %d, by the sibling: %v", len(reply), len(request), sibling)
				}
				want := STUNDiscovery{Mapped: from}
				if s.Other.IsValid() {
					want.Origin, want.Other = self, other
					if change {
						want.Origin, want.Other = other, self
					}
				}
				gotID, got, err := ParseSTUNDiscovery(reply)
				if err != nil || gotID != id || got != want {
					t.Errorf("got %+v, %v, want %+v", got, err, want)
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
	s := STUNServer{netip.MustParseAddrPort("203.0.113.1:443"), netip.MustParseAddrPort("203.0.113.1:444")}
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
	s := STUNServer{netip.MustParseAddrPort("203.0.113.1:443"), netip.MustParseAddrPort("203.0.113.1:444")}
	from := netip.MustParseAddrPort("[2001:db8::1]:4000")
	for _, change := range []bool{false, true} {
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
