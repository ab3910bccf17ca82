package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func unhex32(t testing.TB, s string) [32]byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		t.Fatalf("%q: %v", s, err)
	}
	return [32]byte(b)
}

func testSecretKey(t testing.TB, seed byte) SecretKey {
	t.Helper()
	k, err := NewSecretKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testDHKey(t testing.TB, seed byte) DHKey {
	t.Helper()
	k, err := NewDHKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// badEd25519 are the points of small order in all their encodings, and other
// encodings over p.
var badEd25519 = map[string]string{
	"identity point":               "0100000000000000000000000000000000000000000000000000000000000000",
	"identity, x negative":         "0100000000000000000000000000000000000000000000000000000000000080",
	"order 2":                      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order 2, x negative":          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"order 4":                      "0000000000000000000000000000000000000000000000000000000000000000",
	"order 4, negative":            "0000000000000000000000000000000000000000000000000000000000000080",
	"order 8":                      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"order 8, negative":            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"order 8, other":               "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"order 8, other, negative":     "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"identity, non-canonical":      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"order 4, non-canonical":       "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"y = p + 3, non-canonical":     "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"y = 2, not on the curve":      "0200000000000000000000000000000000000000000000000000000000000000",
	"all ones, sign set, over p":   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"y = p + 1, negative, over p":  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"y = p, negative, order 4 too": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// badX25519 are the points of small order of the curve and its twist, and
// encodings over p or with the top bit set.
var badX25519 = map[string]string{
	"zero":               "0000000000000000000000000000000000000000000000000000000000000000",
	"one":                "0100000000000000000000000000000000000000000000000000000000000000",
	"order 8":            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"order 8, other":     "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"p - 1":              "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p":                  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p + 1":              "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p + 9, good point":  "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"9 with the top bit": "0900000000000000000000000000000000000000000000000000000000000080",
	"all ones":           "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// Spec §2.1.
func TestBadKeysAreRefused(t *testing.T) {
	for name, s := range badEd25519 {
		k := unhex32(t, s)
		if err := CheckEd25519(k); !errors.Is(err, ErrBadKey) {
			t.Errorf("Ed25519 %s: got %v, want ErrBadKey", name, err)
		}
		if _, err := ParsePeerID(PeerID(k).String()); !errors.Is(err, ErrBadID) {
			t.Errorf("peer id %s: got %v, want ErrBadID", name, err)
		}
		if _, err := ParseServerID(ServerID(k).String()); !errors.Is(err, ErrBadID) {
			t.Errorf("server id %s: got %v, want ErrBadID", name, err)
		}
	}
	dh := testDHKey(t, 1)
	for name, s := range badX25519 {
		k := unhex32(t, s)
		if err := CheckX25519(k); !errors.Is(err, ErrBadKey) {
			t.Errorf("X25519 %s: got %v, want ErrBadKey", name, err)
		}
		if secret, err := dh.ECDH(k); !errors.Is(err, ErrBadKey) || secret != nil {
			t.Errorf("ECDH %s: got %x, %v; want ErrBadKey", name, secret, err)
		}
	}
	if err := CheckX25519([32]byte{9}); err != nil {
		t.Errorf("base point: got %v, want no error", err)
	}
	if err := CheckEd25519(testSecretKey(t, 1).Public()); err != nil {
		t.Errorf("a key: got %v, want no error", err)
	}
}

// crypto/ed25519 accepts the signature (identity point, 0) of the identity point
// for every message.
func TestIdentityPointSignsNothing(t *testing.T) {
	k := unhex32(t, badEd25519["identity point"])
	var sig [64]byte
	copy(sig[:], k[:])
	if Verify(k, "SREMP v1 test", []byte("anything"), sig) {
		t.Error("the identity point's signature was accepted")
	}
}

// Each context has signatures of its own.
func TestContextsSeparate(t *testing.T) {
	k := testSecretKey(t, 1)
	sig := k.Sign("SREMP v1 a", []byte("bc"))
	for _, tt := range []struct {
		context, msg string
		want         bool
	}{{"SREMP v1 a", "bc", true}, {"SREMP v1 ab", "c", false}, {"SREMP v1 b", "bc", false}, {"SREMP v1 a", "bd", false}} {
		if got := Verify(k.Public(), tt.context, []byte(tt.msg), sig); got != tt.want {
			t.Errorf("Verify(%q, %q) = %v, want %v", tt.context, tt.msg, got, tt.want)
		}
	}
}

// RFC 8032, section 7.1, test 1.
func TestKeyVector(t *testing.T) {
	seed := unhex32(t, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	k, err := NewSecretKey(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Public(), unhex32(t, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"); got != want {
		t.Errorf("Ed25519 public key = %x, want %x", got, want)
	}
}
