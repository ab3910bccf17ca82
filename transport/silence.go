package transport

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/wire"
)

// Tuning of what is sent over a leg that falls silent (spec §6.6.5).
const (
	silenceLooks = 100 * time.Millisecond // between two looks, while something comes
	silenceEnds  = 2 * time.Second        // since the last packet
)

// silences are after how long without a packet a leg says that it is there.
var silences = [...]time.Duration{200 * time.Millisecond, 450 * time.Millisecond, 950 * time.Millisecond}

// A silenceWatch lets the relay hear from both sides of a session. One that has
// restarted asks those from whom packets come (spec §6.6.5); the side that only
// receives would send none until it is asked.
type silenceWatch struct {
	awake atomic.Bool
	wake  chan struct{}
}

// heard notes that a packet came over some leg.
func (w *silenceWatch) heard() {
	if !w.awake.Load() && w.awake.CompareAndSwap(false, true) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// run looks after the legs of m until ctx ends. It sleeps while none is in use.
func (w *silenceWatch) run(ctx context.Context, m *mux) {
	said := map[uint64]int{} // sessions of silent legs, and how often they have spoken
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
		t := time.NewTicker(silenceLooks)
		for m.speak(said) {
			select {
			case <-t.C:
				continue
			case <-ctx.Done():
			}
			break
		}
		t.Stop()
		w.awake.Store(false)
	}
}

// speak sends an empty frame over each leg that has been silent for as long as
// silences say, and reports whether any has been in use lately.
func (m *mux) speak(said map[uint64]int) (busy bool) {
	now := m.now()
	for _, leg := range m.paths.legs() {
		if leg.owner.Load() == nil || leg.heard.Load() == 0 {
			continue
		}
		silent := time.Duration(now - leg.heard.Load())
		if silent > silenceEnds {
			delete(said, leg.Session)
			continue
		}
		busy = true
		n := said[leg.Session]
		if silent < silences[0] {
			delete(said, leg.Session)
		} else if n < len(silences) && silent >= silences[n] {
			said[leg.Session] = n + 1
			// As long as a challenge, or the relay would not ask; zeros are no QUIC.
			b := make([]byte, wire.ForwardChallengeLen)
			wire.SealForward(b, leg.Side, leg.Session, leg.counter.Add(1), leg.Key)
			m.send(leg.Server, b)
		}
	}
	if !busy {
		clear(said)
	}
	return busy
}
