package transport

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
)

// Spec §5.22.7: one endpoint spends 1100 extra probes an hour on an address, over
// all searches, and counts a bounded number of addresses.
func TestExtraBudget(t *testing.T) {
	var b budgetTable
	now := time.Unix(1_800_000_000, 0)
	victim := netip.MustParseAddr("203.0.113.9")
	spend := func() (n int) {
		for range 3 * extraPerHour {
			if b.spend(now, victim) {
				n++
			}
		}
		return n
	}
	if got := spend(); got != extraPerHour {
		t.Errorf("got %d, want %d", got, extraPerHour)
	}
	now = now.Add(59 * time.Minute)
	if got := spend(); got != 0 {
		t.Errorf("within the hour: got %d more, want 0", got)
	}
	now = now.Add(2 * time.Minute)
	if got := spend(); got != extraPerHour {
		t.Errorf("after an hour: got %d, want %d", got, extraPerHour)
	}
	for i := range 10 * maxBudgets {
		b.spend(now, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
	}
	if len(b.spent) > maxBudgets {
		t.Errorf("%d addresses counted, want at most %d", len(b.spent), maxBudgets)
	}
	if b.spend(now, victim) {
		t.Error("a flood of addresses reset a victim's budget")
	}
}

// TestExtraSocketsStay: after a birthday search the socket that was chosen stays,
// and one that the peer has reached, which it may have chosen.
func TestExtraSocketsStay(t *testing.T) {
	e := endpoint(t, Config{Identity: local(t, "Ann")})
	l := e.newLink(&link{peer: identity.PeerID{1}})
	defer e.m.paths.release(l)
	// One whose loop does not run: the test is its clock.
	p := &prober{e: e, link: l, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	peer := udpConn(t)
	defer peer.Close()
	at := addrPort(peer.LocalAddr())
	now := time.Now()
	hard := []nat.Candidate{{Addr: netip.MustParseAddrPort("192.0.2.1:1000"), Kind: nat.Random}}
	easy := []nat.Candidate{{Addr: at, Kind: nat.ServerReflexive}}
	key := [32]byte{1}
	a := nat.NewAgent(now, nat.AgentConfig{Key: key, Controlling: true, Local: hard, Remote: easy, Attested: []netip.Addr{at.Addr()}})
	b := nat.NewAgent(now, nat.AgentConfig{Key: key, Local: easy, Remote: hard, Attested: []netip.Addr{hard[0].Addr.Addr()}})
	p.agents, p.extraOf, p.opening = []*nat.Agent{a}, a, a
	for i := range 3 {
		pc := udpConn(t)
		defer pc.Close()
		p.extras = append(p.extras, &extraSocket{pc: pc, index: i + 1, out: writeOnly(pc, &e.m.stats)})
	}
	extras := p.extras

	// A ping of the peer's to the second socket is answered, and the answer lost.
	b.HandleTimeout(now)
	ping, ok := b.PollTransmit()
	if !ok || !p.handle(now, 2, at, ping.Payload) {
		t.Fatal("the peer's ping was not taken")
	}
	// One of ours from the first gets an answer.
	for now = now.Add(time.Millisecond); a.WantSockets() == 0; now = now.Add(time.Millisecond) {
		a.HandleTimeout(now)
	}
	a.AddSockets(now, len(extras))
	a.HandleTimeout(now)
	var ours []byte
	for x, ok := a.PollTransmit(); ok; x, ok = a.PollTransmit() {
		if x.Socket == 1 {
			ours = x.Payload
		}
	}
	if ours == nil || !b.HandlePacket(now, netip.MustParseAddrPort("192.0.2.1:1001"), ours) {
		t.Fatal("no ping from the first socket")
	}
	for x, ok := b.PollTransmit(); ok; x, ok = b.PollTransmit() {
		p.handle(now, 1, at, x.Payload)
	}
	if got := l.extra.Load(); got != extras[0] {
		t.Fatalf("chosen: %v, want the first socket", got)
	}
	for i, want := range []bool{true, true, false} {
		if got := extras[i].pc.SetDeadline(time.Time{}) == nil; got != want {
			t.Errorf("socket %d is open: %v, want %v", i+1, got, want)
		}
		if got := extras[i].leadsTo(at); got != want {
			t.Errorf("socket %d takes packets of the peer: %v, want %v", i+1, got, want)
		}
	}
}
