package transport

import (
	"net/netip"
	"testing"
	"time"
)

// Spec §5.22.7: one endpoint spends 1100 extra probes an hour on an address, over
// all searches, and counts a bounded number of addresses.
func TestExtraBudget(t *testing.T) {
	var b budgetTable
	now := time.Unix(1_800_000_000, 0)
	victim := netip.MustParseAddr("203.0.113.9")
	spend := func() (n int) {
		for range 3 * extraPerHour {
			if b.spend(now, victim) {
				n++
			}
		}
		return n
	}
	if got := spend(); got != extraPerHour {
		t.Errorf("got %d, want %d", got, extraPerHour)
	}
	now = now.Add(59 * time.Minute)
	if got := spend(); got != 0 {
		t.Errorf("within the hour: got %d more, want 0", got)
	}
	now = now.Add(2 * time.Minute)
	if got := spend(); got != extraPerHour {
		t.Errorf("after an hour: got %d, want %d", got, extraPerHour)
	}
	for i := range 10 * maxBudgets {
		b.spend(now, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
	}
	if len(b.spent) > maxBudgets {
		t.Errorf("%d addresses counted, want at most %d", len(b.spent), maxBudgets)
	}
	if b.spend(now, victim) {
		t.Error("a flood of addresses reset a victim's budget")
	}
}
