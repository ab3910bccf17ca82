package relay_test

import (
	"crypto/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Negative test 16: packets whose source was forged to be another relay, or the
// relay itself, make it ask once who is there, and the question goes no further.
func TestRelaysDoNotLoop(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	other := newRelay(t, relay.ServerConfig{Key: must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xee)))})
	a, b := newForwarder(t, r, "Alice", 1), newForwarder(t, r, "Bob", 2)
	legA, ticket, err := a.c.OpenForward(timeout(t))
	ok(t, err)
	must[transport.Leg](t)(b.c.JoinForward(timeout(t), ticket))
	at := func(r *testRelay) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.addr.Port)
	}
	counter := uint64(1000)
	from := func(source netip.AddrPort, session uint64) {
		p := append(make([]byte, wire.ForwardHeaderLen), "a packet with a forged source"...)
		counter++
		wire.SealForward(p, legA.Side, session, counter, legA.Key)
		r.Forward(source, p)
	}
	for range 20 {
		from(at(other), legA.Session)   // a valid MAC
		from(at(r), legA.Session)       // from its own port
		from(at(other), legA.Session+1) // no session of anybody's
	}
	// Whatever came of it has been read when both answer a dial.
	r.raw(t)
	other.raw(t)
	other.mu.Lock()
	defer other.mu.Unlock()
	if len(other.sent) != 0 {
		t.Errorf("the other relay has sent %v", other.sent)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// One question of the known session, and at most one for each of the unknown one's.
	if n := r.sent[at(other)] + r.sent[at(r)]; n == 0 || n > 21 {
		t.Errorf("%d questions to relays, want 1 to 21", n)
	}
	if c := r.Counters(); c.Moves != 0 || other.Counters().DroppedMalformed != 0 {
		t.Errorf("counters = %+v", c)
	}
}

// Negative test 21: an inbox that is not there and one whose token is wrong get one
// answer, in the same time.
func TestAbsentLooksLikeWrong(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Limits: relay.Limits{Requests: 1e9, RequestBurst: 1e9}})
	ok(t, r.dial(t, 1).CreateInbox(timeout(t), contactInbox(inbox)))
	s := r.sender(t)
	if _, err := s.Store(timeout(t), inbox, token, []byte("it is there")); err != nil {
		t.Fatal(err)
	}
	ask := func(box [32]byte) time.Duration {
		var wrong [32]byte
		rand.Read(wrong[:])
		start := time.Now()
		if _, err := s.Store(timeout(t), box, wrong, []byte("x")); err != relay.ErrNoInbox {
			t.Fatalf("err = %v, want ErrNoInbox", err)
		}
		return time.Since(start)
	}
	const n = 300
	worst := 0.0
	for range 5 {
		var present, absent []time.Duration
		for range n { // in turns
			var box [32]byte
			rand.Read(box[:])
			present, absent = append(present, ask(inbox)), append(absent, ask(box))
		}
		slices.Sort(present)
		slices.Sort(absent)
		p, a := present[n/2].Seconds(), absent[n/2].Seconds()
		worst = max(p/a, a/p)
		if worst < 1.25 {
			return
		}
	}
	t.Errorf("medians of what is there and what is not differ by a factor of %.2f", worst)
}
