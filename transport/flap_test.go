package transport

import (
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A simEcho sends a number every so often and takes the time between the answers.
type simEcho struct {
	t        *testing.T
	longest  atomic.Int64 // ns between two answers
	answered atomic.Int64
	stop     chan struct{}
	done     chan struct{}
}

func startEcho(t *testing.T, a, b *PeerConn, every time.Duration) *simEcho {
	t.Helper()
	e := &simEcho{t: t, stop: make(chan struct{}), done: make(chan struct{})}
	s, err := a.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if r, err := b.AcceptStream(t.Context()); err == nil {
			io.Copy(r, r)
			r.Close()
		}
	}()
	go func() {
		defer s.Close()
		for n := uint64(0); ; n++ {
			if _, err := s.Write(binary.BigEndian.AppendUint64(nil, n)); err != nil {
				return
			}
			select {
			case <-time.After(every):
			case <-e.stop:
				return
			}
		}
	}()
	go func() {
		defer close(e.done)
		var last time.Time
		for n := uint64(0); ; n++ {
			var x [8]byte
			if _, err := io.ReadFull(s, x[:]); err != nil {
				return
			}
			if got := binary.BigEndian.Uint64(x[:]); got != n {
				t.Errorf("answer %d instead of %d", got, n)
				return
			}
			now := time.Now()
			if d := int64(now.Sub(last)); !last.IsZero() && d > e.longest.Load() {
				e.longest.Store(d)
			}
			last = now
			e.answered.Store(int64(n))
		}
	}()
	return e
}

// gap returns the longest time between two answers since it was asked last.
func (e *simEcho) gap() time.Duration { return time.Duration(e.longest.Swap(0)) }

func (e *simEcho) end() {
	close(e.stop)
	<-e.done
}

// Taking the direct path does not hold up what flows: no gap over one round trip
// through the relay and 20 ms.
func TestSwitchGap(t *testing.T) {
	for _, detour := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			relayRTT := 2 * (simLatency + detour)
			router, _, a, b := simPairCut(t, detour)
			e := startEcho(t, a, b, 5*time.Millisecond)
			time.Sleep(3 * time.Second)
			e.gap()
			router.cut.Store(false)
			waitPath(t, t.Context(), a, PathDirect)
			waitPath(t, t.Context(), b, PathDirect)
			time.Sleep(3 * time.Second)
			got := e.gap()
			t.Logf("figure: paths.5.relay_to_direct_gap_relay_rtt_%dms %d ms at most %d; longest time between two echoes every 5 ms, direct RTT %v", relayRTT.Milliseconds(), got.Milliseconds(), (relayRTT + 20*time.Millisecond).Milliseconds(), simRTT)
			if got > relayRTT+20*time.Millisecond {
				t.Errorf("gap %v, want %v at most", got, relayRTT+20*time.Millisecond)
			}
			e.end()
		})
	}
}

// simPairCut is a pair on the relay, between which nothing passes directly.
func simPairCut(t *testing.T, detour time.Duration) (*cutRouter, *testRelay, *PeerConn, *PeerConn) {
	return simPairRouted(t, false, detour, func(r *cutRouter) { r.cut.Store(true) })
}

// The path changes again and again under bytes; none is lost or doubled, and both
// sides say the same.
func TestFlaps(t *testing.T) {
	flaps := 1000
	if testing.Short() {
		flaps = 40
	}
	synctest.Test(t, func(t *testing.T) {
		router, _, a, b := simPair(t, false)
		stop := make(chan struct{})
		longest := time.Duration(0)
		go func() {
			defer close(stop)
			waitPath(t, t.Context(), a, PathDirect)
			waitPath(t, t.Context(), b, PathDirect)
			time.Sleep(3 * time.Second)
			for i := 0; i < flaps; i += 2 {
				for _, to := range []PathKind{PathRelay, PathDirect} {
					router.cut.Store(to == PathRelay)
					start := time.Now()
					waitPath(t, t.Context(), a, to)
					waitPath(t, t.Context(), b, to)
					if to == PathRelay {
						longest = max(longest, time.Since(start))
					}
				}
				time.Sleep(time.Second) // the way back is validated
			}
		}()
		n := count(t, t.Context(), a, b, 300*time.Millisecond, stop)
		t.Logf("figure: paths.5.flaps %d changes-of-path under %d numbers, none lost or doubled", flaps, n)
		t.Logf("figure: paths.5.flap_slowest %.2f RTT from the cut to both sides on the relay", float64(longest)/float64(simRTT))
	})
}

// Spec §5.4.5: whatever direction is lost, the echo goes on after detection and
// five round trips of the new path.
func TestBlackHoles(t *testing.T) {
	for name, cut := range map[string]func(*cutRouter){
		"both_ways":            func(r *cutRouter) { r.cut.Store(true) },
		"to_the_dialled_side":  func(r *cutRouter) { r.there.Store(true) },
		"to_the_dialling_side": func(r *cutRouter) { r.back.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router, _, a, b := simPair(t, false)
				waitPath(t, t.Context(), a, PathDirect)
				e := startEcho(t, a, b, 50*time.Millisecond)
				time.Sleep(5 * time.Second)
				e.gap()
				start := time.Now()
				cut(router)
				waitPath(t, t.Context(), a, PathRelay)
				detected := time.Since(start)
				waitPath(t, t.Context(), b, PathRelay)
				time.Sleep(3 * time.Second)
				got := e.gap()
				t.Logf("figure: paths.5.virtual_%s_gap %d ms at most detection (%d ms) + 5 RTT of %v", name, got.Milliseconds(), detected.Milliseconds(), simRTT)
				if limit := detected + 5*simRTT; got > limit {
					t.Errorf("gap %v, want %v at most", got, limit)
				}
				if detected > 1200*time.Millisecond {
					t.Errorf("detected after %v, want 6 round trips", detected)
				}
				e.end()
			})
		})
	}
}
