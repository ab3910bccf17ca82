package transport

import (
	"math/rand/v2"
	"time"
)

const (
	redialSoon = 30 * time.Second
	redialMax  = 10 * time.Minute
	// redialPart is how much longer a server was away than the pause after that: a dial
	// that nobody answers costs some 30 packets, and one that waits finds the server
	// later by that part at most.
	redialPart = 8
)

// A Redial spaces the dials of a server that does not answer. The zero value has
// none behind it. It is for one goroutine.
type Redial struct {
	since time.Time // of the first that failed
	wait  time.Duration
}

// Failed returns the pause after a dial that failed: it doubles from min up to 30 s,
// and is an eighth of the time that the server was away, up to 10 min, where that
// is more. Each is between half and one and a half times as long.
func (r *Redial) Failed(min time.Duration) time.Duration {
	now := time.Now()
	if r.since.IsZero() {
		r.since = now
	}
	r.wait = max(min, RedialAfter(r.wait, now.Sub(r.since), redialSoon))
	return r.wait/2 + rand.N(r.wait)
}

// Answered has the next pause begin anew: the server was there, or the network has
// changed.
func (r *Redial) Answered() { *r = Redial{} }

// RedialAfter returns the pause after a pause and a whole outage: twice as long up to
// soon, and an eighth of the outage, up to 10 min, where that is more.
func RedialAfter(pause, outage, soon time.Duration) time.Duration {
	return max(min(2*pause, soon), min(outage/redialPart, redialMax))
}
