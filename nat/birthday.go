package nat

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Limits of the birthday search (spec §5.22.7).
const (
	// extraPings go to an attested address in one search, beyond those that
	// everybody gets.
	extraPings = 1036
	// BirthdaySockets is how many sockets the side with random ports opens.
	BirthdaySockets = 256
	// openings is how often each of them sends.
	openings = 2
)

// Tuning of the birthday search.
const (
	// Plain probes come first: they are enough where a NAT does not filter by
	// port. The side with the sockets begins a little before the other.
	openAfter  = 350 * time.Millisecond
	guessAfter = 450 * time.Millisecond
	// birthdayPacing is 1000 packets a second: small home routers take it.
	birthdayPacing = time.Millisecond
	openAgain      = time.Second
	// birthdayBurst bounds what a late timer catches up on.
	birthdayBurst = 8
)

// A birthday is a search between a NAT that takes a random port for every
// destination and one that filters by address and port: one side opens 256
// ports, the other guesses until it hits one of them.
type birthday struct {
	next    time.Time // of the next packet; zero when there is none
	begun   bool
	wanted  bool    // sockets are
	target  *remote // of the openings; nil for the guessing side
	sockets int     // given
	sent    int     // openings
	guess   netip.Addr
	guessed map[uint16]bool
	spent   int
}

func (b *birthday) end() { b.next, b.wanted = time.Time{}, false }

// planBirthday decides whether there will be one, and on which side we are.
func (a *Agent) planBirthday(now time.Time) {
	b := &a.birthday
	if b.begun || a.best != nil {
		return
	}
	for _, r := range a.remotes {
		if !slices.Contains(a.attested, r.Addr.Addr()) {
			continue
		}
		switch {
		case has(a.local, Random) && r.Kind == ServerReflexive:
			b.target, b.begun = r, true
			b.next = now.Add(openAfter)
			return
		case r.Kind == Random && !has(a.local, Random) && !has(a.local, Predicted):
			b.guess, b.begun = r.Addr.Addr(), true
			b.guessed = map[uint16]bool{}
			b.next = now.Add(guessAfter)
			return
		}
	}
}

// stepBirthday sends what is due.
func (a *Agent) stepBirthday(now time.Time) {
	b := &a.birthday
	for range birthdayBurst {
		if b.next.IsZero() || now.Before(b.next) {
			return
		}
		switch {
		case b.target == nil:
			if a.birthday.spent >= extraPings {
				b.end()
				return
			}
			a.ping(now, &remote{
				Candidate: Candidate{Addr: netip.AddrPortFrom(b.guess, b.port()), Kind: PeerReflexive}, prio: prioPeerReflexive,
			}, 0, true)
			b.next = b.next.Add(birthdayPacing)
		case b.sockets == 0:
			b.wanted = true
			b.next = time.Time{} // AddSockets goes on
		default:
			a.ping(now, b.target, 1+b.sent%b.sockets, true)
			b.sent++
			switch {
			case b.sent == openings*b.sockets:
				b.end()
			case b.sent%b.sockets == 0:
				b.next = now.Add(openAgain)
			default:
				b.next = b.next.Add(birthdayPacing)
			}
		}
	}
	if b.next.Before(now) && !b.next.IsZero() {
		b.next = now // what is late stays late
	}
}

// port returns one that was not guessed before.
func (b *birthday) port() uint16 {
	for {
		var r [2]byte
		rand.Read(r[:])
		p := binary.BigEndian.Uint16(r[:])
		if p >= 1024 && !b.guessed[p] {
			b.guessed[p] = true
			return p
		}
	}
}

// WantSockets returns how many sockets more the search needs now, 0 for none.
func (a *Agent) WantSockets() int {
	if a.birthday.wanted {
		return BirthdaySockets
	}
	return 0
}

// AddSockets gives the agent n sockets, numbered from 1; n may be 0. They are
// needed until the agent has found a path or [Agent.NextTimeout] is zero.
func (a *Agent) AddSockets(now time.Time, n int) {
	b := &a.birthday
	b.wanted = false
	if b.sockets = n; n > 0 {
		b.next = now
	}
}
