package client

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sremp/sremp/wire"
)

// A counterSet does what a map does, whatever the order.
func TestCounterSet(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, want := counterSet{Next: 1}, map[uint64]bool{}
		for range 300 {
			n := 1 + r.Uint64N(200)
			if got := s.add(n); got == want[n] {
				t.Fatalf("seed %d: add(%d) = %v", seed, n, got)
			}
			want[n] = true
			checkSet(t, s, want)
		}
	}
}

func checkSet(t *testing.T, s counterSet, want map[uint64]bool) {
	t.Helper()
	for n := uint64(1); n < 210; n++ {
		if s.has(n) != want[n] {
			t.Fatalf("has(%d) = %v in %+v", n, !want[n], s)
		}
	}
	// What it sends must be what the wire accepts.
	if _, err := wire.ParseAck((&flow{In: s, InEpoch: 1}).ack().Append(nil)); err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
}

func TestCounterSetMerge(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		mine, want := counterSet{Next: 1}, map[uint64]bool{}
		theirs := counterSet{Next: 1}
		for range 30 {
			for range 5 {
				theirs.add(1 + r.Uint64N(100))
			}
			added, ok := mine.merge((&flow{In: theirs}).ack(), 101)
			if !ok {
				t.Fatal("refused")
			}
			for _, g := range added {
				for n := g.First; n <= g.Last; n++ {
					if want[n] {
						t.Fatalf("seed %d: %d reported twice", seed, n)
					}
					want[n] = true
				}
			}
			checkSet(t, mine, want)
			if fmt.Sprint(mine) != fmt.Sprint(theirs) && len(theirs.Ranges) <= wire.MaxAckRanges {
				t.Fatalf("seed %d: merged %+v, want %+v", seed, mine, theirs)
			}
		}
	}
}

// An acknowledgement of what was never sent is refused whole.
func TestMergeRefusesTheFuture(t *testing.T) {
	for _, a := range []wire.Ack{
		{Next: 7}, {Next: 2, Ranges: []wire.Range{{First: 4, Last: 6}}}, {Next: 1 << 63},
	} {
		s := counterSet{Next: 1}
		if added, ok := s.merge(a, 6); ok || len(added) > 0 || s.Next != 1 {
			t.Errorf("merge(%+v) of 5 messages = %v, %v, %+v", a, added, ok, s)
		}
	}
}

func TestCounterSetIsBounded(t *testing.T) {
	s := counterSet{Next: 1}
	for n := uint64(2); n < 10*maxRanges; n += 2 {
		s.add(n)
	}
	if len(s.Ranges) != maxRanges {
		t.Errorf("%d ranges, want %d", len(s.Ranges), maxRanges)
	}
	if s.add(1<<64 - 1) {
		t.Error("the last value was accepted")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	var key [32]byte
	copy(key[:], "0123456789abcdef0123456789abcdef")
	x := struct {
		s     secret
		S     secret
		h     hidden
		inner *contactInfo
		C     contactInfo
		P     profile
	}{s: newSecret(key), S: newSecret(key), h: newHidden(key[:])}
	x.C.PSK, x.P.Lookup, x.P.Local = x.S, x.S, x.h
	x.inner = &x.C
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{x, &x, x.s, x.h, x.C, x.P} {
			got := fmt.Sprintf(verb, v)
			for _, leak := range []string{"0123456789abcdef", "3031323334353637", "48 49 50 51", "0x30, 0x31"} {
				if strings.Contains(got, leak) {
					t.Errorf("%s prints %s", verb, got)
				}
			}
		}
	}
}

func TestSecretText(t *testing.T) {
	s := randomSecret()
	b, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var got secret
	if err := got.UnmarshalText(b); err != nil || got.bytes() != s.bytes() {
		t.Errorf("round trip: %v", err)
	}
	for _, bad := range []string{"00", strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
