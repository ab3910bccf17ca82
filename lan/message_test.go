package lan

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var at = netip.MustParseAddrPort

func testEntry() entry {
	return entry{
		Announcement: Announcement{Kind: Sealed, Body: bytes.Repeat([]byte{0, 1, 0xff}, 180)},
		instance:     "00112233aabbccdd",
		addrs:        []netip.AddrPort{at("192.168.1.5:4444"), at("[2001:db8::5]:4444")},
	}
}

func encode(t testing.TB, e entry) []byte {
	t.Helper()
	b, err := appendEntry(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEntry(t *testing.T) {
	want := testEntry()
	b := encode(t, want)
	if len(b) > maxMessage {
		t.Errorf("%d bytes, want at most %d", len(b), maxMessage)
	}
	m, err := parseMessage(b)
	if err != nil || len(m.entries) != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
	got := m.entries[0]
	if got.instance != want.instance || got.Kind != want.Kind || !bytes.Equal(got.Body, want.Body) || !slices.Equal(got.addrs, want.addrs) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for n := range len(b) {
		if m, err := parseMessage(b[:n]); err == nil {
			t.Errorf("the first %d bytes say %+v", n, m)
		}
	}
	want.gone = true
	m, err = parseMessage(encode(t, want))
	if err != nil || len(m.entries) != 1 || !m.entries[0].gone || m.entries[0].instance != want.instance {
		t.Errorf("gone: got %+v, %v", m, err)
	}
}

// The largest that is announced fits one packet.
func TestLargestEntry(t *testing.T) {
	e := testEntry()
	e.Body = bytes.Repeat([]byte{0xff}, MaxBody)
	e.addrs = nil
	for i := range maxAddrs {
		e.addrs = append(e.addrs, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i + 1)}), 4444))
	}
	b := encode(t, e)
	if m, err := parseMessage(b); len(b) > maxMessage || err != nil || len(m.entries) != 1 || len(m.entries[0].Body) != MaxBody {
		t.Errorf("%d bytes: got %+v, %v", len(b), m, err)
	}
}

func TestQuery(t *testing.T) {
	b, err := appendQuery(nil, []string{"00112233aabbccdd", "ffffffffffffffff"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMessage(b)
	if err != nil || !m.query || !slices.Equal(m.known, []string{"00112233aabbccdd", "ffffffffffffffff"}) {
		t.Errorf("got %+v, %v", m, err)
	}
	many, err := appendQuery(nil, slices.Repeat([]string{"00112233aabbccdd"}, 1000))
	if err != nil || len(many) > maxMessage {
		t.Errorf("a query with all that is known: %d bytes, %v", len(many), err)
	}
}

// What is not ours, not whole, or too much.
func TestForeignMessages(t *testing.T) {
	host := mustName("printer.local.")
	foreign := dnsmessage.Message{
		Header: dnsmessage.Header{Response: true},
		Answers: []dnsmessage.Resource{
			{Header: dnsmessage.ResourceHeader{Name: mustName("_ipp._tcp.local."), Class: dnsmessage.ClassINET, TTL: 120}, Body: &dnsmessage.PTRResource{PTR: mustName("printer._ipp._tcp.local.")}},
			{Header: dnsmessage.ResourceHeader{Name: host, Class: dnsmessage.ClassINET, TTL: 120}, Body: &dnsmessage.AResource{A: [4]byte{192, 168, 1, 9}}},
		},
	}
	pack := func(m dnsmessage.Message) []byte {
		t.Helper()
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if m, err := parseMessage(pack(foreign)); err == nil {
		t.Errorf("a printer: got %+v", m)
	}
	var ours dnsmessage.Message
	if err := ours.Unpack(encode(t, testEntry())); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(ours.Answers); i++ { // without SRV, TXT or both addresses
		part := ours
		part.Answers = slices.Delete(slices.Clone(ours.Answers), i, i+1)
		if i > 2 {
			part.Answers = slices.Delete(slices.Clone(ours.Answers), 3, 5)
		}
		if m, err := parseMessage(pack(part)); err != nil || len(m.entries) != 0 {
			t.Errorf("without record %d: got %+v, %v, want no announcement", i, m, err)
		}
	}
	flood := ours
	for len(flood.Answers) <= maxRecords && len(flood.Answers) < 70 {
		flood.Answers = append(flood.Answers, ours.Answers[0])
	}
	for range 100 {
		flood.Answers = append(flood.Answers, foreign.Answers[1])
	}
	if m, err := parseMessage(pack(flood)); err == nil {
		t.Errorf("%d records are taken: %+v", len(flood.Answers), m)
	}
	for _, name := range []string{"", "zz112233aabbccdd", "00112233aabbcc", strings.Repeat("0", 60)} {
		if i, ok := instanceOf(mustName(strings.TrimPrefix(name+"."+serviceName, "."))); ok {
			t.Errorf("%q is taken for an instance, %q", name, i)
		}
	}
}

func TestTXT(t *testing.T) {
	for _, txt := range [][]string{
		nil, {"v=1"}, {"v=2", "s0=x"}, {"s0=x", "v=1"}, {"v=1", "s0="}, {"v=1", "s1=x"}, {"v=1", "x0=x"}, {"v=1", "s0:x"},
		{"v=1", "s0=x", "s1=y"},                                // the first is not full
		{"v=1", "s0=" + strings.Repeat("x", chunkLen), "i1=y"}, // two kinds
		{"v=1", "s0=" + strings.Repeat("x", chunkLen+1)},
	} {
		if a, ok := parseTXT(txt); ok && (len(txt) != 2 || len(a.Body) <= chunkLen) {
			t.Errorf("%q is taken: %+v", txt, a)
		}
	}
	for n := 1; n <= MaxBody; n++ {
		a := Announcement{Open, bytes.Repeat([]byte{byte(n)}, n)}
		if got, ok := parseTXT(a.txt()); !ok || got.Kind != a.Kind || !bytes.Equal(got.Body, a.Body) {
			t.Fatalf("%d bytes: got %+v, %v", n, got, ok)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(encode(f, testEntry()))
	gone := testEntry()
	gone.gone = true
	f.Add(encode(f, gone))
	q, err := appendQuery(nil, []string{"00112233aabbccdd"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		for _, e := range m.entries {
			if e.gone {
				continue
			}
			if len(e.Body) == 0 || len(e.Body) > MaxBody || len(e.addrs) == 0 || len(e.addrs) > maxAddrs || len(e.instance) != instanceLen {
				t.Fatalf("got %+v", e)
			}
			again, err := parseMessage(encode(t, e))
			if err != nil || len(again.entries) != 1 || !bytes.Equal(again.entries[0].Body, e.Body) || !slices.Equal(again.entries[0].addrs, e.addrs) {
				t.Fatalf("%+v becomes %+v, %v", e, again, err)
			}
		}
	})
}
