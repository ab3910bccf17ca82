package relay

import (
	"bytes"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/wire"
)

// from offers a packet that comes from an address.
func (tb *pair) from(addr string, packet []byte) verdict {
	return tb.b.forward(t0, netip.MustParseAddrPort(addr), packet)
}

// answer is what the holder of a leg says to a challenge at an address.
func (tb *pair) answer(leg wire.ForwardLeg, from string, sent, received uint64) proof {
	a := wire.ForwardAnswer{Side: leg.Side, Session: leg.Session, Sent: sent, Received: received, Grant: leg.Grant}
	p := proof{from: netip.MustParseAddrPort(from), answer: a}
	copy(p.packet[:], a.Append(nil, leg.Key))
	return p
}

// Spec §6.6.5: a packet from a new address is forwarded, moves nothing, and has
// its source challenged; a proven answer moves the side.
func TestMove(t *testing.T) {
	tb := joined(t, Limits{})
	const elsewhere = "203.0.113.9:9"
	if v := tb.from(aliceAt, tb.packet(tb.aLeg, "x")); v.ask || v.why != dropNone {
		t.Errorf("from the validated address: %+v", v)
	}
	tb.sent[0] = 1000
	v := tb.from(elsewhere, tb.packet(tb.aLeg, "x"))
	if !v.ask || v.why != dropNone || v.session != tb.aLeg.Session || v.side != 0 {
		t.Errorf("from a new address: %+v", v)
	}
	if v := tb.from(elsewhere, tb.packet(tb.aLeg, "x")); v.ask {
		t.Error("challenged twice at once")
	}
	tb.wantForward(tb.bLeg, tb.aLeg, aliceAt)
	forged := tb.answer(tb.aLeg, elsewhere, 0, 0)
	forged.packet[50] ^= 1
	if got := tb.b.proven(t0, forged); got != proofRefused {
		t.Errorf("a forged answer: %d", got)
	}
	if got := tb.b.proven(t0, tb.answer(tb.bLeg, "203.0.113.66:6", 0, 0)); got != proofMoved {
		t.Errorf("bob's answer: %d", got)
	}
	tb.wantForward(tb.bLeg, tb.aLeg, aliceAt) // bob's moved nobody else
	if got := tb.b.proven(t0, tb.answer(tb.aLeg, elsewhere, 0, 0)); got != proofMoved {
		t.Errorf("alice's answer: %d", got)
	}
	tb.wantForward(tb.bLeg, tb.aLeg, elsewhere)
	for _, bad := range [][]byte{{}, tb.packet(tb.aLeg, "x")[:10]} {
		if v := tb.from(elsewhere, bad); v.ask {
			t.Error("something malformed is asked who it is")
		}
	}
	unsealed := append(make([]byte, wire.ForwardHeaderLen), "x"...)
	wire.SealForward(unsealed, 0, tb.aLeg.Session, 5000, [16]byte{})
	if v := tb.from("203.0.113.99:9", unsealed); v.ask || v.why != dropForged {
		t.Errorf("a forged packet from a new address: %+v", v)
	}
}

