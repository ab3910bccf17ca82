package identity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

var cheap = KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}

const sealContext = "SREMP v1 test"

func TestSealSecret(t *testing.T) {
	secret := []byte("the database key")
	a := SealSecret([]byte("pass"), cheap, sealContext, secret)
	if got, err := OpenSecret([]byte("pass"), sealContext, a); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("OpenSecret = %q, %v", got, err)
	}
	if b := SealSecret([]byte("pass"), cheap, sealContext, secret); bytes.Equal(a, b) {
		t.Error("sealed twice with one salt")
	}
	if bytes.Contains(a, secret) {
		t.Error("the secret stands in the file")
	}
	if _, err := OpenSecret([]byte("Pass"), sealContext, a); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("wrong passphrase: got %v, want ErrWrongPassphrase", err)
	}
	if _, err := OpenSecret([]byte("pass"), "SREMP v1 other", a); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("wrong context: got %v, want ErrWrongPassphrase", err)
	}
	for i := range a {
		c := bytes.Clone(a)
		c[i] ^= 1
		if got, err := OpenSecret([]byte("pass"), sealContext, c); err == nil {
			t.Fatalf("byte %d changed: got %q", i, got)
		}
	}
	for n := range a {
		if _, err := OpenSecret([]byte("pass"), sealContext, a[:n]); err == nil {
			t.Fatalf("cut to %d bytes: accepted", n)
		}
	}
	if got, err := OpenSecret(nil, sealContext, SealSecret(nil, cheap, sealContext, nil)); err != nil || len(got) != 0 {
		t.Errorf("empty: %q, %v", got, err)
	}
}

// A hostile file gets no memory and no time out of us: each case would take
// minutes or all memory if it were tried.
func TestOpenSecretBounds(t *testing.T) {
	good := SealSecret([]byte("pass"), cheap, sealContext, []byte("x"))
	for _, p := range []KDFParams{
		{1, 100 << 20, 1}, {1, 0xffffffff, 1}, {0xffffffff, 8, 1}, {64, 1 << 20, 4}, {65, 8, 1}, {5, 1 << 20, 1},
		{1, 1 << 10, 255}, {1, 1 << 10, 5}, {1, 31, 4}, {0, 64, 1}, {1, 0, 1}, {1, 64, 0},
	} {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[1:], p.Time)
		binary.BigEndian.PutUint32(b[5:], p.MemoryKiB)
		b[9] = p.Threads
		if _, err := OpenSecret([]byte("pass"), sealContext, b); !errors.Is(err, ErrBadKDF) {
			t.Errorf("%+v: got %v, want ErrBadKDF", p, err)
		}
	}
	b := bytes.Clone(good)
	b[0] = 2
	if _, err := OpenSecret([]byte("pass"), sealContext, b); !errors.Is(err, ErrNotSealed) {
		t.Errorf("format 2: got %v, want ErrNotSealed", err)
	}
}

func TestKDFParams(t *testing.T) {
	if got, want := (KDFParams{}).withDefaults(), DefaultKDF(); got != want || want.MemoryKiB != 64<<10 || want.Time != 3 {
		t.Errorf("zero value = %+v, want %+v", got, want)
	}
	if err := (KDFParams{}).Check(); err != nil {
		t.Errorf("default: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("SealSecret took parameters that OpenSecret refuses")
		}
	}()
	SealSecret(nil, KDFParams{Time: 1, MemoryKiB: 2 << 20, Threads: 1}, sealContext, nil)
}

func FuzzOpenSecret(f *testing.F) {
	f.Add(SealSecret([]byte("pass"), cheap, sealContext, []byte("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 10 && binary.BigEndian.Uint32(b[5:9]) > 1024 && binary.BigEndian.Uint32(b[5:9]) <= maxKDFMemoryKiB {
			return // allowed, but slow
		}
		if _, err := OpenSecret([]byte("other"), sealContext, b); err == nil {
			t.Errorf("opened %x", b)
		}
	})
}
