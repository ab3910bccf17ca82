package transfer

import (
	"slices"

	"github.com/sremp/sremp/wire"
)

// A Set is a set of chunks: ranges, ascending and apart by at least one.
type Set []wire.Range

// Has reports whether a chunk is in the set.
func (s Set) Has(n uint64) bool {
	i, _ := s.search(n)
	return i < len(s) && s[i].First <= n
}

// search returns the index of the first range that ends at n or later.
func (s Set) search(n uint64) (int, bool) {
	return slices.BinarySearchFunc(s, n, func(g wire.Range, n uint64) int {
		switch {
		case g.Last < n:
			return -1
		case g.Last > n:
			return 1
		}
		return 0
	})
}

// Add puts a chunk into the set.
func (s *Set) Add(n uint64) { s.AddRange(wire.Range{First: n, Last: n}) }

// AddRange puts a range of chunks into the set.
func (s *Set) AddRange(g wire.Range) {
	from := 0
	for from < len(*s) && (*s)[from].Last+1 < g.First {
		from++
	}
	to := from
	for to < len(*s) && (*s)[to].First <= g.Last+1 {
		g.First, g.Last = min(g.First, (*s)[to].First), max(g.Last, (*s)[to].Last)
		to++
	}
	*s = slices.Replace(*s, from, to, g)
}

// Union puts all of another set into the set.
func (s *Set) Union(other Set) {
	for _, g := range other {
		s.AddRange(g)
	}
}

// Count returns how many chunks the set has.
func (s Set) Count() (n uint64) {
	for _, g := range s {
		n += g.Last - g.First + 1
	}
	return n
}

// Bytes returns how long the chunks of the set are together, of a file of size
// bytes that has all of them.
func (s Set) Bytes(size uint64) uint64 {
	n := s.Count() * wire.FileChunkLen
	if k := Chunks(size); k > 0 && s.Has(k-1) {
		n -= k*wire.FileChunkLen - size
	}
	return n
}

// Missing returns the first ranges that a file of n chunks has and the set has
// not, at most limit.
func (s Set) Missing(n uint64, limit int) (out Set) {
	next := uint64(0)
	for _, g := range s {
		if g.First > next && len(out) < limit {
			out = append(out, wire.Range{First: next, Last: g.First - 1})
		}
		next = g.Last + 1
	}
	if next < n && len(out) < limit {
		out = append(out, wire.Range{First: next, Last: n - 1})
	}
	return out
}

// Within reports whether all of the set are chunks of a file with n of them.
func (s Set) Within(n uint64) bool { return len(s) == 0 || s[len(s)-1].Last < n }

// Clip returns at most limit ranges, the first ones.
func (s Set) Clip(limit int) Set { return s[:min(len(s), limit)] }
