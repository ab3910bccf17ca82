package relay

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/wire"
)

// A link is one side's connection with the relay. Its address is one that QUIC
// has validated; it follows the connection's migrations.
type link interface{ RemoteAddr() netip.AddrPort }

// A switchboard decides where forwarded packets go (spec §6.6). It does no I/O.
// forward may be called by any number of readers at any time and takes no lock;
// all other methods are guarded by the caller's mutex.
type switchboard struct {
	secret forwardSecret // constant
	rates  atomic.Pointer[rates]
	owners *meters
	nets   *meters
	table  table

	limits   Limits // with perOwner and the rest guarded by the caller's mutex
	sessions map[uint64]*session
	tickets  map[[wire.RelayTicketLen]byte]*session
	perOwner map[[32]byte][]*session
	links    map[[32]byte]link // an owner's newest connection
}

// rates are what forward needs of Limits.
type rates struct{ session, owner, prefix rate }

type session struct {
	id      uint64
	resumed bool // taken up after a restart: an absent side may come by itself
	joined  atomic.Bool
	active  atomic.Int64 // when the last packet was forwarded, ns
	rate    meter
	sides   [2]side

	// Guarded by the caller's mutex.
	ticket  [wire.RelayTicketLen]byte
	expires time.Time // of the ticket
}

// A side's plain fields are constant once present is set.
type side struct {
	present atomic.Bool
	owner   [32]byte
	key     [16]byte
	charge  *meter // the owner's

	received   window
	sent       atomic.Uint64                  // counters used towards this side
	addr       atomic.Pointer[netip.AddrPort] // validated; nil: none
	net        atomic.Pointer[meter]          // of addr's prefix
	challenged atomic.Int64                   // when an address was last asked, ns

	// Guarded by the caller's mutex.
	link link           // nil after a restart, until the owner is back
	seen netip.AddrPort // link's address when it was last looked at
	lost time.Time      // since when link is closed; zero: it stands
}

func newSwitchboard(l Limits, secret forwardSecret) *switchboard {
	b := &switchboard{
		secret: secret, owners: newMeters(), nets: newMeters(), sessions: map[uint64]*session{},
		tickets: map[[wire.RelayTicketLen]byte]*session{}, perOwner: map[[32]byte][]*session{},
		links: map[[32]byte]link{},
	}
	b.setLimits(l)
	return b
}

func (b *switchboard) setLimits(l Limits) {
	b.limits = l
	b.rates.Store(&rates{
		rateOf(l.ForwardRate, l.ForwardBurst), rateOf(l.OwnerRate, l.OwnerBurst), rateOf(l.PrefixRate, l.PrefixBurst),
	})
}

// open makes a session whose other side is whoever shows the ticket. ErrBusy.
func (b *switchboard) open(now time.Time, owner [32]byte, l link) (wire.ForwardLeg, error) {
	b.makeRoom(owner)
	if len(b.sessions) >= b.limits.Sessions {
		return wire.ForwardLeg{}, ErrBusy
	}
	s := &session{expires: now.Add(b.limits.TicketTTL)}
	s.active.Store(nanos(now))
	for s.id == 0 || b.sessions[s.id] != nil {
		var id [8]byte
		rand.Read(id[:])
		s.id = binary.BigEndian.Uint64(id[:])
	}
	rand.Read(s.ticket[:])
	leg := b.take(now, s, 0, owner, l)
	leg.Ticket, leg.Expires = s.ticket[:], uint64(s.expires.UnixMilli())
	b.sessions[s.id], b.tickets[s.ticket] = s, s
	b.table.put(s)
	return leg, nil
}

// makeRoom ends the owner's session that has been idle longest if he has as many
// as he may: peers come and go without telling the relay, and the newest session
// is the one that somebody waits for.
func (b *switchboard) makeRoom(owner [32]byte) {
	all := b.perOwner[owner]
	if len(all) < b.limits.SessionsPerOwner {
		return
	}
	b.end(slices.MinFunc(all, func(x, y *session) int { return int(min(max(x.active.Load()-y.active.Load(), -1), 1)) }))
}

// join takes side 1 of a session. ErrTicket.
func (b *switchboard) join(now time.Time, owner [32]byte, l link, ticket [wire.RelayTicketLen]byte) (wire.ForwardLeg, error) {
	s := b.tickets[ticket]
	if s == nil || !now.Before(s.expires) || s.sides[0].owner == owner {
		return wire.ForwardLeg{}, ErrTicket
	}
	b.makeRoom(owner)
	delete(b.tickets, ticket)
	s.active.Store(nanos(now))
	leg := b.take(now, s, 1, owner, l)
	s.joined.Store(true)
	return leg, nil
}

// take gives a side to the owner, and returns his leg.
func (b *switchboard) take(now time.Time, s *session, n uint8, owner [32]byte, l link) wire.ForwardLeg {
	sd := &s.sides[n]
	sd.owner, sd.key, sd.charge = owner, b.secret.key(s.id, n), b.owners.ofOwner(owner)
	sd.relink(b, l)
	sd.present.Store(true)
	b.perOwner[owner] = append(b.perOwner[owner], s)
	return wire.ForwardLeg{Session: s.id, Side: n, Key: sd.key, Grant: b.secret.grant(now, s.id, n, owner)}
}

// relink gives the side a connection, and that connection's address.
func (sd *side) relink(b *switchboard, l link) {
	sd.link, sd.seen, sd.lost = l, l.RemoteAddr(), time.Time{}
	sd.move(b, sd.seen)
}

