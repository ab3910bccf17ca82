package rendezvous

import (
	"bytes"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/edwards25519"

	"github.com/sremp/sremp/identity"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testKey returns the identity key of a seed of n's.
func testKey(t testing.TB, n byte) identity.SecretKey {
	t.Helper()
	k, err := identity.NewSecretKey(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestTorVectors checks the blinding against Tor's own vectors
// (testdata/tor-blinding.txt; spec §7.2.1).
func TestTorVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/tor-blinding.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		n++
		seed, public, parameter, secret, blinded := unhex(t, f[0]), unhex(t, f[1]), [32]byte(unhex(t, f[2])), unhex(t, f[3]), unhex(t, f[4])
		k, err := identity.NewSecretKey(seed)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Public(); !bytes.Equal(got[:], public) {
			t.Fatalf("public key %x, want %x", got, public)
		}
		bk := blindWith(k, parameter)
		if got := append(bk.scalar.Bytes(), bk.prefix[:]...); !bytes.Equal(got, secret) {
			t.Errorf("blinded secret %x, want %x", got, secret)
		}
		if !bytes.Equal(bk.public[:], blinded) {
			t.Errorf("blinded public %x, want %x", bk.public, blinded)
		}
		p, err := new(edwards25519.Point).SetBytes(public)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.ScalarMult(blindingFactor(parameter), p).Bytes(); !bytes.Equal(got, blinded) {
			t.Errorf("blinded public from the public key %x, want %x", got, blinded)
		}
	}
	if n != 10 {
		t.Errorf("%d vectors, want 10", n)
	}
}

// TestBlindedScalarBig derives a blinded scalar with the integers of math/big.
func TestBlindedScalarBig(t *testing.T) {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	little := func(b []byte) *big.Int {
		r := bytes.Clone(b)
		for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
			r[i], r[j] = r[j], r[i]
		}
		return new(big.Int).SetBytes(r)
	}
	clamped := func(b []byte) *big.Int {
		c := bytes.Clone(b[:32])
		c[0] &= 248
		c[31] = c[31]&63 | 64
		return little(c)
	}
	k, lookup := testKey(t, 3), [32]byte{5}
	id := k.Public()

	parameter := []byte("SREMP v1 rendezvous blinding\x00")
	parameter = append(append(parameter, id[:]...), lookup[:]...)
	parameter = binary.BigEndian.AppendUint64(parameter, 20000)
	parameter = binary.BigEndian.AppendUint64(parameter, 86400)
	h := sha3.Sum256(parameter)
	a := sha512.Sum512(bytes.Repeat([]byte{3}, 32))
	want := new(big.Int).Mul(clamped(h[:]), clamped(a[:]))
	want.Mod(want, order)

	if got := little(blindKey(k, lookup, 20000).scalar.Bytes()); got.Cmp(want) != 0 {
		t.Errorf("scalar %x, want %x", got, want)
	}
}

func TestBlindedNames(t *testing.T) {
	k := testKey(t, 1)
	id, lookup := identity.PeerID(k.Public()), [32]byte{9}
	base := BlindedName(id, lookup, 100)
	if bk := blindKey(k, lookup, 100); bk.public != base.Blinded {
		t.Errorf("private half gives %x, public half %x", bk.public, base.Blinded)
	}
	if err := identity.CheckEd25519(base.Blinded); err != nil {
		t.Errorf("the blinded key: %v", err)
	}
	other := identity.PeerID(testKey(t, 2).Public())
	for what, n := range map[string]Name{
		"another day":           BlindedName(id, lookup, 101),
		"another lookup secret": BlindedName(id, [32]byte{8}, 100),
		"another identity":      BlindedName(other, lookup, 100),
	} {
		if n.Blinded == base.Blinded {
			t.Errorf("%s has the same name", what)
		}
	}
	if n := BlindedName(identity.PeerID{1}, lookup, 100); n != (Name{}) {
		t.Errorf("a key of small order has the name %x", n.Blinded)
	}
}

// A blinded key's signature is accepted under its name alone, and as Ed25519 of
// RFC 8032 by the standard library.
func TestBlindedSignature(t *testing.T) {
	k := testKey(t, 1)
	bk := blindKey(k, [32]byte{9}, 100)
	sig := bk.sign("SREMP v1 test", []byte("message"))
	if !identity.Verify(bk.public, "SREMP v1 test", []byte("message"), sig) {
		t.Error("own signature refused")
	}
	for what, ok := range map[string]bool{
		"another context": identity.Verify(bk.public, "SREMP v1 tes", []byte("message"), sig),
		"another message": identity.Verify(bk.public, "SREMP v1 test", []byte("Message"), sig),
		"the identity":    identity.Verify(k.Public(), "SREMP v1 test", []byte("message"), sig),
		"another day":     identity.Verify(blindKey(k, [32]byte{9}, 101).public, "SREMP v1 test", []byte("message"), sig),
	} {
		if ok {
			t.Errorf("the signature holds for %s", what)
		}
	}
	if again := bk.sign("SREMP v1 test", []byte("message")); again != sig {
		t.Error("signing is not deterministic")
	}
	// One nonce for two keys and one message would give both keys away.
	if o := blindKey(testKey(t, 2), [32]byte{9}, 100).sign("SREMP v1 test", []byte("message")); bytes.Equal(o[:32], sig[:32]) {
		t.Error("two keys use one nonce")
	}
}

func TestPeriod(t *testing.T) {
	for s, want := range map[string]uint64{
		"1970-01-01T23:59:59Z": 0, "1970-01-02T00:00:00Z": 1, "2026-01-01T00:00:00Z": 20454, "1969-12-31T23:59:59Z": 0,
	} {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := Period(at); got != want {
			t.Errorf("%s: got %d, want %d", s, got, want)
		}
	}
}

// TestDerived pins what other implementations must derive (spec §7.2, §7.3.2).
func TestDerived(t *testing.T) {
	k, lookup := testKey(t, 1), [32]byte(bytes.Repeat([]byte{2}, 32))
	id := identity.PeerID(k.Public())
	bk := blindKey(k, lookup, 20454)
	sig := bk.sign(contextRegistration, []byte("message"))
	var got strings.Builder
	fmt.Fprintf(&got, "identity_seed %x\nidentity %x\nlookup %x\nperiod 20454\n", k.Seed(), id[:], lookup)
	fmt.Fprintf(&got, "parameter %x\nblinded_scalar %x\nblinded_prefix %x\nblinded %x\n", blindingParameter(id, lookup, 20454), bk.scalar.Bytes(), bk.prefix, bk.public)
	fmt.Fprintf(&got, "registration_signature_of_message %x\n", sig)
	for _, c := range []string{contextRecordKey, contextOfferKey, contextAnswerKey} {
		// The keys show in what they seal.
		fmt.Fprintf(&got, "%s: %x\n", c, periodAEAD(c, id, lookup, 20454).Seal(nil, make([]byte, 24), nil, nil))
	}
	const file = "testdata/derived.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("derived values differ from %s:\n%s", file, got.String())
	}
}
