package nat

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// A checkSim is two checkers and a path of 40 ms between them.
type checkSim struct {
	now     time.Time
	c       [2]*Checker
	addr    [2]netip.AddrPort
	traffic [2]Traffic
	wire    []simPacket
	lost    func(from int) bool
	packets int
}

const checkLatency = 20 * time.Millisecond

func newCheckSim() *checkSim {
	s := &checkSim{now: t0, addr: [2]netip.AddrPort{netip.MustParseAddrPort("11.0.0.1:1"), netip.MustParseAddrPort("11.0.0.2:2")}}
	for i := range s.c {
		s.c[i] = NewChecker([32]byte{3}, i == 0)
		s.traffic[i].Lively = true
	}
	for i := range s.c {
		s.c[i].Watch(s.now, s.addr[1-i], s.traffic[i])
	}
	return s
}

// run lets time pass, a millisecond a step, until stop or for d. It returns how
// long it was.
func (s *checkSim) run(d time.Duration, stop func() bool) time.Duration {
	for start := s.now; ; s.now = s.now.Add(time.Millisecond) {
		if s.now.Sub(start) >= d || stop != nil && stop() {
			return s.now.Sub(start)
		}
		for len(s.wire) > 0 && !s.wire[0].at.After(s.now) {
			p := s.wire[0]
			s.wire = s.wire[1:]
			if p.dst == s.addr[p.to] {
				s.c[p.to].HandlePacket(s.now, p.src, p.b, s.traffic[p.to])
			}
		}
		for i, c := range s.c {
			if next := c.NextTimeout(); !next.IsZero() && !s.now.Before(next) {
				c.HandleTimeout(s.now, s.traffic[i])
			}
			for t, ok := c.PollTransmit(); ok; t, ok = c.PollTransmit() {
				s.packets++
				if s.lost == nil || !s.lost(i) {
					s.wire = append(s.wire, simPacket{s.now.Add(checkLatency), 1 - i, s.addr[i], t.To, t.Payload})
				}
			}
		}
	}
}

func (s *checkSim) is(i int, want PathState) func() bool {
	return func() bool { return s.c[i].State(s.now) == want }
}

// Spec §5.22.9: whatever direction is lost, both sides know within 0.4 s, and
// know again when it works again.
func TestCheckSilence(t *testing.T) {
	for name, lost := range map[string]func(from int) bool{
		"both ways": func(int) bool { return true },
		"there":     func(from int) bool { return from == 0 },
		"back":      func(from int) bool { return from == 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newCheckSim()
			for i := range 20 { // packets leave all the time
				s.traffic[0].Sent, s.traffic[1].Sent = uint64(i), uint64(i)
				s.run(100*time.Millisecond, nil)
			}
			if got := s.c[0].RTT(); got < 2*checkLatency || got > 2*checkLatency+2*time.Millisecond {
				t.Errorf("round trip: got %v, want %v", got, 2*checkLatency)
			}
			s.lost = lost
			for i := range s.c {
				s.traffic[i].Sent++
			}
			start := s.now
			s.run(time.Second, func() bool { return s.is(0, PathDead)() && s.is(1, PathDead)() })
			if got := s.now.Sub(start); got > 400*time.Millisecond {
				t.Errorf("known after %v, want 400ms", got)
			}
			s.lost = nil
			if got := s.run(2*time.Second, func() bool { return s.is(0, PathAlive)() && s.is(1, PathAlive)() }); got > time.Second {
				t.Errorf("it works again: known after %v, want 1s", got)
			}
		})
	}
}

// A path that delivers is not given up for lost checks: 5 % of the packets of
// each direction, for an hour.
func TestCheckLoss(t *testing.T) {
	s := newCheckSim()
	r := rand.New(rand.NewPCG(1, 2))
	s.lost = func(int) bool { return r.IntN(20) == 0 }
	suspected := false
	s.run(time.Hour, func() bool {
		s.traffic[0].Sent++
		suspected = suspected || s.is(0, PathSuspect)()
		return s.is(0, PathDead)() || s.is(1, PathDead)()
	})
	if !suspected {
		t.Error("no check was lost: nothing was tested")
	}
	if s.now.Sub(t0) < time.Hour {
		t.Errorf("given up after %v", s.now.Sub(t0))
	}
}

