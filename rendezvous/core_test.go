package rendezvous

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/wire"
)

var (
	name1 = [32]byte{1}
	name2 = [32]byte{2}
	blob1 = bytes.Repeat([]byte{1}, wire.RendezvousBlob)
	blob2 = bytes.Repeat([]byte{2}, wire.RendezvousBlob)
)

// members returns a core with n connections from different addresses.
func members(t *testing.T, l Limits, n int) (*core, []connID) {
	t.Helper()
	c := newCore(l)
	var ids []connID
	for i := range n {
		id, ok := c.connect(netip.AddrFrom4([4]byte{11, 0, 0, byte(i)}))
		if !ok {
			t.Fatal("connection refused")
		}
		ids = append(ids, id)
	}
	return c, ids
}

// say writes outputs as text: to whom, what, which status.
func say(t *testing.T, out []output) string {
	t.Helper()
	var s string
	for _, o := range out {
		switch o.typ {
		case wire.FrameRendezvousOffer:
			s += fmt.Sprintf("%d offer; ", o.to)
		case wire.FrameRendezvousGo:
			x, err := wire.ParseRendezvousGo(o.payload)
			if err != nil {
				t.Fatal(err)
			}
			s += fmt.Sprintf("%d go %d; ", o.to, x.Status)
		case wire.FrameRendezvousIntroduced:
			x, err := wire.ParseRendezvousIntroduced(o.payload)
			if err != nil {
				t.Fatal(err)
			}
			s += fmt.Sprintf("%d introduced %d.%d; ", o.to, x.Request, x.Status)
		}
	}
	return s
}

