package identity

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/vectors.txt; commit it only if the spec changed")

// testInvite has every field.
func testInvite(t testing.TB) Invite {
	t.Helper()
	l, _ := testLocal(t, 1)
	server := func(seed byte, host string, port uint16) ServerAddr {
		k, err := NewServerKey([]byte(strings.Repeat(string(rune(seed)), 32)))
		if err != nil {
			t.Fatal(err)
		}
		return ServerAddr{ID: k.ID(), Host: host, Port: port}
	}
	return Invite{
		Peer: l.PeerID(), Name: "Alice", Secret: [32]byte{1}, Lookup: [32]byte{2}, Expires: testNow,
		Addrs:      []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7350"), netip.MustParseAddrPort("[2001:db8::1]:7350")},
		Relays:     []ServerAddr{server('r', "relay.example.org", 7350)},
		Rendezvous: []ServerAddr{server('v', "198.51.100.7", 7350)},
		KnockInbox: [32]byte{3},
	}
}

// leastInvite works on one local network, without any server.
func leastInvite(t testing.TB) Invite {
	t.Helper()
	l, _ := testLocal(t, 1)
	return Invite{
		Peer: l.PeerID(), Secret: [32]byte{1}, Expires: testNow,
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7350")},
	}
}

// The vectors of spec §2.12, which shows them too.
func TestVectors(t *testing.T) {
	l, recovery := testLocal(t, 1)
	other, _ := testLocal(t, 20)
	raised := *l
	raised.signer = testSecretKey(t, 9)
	x, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	x.Version, x.Epoch, x.Signer = 1, 1, raised.signer.Public()
	x.GrantSignature = recovery.Sign(contextGrant, grantMessage(l.PeerID(), 1, x.Signer))
	if _, err := raised.signed(x, testNow); err != nil {
		t.Fatal(err)
	}
	full := testInvite(t)
	var random [40]byte
	for i := range random {
		random[i] = byte(i)
	}
	vectors := []struct{ name, value string }{
		{"peer id", l.PeerID().String()},
		{"record", fmt.Sprintf("%x", l.Record().Bytes())},
		{"record hash", fmt.Sprintf("%x", l.Record().Hash())},
		{"record in epoch 1", fmt.Sprintf("%x", raised.Record().Bytes())},
		{"secret identity", fmt.Sprintf("%x", l.MarshalSecret())},
		{"invite", full.URI()},
		{"invite, least", leastInvite(t).URI()},
		{"invite knock", fmt.Sprintf("%x", full.Knock())},
		{"invite psk", fmt.Sprintf("%x", full.PSK())},
		{"invite hello", fmt.Sprintf("%x", full.HelloKey())},
		{"invite introduction", fmt.Sprintf("%x", full.IntroKey())},
		{"other peer id", other.PeerID().String()},
		{"words", strings.Join(words(l.PeerID(), other.PeerID()), " ")},
		{"sealed", fmt.Sprintf("%x", sealSecret([]byte("correct horse"), cheap, "SREMP v1 test", []byte("secret"), random))},
	}
	var got strings.Builder
	for _, v := range vectors {
		fmt.Fprintf(&got, "%s: %s\n", v.name, v.value)
	}
	const file = "testdata/vectors.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	spec, err := os.ReadFile("../docs/spec/20-identity.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(spec), string(want)) {
		t.Error("docs/spec/20-identity.md does not show these vectors")
	}
}

func words(a, b PeerID) []string {
	w := VerificationWords(a, b)
	return w[:]
}
