package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

// Tuning of keep-alives (spec §5.4.9).
const (
	// defaultKeepAlive is below what any NAT in use keeps a mapping for.
	defaultKeepAlive = 25 * time.Second
	// dialledWaits is how much longer the dialled peer waits than the other, so
	// that one of them speaks.
	dialledWaits = 2 * time.Second
	// unanswered is how long a connection may get no answer before it is lost.
	unanswered = 15 * time.Second
	// keeperLooks bounds the time between two looks at what was sent.
	keeperLooks = 5 * time.Second
	// slept is how much the wall clock may run ahead of the other before this
	// machine was asleep.
	slept = 5 * time.Second
)

// keeping is what the keep-alives of an endpoint's connections share.
type keeping struct {
	found atomic.Int64                 // the lifetime of our NAT's mappings, 0 if unknown
	count atomic.Int64                 // keep-alives sent
	wall  atomic.Pointer[func() int64] // seconds of the wall clock; nil: the system's
	begun time.Time                    // guarded by mu: when the search for the lifetime did
	mu    sync.Mutex
	conns map[chan struct{}]struct{} // to be woken when the network has changed
}

// interval returns how long nothing may be sent on a path.
func (k *keeping) interval() time.Duration {
	if d := k.found.Load(); d > 0 {
		return time.Duration(d)
	}
	return defaultKeepAlive
}

func (k *keeping) add(wake chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conns == nil {
		k.conns = make(map[chan struct{}]struct{})
	}
	k.conns[wake] = struct{}{}
}

func (k *keeping) remove(wake chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, wake)
}

// wakeAll makes all connections send a keep-alive.
func (k *keeping) wakeAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for wake := range k.conns {
		notify(wake)
	}
}

// seconds is the wall clock without the monotonic one.
func (k *keeping) seconds() int64 {
	if wall := k.wall.Load(); wall != nil {
		return (*wall)()
	}
	return time.Now().Unix()
}

// A keeper decides when a connection needs a keep-alive, and when it is lost. It
// looks at the connection's counts now and then: of packets in between it takes
// the earliest moment. Its owner is one goroutine.
type keeper struct {
	every    time.Duration // between two packets of ours
	sent     uint64
	received uint64
	looked   time.Time
	sentAt   time.Time
	own      bool      // the next packet counted is a keep-alive
	waiting  time.Time // since when packets have left and none has come; else zero
	heard    bool      // a packet had come before the last look: one of ours may be its acknowledgement
	wall     int64
}

// step takes the counts, and when the last packet left if that is known. It
// reports whether to send a keep-alive, whether the connection is lost, and when
// to look again.
func (k *keeper) step(now, exact time.Time, sent, received uint64) (ping, lost bool, next time.Time) {
	if k.looked.IsZero() {
		k.looked, k.sentAt = now, now
		k.sent, k.received = sent, received
	}
	switch {
	case received != k.received:
		k.waiting, k.heard = time.Time{}, true
	case sent == k.sent:
	case k.heard:
		k.heard = false
	case k.waiting.IsZero():
		k.waiting = now
	}
	if sent != k.sent && !k.own {
		k.sentAt = k.looked
	}
	if exact.After(k.sentAt) {
		k.sentAt = exact
	}
	k.sent, k.received, k.own, k.looked = sent, received, false, now
	if !now.Before(k.sentAt.Add(k.every)) {
		ping, k.sentAt, k.own = true, now, true
		if k.waiting.IsZero() {
			k.waiting = now
		}
	}
	lost = !k.waiting.IsZero() && now.Sub(k.waiting) >= unanswered
	next = now.Add(keeperLooks)
	if t := k.sentAt.Add(k.every); t.Before(next) {
		next = t
	}
	return ping, lost, next
}

// now makes a keep-alive due.
func (k *keeper) now() { k.sentAt = time.Time{} }

// asleep reports whether this machine slept since it was asked last: the wall
// clock went on without the other.
func (k *keeper) asleep(e *Endpoint, now time.Time) bool {
	wall := e.keeping.seconds()
	was := k.wall
	k.wall = wall
	return was != 0 && !k.looked.IsZero() && time.Duration(wall-was)*time.Second-now.Sub(k.looked) > slept
}

// keepAlive sends the smallest packet that wants an answer.
func (c *Conn) keepAlive() {
	// It fails with the connection.
	_ = c.q.SendDatagram(nil)
	c.e.keeping.count.Add(1)
}

// tend looks after a server connection until its end: it keeps it alive, ends
// it when nothing answers, and with the endpoint.
func (c *Conn) tend() {
	wake := make(chan struct{}, 1)
	c.e.keeping.add(wake)
	defer c.e.keeping.remove(wake)
	var k keeper
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.q.Context().Done():
			return
		case <-c.e.ctx.Done():
			closeQUIC(c.q, codeClosed, "")
			return
		case <-wake:
			k.now()
		case <-timer.C:
		}
		now := time.Now()
		if k.asleep(c.e, now) {
			k.now()
			c.e.networkChanged()
		}
		k.every = c.e.keeping.interval()
		s := c.q.ConnectionStats()
		ping, lost, next := k.step(now, time.Time{}, s.PacketsSent, s.PacketsReceived)
		if lost {
			closeQUIC(c.q, codeLost, "")
			return
		}
		if ping {
			c.keepAlive()
		}
		timer.Reset(max(time.Until(next), 0))
	}
}

// keep does for a connection to a peer what tend does for one to a server. It
// reports whether it is lost.
func (m *manager) keep(now time.Time) (lost bool) {
	if m.keeper.asleep(m.e, now) {
		m.keeper.now()
		m.e.networkChanged()
	}
	m.keeper.every = m.e.keeping.interval()
	if !m.client {
		m.keeper.every += dialledWaits
	}
	s := m.p.q.ConnectionStats()
	exact := m.e.m.start.Add(time.Duration(m.p.link.sentAt.Load()))
	ping, lost, next := m.keeper.step(now, exact, s.PacketsSent, s.PacketsReceived)
	if ping {
		m.p.keepAlive()
	}
	m.keepAt = next
	return lost
}
