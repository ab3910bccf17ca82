package relay

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// A meter is a token bucket in one word that needs no lock: the time, in ns, at
// which the bucket will be full again (the generic cell rate algorithm).
type meter struct{ full atomic.Int64 }

// A rate is what a meter lets pass.
type rate struct {
	perUnit float64 // ns
	burst   int64   // ns
}

// rateOf returns the rate of units a second, burst at once.
func rateOf(units, burst float64) rate {
	return rate{1e9 / units, int64(1e9 * burst / units)}
}

// take reports whether n units may pass at now (ns), and counts them if so.
func (m *meter) take(now int64, n int, r rate) bool {
	cost := int64(float64(n) * r.perUnit)
	for {
		full := m.full.Load()
		next := max(full, now) + cost
		if next-now > r.burst {
			return false
		}
		if m.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

// giveBack undoes a take of n units.
func (m *meter) giveBack(n int, r rate) { m.full.Add(-int64(float64(n) * r.perUnit)) }

// meters are the buckets of many, in memory that does not grow. Two of them
// share a bucket by chance, 1 in 65536; the seed keeps anybody from choosing with
// whom.
type meters struct {
	seed maphash.Seed
	all  [1 << 16]meter
}

func newMeters() *meters { return &meters{seed: maphash.MakeSeed()} }

func (ms *meters) ofOwner(owner [32]byte) *meter {
	return &ms.all[uint16(maphash.Bytes(ms.seed, owner[:]))]
}

func (ms *meters) ofAddr(a netip.Addr) *meter {
	return &ms.all[uint16(maphash.Comparable(ms.seed, prefixOf(a)))]
}

// nanos is the clock of meters.
func nanos(t time.Time) int64 { return t.UnixNano() }
