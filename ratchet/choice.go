package ratchet

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/sremp/sremp/wire"
)

// This file decides which session is sent on (spec §4.4.2).

// better orders sessions, the one to send on first: the latest generation;
// those in which something was received; those that the lower key began; the
// younger ones of one initiator; the id, so that the order is total.
func better(a, b *session) int {
	return cmp.Or(
		cmp.Compare(b.generation, a.generation),
		cmp.Compare(b.flags&flagConfirmed, a.flags&flagConfirmed),
		cmp.Compare(b.flags&flagLower, a.flags&flagLower),
		cmp.Compare(b.created, a.created),
		bytes.Compare(b.id[:], a.id[:]),
	)
}

// generation returns the latest generation, 0 if there is no session.
func (st *peerState) generation() uint32 {
	var g uint32
	for _, s := range st.sessions {
		g = max(g, s.generation)
	}
	return g
}

// mutual reports whether a session of the latest generation is known to have
// worked both ways. A remote device that begins another one then has lost it, or
// began before it had it.
func (st *peerState) mutual() bool {
	g := st.generation()
	return slices.ContainsFunc(st.sessions, func(s *session) bool { return s.generation == g && s.has(flagMutual) })
}

// renewing reports whether we began the latest generation and have no answer
// yet. A remote device that begins another one then does so at once with us: the
// two sessions share the generation, or each side would follow the other.
func (st *peerState) renewing() bool {
	g := st.generation()
	return slices.ContainsFunc(st.sessions, func(s *session) bool {
		return s.generation == g && s.has(flagInitiator) && s.has(flagSupersedes) && !s.has(flagConfirmed)
	})
}

// raise takes note of the epoch of a record. A higher one ends all sessions
// before: whoever holds the keys of the lower one may hold theirs as well.
func (st *peerState) raise(epoch uint32) {
	if epoch > st.epoch {
		st.epoch, st.sessions = epoch, nil
	}
}

// newerBySameInitiator returns the generation of a session that the remote
// device began later than it began s: s was delayed.
func (st *peerState) newerBySameInitiator(s *session) (generation uint32, ok bool) {
	for _, o := range st.sessions {
		if !o.has(flagInitiator) && o.created >= s.created {
			generation, ok = max(generation, o.generation), true
		}
	}
	return generation, ok
}

// strays is how many messages in a row come in a session that was begun later
// than the one that we send on before we follow (spec §4.4.2).
const strays = 8

// follow counts messages in sessions begun later than the one that is sent on.
// Generations are counted by each side for itself, and after one went back to an
// old copy they may disagree; without this each would send on its own for ever.
func (st *peerState) follow(s *session) {
	p := st.sessions[0]
	if s == p {
		p.strays = 0
		return
	}
	if !s.has(flagSupersedes) {
		return // sessions of a first, simultaneous start agree by their order
	}
	if c := cmp.Compare(s.created, p.created); c < 0 || c == 0 && bytes.Compare(s.id[:], p.id[:]) < 0 {
		return
	}
	if p.strays++; p.strays == strays {
		p.strays = 0
		s.generation = st.generation() + 1
	}
}

// arrived takes note of an authentic message in s.
func (st *peerState) arrived(s *session, flags uint8, now time.Time) {
	st.follow(s)
	s.received = unix(now)
	s.pq.arrived(s.received)
	if !s.has(flagConfirmed) {
		s.flags |= flagConfirmed
		s.pending = nil
		if flags&wire.FlagSupersedes != 0 && !s.has(flagSupersedes) && len(st.sessions) > 1 {
			// The other side took s in place of a session that worked.
			s.generation = st.generation() + 1
			s.flags |= flagSupersedes
		}
	}
	st.settle()
	st.drop(unix(now))
}

// add takes in a new session, for which the longest silent one that is not sent
// on may have to go.
func (st *peerState) add(s *session) {
	st.sessions = append(st.sessions, s)
	st.settle()
	for len(st.sessions) > MaxSessions {
		oldest := -1
		for i, o := range st.sessions {
			if i > 0 && o != s && (oldest < 0 || o.received <= st.sessions[oldest].received) {
				oldest = i
			}
		}
		st.sessions = slices.Delete(st.sessions, oldest, oldest+1)
	}
}

func (st *peerState) settle() {
	if len(st.sessions) > 1 {
		slices.SortFunc(st.sessions, better)
	}
}

// drop removes quiet sessions that are not sent on.
func (st *peerState) drop(t uint64) {
	for i := len(st.sessions) - 1; i > 0; i-- {
		if t > st.sessions[i].received+seconds(QuietAfter) {
			st.sessions = slices.Delete(st.sessions, i, i+1)
		}
	}
}

// forget drops hashes of agreements that can no longer be replayed: the
// last-resort key is destroyed, or a one-time key was used, and the initial
// messages that repeat it are too old to come.
func (st *peerState) forget(store *storeState) {
	st.accepted = slices.DeleteFunc(st.accepted, func(a accepted) bool {
		return a.lastResort != 0 && !store.holdsLastResort(a.lastResort)
	})
	if len(st.accepted) < maxAccepted {
		return
	}
	if i := slices.IndexFunc(st.accepted, func(a accepted) bool { return a.lastResort == 0 }); i >= 0 {
		st.accepted = slices.Delete(st.accepted, i, i+1)
	}
}