// Spec §6.6.5: a relay that has forgotten everything takes a session up from
// what its two sides prove, with counters that do not repeat.
func TestResume(t *testing.T) {
	old := joined(t, Limits{})
	for range 3 {
		old.wantForward(old.aLeg, old.bLeg, bobAt)
		old.wantForward(old.bLeg, old.aLeg, aliceAt)
	}
	replay := old.packet(old.aLeg, "late")
	tb := &pair{T: t, b: newBoard(Limits{}), aLeg: old.aLeg, bLeg: old.bLeg, sent: old.sent}
	if v := tb.from(aliceAt, bytes.Clone(replay)); !v.ask || v.why != dropUnknown {
		t.Fatalf("a packet of an unknown session: %+v", v)
	}
	if got := tb.b.proven(t0, tb.answer(tb.aLeg, aliceAt, 1<<30, 9)); got != proofResumed {
		t.Fatalf("alice's answer: %d", got)
	}
	if v := tb.from(bobAt, tb.packet(tb.bLeg, "x")); !v.ask || v.why != dropUnknown {
		t.Errorf("the other side before its answer: %+v", v)
	}
	if got := tb.b.proven(t0, tb.answer(tb.bLeg, bobAt, tb.sent[1]-1, 77)); got != proofResumed {
		t.Fatalf("bob's answer: %d", got)
	}
	tb.wantDrop("what was sent before", replay, dropForged) // its counter is far behind, so expanded to another
	tb.sent[0] = 1<<30 + 1
	p := tb.packet(tb.aLeg, "hello")
	if to, why := tb.b.pass(t0, p); why != dropNone || to.String() != bobAt {
		t.Fatalf("to %v, drop %d", to, why)
	}
	if c, _, ok := wire.OpenForward(p, 1|wire.ForwardFromRelay, tb.bLeg.Key, 77); !ok || c <= 77 {
		t.Errorf("bob opens counter %d, %v; want one above what he has seen", c, ok)
	}
	p = tb.packet(tb.bLeg, "hello")
	if to, why := tb.b.pass(t0, p); why != dropNone || to.String() != aliceAt {
		t.Fatalf("to %v, drop %d", to, why)
	}
	if c, _, ok := wire.OpenForward(p, wire.ForwardFromRelay, tb.aLeg.Key, 9); !ok || c <= 9 {
		t.Errorf("alice opens counter %d, %v", c, ok)
	}
	// Owners who do not come back lose the session; those who do keep it.
	tb.b.find(alice, linkAt("192.0.2.7:7"))
	tb.wantForward(tb.bLeg, tb.aLeg, "192.0.2.7:7")
	tb.b.expire(t0.Add(time.Minute))
	if len(tb.b.sessions) != 0 {
		t.Error("bob's owner never came back, and the session stands")
	}
}

func TestResumeRefuses(t *testing.T) {
	old := joined(t, Limits{})
	refused := func(what string, b *switchboard, now time.Time, p proof) {
		t.Helper()
		if got := b.proven(now, p); got != proofRefused || len(b.sessions) > 1 {
			t.Errorf("%s: %d", what, got)
		}
	}
	b := newBoard(Limits{})
	refused("an old grant", b, t0.Add(grantLife), old.answer(old.aLeg, aliceAt, 0, 0))
	for name, change := range map[string]func(*wire.ForwardLeg){
		"another session":      func(l *wire.ForwardLeg) { l.Session++ },
		"another side":         func(l *wire.ForwardLeg) { l.Side = 1 },
		"another grant":        func(l *wire.ForwardLeg) { l.Grant[40] ^= 1 },
		"the other's grant":    func(l *wire.ForwardLeg) { l.Grant = old.bLeg.Grant },
		"another key":          func(l *wire.ForwardLeg) { l.Key[0] ^= 1 },
		"no grant":             func(l *wire.ForwardLeg) { l.Grant = [wire.ForwardGrantLen]byte{} },
		"a session's other id": func(l *wire.ForwardLeg) { l.Session = 0 },
	} {
		leg := old.aLeg
		change(&leg)
		refused(name, b, t0, old.answer(leg, aliceAt, 0, 0))
	}
	if len(b.sessions) != 0 {
		t.Error("a refused answer made a session")
	}
	// Nor does a grant bring in a side that has not joined by its ticket.
	fresh := newBoard(Limits{})
	leg, err := fresh.open(t0, alice, linkAt(aliceAt))
	if err != nil {
		t.Fatal(err)
	}
	never := wire.ForwardLeg{Session: leg.Session, Side: 1, Key: fresh.secret.key(leg.Session, 1), Grant: fresh.secret.grant(t0, leg.Session, 1, bob)}
	refused("an unjoined side", fresh, t0, old.answer(never, bobAt, 0, 0))
	full := newBoard(Limits{Sessions: 1})
	if _, err := full.open(t0, mallory, linkAt(aliceAt)); err != nil {
		t.Fatal(err)
	}
	refused("a full relay", full, t0, old.answer(old.aLeg, aliceAt, 0, 0))
}

