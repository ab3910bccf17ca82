package transport

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

const (
	// fairSpan is over which time shares are compared, and how long a socket that
	// was full counts as such.
	fairSpan = 100 * time.Millisecond
	// fairSlots are what the shares are kept in, by a hash of the address; two who
	// share one share a share.
	fairSlots = 4096
)

// fairness decides who goes first when a socket cannot take all: whoever has had
// least of it lately, so that one session at full blast takes from nobody what
// was his share. It belongs to one reader.
type fairness struct {
	had  [fairSlots]uint32 // bytes since began
	span time.Time         // when it began
	full time.Time         // when the socket was full last
}

func fairSlot(to netip.AddrPort) uint32 {
	a := to.Addr().As16()
	h := uint32(2166136261) // FNV-1a
	for _, b := range a {
		h = (h ^ uint32(b)) * 16777619
	}
	h = (h ^ uint32(to.Port()&0xff)) * 16777619
	h = (h ^ uint32(to.Port()>>8)) * 16777619
	return h % fairSlots
}

// sent notes what was sent to an address.
func (f *fairness) sent(to netip.AddrPort, bytes int) { f.had[fairSlot(to)] += uint32(bytes) }

// order sorts groups by what their addresses have had, if the socket was full
// lately. Groups to one address keep their order.
func (f *fairness) order(now time.Time, groups []group) {
	if now.Sub(f.span) >= fairSpan {
		f.had, f.span = [fairSlots]uint32{}, now
	}
	if now.Sub(f.full) >= fairSpan || len(groups) < 2 {
		return
	}
	// What an address had before each of its groups.
	for i := range groups {
		slot := fairSlot(groups[i].to)
		groups[i].had = f.had[slot]
		f.had[slot] += uint32(groups[i].bytes)
	}
	for i := range groups {
		f.had[fairSlot(groups[i].to)] -= uint32(groups[i].bytes)
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.had, b.had) })
}
