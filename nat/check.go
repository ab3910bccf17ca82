package nat

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"time"
)

// Tuning of checks (spec §5.22.9).
const (
	// checkBusy lies between two checks while packets leave, checkQuiet while
	// none do; checkBurst while an answer is missing.
	checkBusy  = 100 * time.Millisecond
	checkQuiet = 500 * time.Millisecond
	checkBurst = 10 * time.Millisecond
	// checkMissed checks in a row without an answer are no bad luck: at a loss of
	// 5 % in each direction that happens once in 10^8.
	checkMissed = 8
	// checkSlack is how much later than the round trip an answer may be.
	checkSlack = 50 * time.Millisecond
	// firstCheckRTT is assumed before a round trip was seen.
	firstCheckRTT = 200 * time.Millisecond
	// longLost packets of one length, all lost while checks get through, and for
	// as long as longReports answers: path MTU discovery loses three of each.
	longLost    = 4
	longReports = 2
	maxPending  = 64
)

// LongPacket is how long a packet must be for [Traffic]'s counts: what every
// path of QUIC carries.
const LongPacket = 1200

// A PathState is what is known of the path in use.
type PathState uint8

// The states of a path.
const (
	PathAlive   PathState = iota
	PathSuspect           // an answer is missing
	PathDead              // nothing gets through, in one direction at least
	PathNarrow            // short packets get through and long ones do not
)

// Traffic is what has gone over the path, as the shell counts it.
type Traffic struct {
	// Lively: the application has used the connection just now. Else nothing is
	// checked: no keep-alive is lost for it.
	Lively       bool
	Sent         uint64 // packets
	LongSize     uint32 // of the last long packet
	LongSent     uint32 // long packets of that size in a row
	LongReceived uint32 // long packets
}

// A Checker watches the direct path of one connection with sealed probes, beside
// QUIC, which would tell of losses only after back-offs, and not of those of one
// direction. It must not be used by two goroutines at a time.
type Checker struct {
	sealer probeSealer
	target netip.AddrPort // invalid: not watching
	seq    uint64         // of our last check
	seen   uint64         // of the peer's last
	out    []Transmit

	pending []check   // not answered, nor a later one; oldest first
	polled  time.Time // when HandleTimeout was last called
	last    time.Time // when the last check left
	sent    uint64    // Traffic.Sent then
	now     Traffic   // the latest
	srtt    time.Duration
	rttvar  time.Duration

	arrived  uint32 // of our long packets, by the peer's last word
	size     uint32 // of the long packets counted by base
	base     uint32 // Traffic.LongSent when one was last known to have arrived
	idle     int    // reports in a row that knew no more, although long packets had left
	stuck    bool   // ours do not arrive
	stuckToo bool   // the peer's neither
}

type check struct {
	tx   transaction
	seq  uint64
	at   time.Time
	to   netip.AddrPort
	size uint32 // Traffic then
	left uint32
	long bool // longLost packets had left since one arrived
}

// NewChecker returns a Checker for a connection. Key is known to its two ends
// only and to no search.
func NewChecker(key [32]byte, controlling bool) *Checker {
	return &Checker{sealer: newProbeSealer(key, controlling)}
}

// Watch begins to check the path to an address, or goes on with another address
// of the same peer. t is what has gone over it so far.
func (c *Checker) Watch(now time.Time, to netip.AddrPort, t Traffic) {
	if to == c.target {
		return
	}
	c.now = t
	c.Stop()
	c.target = to
	c.polled = now
}

// Stop ends checking. Checks of the peer are answered then too.
func (c *Checker) Stop() {
	c.target, c.pending, c.last = netip.AddrPort{}, nil, time.Time{}
	c.idle, c.stuck, c.stuckToo = 0, false, false
	c.base, c.size = c.now.LongSent, c.now.LongSize
}

// CheckNow makes the next check due.
func (c *Checker) CheckNow() { c.last = time.Time{} }

// Excuse forgets the answers that are missing: this machine was asleep.
func (c *Checker) Excuse() { c.pending = nil }

// Target returns the address that is checked. It changes when answers come from
// another one of the peer's and none from this.
func (c *Checker) Target() netip.AddrPort { return c.target }

// RTT returns the smoothed round trip, 0 before there was one.
func (c *Checker) RTT() time.Duration { return c.srtt }

func (c *Checker) patience() time.Duration {
	if c.srtt == 0 {
		return firstCheckRTT + checkSlack
	}
	return c.srtt + max(checkSlack, 4*c.rttvar)
}

// State returns what is known of the path now.
func (c *Checker) State(now time.Time) PathState {
	switch late := c.late(now); {
	case late >= checkMissed:
		return PathDead
	case c.stuck || c.stuckToo:
		return PathNarrow
	case late > 0:
		return PathSuspect
	}
	return PathAlive
}

// late returns how many checks should have been answered.
func (c *Checker) late(now time.Time) (n int) {
	for _, p := range c.pending {
		if now.Sub(p.at) >= c.patience() {
			n++
		}
	}
	return n
}