// Long packets that are lost while checks get through make the path narrow, for
// both sides; three probes of path MTU discovery do not, nor do packets that left
// before it was watched.
func TestCheckNarrow(t *testing.T) {
	for side := range 2 {
		s := newCheckSim()
		s.traffic[side].LongSize, s.traffic[side].LongSent = 1400, 100
		s.c[side].Stop()
		s.c[side].Watch(s.now, s.addr[1-side], s.traffic[side])
		s.run(time.Second, nil)
		for range 3 {
			s.traffic[side].LongSize, s.traffic[side].LongSent = s.traffic[side].LongSize-20, 3
			if s.run(time.Second, s.is(0, PathNarrow)); s.is(0, PathNarrow)() {
				t.Fatalf("side %d: narrow because of three lost packets", side)
			}
		}
		for range 20 { // and these arrive
			s.traffic[side].LongSent++
			s.traffic[1-side].LongReceived++
			s.run(100*time.Millisecond, nil)
		}
		if s.is(0, PathNarrow)() || s.is(1, PathNarrow)() {
			t.Fatalf("side %d: narrow although all arrives", side)
		}
		start := s.now
		for range 20 { // and these do not
			s.traffic[side].LongSent++
			s.traffic[side].Sent++
			s.run(50*time.Millisecond, func() bool { return s.is(0, PathNarrow)() && s.is(1, PathNarrow)() })
		}
		if got := s.now.Sub(start); !s.is(0, PathNarrow)() || got > time.Second {
			t.Errorf("side %d: known after %v, want 1s: %v, %v", side, got, s.c[0].State(s.now), s.c[1].State(s.now))
		}
	}
}

// The peer appears at another address: checks go there after it has answered
// from there, and not before.
func TestCheckMoves(t *testing.T) {
	s := newCheckSim()
	s.run(time.Second, nil)
	s.addr[1] = netip.MustParseAddrPort("11.0.0.99:7")
	if got := s.run(2*time.Second, func() bool { return s.c[0].Target() == s.addr[1] }); got > time.Second {
		t.Errorf("moved after %v, want 1s", got)
	}
	if s.run(time.Second, nil); !s.is(0, PathAlive)() {
		t.Errorf("state %v, want alive", s.c[0].State(s.now))
	}
}

// A copy of a check draws no packet, to wherever its source says, nor does a
// reflected one, nor one of another connection.
func TestCheckHostile(t *testing.T) {
	s := newCheckSim()
	var copies [][]byte
	s.lost = func(int) bool { return false }
	for range 1000 {
		s.run(time.Millisecond, nil)
		for _, p := range s.wire {
			copies = append(copies, p.b)
		}
	}
	s.run(time.Second, nil)
	if len(copies) == 0 {
		t.Fatal("nothing was recorded")
	}
	victim := netip.MustParseAddrPort("11.0.0.66:6")
	other := NewChecker([32]byte{4}, true)
	for _, b := range copies {
		for i, c := range append(s.c[:], other) {
			if c.HandlePacket(s.now, victim, b, Traffic{}) {
				t.Errorf("checker %d took a copy", i)
			}
			if x, ok := c.PollTransmit(); ok {
				t.Fatalf("checker %d sent a packet to %v", i, x.To)
			}
		}
	}
}

// Nothing is sent when the application is not there.
func TestCheckIdle(t *testing.T) {
	s := newCheckSim()
	s.run(time.Second, nil)
	for i := range s.traffic {
		s.traffic[i].Lively = false
	}
	s.run(time.Second, nil)
	before := s.packets
	s.run(time.Hour, nil)
	if s.packets != before {
		t.Errorf("%d packets in an idle hour, want 0", s.packets-before)
	}
}
