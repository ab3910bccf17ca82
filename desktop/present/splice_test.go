package present

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestSplices(t *testing.T) {
	for _, tt := range []struct {
		what     string
		old, new string
		want     []Splice
	}{
		{"nothing", "", "", nil},
		{"the same", "a b c", "a b c", nil},
		{"first rows", "", "a b c", []Splice{{0, 0, 3}}},
		{"all gone", "a b c", "", []Splice{{0, 3, 0}}},
		{"one more at the end", "a b", "a b c", []Splice{{2, 0, 1}}},
		{"one less in the middle", "a b c", "a c", []Splice{{1, 1, 0}}},
		{"earlier ones", "day c d", "day a b c d", []Splice{{1, 0, 2}}},
		{"earlier ones, and the last fall out", "day c d e f", "day a b c d", []Splice{{3, 2, 0}, {1, 0, 2}}},
		{"later ones, and the first fall out", "a b c d", "c d e f", []Splice{{4, 0, 2}, {0, 2, 0}}},
		{"another conversation of as many", "day a b c", "day x y z", nil},
		{"another conversation of more", "a b", "x y z", []Splice{{2, 0, 1}}},
		{"another conversation of fewer", "a b c", "x", []Splice{{1, 2, 0}}},
	} {
		old, new := strings.Fields(tt.old), strings.Fields(tt.new)
		if got := Splices(old, new); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, got, tt.want)
		}
	}
}

// Whatever changes, the places are as many as the rows in the end, and no splice
// reaches beyond the places there are.
func TestSplicesFit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	keys := func() []string {
		var k []string
		for _, i := range rnd.Perm(8)[:rnd.IntN(9)] {
			k = append(k, string(rune('a'+i)))
		}
		if rnd.IntN(2) == 0 {
			slices.Sort(k)
		}
		return k
	}
	for range 20_000 {
		old, new := keys(), keys()
		places := len(old)
		for _, s := range Splices(old, new) {
			if s.At < 0 || s.Gone < 0 || s.Added < 0 || s.At+s.Gone > places {
				t.Fatalf("%v to %v: %+v of %d places", old, new, s, places)
			}
			places += s.Added - s.Gone
		}
		if places != len(new) {
			t.Fatalf("%v to %v: got %d places, want %d", old, new, places, len(new))
		}
	}
}
