package rendezvous

import (
	"net/netip"
	"time"
)

// A place is what one network prefix uses. It outlives its connections, so that
// a new connection is no new allowance.
type place struct {
	conns int
	spent [rateKinds]bucket
}

// A rateKind is a kind of request that is counted.
type rateKind int

const (
	rateRegister rateKind = iota
	rateRenew
	rateLookup
	rateBrowse
	rateIntroduce
	rateKinds
)

func (l *Limits) rate(k rateKind) Rate {
	return [rateKinds]Rate{l.Register, l.Renew, l.Lookup, l.Browse, l.Introduce}[k]
}

// allow counts a request of a connection, and of the place that it comes from.
func (c *core) allow(now time.Time, id connID, k rateKind) bool {
	m := c.conns[id]
	if m == nil {
		return false
	}
	r, n := c.limits.rate(k), c.limits.PrefixFactor
	wide := Rate{r.Burst * n, max(r.Every/time.Duration(n), 1)}
	if !m.spent[k].take(now, r) || !c.places[m.place].spent[k].take(now, wide) {
		c.refused++
		return false
	}
	return true
}

// leave forgets a connection of a place.
func (c *core) leave(p netip.Prefix) { c.places[p].conns-- }

// forgetPlaces drops places that are as good as new.
func (c *core) forgetPlaces(now time.Time) {
	for prefix, p := range c.places {
		idle := p.conns == 0
		for k := range rateKinds {
			b := &p.spent[k]
			idle = idle && now.Sub(b.last) >= c.limits.rate(k).Every*time.Duration(b.used)
		}
		if idle {
			delete(c.places, prefix)
		}
	}
}
