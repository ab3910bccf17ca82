package rendezvous

import (
	"crypto/rand"
	"net/netip"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A connID names one connection of a server.
type connID uint64

// An output is a frame that the server must send, or a message to another
// process of its cluster.
type output struct {
	to      connID
	typ     uint16
	payload []byte

	elsewhere *clusterOutput // if not nil, this is sent instead
}

// A clusterOutput is for another process.
type clusterOutput struct {
	node    string
	message clusterMessage
}

// introduced answers who asked for an introduction.
func introduced(to connID, request uint32, s wire.RendezvousStatus, answer []byte) output {
	x := wire.RendezvousIntroduced{Request: request, Status: s, Answer: answer}
	return output{to: to, typ: wire.FrameRendezvousIntroduced, payload: x.Append(nil)}
}

// core decides who is online and who is introduced to whom. It does no I/O and
// reads no clock. It forgets everything of a connection that ends. It must not
// be used by two goroutines at a time.
type core struct {
	limits   Limits
	conns    map[connID]*member
	places   map[netip.Prefix]*place
	online   map[[32]byte]*presence
	listed   map[identity.PeerID]*listing
	subs     map[[32]byte]map[connID]struct{}
	renewed  map[[32]byte]bool // of online: their expiry is not in the store yet
	pending  map[[16]byte]*introduction
	nextConn connID
	cluster  bool   // there are other processes
	refused  uint64 // requests over a rate
	turned   uint64 // connections turned away
}

// A member is one connection.
type member struct {
	place   netip.Prefix
	names   map[[32]byte]bool // of core.online
	subs    map[[32]byte]bool // of core.subs
	listing identity.PeerID   // of core.listed, zero if none
	waiting int               // introductions that it asked for
	spent   [rateKinds]bucket
}

// A presence is a blinded key whose owner is connected.
type presence struct {
	conn    connID
	period  uint64
	ttl     time.Duration
	until   time.Time
	offers  bucket
	pending int
}

// An introduction is an offer that was passed on and not yet answered.
type introduction struct {
	from     connID // 0: another process, node
	node     string
	request  uint32
	to       connID
	target   *presence // nil: of another process
	deadline time.Time
}

func newCore(l Limits) *core {
	return &core{
		limits:  l.withDefaults(),
		conns:   make(map[connID]*member),
		places:  make(map[netip.Prefix]*place),
		online:  make(map[[32]byte]*presence),
		listed:  make(map[identity.PeerID]*listing),
		subs:    make(map[[32]byte]map[connID]struct{}),
		renewed: make(map[[32]byte]bool),
		pending: make(map[[16]byte]*introduction),
	}
}

// connect admits a connection, or reports false when there are too many.
func (c *core) connect(from netip.Addr) (connID, bool) {
	prefix := prefixOf(from)
	p := c.places[prefix]
	if p == nil {
		p = &place{}
	}
	if len(c.conns) >= c.limits.MaxConns || p.conns >= c.limits.MaxConnsPerPrefix {
		c.turned++
		return 0, false
	}
	c.nextConn++
	p.conns++
	c.places[prefix] = p
	c.conns[c.nextConn] = &member{place: prefix}
	return c.nextConn, true
}

// disconnect forgets a connection. Who waited for its answers is told.
func (c *core) disconnect(id connID) (out []output) {
	m := c.conns[id]
	if m == nil {
		return nil
	}
	for key, in := range c.pending {
		switch id {
		case in.to:
			out = append(out, c.end(key, in, wire.RendezvousOffline, nil)...)
		case in.from:
			c.drop(key, in)
		}
	}
	for name := range m.names {
		delete(c.online, name)
	}
	for name := range m.subs {
		c.unsubscribe(id, name)
	}
	delete(c.listed, m.listing)
	delete(c.conns, id)
	c.leave(m.place)
	return out
}

// mayRegister reports whether id may send one more registration for a name.
func (c *core) mayRegister(now time.Time, id connID, name [32]byte) wire.RendezvousStatus {
	m := c.conns[id]
	switch {
	case !c.allow(now, id, rateRegister):
		return wire.RendezvousBusy
	case !m.names[name] && len(m.names) >= c.limits.MaxNames:
		return wire.RendezvousRefused
	}
	return wire.RendezvousOK
}

// registered makes name reachable through id, for ttl. The newest connection of
// one owner takes the name over.
func (c *core) registered(now time.Time, id connID, name Name, ttl time.Duration) {
	m := c.conns[id]
	if m == nil {
		return
	}
	p := c.online[name.Blinded]
	if p == nil {
		p = &presence{conn: id}
		c.online[name.Blinded] = p
	}
	if p.conn != id {
		delete(c.conns[p.conn].names, name.Blinded)
	}
	p.conn, p.period, p.ttl, p.until = id, name.Period, ttl, now.Add(ttl)
	if m.names == nil {
		m.names = make(map[[32]byte]bool)
	}
	m.names[name.Blinded] = true
}

// unregistered makes name unreachable, by whichever connection it was reached:
// the caller has checked the owner's signature.
func (c *core) unregistered(name [32]byte) {
	if p := c.online[name]; p != nil {
		delete(c.conns[p.conn].names, name)
		delete(c.online, name)
	}
}

// isOnline reports whether the owner of name is connected.
func (c *core) isOnline(now time.Time, name [32]byte) bool {
	p := c.online[name]
	return p != nil && now.Before(p.until)
}

// introduce passes an offer on, or refuses it. Absent, hidden and offline are
// one answer. If another process may reach the name, its answer waits under
// elsewhere.
func (c *core) introduce(now time.Time, id connID, x wire.RendezvousIntroduce) (out []output, elsewhere *[16]byte) {
	refuse := func(s wire.RendezvousStatus) ([]output, *[16]byte) {
		return []output{introduced(id, x.Request, s, nil)}, nil
	}
	m := c.conns[id]
	if m == nil {
		return nil, nil
	}
	if m.waiting >= c.limits.MaxPending || !c.allow(now, id, rateIntroduce) {
		return refuse(wire.RendezvousBusy)
	}
	in := &introduction{from: id, request: x.Request, deadline: now.Add(c.limits.IntroTimeout)}
	var key [16]byte
	rand.Read(key[:])
	if !c.isOnline(now, x.Blinded) {
		if !c.cluster {
			return refuse(wire.RendezvousOffline)
		}
		c.pending[key] = in
		m.waiting++
		return nil, &key
	}
	p := c.online[x.Blinded]
	if p.pending >= c.limits.MaxPendingTarget || !p.offers.take(now, c.limits.Offer) {
		return refuse(wire.RendezvousBusy)
	}
	in.to, in.target = p.conn, p
	c.pending[key] = in
	m.waiting++
	p.pending++
	offer := wire.RendezvousOffer{Introduction: key, Blinded: x.Blinded, Offer: x.Offer}
	return []output{{to: p.conn, typ: wire.FrameRendezvousOffer, payload: offer.Append(nil)}}, nil
}

// answer ends an introduction: the answer to the offerer and the go to the
// answerer, at one moment. Only the connection that got the offer can answer it.
func (c *core) answer(id connID, x wire.RendezvousAnswer) []output {
	status := func(s wire.RendezvousStatus) output {
		b := wire.RendezvousGo{Introduction: x.Introduction, Status: s}.Append(nil)
		return output{to: id, typ: wire.FrameRendezvousGo, payload: b}
	}
	in := c.pending[x.Introduction]
	if in == nil || in.to != id {
		return []output{status(wire.RendezvousTimeout)}
	}
	return append(c.end(x.Introduction, in, wire.RendezvousOK, x.Answer), status(wire.RendezvousOK))
}

// expire ends the introductions that have waited too long, and returns when to
// call it again, or the zero time. A new introduction never ends before an older
// one.
func (c *core) expire(now time.Time) (out []output, next time.Time) {
	for key, in := range c.pending {
		switch {
		case !now.Before(in.deadline):
			out = append(out, c.end(key, in, wire.RendezvousTimeout, nil)...)
		case next.IsZero() || in.deadline.Before(next):
			next = in.deadline
		}
	}
	return out, next
}

// forget drops the names whose registration has ended; they are offline before.
func (c *core) forget(now time.Time) {
	for name, p := range c.online {
		if !now.Before(p.until) {
			c.unregistered(name)
		}
	}
	for id, l := range c.listed {
		if !now.Before(l.until) {
			c.unlisted(id)
		}
	}
	c.forgetPlaces(now)
}

// end forgets an introduction and tells who asked for it.
func (c *core) end(key [16]byte, in *introduction, s wire.RendezvousStatus, answer []byte) []output {
	c.drop(key, in)
	if in.node != "" {
		return []output{{elsewhere: &clusterOutput{in.node, clusterMessage{kind: clusterAnswer, key: key, status: s, blob: answer}}}}
	}
	return []output{introduced(in.from, in.request, s, answer)}
}

func (c *core) drop(key [16]byte, in *introduction) {
	delete(c.pending, key)
	if m := c.conns[in.from]; m != nil {
		m.waiting--
	}
	if in.target != nil {
		in.target.pending--
	}
}
