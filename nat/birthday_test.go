package nat

import (
	"net/netip"
	"testing"
	"time"
)

// search runs an agent alone until it has nothing left, and returns how many
// packets it sent to each address.
func search(a *Agent, sockets int) map[netip.Addr]int {
	sent := map[netip.Addr]int{}
	now := t0
	for range 100_000 {
		a.HandleTimeout(now)
		if n := a.WantSockets(); n > 0 {
			a.AddSockets(now, min(n, sockets))
		}
		for _, t := range drain(a) {
			sent[t.To.Addr()]++
		}
		next := a.NextTimeout()
		if next.IsZero() {
			return sent
		}
		now = next
	}
	return nil // it never ends
}

// Spec §5.22.7: only an attested address gets more than 64 pings, and at most
// 1100, whatever the peer says of its NAT.
func TestBirthdayBudget(t *testing.T) {
	victim := netip.MustParseAddrPort("203.0.113.9:5000")
	random := []Candidate{{Addr: netip.MustParseAddrPort("192.0.2.9:4000"), Kind: Random}}
	for _, tt := range []struct {
		name     string
		local    []Candidate
		remote   CandidateKind
		attested bool
		min, max int
	}{
		{"guessing, attested", nil, Random, true, 1000, 1100},
		{"guessing, not attested", nil, Random, false, 1, 64},
		{"opening, attested", random, ServerReflexive, true, 512, 1100},
		{"opening, not attested", random, ServerReflexive, false, 1, 64},
		{"both random", random, Random, true, 1, 64},
	} {
		c := AgentConfig{Key: [32]byte{1}, Local: tt.local}
		for i := range uint16(maxRemote) { // many names for one victim
			c.Remote = append(c.Remote, Candidate{Addr: netip.AddrPortFrom(victim.Addr(), victim.Port()+i), Kind: tt.remote})
		}
		if tt.attested {
			c.Attested = []netip.Addr{victim.Addr()}
		}
		if got := search(NewAgent(t0, c), BirthdaySockets)[victim.Addr()]; got < tt.min || got > tt.max {
			t.Errorf("%s: %d packets, want %d to %d", tt.name, got, tt.min, tt.max)
		}
	}
}

// The two halves of a birthday search meet where one socket's mapping is the
// port that the other side guesses.
func TestBirthdayMeets(t *testing.T) {
	hard := []Candidate{{Addr: addrA, Kind: Random}}
	easy := []Candidate{{Addr: addrB, Kind: ServerReflexive}}
	a := NewAgent(t0, AgentConfig{Key: [32]byte{1}, Controlling: true, Local: hard, Remote: easy, Attested: []netip.Addr{addrB.Addr()}})
	b := NewAgent(t0, AgentConfig{Key: [32]byte{1}, Local: easy, Remote: hard, Attested: []netip.Addr{addrA.Addr()}})
	// A's socket 7 has a mapping that B guesses in the end; all others have none.
	const lucky = 7
	var mapped netip.AddrPort
	opened := false
	for now := t0; now.Before(t0.Add(5 * time.Second)); now = now.Add(time.Millisecond) {
		a.HandleTimeout(now)
		if n := a.WantSockets(); n > 0 {
			a.AddSockets(now, n)
		}
		b.HandleTimeout(now)
		for _, x := range drain(a) {
			opened = opened || x.Socket == lucky
			if x.Socket == lucky && mapped.IsValid() {
				b.HandlePacket(now, mapped, x.Payload)
			}
		}
		for _, x := range drain(b) {
			if x.Extra && opened && !mapped.IsValid() {
				mapped = x.To
			}
			if x.To == mapped {
				a.HandlePacketOn(now, lucky, addrB, x.Payload)
			}
		}
		_, _, okA := a.Validated()
		addr, _, okB := b.Validated()
		if okA && okB {
			if a.Socket() != lucky || addr != mapped || b.Socket() != 0 {
				t.Errorf("A uses socket %d, B reaches %v by socket %d, want %d, %v, 0", a.Socket(), addr, b.Socket(), lucky, mapped)
			}
			return
		}
	}
	t.Error("they did not meet")
}
