package nat

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var pcpNonce = PCPNonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

// The layouts of RFC 6887, sections 7.1, 7.2, 11.1, by hand.
const (
	pcpRequestHex = `02010000 00001c20 00000000000000000000ffffc0a80105
		0102030405060708090a0b0c 11000000 115c 115c 00000000000000000000ffff0b000102`
	pcpAnswerHex = `02810000 00001c20 0000002a 000000000000000000000000
		0102030405060708090a0b0c 11000000 115c d431 00000000000000000000ffff0b000102`
)

func TestPCPRequest(t *testing.T) {
	got := PCPMap{
		Client: netip.MustParseAddr("192.168.1.5"), Nonce: pcpNonce, Internal: 4444,
		Suggested: netip.MustParseAddrPort("11.0.1.2:4444"), Lifetime: 7200,
	}.Append(nil)
	if want := fromHex(t, pcpRequestHex); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	any := PCPMap{Client: netip.MustParseAddr("192.168.1.5"), Internal: 4444}.Append(nil)
	if want := fromHex(t, "00000000000000000000ffff00000000"); !bytes.Equal(any[44:], want) {
		t.Errorf("suggested address: got %x, want IPv4's unspecified, %x", any[44:], want)
	}
}

func TestPCPAnswer(t *testing.T) {
	b := fromHex(t, pcpAnswerHex)
	got, err := ParsePCP(b)
	want := PCPAnswer{Lifetime: 7200, Epoch: 42, Nonce: pcpNonce, Internal: 4444, External: netip.MustParseAddrPort("11.0.1.2:54321")}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for n := range len(b) {
		if _, err := ParsePCP(b[:n]); err == nil {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
	if _, err := ParsePCP(append(bytes.Clone(b), 3, 0, 0, 0)); err != nil {
		t.Errorf("with an option: got %v, want it skipped", err)
	}
	announce := fromHex(t, "02800000 00000000 00000001 000000000000000000000000")
	if got, err := ParsePCP(announce); err != nil || !got.Announce || got.Epoch != 1 {
		t.Errorf("announce: got %+v, %v", got, err)
	}
}

// What a gateway must not make us believe.
func TestPCPHostile(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"a request":            func(b []byte) { b[1] = pcpMap },
		"another version":      func(b []byte) { b[0] = 1 },
		"another opcode":       func(b []byte) { b[1] = pcpResponse | 2 },
		"TCP":                  func(b []byte) { b[36] = 6 },
		"port 0":               func(b []byte) { b[42], b[43] = 0, 0 },
		"outside at 0.0.0.0":   func(b []byte) { clear(b[56:60]) },
		"outside at multicast": func(b []byte) { b[56] = 224 },
		"outside at broadcast": func(b []byte) { copy(b[56:], []byte{255, 255, 255, 255}) },
		"outside at fe80::":    func(b []byte) { clear(b[44:60]); b[44], b[45], b[59] = 0xfe, 0x80, 1 },
	} {
		b := fromHex(t, pcpAnswerHex)
		change(b)
		if got, err := ParsePCP(b); err == nil {
			t.Errorf("%s: got %+v, want it refused", name, got)
		}
	}
	if _, err := ParsePCP(make([]byte, pcpMaxLen+4)); err == nil {
		t.Error("a packet over the limit is taken")
	}
	refused := fromHex(t, pcpAnswerHex)
	refused[3] = 8
	clear(refused[42:])
	if got, err := ParsePCP(refused); err != nil || got.Code != 8 || got.External.IsValid() {
		t.Errorf("NO_RESOURCES: got %+v, %v, want code 8 and no address", got, err)
	}
}

func TestPMP(t *testing.T) {
	if got, want := PMPMap(4444, 4444, 7200), fromHex(t, "0001 0000 115c 115c 00001c20"); !bytes.Equal(got, want) {
		t.Errorf("request: got %x, want %x", got, want)
	}
	for _, tt := range []struct {
		hex  string
		want PMPAnswer
	}{
		{"0080 0000 0000002a 0b000102", PMPAnswer{Epoch: 42, Address: netip.MustParseAddr("11.0.1.2")}},
		{"0081 0000 0000002a 115c d431 00001c20", PMPAnswer{Epoch: 42, Map: true, Internal: 4444, External: 54321, Lifetime: 7200}},
		{"0081 0000 0000002a 115c 0000 00000000", PMPAnswer{Epoch: 42, Map: true, Internal: 4444}},
		{"0081 0002 0000002a", PMPAnswer{Code: 2, Epoch: 42, Map: true}},
		{"0080 0001 0000002a", PMPAnswer{Code: 1, Epoch: 42}},
	} {
		b := fromHex(t, tt.hex)
		if got, err := ParsePMP(b); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.hex, got, err, tt.want)
		}
		if tt.want.Code != 0 {
			continue
		}
		for n := range len(b) {
			if _, err := ParsePMP(b[:n]); err == nil {
				t.Errorf("%s: the first %d bytes are taken", tt.hex, n)
			}
		}
	}
	for name, s := range map[string]string{
		"a request":       "0001 0000 115c 115c 00001c20 00000000",
		"another version": "0181 0000 0000002a 115c d431 00001c20",
		"TCP":             "0082 0000 0000002a 115c d431 00001c20",
		"port 0":          "0081 0000 0000002a 115c 0000 00001c20",
		"address 0":       "0080 0000 0000002a 00000000",
		"multicast":       "0080 0000 0000002a e0000001",
		"trailing":        "0081 0000 0000002a 115c d431 00001c20 00",
	} {
		if got, err := ParsePMP(fromHex(t, s)); err == nil {
			t.Errorf("%s: got %+v, want it refused", name, got)
		}
	}
}

// RFC 6887, section 8.5.
func TestEpoch(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name          string
		first, second uint32
		after         time.Duration
		want          bool
	}{
		{"in step", 1000, 1600, 600 * time.Second, false},
		{"a second back", 1000, 999, 0, false},
		{"two seconds back", 1000, 998, 0, true},
		{"restarted", 100000, 5, 600 * time.Second, true},
		{"restarted, and up for longer than it was before", 10, 500, 3600 * time.Second, true},
		{"a clock that is 5 % slow", 0, 570, 600 * time.Second, false},
		{"ours stood still", 0, 3600, time.Second, true},
		{"ours was set back", 100, 700, -time.Hour, true},
	} {
		var e Epoch
		if e.Update(start, tt.first) {
			t.Errorf("%s: the first answer counts as a loss", tt.name)
		}
		if got := e.Update(start.Add(tt.after), tt.second); got != tt.want {
			t.Errorf("%s: got lost %v, want %v", tt.name, got, tt.want)
		}
	}
}

func FuzzGateway(f *testing.F) {
	f.Add(fromHex(f, pcpAnswerHex))
	f.Add(fromHex(f, "0081 0000 0000002a 115c d431 00001c20"))
	f.Add(fromHex(f, "0080 0000 0000002a 0b000102"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ParsePCP(b); err == nil && a.External.IsValid() {
			if _, ok := usable(a.External); !ok {
				t.Errorf("PCP: %v is no candidate", a.External)
			}
		}
		if a, err := ParsePMP(b); err == nil && a.Address.IsValid() && a.Address.IsUnspecified() {
			t.Errorf("NAT-PMP: %v is no address", a.Address)
		}
	})
}