// A cookie is of one address, session and side, and of a few seconds.
func TestCookies(t *testing.T) {
	c, other := newCookies(), newCookies()
	here := netip.MustParseAddrPort(aliceAt)
	got := c.make(t0, 1, 0, here)
	if !c.holds(t0, 1, 0, here, got) || !c.holds(t0.Add(cookieLife), 1, 0, here, got) {
		t.Error("a fresh cookie does not hold")
	}
	for what, bad := range map[string]bool{
		"late":         c.holds(t0.Add(2*cookieLife), 1, 0, here, got),
		"session":      c.holds(t0, 2, 0, here, got),
		"side":         c.holds(t0, 1, 1, here, got),
		"port":         c.holds(t0, 1, 0, netip.AddrPortFrom(here.Addr(), 1), got),
		"address":      c.holds(t0, 1, 0, netip.MustParseAddrPort(bobAt), got),
		"another boot": other.holds(t0, 1, 0, here, got),
	} {
		if bad {
			t.Errorf("a cookie of another holds: %s", what)
		}
	}
}

func TestWindow(t *testing.T) {
	var w window
	accept := func(c uint64, want bool) {
		t.Helper()
		if got := w.accept(c); got != want {
			t.Errorf("accept(%d) = %v, want %v", c, got, want)
		}
	}
	for _, c := range []uint64{0, 5, 3, 31, 32, 100} {
		accept(c, true)
		accept(c, false)
	}
	accept(4, true)
	accept(1_000_000, true)
	accept(100, false)
	accept(101, false) // far behind: not known, so refused
	accept(1_000_000-1900, true)
	accept(1_000_000-1900, false)
	accept(1_000_000-2100, false)
	if got := w.largest.Load(); got != 1_000_000 {
		t.Errorf("largest = %d", got)
	}
	w = window{floor: 50, used: true}
	accept(50, false)
	accept(51, true)
}

// Readers on several cores accept each counter once between them.
func TestWindowIsExactUnderConcurrency(t *testing.T) {
	const n = 20_000
	var w window
	var accepted [n]atomic.Int32
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				c := next.Load() // not added at once: readers get the same counters
				if c >= n {
					return
				}
				if w.accept(c) {
					accepted[c].Add(1)
				}
				next.CompareAndSwap(c, c+1)
			}
		})
	}
	wg.Wait()
	for c := range accepted {
		if got := accepted[c].Load(); got > 1 {
			t.Fatalf("counter %d accepted %d times", c, got)
		}
	}
}

// Spec §6.6.4: sessions, owners and prefixes have buckets of their own; what one
// of them refuses costs the others nothing.
func TestRates(t *testing.T) {
	for name, tt := range map[string]struct {
		l    Limits
		want drop
	}{
		"session": {Limits{ForwardRate: 100, ForwardBurst: 500}, dropSession},
		"owner":   {Limits{OwnerRate: 100, OwnerBurst: 500}, dropOwner},
		"prefix":  {Limits{PrefixRate: 100, PrefixBurst: 500}, dropPrefix},
	} {
		t.Run(name, func(t *testing.T) {
			tb := joined(t, tt.l)
			body := string(make([]byte, 184))
			for range 2 {
				if _, why := tb.b.pass(t0, tb.packet(tb.aLeg, body)); why != dropNone {
					t.Fatalf("drop %d", why)
				}
			}
			for range 5 {
				if _, why := tb.b.pass(t0, tb.packet(tb.aLeg, body)); why != tt.want {
					t.Errorf("drop %d, want %d", why, tt.want)
				}
			}
			// A second's rest is half a packet: refusals have cost nothing.
			if _, why := tb.b.pass(t0.Add(time.Second), tb.packet(tb.aLeg, body)); why != dropNone {
				t.Errorf("after a second: drop %d", why)
			}
			_, why := tb.b.pass(t0.Add(time.Second), tb.packet(tb.bLeg, body))
			if want := map[string]drop{"session": dropSession}[name]; why != want {
				t.Errorf("bob's packet: drop %d, want %d", why, want)
			}
		})
	}
}

// Spec §6.6: no allocation on the packet path.
func TestForwardAllocatesNothing(t *testing.T) {
	tb := joined(t, fast)
	p := make([]byte, 1216)
	from := netip.MustParseAddrPort(aliceAt)
	if n := testing.AllocsPerRun(1000, func() {
		wire.SealForward(p, 0, tb.aLeg.Session, tb.sent[0], tb.aLeg.Key)
		tb.sent[0]++
		if v := tb.b.forward(t0, from, p); v.why != dropNone {
			t.Fatalf("drop %d", v.why)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
