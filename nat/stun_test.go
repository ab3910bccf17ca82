package nat

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSTUNRoundTrip(t *testing.T) {
	for _, s := range []string{"192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853", "[::ffff:192.0.2.1]:7"} {
		from := netip.MustParseAddrPort(s)
		want := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		id, request := STUNRequest()
		if !IsSTUN(request) || IsProbe(request) {
			t.Errorf("a request is not told apart")
		}
		reply := STUNReply(request, from)
		if len(reply) > len(request) {
			t.Errorf("reply of %d bytes to a request of %d", len(reply), len(request))
		}
		gotID, got, err := ParseSTUNResponse(reply)
		if err != nil || gotID != id || got != want {
			t.Errorf("got %x %v %v, want %x %v", gotID, got, err, id, want)
		}
		for n := range reply {
			if _, _, err := ParseSTUNResponse(reply[:n]); err == nil {
				t.Errorf("the first %d bytes accepted", n)
			}
			if STUNReply(request[:min(n, len(request)-1)], from) != nil {
				t.Errorf("the first %d bytes of a request answered", n)
			}
		}
	}
}

// The addresses of RFC 5769, sections 2.2 and 2.3, without the attributes
// around them.
func TestSTUNVectors(t *testing.T) {
	header := "2112a442b7e7a701bc34d686fa87dfae"
	for _, tt := range []struct{ packet, want string }{
		{"0101000c" + header + "002000080001a147e112a643", "192.0.2.1:32853"},
		{"01010018" + header + "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"},
	} {
		_, got, err := ParseSTUNResponse(unhex(t, tt.packet))
		if err != nil || got.String() != tt.want {
			t.Errorf("got %v, %v, want %v", got, err, tt.want)
		}
	}
}

// What is not a binding request of at least the reply's size gets no answer: a
// server must not be of use against the address that a source forges.
func TestSTUNReplyRefuses(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.1:1")
	_, request := STUNRequest()
	edit := func(at int, to byte) []byte {
		b := append([]byte(nil), request...)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty":                  nil,
		"shorter than the reply": unhex(t, "000100002112a442b7e7a701bc34d686fa87dfae"),
		"response":               STUNReply(request, from),
		"indication":             edit(1, 0x11),
		"other method":           edit(1, 0x02),
		"no cookie":              edit(4, 0),
		"wrong length":           edit(3, request[3]+4),
		"trailing":               append(append([]byte(nil), request...), 0, 0, 0, 0),
		"unknown required":       edit(20, 0x00),
		"attribute too long":     edit(23, 0xff),
		"huge":                   append(append([]byte(nil), request...), make([]byte, 2000)...),
	} {
		if got := STUNReply(b, from); got != nil {
			t.Errorf("%s: answered with %x", name, got)
		}
	}
	if STUNReply(request, netip.AddrPort{}) != nil {
		t.Error("answered nobody")
	}
}

func FuzzSTUN(f *testing.F) {
	_, request := STUNRequest()
	f.Add(request)
	f.Add(STUNReply(request, addrA))
	f.Add(STUNReply(request, netip.MustParseAddrPort("[2a0e::1]:5")))
	f.Add(unhex(f, "010100042112a442b7e7a701bc34d686fa87dfae00200000")) // an empty address
	f.Fuzz(func(t *testing.T, b []byte) {
		if reply := STUNReply(b, addrA); len(reply) > len(b) {
			t.Errorf("%d bytes answered with %d", len(b), len(reply))
		}
		if _, a, err := ParseSTUNResponse(b); err == nil && (!a.IsValid() || a.Port() == 0) {
			t.Errorf("parsed %x to %v", b, a)
		}
	})
}

// Spec §5.21.2.
func TestSTUNDelay(t *testing.T) {
	_, later := STUNLater(25 * time.Second)
	_, plain := STUNRequest()
	_, long := STUNLater(MaxSTUNDelay + time.Second)
	for _, tt := range []struct {
		name string
		b    []byte
		want time.Duration
		ok   bool
	}{
		{"later", later, 25 * time.Second, true},
		{"plain", plain, 0, true},
		{"too long", long, MaxSTUNDelay + time.Second, false},
		{"nothing", nil, 0, false},
	} {
		if got, ok := STUNDelay(tt.b); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	for n := range later {
		if d, ok := STUNDelay(later[:n]); ok || d != 0 {
			t.Errorf("the first %d bytes: got %v, %v", n, d, ok)
		}
	}
	if reply := STUNReply(later, netip.MustParseAddrPort("11.0.0.1:1")); reply == nil || len(reply) > len(later) {
		t.Errorf("answer to a request that may wait: %d bytes, want some and at most %d", len(reply), len(later))
	}
}
