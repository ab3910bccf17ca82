package client

import (
	"time"

	"github.com/sremp/sremp/transport"
)

// Tuning of time-outs. A contact with something outstanding is looked at every
// tickMin while something goes on, and for busyFor after; then ever more seldom,
// up to tickMax. One with nothing outstanding costs nothing: an idle client
// wakes for maintenance only.
const (
	tickMin = 250 * time.Millisecond // how late a time-out may be noticed
	tickMax = time.Minute
	busyFor = 20 * time.Second // over every time-out that is not tied to a retry
)

// outstanding reports whether time alone may make something of c due.
func (c *contact) outstanding() bool {
	return c.flow.NextOut > c.flow.Acked.Next || c.flow.AckDue || c.readDue || len(c.waiting) > 0 || c.filesDue() || c.incomplete() || c.info.Picture.Waits
}

// unfinished reports whether the core is to look at c again.
func (k *core) unfinished(c *contact) bool { return c.outstanding() || k.pictureDue(c) }

// active notes that something goes on with c.
func (k *core) active(c *contact) {
	c.activeAt, c.tickWait = k.now(), tickMin
	if k.unfinished(c) {
		c.tickAt = c.activeAt.Add(tickMin)
		k.wakeAt(c.tickAt)
	}
}

// wakeAt has tick run at t at the latest.
func (k *core) wakeAt(t time.Time) {
	if k.nextTick.IsZero() || t.Before(k.nextTick) {
		k.nextTick = t
	}
}

// clockStep is how much the computer's clock may differ from the time that passed
// before it counts as set.
const clockStep = time.Second

// untilTick is how long the core may sleep. When the clock was set, all that is
// due is reckoned anew: by the old one it would be too early or too late.
func (k *core) untilTick() time.Duration {
	off := k.now().Sub(k.begun.Round(0)) - time.Since(k.begun)
	if (off - k.clockOff).Abs() > clockStep {
		k.clockOff, k.nextTick = off, time.Time{}
	}
	return min(max(k.nextTick.Sub(k.now()), 0), maintainEvery)
}

// tick does what is due, and finds out when it is to run again.
func (k *core) tick() {
	now := k.now()
	k.nextTick = time.Time{}
	if now.Sub(k.maintained).Abs() >= maintainEvery {
		k.maintain()
	}
	k.wakeAt(k.maintained.Add(maintainEvery))
	for _, c := range k.contacts {
		if len(c.expiries) > 0 {
			k.expire(c, now)
		}
		if !k.unfinished(c) {
			continue
		}
		if d := c.tickAt.Sub(now); d <= 0 || d > tickMax {
			k.tickContact(c, now)
		}
		k.wakeAt(c.tickAt)
	}
}

func (k *core) tickContact(c *contact, now time.Time) {
	if (c.sessionLost() || c.unanswerable()) && c.link == nil && !c.self {
		k.askPrekeys(c)
	}
	k.tickReceive(c)
	k.tickGaps(c)
	k.tickSend(c)
	k.tickFiles(c)
	k.tickPicture(c)
	if now.Sub(c.activeAt).Abs() < busyFor {
		c.tickWait = tickMin
	} else {
		c.tickWait = min(2*max(c.tickWait, tickMin), tickMax)
		if c.link == nil && (c.flow.NextOut > c.flow.Acked.Next || c.wantsFiles()) {
			k.pokeSeldom(c)
		}
	}
	c.tickAt = now.Add(c.tickWait)
	if next := c.sending.mail.next; next.After(now) && next.Before(c.tickAt) {
		c.tickAt = next
	}
}

// pokeSeldom has a contact that something waits for looked for: every tickMax, and the
// more seldom the longer it is away. It looks for us when it is there again.
func (k *core) pokeSeldom(c *contact) {
	now := k.steady()
	if c.away.IsZero() {
		c.away = now
	}
	if now.Before(c.pokeAt) {
		return
	}
	c.pokeAt = now.Add(transport.RedialAfter(tickMax, now.Sub(c.away), tickMax))
	k.c.net.poke(c.info.ID)
}
