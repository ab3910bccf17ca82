package lan

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

var (
	noon  = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	addrs = []netip.AddrPort{at("192.168.1.5:4444")}
)

func keys(n int) (out []TagKey) {
	for i := range n {
		out = append(out, NewTagKey([32]byte{byte(i), byte(i >> 8), 1}))
	}
	return out
}

func TestTagVector(t *testing.T) {
	head := make([]byte, sealedHeader)
	got := NewTagKey([32]byte{1}).tag(head, addrs)
	if want := "928cfa7b09cae6d5"; hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestSealed(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 64, 65, 200} {
		ks := keys(n)
		bodies := Seal(noon, ks, addrs)
		var parsed []Body
		for _, b := range bodies {
			x, ok := ParseSealed(noon, b, addrs)
			if !ok || (len(b)-sealedHeader)%(tagBucket*tagLen) != 0 || len(b) > MaxBody {
				t.Fatalf("%d keys: a body of %d bytes is refused", n, len(b))
			}
			for i := range len(b) {
				if i-sealedHeader > 0 && (i-sealedHeader)%(tagBucket*tagLen) == 0 {
					continue
				}
				if _, ok := ParseSealed(noon, b[:i], addrs); ok {
					t.Errorf("the first %d bytes are taken", i)
				}
			}
			parsed = append(parsed, x)
		}
		means := func(k TagKey) (n int) {
			for _, b := range parsed {
				if b.Means(k) {
					n++
				}
			}
			return n
		}
		for i, k := range ks {
			if means(k) != 1 {
				t.Errorf("%d keys: key %d is in %d bodies, want 1", n, i, means(k))
			}
		}
		if means(NewTagKey([32]byte{9, 9, 9})) != 0 {
			t.Errorf("%d keys: a stranger is meant", n)
		}
	}
	if got := Seal(noon, keys(5000), addrs); len(got) != MaxSealed {
		t.Errorf("5000 contacts: %d bodies, want %d", len(got), MaxSealed)
	}
	if got := Seal(noon, nil, addrs); got != nil {
		t.Errorf("nobody: got %v", got)
	}
}

// Two announcements for the same contacts have nothing in common, and no more
// than their sizes tell about how many there are.
func TestSealedUnlinkable(t *testing.T) {
	ks := keys(10)
	a, b := Seal(noon, ks, addrs)[0], Seal(noon, ks, addrs)[0]
	if bytes.Equal(a[4:sealedHeader], b[4:sealedHeader]) {
		t.Error("the nonce is the same")
	}
	for i := sealedHeader; i < len(a); i += tagLen {
		if bytes.Contains(b, a[i:i+tagLen]) {
			t.Errorf("tag %d is in both", i)
		}
	}
	if c := Seal(noon, keys(1), addrs)[0]; len(c) != len(a) {
		t.Errorf("1 contact makes %d bytes, 10 make %d", len(c), len(a))
	}
}

// A copy is worth nothing from another address or hours later.
func TestSealedCopy(t *testing.T) {
	k := keys(1)
	b := Seal(noon, k, addrs)[0]
	for _, other := range [][]netip.AddrPort{{at("192.168.1.6:4444")}, {at("192.168.1.5:4445")}, {addrs[0], at("192.168.1.6:4444")}} {
		if x, ok := ParseSealed(noon, b, other); ok && x.Means(k[0]) {
			t.Errorf("it is believed with %v", other)
		}
	}
	for _, off := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		if x, ok := ParseSealed(noon.Add(off), b, addrs); !ok || !x.Means(k[0]) {
			t.Errorf("with clocks %v apart they do not find each other", off)
		}
	}
	for _, off := range []time.Duration{-6 * time.Hour, 6 * time.Hour} {
		if _, ok := ParseSealed(noon.Add(off), b, addrs); ok {
			t.Errorf("it is believed %v later", off)
		}
	}
}

func FuzzSealed(f *testing.F) {
	f.Add(Seal(noon, keys(20), addrs)[0])
	k := NewTagKey([32]byte{9, 9, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, ok := ParseSealed(noon, b, addrs); ok && x.Means(k) {
			t.Error("a tag was guessed")
		}
	})
}
