package transfer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sremp/sremp/wire"
)

// A set is what a list of booleans is, in whatever order it was filled.
func TestSet(t *testing.T) {
	const n = 40
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var s Set
		var want [n]bool
		for range rng.IntN(12) {
			g := wire.Range{First: uint64(rng.IntN(n))}
			g.Last = g.First + uint64(rng.IntN(n-int(g.First)))
			if rng.IntN(2) == 0 {
				g.Last = g.First
			}
			s.AddRange(g)
			for i := g.First; i <= g.Last; i++ {
				want[i] = true
			}
		}
		var missing []uint64
		for _, g := range s.Missing(n, n) {
			for i := g.First; i <= g.Last; i++ {
				missing = append(missing, i)
			}
		}
		count := uint64(0)
		for i, in := range want {
			if s.Has(uint64(i)) != in || slices.Contains(missing, uint64(i)) == in {
				t.Fatalf("%v: chunk %d has %v, missing %v, want %v", s, i, s.Has(uint64(i)), missing, in)
			}
			if in {
				count++
			}
		}
		if s.Count() != count {
			t.Fatalf("%v: %d chunks, want %d", s, s.Count(), count)
		}
		for i := 1; i < len(s); i++ {
			if s[i].First <= s[i-1].Last+1 {
				t.Fatalf("%v: ranges that touch", s)
			}
		}
	}
}

func TestSetBytes(t *testing.T) {
	const size = 2*wire.FileChunkLen + 10
	for want, s := range map[uint64]Set{
		0: nil, wire.FileChunkLen: {{First: 0, Last: 0}}, 10: {{First: 2, Last: 2}}, size: {{First: 0, Last: 2}},
	} {
		if got := s.Bytes(size); got != want {
			t.Errorf("%v has %d bytes, want %d", s, got, want)
		}
	}
	if (Set{{First: 0, Last: 3}}).Within(3) || !(Set{{First: 0, Last: 2}}).Within(3) || !(Set)(nil).Within(0) {
		t.Error("Within is wrong")
	}
	var s Set
	for i := range uint64(10) {
		s.Add(2 * i)
	}
	if got := fmt.Sprint(s.Missing(20, 2)); got != "[{1 1} {3 3}]" {
		t.Errorf("the first two missing ranges are %s", got)
	}
}
