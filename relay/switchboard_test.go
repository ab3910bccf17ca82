package relay

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

var t0 = time.Unix(1_800_000_000, 0)

// fixedLink is an owner's connection; its address changes as QUIC validates.
type fixedLink struct{ addr netip.AddrPort }

func (l *fixedLink) RemoteAddr() netip.AddrPort { return l.addr }

func linkAt(s string) *fixedLink { return &fixedLink{netip.MustParseAddrPort(s)} }

var (
	alice, bob, mallory = [32]byte{1}, [32]byte{2}, [32]byte{3}
	aliceAt             = "192.0.2.1:1000"
	bobAt               = "198.51.100.2:2000"
)

// newBoard returns a switchboard of a server that has always the same key, as
// one that restarts has.
func newBoard(l Limits) *switchboard {
	key, err := identity.NewServerKey(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return newSwitchboard(l.withDefaults(), newForwardSecret(key))
}

// pass is forward for packets whose source plays no part.
func (b *switchboard) pass(now time.Time, packet []byte) (netip.AddrPort, drop) {
	v := b.forward(now, netip.AddrPort{}, packet)
	return v.to, v.why
}

// A pair is a joined session.
type pair struct {
	*testing.T
	b          *switchboard
	aLink      *fixedLink
	bLink      *fixedLink
	aLeg, bLeg wire.ForwardLeg
	sent       [2]uint64
}

func joined(t *testing.T, l Limits) *pair {
	t.Helper()
	b := newBoard(l)
	tb := &pair{T: t, b: b, aLink: linkAt(aliceAt), bLink: linkAt(bobAt)}
	var err error
	if tb.aLeg, err = b.open(t0, alice, tb.aLink); err != nil {
		t.Fatal(err)
	}
	if tb.bLeg, err = b.join(t0, bob, tb.bLink, [32]byte(tb.aLeg.Ticket)); err != nil {
		t.Fatal(err)
	}
	return tb
}

func (tb *pair) packet(leg wire.ForwardLeg, body string) []byte {
	p := append(make([]byte, wire.ForwardHeaderLen), body...)
	wire.SealForward(p, leg.Side, leg.Session, tb.sent[leg.Side], leg.Key)
	tb.sent[leg.Side]++
	return p
}

// wantDrop offers a packet that must go nowhere and leave the session as it was.
func (tb *pair) wantDrop(what string, packet []byte, want drop) {
	tb.Helper()
	if to, why := tb.b.pass(t0, packet); why != want {
		tb.Errorf("%s: dropped for %d (to %v), want %d", what, why, to, want)
	}
}

func (tb *pair) wantForward(leg, other wire.ForwardLeg, want string) {
	tb.Helper()
	p := tb.packet(leg, "hello")
	to, why := tb.b.pass(t0, p)
	if why != dropNone || to != netip.MustParseAddrPort(want) {
		tb.Fatalf("forward = %v, drop %d; want %s", to, why, want)
	}
	_, body, ok := wire.OpenForward(p, other.Side|wire.ForwardFromRelay, other.Key, 0)
	if !ok || string(body) != "hello" {
		tb.Errorf("the other side opens %q, %v", body, ok)
	}
}

func TestForwardBothWays(t *testing.T) {
	tb := joined(t, Limits{})
	if tb.aLeg.Session != tb.bLeg.Session || tb.aLeg.Side != 0 || tb.bLeg.Side != 1 || tb.aLeg.Key == tb.bLeg.Key {
		t.Errorf("legs = %+v, %+v", tb.aLeg, tb.bLeg)
	}
	for range 3 {
		tb.wantForward(tb.aLeg, tb.bLeg, bobAt)
		tb.wantForward(tb.bLeg, tb.aLeg, aliceAt)
	}
}

// Spec §6.6: nothing that is not a side's fresh packet is forwarded, and none of
// it changes the session.
func TestForwardRefuses(t *testing.T) {
	tb := joined(t, Limits{})
	first := tb.packet(tb.aLeg, "first")
	replay := bytes.Clone(first)
	if _, why := tb.b.pass(t0, first); why != dropNone {
		t.Fatalf("drop %d", why)
	}
	tb.wantDrop("a replay", bytes.Clone(replay), dropReplayed)
	tb.wantDrop("the relay's own packet, reflected", first, dropForged)
	reflected := bytes.Clone(replay)
	reflected[0] ^= 1
	tb.wantDrop("a packet as if from the other side", reflected, dropForged)

	other := joined(t, Limits{})
	stolen := append(make([]byte, wire.ForwardHeaderLen), "x"...)
	wire.SealForward(stolen, 0, tb.aLeg.Session, 50, other.aLeg.Key)
	tb.wantDrop("another session's key", stolen, dropForged)
	wire.SealForward(stolen, 0, tb.aLeg.Session+1, 50, tb.aLeg.Key)
	tb.wantDrop("another session", stolen, dropUnknown)
	for n := range replay {
		if _, why := tb.b.pass(t0, bytes.Clone(replay[:n])); why == dropNone {
			t.Errorf("a prefix of %d bytes forwarded", n)
		}
	}
	// A forger who guesses counters far ahead must not move the window.
	for i := range 100 {
		forged := append(make([]byte, wire.ForwardHeaderLen), "x"...)
		wire.SealForward(forged, 0, tb.aLeg.Session, 1<<20+uint64(i), [16]byte{byte(i)})
		tb.wantDrop("a forged MAC", forged, dropForged)
	}
	tb.wantForward(tb.aLeg, tb.bLeg, bobAt)
}

func TestForwardNeedsBothSides(t *testing.T) {
	b := newBoard(Limits{})
	leg, err := b.open(t0, alice, linkAt(aliceAt))
	if err != nil {
		t.Fatal(err)
	}
	for side := range uint8(2) {
		for _, key := range [][16]byte{leg.Key, {}} {
			p := make([]byte, 100)
			wire.SealForward(p, side, leg.Session, 0, key)
			if _, why := b.pass(t0, p); why != dropUnjoined {
				t.Errorf("side %d: drop %d, want dropUnjoined", side, why)
			}
		}
	}
}

func TestTickets(t *testing.T) {
	l := Limits{TicketTTL: time.Minute}.withDefaults()
	b := newBoard(l)
	leg, err := b.open(t0, alice, linkAt(aliceAt))
	if err != nil {
		t.Fatal(err)
	}
	ticket := [32]byte(leg.Ticket)
	join := func(what string, owner [32]byte, at time.Time, ticket [32]byte, want error) {
		t.Helper()
		if _, err := b.join(at, owner, linkAt(bobAt), ticket); !errors.Is(err, want) {
			t.Errorf("%s: err = %v, want %v", what, err, want)
		}
	}
	join("another ticket", bob, t0, [32]byte{1}, ErrTicket)
	join("its opener", alice, t0, ticket, ErrTicket)
	join("late", bob, t0.Add(time.Minute), ticket, ErrTicket)
	join("in time", bob, t0.Add(time.Minute-1), ticket, nil)
	join("twice", mallory, t0, ticket, ErrTicket)
	join("twice", bob, t0, ticket, ErrTicket)
}

// An address comes from the owner's connection only: it follows that
// connection, and no packet can move it.
func TestForwardFollowsTheConnection(t *testing.T) {
	tb := joined(t, Limits{})
	tb.bLink.addr = netip.MustParseAddrPort("203.0.113.9:9")
	tb.b.follow()
	tb.wantForward(tb.aLeg, tb.bLeg, "203.0.113.9:9")
	tb.bLink.addr = netip.AddrPort{}
	tb.b.follow()
	tb.wantDrop("no address", tb.packet(tb.aLeg, "x"), dropNoAddress)
}

func TestLostConnections(t *testing.T) {
	l := Limits{SessionLost: time.Minute, SessionIdle: time.Hour}
	tb := joined(t, l)
	tb.b.lose(t0, bob, tb.bLink)
	tb.b.expire(t0.Add(time.Minute - 1))
	tb.b.find(mallory, linkAt("203.0.113.66:66"))
	tb.b.find(alice, linkAt("203.0.113.67:67")) // alice's own side is not lost
	tb.wantForward(tb.bLeg, tb.aLeg, aliceAt)
	again := linkAt("203.0.113.9:9")
	tb.b.find(bob, again)
	tb.wantForward(tb.aLeg, tb.bLeg, "203.0.113.9:9")
	tb.b.lose(t0, bob, tb.bLink) // the old connection's end comes late
	tb.b.expire(t0.Add(2 * time.Minute))
	tb.wantForward(tb.aLeg, tb.bLeg, "203.0.113.9:9")
	tb.b.lose(t0, bob, again)
	tb.b.expire(t0.Add(time.Minute))
	tb.wantDrop("after SessionLost", tb.packet(tb.aLeg, "x"), dropUnknown)
	if len(tb.b.perOwner) != 0 || len(tb.b.tickets) != 0 {
		t.Errorf("left behind: %v, %v", tb.b.perOwner, tb.b.tickets)
	}
}

func TestSessionsEnd(t *testing.T) {
	l := Limits{SessionIdle: time.Minute, TicketTTL: time.Second}
	tb := joined(t, l)
	if _, err := tb.b.open(t0, alice, tb.aLink); err != nil {
		t.Fatal(err)
	}
	tb.b.expire(t0.Add(time.Second))
	if got := len(tb.b.sessions); got != 1 {
		t.Errorf("%d sessions after the ticket's end, want 1", got)
	}
	if got := len(tb.b.perOwner[alice]); got != 1 {
		t.Errorf("alice is counted in %d sessions, want 1", got)
	}
	if _, why := tb.b.pass(t0.Add(59*time.Second), tb.packet(tb.aLeg, "x")); why != dropNone {
		t.Errorf("drop %d", why)
	}
	tb.b.expire(t0.Add(time.Minute))
	if got := len(tb.b.sessions); got != 1 {
		t.Errorf("%d sessions, want 1: it was used", got)
	}
	tb.b.expire(t0.Add(119 * time.Second))
	if got := len(tb.b.sessions); got != 0 {
		t.Errorf("%d idle sessions, want 0", got)
	}
}

func TestForwardRate(t *testing.T) {
	tb := joined(t, Limits{ForwardRate: 1000, ForwardBurst: 250})
	send := func(at time.Duration) drop {
		_, why := tb.b.pass(t0.Add(at), tb.packet(tb.aLeg, string(make([]byte, 84))))
		return why
	}
	for i, tt := range []struct {
		at   time.Duration
		want drop
	}{{0, dropNone}, {0, dropNone}, {0, dropSession}, {50 * time.Millisecond, dropNone}, {50 * time.Millisecond, dropSession}, {time.Hour, dropNone}, {time.Hour, dropNone}, {time.Hour, dropSession}} {
		if got := send(tt.at); got != tt.want {
			t.Errorf("packet %d: drop %d, want %d", i, got, tt.want)
		}
	}
}

func TestSessionLimits(t *testing.T) {
	b := newBoard(Limits{Sessions: 3, SessionsPerOwner: 2})
	open := func(at time.Duration, owner [32]byte, want error) (leg wire.ForwardLeg) {
		t.Helper()
		leg, err := b.open(t0.Add(at), owner, linkAt(aliceAt))
		if !errors.Is(err, want) {
			t.Errorf("open: err = %v, want %v", err, want)
		}
		return leg
	}
	join := func(owner [32]byte, leg wire.ForwardLeg, want error) {
		t.Helper()
		if _, err := b.join(t0.Add(4*time.Second), owner, linkAt(bobAt), [32]byte(leg.Ticket)); !errors.Is(err, want) {
			t.Errorf("join: err = %v, want %v", err, want)
		}
	}
	first, second := open(1, alice, nil), open(2, alice, nil)
	bobs := open(3, bob, nil)
	open(4, mallory, ErrBusy)
	third := open(4, alice, nil) // the first one, idle longest, makes room
	if b.sessions[first.Session] != nil || b.sessions[second.Session] == nil || b.sessions[bobs.Session] == nil {
		t.Error("not the owner's longest idle session was ended")
	}
	join(bob, first, ErrTicket)
	join(bob, third, nil)
	join(alice, bobs, nil) // the second one makes room
	if b.sessions[second.Session] != nil || b.sessions[third.Session] == nil {
		t.Error("join ended another session than the longest idle one")
	}
	if got := len(b.perOwner[alice]); got != 2 {
		t.Errorf("alice is counted in %d sessions, want 2", got)
	}
}

// fast lets everything pass.
var fast = Limits{ForwardRate: 1e15, ForwardBurst: 1e15, OwnerRate: 1e15, OwnerBurst: 1e15, PrefixRate: 1e15, PrefixBurst: 1e15}

func BenchmarkForward(b *testing.B) {
	board := newBoard(fast)
	a, _ := board.open(t0, alice, linkAt(aliceAt))
	if _, err := board.join(t0, bob, linkAt(bobAt), [32]byte(a.Ticket)); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 1216)
	var n uint64
	for b.Loop() {
		wire.SealForward(p, 0, a.Session, n, a.Key)
		n++
		if _, why := board.pass(t0, p); why != dropNone {
			b.Fatal(why)
		}
	}
}