func expectSaid(t *testing.T, what string, out []output, want string) {
	t.Helper()
	if got := say(t, out); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// offerTo introduces conn to a name and returns the id of the introduction.
func offerTo(t *testing.T, c *core, conn connID, name [32]byte) [16]byte {
	t.Helper()
	out := introduceHere(c, t0, conn, wire.RendezvousIntroduce{Request: 9, Blinded: name, Offer: blob1})
	if len(out) != 1 || out[0].typ != wire.FrameRendezvousOffer {
		t.Fatalf("got %q, want an offer", say(t, out))
	}
	x, err := wire.ParseRendezvousOffer(out[0].payload)
	if err != nil || x.Blinded != name || !bytes.Equal(x.Offer, blob1) {
		t.Fatalf("offer for %x, %v", x.Blinded, err)
	}
	return x.Introduction
}

func TestIntroduction(t *testing.T) {
	c, id := members(t, Limits{}, 3)
	expectSaid(t, "to an absent name", introduceHere(c, t0, id[0], wire.RendezvousIntroduce{Request: 1, Blinded: name1, Offer: blob1}), "1 introduced 1.5; ")
	c.registered(t0, id[1], Name{Blinded: name1}, time.Hour)
	in := offerTo(t, c, id[0], name1)

	// Only the connection that got the offer answers it.
	expectSaid(t, "a stranger's answer", c.answer(id[2], wire.RendezvousAnswer{Introduction: in, Answer: blob2}), "3 go 6; ")
	expectSaid(t, "the offerer's answer", c.answer(id[0], wire.RendezvousAnswer{Introduction: in, Answer: blob2}), "1 go 6; ")
	// The answer and the go are one step.
	expectSaid(t, "the answer", c.answer(id[1], wire.RendezvousAnswer{Introduction: in, Answer: blob2}), "1 introduced 9.0; 2 go 0; ")
	expectSaid(t, "a second answer", c.answer(id[1], wire.RendezvousAnswer{Introduction: in, Answer: blob2}), "2 go 6; ")
	if len(c.pending) != 0 || c.conns[id[0]].waiting != 0 || c.online[name1].pending != 0 {
		t.Errorf("left behind: %d pending, %d waiting, %d at the target", len(c.pending), c.conns[id[0]].waiting, c.online[name1].pending)
	}
}

func TestIntroductionTimeout(t *testing.T) {
	c, id := members(t, Limits{IntroTimeout: 10 * time.Second}, 2)
	c.registered(t0, id[1], Name{Blinded: name1}, time.Hour)
	in := offerTo(t, c, id[0], name1)
	out, next := c.expire(t0.Add(9 * time.Second))
	if len(out) != 0 || !next.Equal(t0.Add(10*time.Second)) {
		t.Errorf("got %q, next %v, want nothing before 10 s", say(t, out), next)
	}
	out, next = c.expire(t0.Add(10 * time.Second))
	expectSaid(t, "at the deadline", out, "1 introduced 9.6; ")
	if !next.IsZero() {
		t.Errorf("next %v, want none", next)
	}
	expectSaid(t, "a late answer", c.answer(id[1], wire.RendezvousAnswer{Introduction: in, Answer: blob2}), "2 go 6; ")
}

func TestDisconnect(t *testing.T) {
	c, id := members(t, Limits{}, 3)
	c.registered(t0, id[1], Name{Blinded: name1}, time.Hour)
	offerTo(t, c, id[0], name1)
	in := offerTo(t, c, id[2], name1)
	expectSaid(t, "an offerer leaves", c.disconnect(id[2]), "")
	expectSaid(t, "an answer to nobody", c.answer(id[1], wire.RendezvousAnswer{Introduction: in, Answer: blob2}), "2 go 6; ")
	expectSaid(t, "the target leaves", c.disconnect(id[1]), "1 introduced 9.5; ")
	if c.isOnline(t0, name1) {
		t.Error("online without a connection")
	}
	c.disconnect(id[0])
	c.disconnect(id[0])
	c.forget(t0.Add(time.Hour))
	if len(c.conns)+len(c.places)+len(c.online)+len(c.pending) != 0 {
		t.Errorf("left behind: %+v", c)
	}
}

func TestPresence(t *testing.T) {
	c, id := members(t, Limits{}, 3)
	c.registered(t0, id[0], Name{Blinded: name1}, time.Hour)
	if !c.isOnline(t0.Add(time.Hour-1), name1) || c.isOnline(t0.Add(time.Hour), name1) {
		t.Error("online and the registration's time differ")
	}
	// The owner reconnects before the server noticed the loss.
	c.registered(t0, id[1], Name{Blinded: name1}, 2*time.Hour)
	expectSaid(t, "to the newer connection", introduceHere(c, t0, id[2], wire.RendezvousIntroduce{Blinded: name1, Offer: blob1}), "2 offer; ")
	c.disconnect(id[0])
	if !c.isOnline(t0, name1) {
		t.Error("the old connection's end took the new one offline")
	}
	c.registered(t0, id[1], Name{Blinded: name2}, time.Hour)
	c.forget(t0.Add(time.Hour))
	if len(c.online) != 1 || len(c.conns[id[1]].names) != 1 {
		t.Errorf("%d names online, %d of the connection, want 1 and 1", len(c.online), len(c.conns[id[1]].names))
	}
	c.unregistered(name1)
	if c.isOnline(t0, name1) || len(c.conns[id[1]].names) != 0 {
		t.Error("online after removal")
	}
}

func TestLimits(t *testing.T) {
	small := Limits{
		MaxConns: 3, MaxConnsPerPrefix: 2, MaxNames: 2, MaxPending: 2, MaxPendingTarget: 3,
		Register: Rate{3, time.Minute}, Lookup: Rate{2, time.Minute}, Introduce: Rate{4, time.Minute}, Offer: Rate{100, time.Minute},
	}
	c := newCore(small)
	here, there := netip.MustParseAddr("2a0e:0:0:1::1"), netip.MustParseAddr("2a0e:0:0:2::9") // one /56
	var id []connID
	for _, from := range []netip.Addr{here, there} {
		x, ok := c.connect(from)
		if !ok {
			t.Fatal("connection refused")
		}
		id = append(id, x)
	}
	if _, ok := c.connect(here); ok {
		t.Error("a third connection from one place")
	}
	third, ok := c.connect(netip.MustParseAddr("11.0.0.1"))
	if !ok {
		t.Fatal("connection from elsewhere refused")
	}
	if _, ok := c.connect(netip.MustParseAddr("11.0.0.2")); ok {
		t.Error("a connection over the limit")
	}

	for i, want := range []wire.RendezvousStatus{wire.RendezvousOK, wire.RendezvousOK, wire.RendezvousRefused, wire.RendezvousBusy} {
		n := [32]byte{byte(i + 1)}
		if got := c.mayRegister(t0, id[0], n); got != want {
			t.Errorf("registration %d: got %d, want %d", i, got, want)
		}
		if want == wire.RendezvousOK {
			c.registered(t0, id[0], Name{Blinded: n}, time.Hour)
		}
	}
	if got := c.mayRegister(t0.Add(time.Minute), id[0], name1); got != wire.RendezvousOK {
		t.Errorf("renewal a minute later: got %d", got)
	}

	for i, tt := range []struct {
		from connID
		at   time.Time
		want bool
	}{
		{id[1], t0, true}, {id[1], t0, true}, {id[1], t0, false}, {id[0], t0, true},
		{id[1], t0.Add(time.Minute), true}, {id[1], t0.Add(time.Minute), false},
	} {
		if got := c.allow(tt.at, tt.from, rateLookup); got != tt.want {
			t.Errorf("lookup %d: got %v, want %v", i, got, tt.want)
		}
	}

	ask := func(from connID) string {
		return say(t, introduceHere(c, t0, from, wire.RendezvousIntroduce{Request: 1, Blinded: name1, Offer: blob1}))
	}
	for i, want := range []string{"1 offer; ", "1 offer; ", "2 introduced 1.2; "} {
		if got := ask(id[1]); got != want {
			t.Errorf("introduction %d: got %q, want %q", i, got, want)
		}
	}
	for i, want := range []string{"1 offer; ", "3 introduced 1.2; "} {
		if got := ask(third); got != want {
			t.Errorf("introduction %d to a busy target: got %q, want %q", i, got, want)
		}
	}
}

// Many connections cannot together flood one person (spec §7.7).
func TestOfferRatePerTarget(t *testing.T) {
	c, id := members(t, Limits{Offer: Rate{2, time.Minute}, Introduce: Rate{100, time.Minute}}, 20)
	c.registered(t0, id[0], Name{Blinded: name1}, time.Hour)
	offers := 0
	for _, from := range id[1:] {
		for _, o := range introduceHere(c, t0, from, wire.RendezvousIntroduce{Blinded: name1, Offer: blob1}) {
			if o.typ == wire.FrameRendezvousOffer {
				offers++
			}
		}
	}
	if offers != 2 {
		t.Errorf("%d offers to one target, want 2", offers)
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	r := Rate{2, 10 * time.Second}
	for i, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {0, true}, {9, false}, {10, true}, {11, false}, {19, false}, {20, true}, {1000, true}, {1000, true}, {1001, false}, {1010, true}} {
		if got := b.take(t0.Add(tt.at*time.Second), r); got != tt.want {
			t.Errorf("step %d at %d s: got %v, want %v", i, tt.at, got, tt.want)
		}
	}
}

func introduceHere(c *core, now time.Time, id connID, x wire.RendezvousIntroduce) []output {
	out, _ := c.introduce(now, id, x)
	return out
}
