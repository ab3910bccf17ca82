package client

import (
	"slices"

	"github.com/sremp/sremp/wire"
)

// maxRanges bounds the gaps that one set of counters may have. A sender keeps
// its messages within a window (spec §8.4), so only a hostile one gets there.
const maxRanges = 1024

// A counterSet is a set of message counters: all below Next, and those in
// Ranges. The zero value is not valid: counters start at 1, and so does Next.
type counterSet struct {
	Next   uint64       `json:"next"`
	Ranges []wire.Range `json:"ranges,omitempty"` // ascending, not touching each other or Next
}

func (s *counterSet) has(n uint64) bool {
	if n < s.Next {
		return true
	}
	i, _ := s.search(n)
	return i < len(s.Ranges) && s.Ranges[i].First <= n
}

func (s *counterSet) clone() counterSet { return counterSet{s.Next, slices.Clone(s.Ranges)} }

// search returns the index of the first range that ends at n or later.
func (s *counterSet) search(n uint64) (int, bool) {
	return slices.BinarySearchFunc(s.Ranges, n, func(g wire.Range, n uint64) int {
		switch {
		case g.Last < n:
			return -1
		case g.Last > n:
			return 1
		}
		return 0
	})
}

// add puts n into the set. It reports false, and changes nothing, if n was in
// it or if it would make more than maxRanges gaps.
func (s *counterSet) add(n uint64) bool {
	if s.has(n) || n == 1<<64-1 {
		return false
	}
	if n == s.Next {
		s.Next++
		s.absorb()
		return true
	}
	i, _ := s.search(n) // Ranges[i], if any, lies wholly above n
	joinsLeft := i > 0 && s.Ranges[i-1].Last+1 == n
	joinsRight := i < len(s.Ranges) && s.Ranges[i].First == n+1
	switch {
	case joinsLeft && joinsRight:
		s.Ranges[i-1].Last = s.Ranges[i].Last
		s.Ranges = slices.Delete(s.Ranges, i, i+1)
	case joinsLeft:
		s.Ranges[i-1].Last = n
	case joinsRight:
		s.Ranges[i].First = n
	case len(s.Ranges) >= maxRanges:
		return false
	default:
		s.Ranges = slices.Insert(s.Ranges, i, wire.Range{First: n, Last: n})
	}
	return true
}

// absorb makes Next swallow the ranges that it reached.
func (s *counterSet) absorb() {
	for len(s.Ranges) > 0 && s.Ranges[0].First <= s.Next {
		s.Next = max(s.Next, s.Ranges[0].Last+1)
		s.Ranges = slices.Delete(s.Ranges, 0, 1)
	}
}

// merge adds an acknowledgement's counters below limit and returns the ranges
// that are new. What lies at or above limit was never sent: ok is then false and
// nothing changed.
func (s *counterSet) merge(a wire.Ack, limit uint64) (added []wire.Range, ok bool) {
	if a.Next > limit {
		return nil, false
	}
	if n := len(a.Ranges); n > 0 && a.Ranges[n-1].Last >= limit {
		return nil, false
	}
	all := a.Ranges
	if a.Next > 1 {
		all = append([]wire.Range{{First: 1, Last: a.Next - 1}}, all...)
	}
	for _, g := range all {
		for n := g.First; n <= g.Last; {
			if n < s.Next {
				n = s.Next
				continue
			}
			i, _ := s.search(n)
			if i < len(s.Ranges) && s.Ranges[i].First <= n {
				n = s.Ranges[i].Last + 1
				continue
			}
			last := g.Last
			if i < len(s.Ranges) {
				last = min(last, s.Ranges[i].First-1)
			}
			added = append(added, wire.Range{First: n, Last: last})
			n = last + 1
		}
	}
	for _, g := range added {
		s.insert(g)
	}
	return added, true
}

// insert adds a range that the set has nothing of.
func (s *counterSet) insert(g wire.Range) {
	if g.First == s.Next {
		s.Next = g.Last + 1
		s.absorb()
		return
	}
	i, _ := s.search(g.First)
	s.Ranges = slices.Insert(s.Ranges, i, g)
	if i+1 < len(s.Ranges) && s.Ranges[i+1].First == g.Last+1 {
		s.Ranges[i].Last = s.Ranges[i+1].Last
		s.Ranges = slices.Delete(s.Ranges, i+1, i+2)
	}
	if i > 0 && s.Ranges[i-1].Last+1 == s.Ranges[i].First {
		s.Ranges[i-1].Last = s.Ranges[i].Last
		s.Ranges = slices.Delete(s.Ranges, i, i+1)
	}
}

// gaps returns the ranges through a counter that the set does not have.
func (s *counterSet) gaps(through uint64) (out []wire.Range) {
	at := s.Next
	for _, g := range s.Ranges {
		if g.First > through {
			break
		}
		out = append(out, wire.Range{First: at, Last: g.First - 1})
		at = g.Last + 1
	}
	if at <= through {
		out = append(out, wire.Range{First: at, Last: through})
	}
	return out
}

// isRead reports whether a message of ours was read, through a counter, but for
// those that were not there then.
func isRead(counter, through uint64, past []wire.Range) bool {
	return counter <= through && !slices.ContainsFunc(past, func(g wire.Range) bool { return g.First <= counter && counter <= g.Last })
}

// ack returns what was received as an acknowledgement.
func (f *flow) ack() wire.Ack {
	a := wire.Ack{Epoch: f.InEpoch, Next: f.In.Next, Ranges: f.In.Ranges}
	if len(a.Ranges) > wire.MaxAckRanges {
		a.Ranges = a.Ranges[:wire.MaxAckRanges]
	} else {
		a.Digest = f.InSum
	}
	return a
}
