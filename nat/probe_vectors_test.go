package nat

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// Spec §5.22.1 and §5.22.9: probes of each kind. Their nonces are random: they are
// the file's and must open to what is written here.
func TestProbeVectors(t *testing.T) {
	const file = "testdata/probes.txt"
	key := [32]byte(bytes.Repeat([]byte{1}, 32))
	probes := []struct {
		name        string
		controlling bool
		probe       probe
	}{
		{"ping", true, probe{kind: kindPing, tx: transaction{1, 11: 12}, observed: netip.MustParseAddrPort("[::]:0")}},
		{"pong", false, probe{kind: kindPong, tx: transaction{1, 11: 12}, observed: netip.MustParseAddrPort("192.0.2.1:4000")}},
		{"pong_6", false, probe{kind: kindPong, tx: transaction{2}, observed: netip.MustParseAddrPort("[2a0e::1]:1")}},
		{"check", false, probe{kind: kindCheck, tx: transaction{7: 3, 11: 9}, long: 70000, stuck: true}},
		{"report", true, probe{kind: kindReport, tx: transaction{7: 3, 11: 9}, long: 5}},
	}
	if *update {
		var out strings.Builder
		fmt.Fprintf(&out, "# spec 5.22: ping and report are the controlling side's\nkey = %x\n", key)
		for _, p := range probes {
			fmt.Fprintf(&out, "%s = %x\n", p.name, newProbeSealer(key, p.controlling).seal(p.probe))
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			v[name] = value
		}
	}
	for _, p := range probes {
		sealed, err := hex.DecodeString(v[p.name])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := newProbeSealer(key, !p.controlling).open(sealed); !ok || got != p.probe {
			t.Errorf("%s opens as %+v, %v; want %+v", p.name, got, ok, p.probe)
		}
		if _, ok := newProbeSealer(key, p.controlling).open(sealed); ok {
			t.Errorf("%s opens at the side that sent it", p.name)
		}
	}
}
