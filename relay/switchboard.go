package relay

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/wire"
)

// A link is one side's connection with the relay. Its address is the one that
// QUIC has validated; it follows the connection's migrations.
type link interface{ RemoteAddr() netip.AddrPort }

// drop says why a packet was not forwarded.
type drop int

const (
	dropNone      drop = iota
	dropMalformed      // no forwarding header
	dropUnknown        // no such session
	dropForged         // the MAC is wrong, or the packet comes from a relay
	dropReplayed       // seen before, or far behind
	dropUnjoined       // the session has one side only
	dropRate           // the session's bucket is empty
	dropNoAddress      // the other side has no validated address
	dropReasons
)

// A switchboard decides where forwarded packets go (spec §6.6). It does no I/O;
// [Server] guards it with a mutex.
type switchboard struct {
	limits   Limits
	sessions map[uint64]*session
	tickets  map[[wire.RelayTicketLen]byte]*session
	perOwner map[[32]byte][]*session
}

type session struct {
	id      uint64
	ticket  [wire.RelayTicketLen]byte
	joined  bool
	expires time.Time // of the ticket
	active  time.Time // when the last packet was forwarded
	rate    bucket
	sides   [2]side // the second one is empty until joined
}

type side struct {
	owner    [32]byte
	key      [16]byte
	received wire.ReplayWindow
	sent     uint64 // the next counter towards this side
	link     link
	lost     time.Time // since when link is closed; zero: it stands
}

func newSwitchboard(l Limits) *switchboard {
	return &switchboard{
		limits: l, sessions: map[uint64]*session{},
		tickets: map[[wire.RelayTicketLen]byte]*session{}, perOwner: map[[32]byte][]*session{},
	}
}

// open makes a session whose other side is whoever shows the ticket. ErrBusy.
func (b *switchboard) open(now time.Time, owner [32]byte, l link) (wire.ForwardLeg, error) {
	b.makeRoom(owner)
	if len(b.sessions) >= b.limits.Sessions {
		return wire.ForwardLeg{}, ErrBusy
	}
	s := &session{active: now, expires: now.Add(b.limits.TicketTTL)}
	for s.id == 0 || b.sessions[s.id] != nil {
		var id [8]byte
		rand.Read(id[:])
		s.id = binary.BigEndian.Uint64(id[:])
	}
	rand.Read(s.ticket[:])
	b.sessions[s.id], b.tickets[s.ticket] = s, s
	leg := b.take(s, 0, owner, l)
	leg.Ticket, leg.Expires = s.ticket[:], uint64(s.expires.UnixMilli())
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
	b.end(slices.MinFunc(all, func(x, y *session) int { return x.active.Compare(y.active) }))
}

// join takes side 1 of a session. ErrTicket.
func (b *switchboard) join(now time.Time, owner [32]byte, l link, ticket [wire.RelayTicketLen]byte) (wire.ForwardLeg, error) {
	s := b.tickets[ticket]
	if s == nil || !now.Before(s.expires) || s.sides[0].owner == owner {
		return wire.ForwardLeg{}, ErrTicket
	}
	b.makeRoom(owner)
	delete(b.tickets, ticket)
	s.joined, s.active = true, now
	return b.take(s, 1, owner, l), nil
}

func (b *switchboard) take(s *session, n uint8, owner [32]byte, l link) wire.ForwardLeg {
	sd := &s.sides[n]
	sd.owner, sd.link = owner, l
	rand.Read(sd.key[:])
	b.perOwner[owner] = append(b.perOwner[owner], s)
	return wire.ForwardLeg{Session: s.id, Side: n, Key: sd.key}
}

// forward decides about a packet. If it may pass, its header is rewritten for
// the other side and to is that side's validated address. Where the packet came
// from plays no part: an address is taken from the owner's connection only.
func (b *switchboard) forward(now time.Time, packet []byte) (to netip.AddrPort, why drop) {
	id, from, ok := wire.ParseForward(packet)
	if !ok {
		return to, dropMalformed
	}
	s := b.sessions[id]
	if s == nil {
		return to, dropUnknown
	}
	if from&wire.ForwardFromRelay != 0 {
		return to, dropForged
	}
	in, out := &s.sides[from], &s.sides[1-from]
	if !s.joined {
		return to, dropUnjoined
	}
	counter, _, ok := wire.OpenForward(packet, from, in.key, in.received.Largest())
	if !ok {
		return to, dropForged
	}
	if !in.received.Check(counter) {
		return to, dropReplayed
	}
	in.received.Commit(counter)
	if !s.rate.take(now, float64(len(packet)), b.limits.ForwardRate, b.limits.ForwardBurst) {
		return to, dropRate
	}
	if to = out.link.RemoteAddr(); !to.IsValid() {
		return to, dropNoAddress
	}
	s.active = now
	wire.SealForward(packet, (1-from)|wire.ForwardFromRelay, id, out.sent, out.key)
	out.sent++
	return to, dropNone
}

// lose notes that an owner's connection has ended. Its sides wait for another.
func (b *switchboard) lose(now time.Time, owner [32]byte, l link) {
	for _, sd := range b.sidesOf(owner) {
		if sd.link == l && sd.lost.IsZero() {
			sd.lost = now
		}
	}
}

// find gives an owner's new connection to those of its sides that lost theirs.
func (b *switchboard) find(owner [32]byte, l link) {
	for _, sd := range b.sidesOf(owner) {
		if !sd.lost.IsZero() {
			sd.link, sd.lost = l, time.Time{}
		}
	}
}

func (b *switchboard) sidesOf(owner [32]byte) (all []*side) {
	for _, s := range b.perOwner[owner] {
		for i := range s.sides {
			if sd := &s.sides[i]; sd.link != nil && sd.owner == owner {
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
		end := !s.joined && !now.Before(s.expires) || now.Sub(s.active) >= b.limits.SessionIdle
		for _, sd := range s.sides {
			end = end || !sd.lost.IsZero() && now.Sub(sd.lost) >= b.limits.SessionLost
		}
		if end {
			b.end(s)
		}
	}
}

func (b *switchboard) end(s *session) {
	delete(b.sessions, s.id)
	delete(b.tickets, s.ticket)
	for _, sd := range s.sides {
		if sd.link == nil {
			continue
		}
		rest := slices.DeleteFunc(b.perOwner[sd.owner], func(x *session) bool { return x == s })
		if b.perOwner[sd.owner] = rest; len(rest) == 0 {
			delete(b.perOwner, sd.owner)
		}
	}
}