// HandleTimeout must be called when [Checker.NextTimeout] is reached, with what
// has gone over the path by then. Calling it early is harmless.
func (c *Checker) HandleTimeout(now time.Time, t Traffic) {
	c.polled = now
	c.take(t)
	if !c.target.IsValid() {
		return
	}
	if due := c.due(now); !due.IsZero() && !now.Before(due) {
		c.check(now, c.target)
		c.last, c.sent = now, t.Sent
	}
}

func (c *Checker) take(t Traffic) {
	c.now = t
	if t.LongSize != c.size || t.LongSent < c.base {
		c.size, c.base, c.idle = t.LongSize, 0, 0
	}
}

// due returns when the next check is, the zero time if there is none.
func (c *Checker) due(now time.Time) time.Time {
	late := c.late(now)
	switch {
	case late > 0 && late < checkMissed:
		return c.last.Add(checkBurst)
	case !c.now.Lively:
		return time.Time{}
	case c.idle > 0 || c.sent != c.now.Sent && late == 0:
		return c.last.Add(checkBusy)
	}
	return c.last.Add(checkQuiet)
}

// NextTimeout returns when to call [Checker.HandleTimeout], or the zero time.
func (c *Checker) NextTimeout() time.Time {
	if !c.target.IsValid() || !c.now.Lively && len(c.pending) == 0 {
		return time.Time{}
	}
	next := c.polled.Add(checkBusy) // to see whether packets leave
	if due := c.due(c.polled); !due.IsZero() && due.Before(next) {
		next = due
	}
	for _, p := range c.pending {
		if t := p.at.Add(c.patience()); t.After(c.polled) && t.Before(next) {
			next = t
		}
	}
	return next
}

func (c *Checker) check(now time.Time, to netip.AddrPort) {
	c.seq++
	p := check{seq: c.seq, at: now, to: to, size: c.now.LongSize, left: c.now.LongSent, long: c.now.LongSent-c.base >= longLost}
	binary.BigEndian.PutUint64(p.tx[:], c.seq)
	rand.Read(p.tx[8:])
	if len(c.pending) >= maxPending {
		c.pending = c.pending[1:]
	}
	c.pending = append(c.pending, p)
	c.transmit(to, probe{kind: kindCheck, tx: p.tx})
}

func (c *Checker) transmit(to netip.AddrPort, p probe) {
	p.long, p.stuck = c.now.LongReceived, c.stuck
	c.out = append(c.out, Transmit{To: to, Payload: c.sealer.seal(p)})
}

// PollTransmit returns the next datagram to send.
func (c *Checker) PollTransmit() (Transmit, bool) {
	if len(c.out) == 0 {
		return Transmit{}, false
	}
	t := c.out[0]
	c.out = c.out[1:]
	return t, true
}

// HandlePacket processes a datagram. It reports false, and does nothing, when
// the datagram is no authentic check or report of this connection, or a copy. t is
// what has gone over the path by now.
func (c *Checker) HandlePacket(now time.Time, from netip.AddrPort, b []byte, t Traffic) bool {
	p, ok := c.sealer.open(b)
	if !ok {
		return false
	}
	from, ok = usable(from)
	if !ok {
		return false
	}
	c.take(t)
	switch p.kind {
	case kindCheck:
		// A copy would draw packets to wherever it says it comes from.
		seq := binary.BigEndian.Uint64(p.tx[:])
		if seq <= c.seen {
			return false
		}
		c.seen = seq
		c.transmit(from, probe{kind: kindReport, tx: p.tx})
		if c.target.IsValid() && from != c.target && c.late(now) > 0 {
			c.check(now, from) // its NAT, or network, is another one
		}
	case kindReport:
		return c.report(now, from, p)
	default:
		return false
	}
	return true
}

func (c *Checker) report(now time.Time, from netip.AddrPort, p probe) bool {
	for i, x := range c.pending {
		if x.tx != p.tx {
			continue
		}
		if x.to != from {
			return false
		}
		c.pending = c.pending[i+1:]
		c.measure(now.Sub(x.at))
		if x.to != c.target {
			c.target, c.pending = x.to, nil
			c.base, c.size, c.idle = c.now.LongSent, c.now.LongSize, 0
		}
		c.long(x, p)
		return true
	}
	return false
}

func (c *Checker) measure(rtt time.Duration) {
	if c.srtt == 0 {
		c.srtt, c.rttvar = rtt, rtt/2
		return
	}
	c.rttvar += (max(rtt-c.srtt, c.srtt-rtt) - c.rttvar) / 4
	c.srtt += (rtt - c.srtt) / 8
}

// long compares what the peer has got of our long packets with what we sent.
func (c *Checker) long(x check, p probe) {
	c.stuckToo = p.stuck
	switch {
	case p.long != c.arrived:
		c.arrived, c.base, c.idle, c.stuck = p.long, 0, 0, false
		if x.size == c.now.LongSize {
			c.base = x.left
		}
	case x.long:
		c.idle++
		c.stuck = c.idle >= longReports
	}
}