// move makes a validated address the side's.
func (sd *side) move(b *switchboard, to netip.AddrPort) {
	if !to.IsValid() {
		sd.addr.Store(nil)
		return
	}
	sd.net.Store(b.nets.ofAddr(to.Addr()))
	sd.addr.Store(&to)
}

// A verdict is what forward has decided about a packet.
type verdict struct {
	to  netip.AddrPort // where it goes; the header is rewritten for it
	why drop           // or why not
	// ask: the source is not the side's validated address, and is to be
	// challenged (spec §6.6.5). These name the side.
	ask     bool
	session uint64
	side    uint8
}

// forward decides about a packet from an address; zero is the address of nobody
// that is to be challenged.
func (b *switchboard) forward(now time.Time, from netip.AddrPort, packet []byte) verdict {
	id, n, ok := wire.ParseForward(packet)
	if !ok {
		return verdict{why: dropMalformed}
	}
	s := b.table.get(id)
	switch {
	case n&wire.ForwardFromRelay != 0:
		if s == nil {
			return verdict{why: dropUnknown}
		}
		return verdict{why: dropForged}
	case s == nil:
		return verdict{why: dropUnknown, ask: true, session: id, side: n}
	case s.resumed && !s.sides[n].present.Load():
		return verdict{why: dropUnknown, ask: true, session: id, side: n}
	case !s.joined.Load():
		return verdict{why: dropUnjoined}
	}
	in, out := &s.sides[n], &s.sides[1-n]
	counter, _, ok := wire.OpenForward(packet, n, in.key, in.received.largest.Load())
	if !ok {
		return verdict{why: dropForged}
	}
	if !in.received.accept(counter) {
		return verdict{why: dropReplayed}
	}
	at := nanos(now)
	v := verdict{session: id, side: n}
	if here := in.addr.Load(); from.IsValid() && (here == nil || *here != from) {
		last := in.challenged.Load()
		v.ask = at-last >= int64(challengeEvery) && in.challenged.CompareAndSwap(last, at)
	}
	to := out.addr.Load()
	if to == nil {
		v.why = dropNoAddress
		return v
	}
	if v.why = b.admit(at, s, in, len(packet)); v.why != dropNone {
		return v
	}
	s.active.Store(at)
	wire.SealForward(packet, (1-n)|wire.ForwardFromRelay, id, out.sent.Add(1), out.key)
	v.to = *to
	return v
}

// admit charges a packet to its session, its sender's owner and the prefix that
// is validated for it, or to none of them.
func (b *switchboard) admit(now int64, s *session, in *side, n int) drop {
	r := b.rates.Load()
	if !s.rate.take(now, n, r.session) {
		return dropSession
	}
	if !in.charge.take(now, n, r.owner) {
		s.rate.giveBack(n, r.session)
		return dropOwner
	}
	if net := in.net.Load(); net != nil && !net.take(now, n, r.prefix) {
		s.rate.giveBack(n, r.session)
		in.charge.giveBack(n, r.owner)
		return dropPrefix
	}
	return dropNone
}

// lose notes that an owner's connection has ended. Its sides wait for another.
func (b *switchboard) lose(now time.Time, owner [32]byte, l link) {
	if b.links[owner] == l {
		delete(b.links, owner)
	}
	for _, sd := range b.sidesOf(owner) {
		if sd.link == l && sd.lost.IsZero() {
			sd.lost = now
		}
	}
}

// find gives an owner's new connection to those of its sides that lost theirs.
func (b *switchboard) find(owner [32]byte, l link) {
	b.links[owner] = l
	for _, sd := range b.sidesOf(owner) {
		if !sd.lost.IsZero() {
			sd.relink(b, l)
		}
	}
}

// follow gives each side the address that its connection has moved to since
// follow was called last.
func (b *switchboard) follow() {
	for _, s := range b.sessions {
		for i := range s.sides {
			sd := &s.sides[i]
			if !sd.present.Load() || sd.link == nil || !sd.lost.IsZero() {
				continue
			}
			if a := sd.link.RemoteAddr(); a != sd.seen {
				sd.seen = a
				sd.move(b, a)
			}
		}
	}
}

func (b *switchboard) sidesOf(owner [32]byte) (all []*side) {
	for _, s := range b.perOwner[owner] {
		for i := range s.sides {
			if sd := &s.sides[i]; sd.present.Load() && sd.owner == owner {
				all = append(all, sd)
			}
		}
	}
	return all
}

// expire ends sessions that nobody joined in time, that are idle, or that have
// been without one of their owners for too long.
func (b *switchboard) expire(now time.Time) {
	for _, s := range b.sessions {
		end := !s.joined.Load() && !now.Before(s.expires) || nanos(now)-s.active.Load() >= int64(b.limits.SessionIdle)
		for i := range s.sides {
			lost := s.sides[i].lost
			end = end || !lost.IsZero() && now.Sub(lost) >= b.limits.SessionLost
		}
		if end {
			b.end(s)
		}
	}
}

func (b *switchboard) end(s *session) {
	delete(b.sessions, s.id)
	delete(b.tickets, s.ticket)
	b.table.remove(s)
	for i := range s.sides {
		sd := &s.sides[i]
		if !sd.present.Load() {
			continue
		}
		rest := slices.DeleteFunc(b.perOwner[sd.owner], func(x *session) bool { return x == s })
		if b.perOwner[sd.owner] = rest; len(rest) == 0 {
			delete(b.perOwner, sd.owner)
		}
	}
}
