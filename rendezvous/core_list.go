package rendezvous

import (
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A listing is an entry of the public list whose owner is connected.
type listing struct {
	conn    connID
	ttl     time.Duration
	until   time.Time
	last    time.Time // what the owner signed
	renewed bool
}

// mayList reports whether id may put one more entry on the list or off it.
func (c *core) mayList(now time.Time, id connID, who identity.PeerID) wire.RendezvousStatus {
	switch m := c.conns[id]; {
	case !c.allow(now, id, rateRegister):
		return wire.RendezvousBusy
	case m.listing != (identity.PeerID{}) && m.listing != who:
		return wire.RendezvousRefused
	}
	return wire.RendezvousOK
}

// listedBy makes who seen as online through id.
func (c *core) listedBy(now time.Time, id connID, who identity.PeerID, ttl time.Duration, last time.Time) {
	m := c.conns[id]
	if m == nil {
		return
	}
	c.unlisted(who)
	c.listed[who] = &listing{conn: id, ttl: ttl, until: earlier(now.Add(ttl), last), last: last}
	m.listing = who
}

// unlisted forgets who: the caller has checked the owner's signature, or it is
// over.
func (c *core) unlisted(who identity.PeerID) {
	if l := c.listed[who]; l != nil {
		c.conns[l.conn].listing = identity.PeerID{}
		delete(c.listed, who)
	}
}

// isListedOnline reports whether the owner of an entry is connected.
func (c *core) isListedOnline(now time.Time, who identity.PeerID) bool {
	l := c.listed[who]
	return l != nil && now.Before(l.until)
}

// renew extends what a connection has registered and listed, each by the
// lifetime that its owner signed, and returns the shortest. Names of days that
// are over are left to expire. The store learns of it later ([core.takeRenewed]).
func (c *core) renew(now time.Time, id connID) (wire.RendezvousStatus, time.Duration) {
	if !c.allow(now, id, rateRenew) {
		return wire.RendezvousBusy, 0
	}
	m := c.conns[id]
	least := time.Duration(0)
	extend := func(ttl time.Duration) {
		if least == 0 || ttl < least {
			least = ttl
		}
	}
	for name := range m.names {
		p := c.online[name]
		if !now.Before(p.until) || p.period+1 < Period(now) {
			continue
		}
		p.until = now.Add(p.ttl)
		c.renewed[name] = true
		extend(p.ttl)
	}
	if l := c.listed[m.listing]; l != nil && now.Before(l.until) {
		l.until, l.renewed = earlier(now.Add(l.ttl), l.last), true
		extend(l.until.Sub(now))
	}
	if least == 0 {
		return wire.RendezvousNotFound, 0
	}
	return wire.RendezvousOK, least
}

// takeRenewed returns what the store has to learn.
func (c *core) takeRenewed() (records, entries []Renewal) {
	for name := range c.renewed {
		if p := c.online[name]; p != nil {
			records = append(records, Renewal{name, p.until})
		}
	}
	clear(c.renewed)
	for id, l := range c.listed {
		if l.renewed {
			entries = append(entries, Renewal{id, l.until})
			l.renewed = false
		}
	}
	return records, entries
}

// subscribe makes id hear of changes of name. It reports false if it has too
// many subscriptions.
func (c *core) subscribe(id connID, name [32]byte) bool {
	m := c.conns[id]
	if m == nil || !m.subs[name] && len(m.subs) >= c.limits.MaxSubscriptions {
		return false
	}
	if m.subs == nil {
		m.subs = make(map[[32]byte]bool)
	}
	m.subs[name] = true
	if c.subs[name] == nil {
		c.subs[name] = make(map[connID]struct{})
	}
	c.subs[name][id] = struct{}{}
	return true
}

func (c *core) unsubscribe(id connID, name [32]byte) {
	if m := c.conns[id]; m != nil {
		delete(m.subs, name)
	}
	if delete(c.subs[name], id); len(c.subs[name]) == 0 {
		delete(c.subs, name)
	}
}

// subscribers returns who hears of name.
func (c *core) subscribers(name [32]byte) (ids []connID) {
	for id := range c.subs[name] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
