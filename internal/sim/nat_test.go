package sim

import (
	"net/netip"
	"testing"
	"time"
)

// A modelled NAT goes on when every port was used once: those that expired are free,
// and when none has, the next one changes hands.
func TestPortsOfANAT(t *testing.T) {
	s := &site{
		kind: symmetric, public: netip.MustParseAddr("203.0.113.1"), life: time.Minute,
		maps: map[mapKey]*mapping{}, ports: map[uint16]*mapping{},
	}
	inside, now := netip.MustParseAddrPort("10.0.0.2:5000"), time.Unix(0, 0)
	to := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i >> 16)}), uint16(i))
	}
	for i := range 70_000 {
		if got := s.translate(now, nil, inside, to(i)); got.Port() < 1024 {
			t.Fatalf("mapping %d has port %d, want 1024 at least", i, got.Port())
		}
	}
	if n := len(s.ports); n != len(s.maps) || n > 1<<16-1024 {
		t.Errorf("%d ports for %d mappings, want as many, and no more than there are", n, len(s.maps))
	}
	last := s.translate(now, nil, inside, to(69_999))
	now = now.Add(30 * time.Second)
	if got := s.translate(now, nil, inside, to(69_999)); got != last {
		t.Errorf("a mapping in use went from %v to %v", last, got)
	}
	// The others have expired: a new one finds a port at once, and not the one in use.
	now = now.Add(45 * time.Second)
	for i := range 64_511 {
		if got := s.translate(now, nil, inside, to(100_000+i)); got == last {
			t.Fatal("the port of a mapping in use was given away while others had expired")
		}
	}
}
