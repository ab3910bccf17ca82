package ratchet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A world is two devices and a network that does what it likes. Each device
// stores its state before it sends a message or shows a text, and may crash
// before that.
//
// If restores is set, devices also go back to old copies. Then messages may be
// lost or read again, and a device that gets a message that it cannot read, and
// did not read before, begins a new session, as spec §4.4.3 says.
type world struct {
	t        *testing.T
	rnd      *rand.Rand
	sides    [2]*side
	stored   [2]snapshot
	flight   []*parcel
	arrived  []*parcel
	sent     int
	now      time.Time
	restores bool
	past     [2][]snapshot
	renewed  int
	restored int
}

type snapshot struct{ store, peer []byte }

type parcel struct {
	to   int
	text string
	msg  []byte
}

func newWorld(t *testing.T, seed uint64) *world {
	low, high := newSides(t, int(seed%2))
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), sides: [2]*side{low, high}, now: start}
	w.persist(0)
	w.persist(1)
	return w
}

func (w *world) persist(i int) {
	s := w.sides[i]
	store, err := s.store.MarshalBinary()
	if err != nil {
		w.t.Fatal(err)
	}
	w.stored[i] = snapshot{store: store}
	if s.peer != nil {
		if w.stored[i].peer, err = s.peer.MarshalBinary(); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) crash(i int) {
	s := w.sides[i]
	var err error
	if s.store, err = ParsePrekeyStore(w.stored[i].store); err != nil {
		w.t.Fatal(err)
	}
	s.peer = nil
	if w.stored[i].peer != nil {
		if s.peer, err = ParsePeer(w.stored[i].peer); err != nil {
			w.t.Fatal(err)
		}
	}
}

// send makes one message, which leaves unless the device crashes before.
func (w *world) send(i int) {
	s := w.sides[i]
	if s.peer == nil {
		s.initiate(w.sides[1-i], [32]byte{})
		w.persist(1 - i) // it marked the pair as handed out
	}
	w.sent++
	text := fmt.Sprintf("%d from %d", w.sent, i)
	if w.rnd.IntN(2) == 0 {
		text = padded(text)
		s.hurry() // post-quantum steps whenever there is room
	}
	msg := s.encrypt(text)
	if w.rnd.IntN(10) == 0 {
		w.crash(i)
		return
	}
	w.persist(i)
	w.flight = append(w.flight, &parcel{1 - i, text, msg})
}

// receive offers a message to a device; ok means that it was read.
func (w *world) receive(i int, msg []byte) (text string, ok bool) {
	text, err := w.open(i, msg)
	return text, err == nil
}

func (w *world) open(i int, msg []byte) (text string, err error) {
	s := w.sides[i]
	if s.peer != nil {
		return s.decrypt(msg)
	}
	p, _, plaintext, err := Accept(start, s.local, s.store, [32]byte{}, msg)
	if err != nil {
		return "", err
	}
	s.peer = p
	return string(plaintext), nil
}

// restore takes a device back to an old copy.
func (w *world) restore(i int) {
	if len(w.past[i]) == 0 {
		return
	}
	w.stored[i] = w.past[i][w.rnd.IntN(len(w.past[i]))]
	w.crash(i)
	w.restored++
	w.arrived = nil // what it read since, it may read again
}

// renew begins a new session with the other device.
func (w *world) renew(i int) {
	s, o := w.sides[i], w.sides[1-i]
	w.now = w.now.Add(time.Second)
	w.renewed++
	if s.peer == nil {
		return
	}
	if err := s.peer.renew(w.now, s.local, o.bundle(start), o.oneTime(), [32]byte{}, s.rnd); err != nil {
		w.t.Fatal(err)
	}
	w.persist(i)
	w.persist(1 - i)
}

// deliver takes a message in flight to its device.
func (w *world) deliver() {
	if len(w.flight) == 0 {
		return
	}
	k := w.rnd.IntN(len(w.flight))
	p := w.flight[k]
	text, err := w.open(p.to, p.msg)
	if err != nil && w.restored > 0 {
		w.flight = slices.Delete(w.flight, k, k+1)
		if err != ErrDuplicate && w.sides[p.to].peer != nil {
			w.renew(p.to)
		}
		return
	}
	if err != nil || text != p.text {
		w.t.Fatalf("message %q arrived as %q, %v", p.text, text, err)
	}
	if w.rnd.IntN(10) == 0 {
		w.crash(p.to) // before it was stored or shown: it will come again
		return
	}
	w.persist(p.to)
	w.flight = slices.Delete(w.flight, k, k+1)
	w.arrived = append(w.arrived, p)
}

// attack offers something that must be refused without a trace.
func (w *world) attack() {
	i := w.rnd.IntN(2)
	var msg []byte
	switch w.rnd.IntN(4) {
	case 0: // replay
		if len(w.arrived) > 0 {
			p := w.arrived[w.rnd.IntN(len(w.arrived))]
			i, msg = p.to, p.msg
		}
	case 1: // reflect
		if len(w.flight) > 0 {
			p := w.flight[w.rnd.IntN(len(w.flight))]
			i, msg = 1-p.to, p.msg
		}
	case 2: // tamper
		if len(w.flight) > 0 {
			p := w.flight[w.rnd.IntN(len(w.flight))]
			i, msg = p.to, bytes.Clone(p.msg)
			msg[w.rnd.IntN(len(msg))] ^= 1 << w.rnd.IntN(8)
		}
	case 3: // cut
		if len(w.flight) > 0 {
			p := w.flight[w.rnd.IntN(len(w.flight))]
			i, msg = p.to, p.msg[:w.rnd.IntN(len(p.msg))]
		}
	}
	before := w.sides[i].state()
	if text, ok := w.receive(i, msg); ok {
		w.t.Fatalf("read %q from a message that must be refused", text)
	}
	if !bytes.Equal(before, w.sides[i].state()) {
		w.t.Fatal("a refused message changed the state")
	}
}

func (w *world) step() {
	switch n := w.rnd.IntN(20); {
	case n < 8:
		w.send(w.rnd.IntN(2))
	case n < 14:
		w.deliver()
	case n < 15: // lose
		if len(w.flight) > 0 {
			k := w.rnd.IntN(len(w.flight))
			w.flight = slices.Delete(w.flight, k, k+1)
		}
	case n < 16:
		w.crash(w.rnd.IntN(2))
	case n < 17 && w.restores:
		i := w.rnd.IntN(2)
		if w.past[i] = append(w.past[i], w.stored[i]); w.rnd.IntN(3) == 0 {
			w.restore(i)
		}
	default:
		w.attack()
	}
}

// TestSchedules: whatever the network does and wherever devices crash, each
// message that arrives is read, once, as it was written, and nothing else is;
// and both devices come to send on one session.
func TestSchedules(t *testing.T) {
	seeds := 1000
	if testing.Short() {
		seeds = 50
	}
	both := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, uint64(seed))
			for range 60 {
				w.step()
			}
			for len(w.flight) > 0 {
				w.deliver()
			}
			w.send(0)
			for len(w.flight) > 0 {
				w.deliver()
			}
			for i := 0; i < 6 || len(w.flight) > 0; i++ {
				w.send(i % 2)
				for len(w.flight) > 0 {
					w.deliver()
				}
			}
			a, b := w.sides[0].peer.s.sessions, w.sides[1].peer.s.sessions
			if a[0].id != b[0].id {
				t.Errorf("the devices send on two sessions; they hold %d and %d", len(a), len(b))
			}
			// A session that came after another had worked both ways takes its place;
			// of two that met, the lower key's stays.
			if len(a) > 1 && len(b) > 1 && a[0].generation == a[1].generation {
				both++
				if !a[0].has(flagLower) {
					t.Error("of two sessions the higher key's was chosen")
				}
			}
		})
	}
	if both == 0 && !t.Failed() {
		t.Error("no schedule had a simultaneous start")
	}
}

// TestRestoredSchedules: devices go back to old copies at any time. The sides
// notice, begin anew, and end on one session in which everything is read; what
// was never read in a copy's life is never read as something else.
func TestRestoredSchedules(t *testing.T) {
	seeds := 1000
	if testing.Short() {
		seeds = 50
	}
	restored, renewed := 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, uint64(seed)+1<<40)
			w.restores = true
			for range 80 {
				w.step()
			}
			// A few rounds each way in which nothing is lost.
			for i := range 2*strays + 4 {
				w.send(i % 2)
				for len(w.flight) > 0 {
					w.deliver()
				}
			}
			before := w.renewed
			for i := range 6 {
				w.send(i % 2)
				for len(w.flight) > 0 {
					w.deliver()
				}
			}
			a, b := w.sides[0].peer.s.sessions, w.sides[1].peer.s.sessions
			if w.renewed != before || a[0].id != b[0].id {
				t.Errorf("not healed: %d sessions begun at the end, %d and %d held", w.renewed-before, len(a), len(b))
			}
			restored, renewed = restored+w.restored, renewed+w.renewed
		})
	}
	if !t.Failed() && (restored < seeds/2 || renewed < seeds/10) {
		t.Errorf("%d copies came back and %d sessions were renewed in %d schedules: they prove little", restored, renewed, seeds)
	}
}

// A device that went back to an old copy is recognised whichever side writes
// first, and one new session heals it.
func TestRestoredCopy(t *testing.T) {
	for _, writer := range []string{"restored", "other"} {
		for _, steps := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s writes, steps between: %v", writer, steps), func(t *testing.T) {
				low, high := established(t)
				exchange(low, high, 1)
				high.expect(low.encrypt("before"), "before")
				old := low.state()
				store, peer := low.stored()
				for i := range 12 { // more than the tags that are remembered
					text := fmt.Sprint("lost life ", i)
					high.expect(low.encrypt(text), text)
					if steps {
						low.expect(high.encrypt(text), text)
					}
				}
				low.store, low.peer = store, peer
				if !bytes.Equal(old, low.state()) {
					t.Fatal("not the old copy")
				}
				from, to := low, high
				if writer == "other" {
					from, to = high, low
				}
				text := "another life"
				got, err := to.decrypt(from.encrypt(text))
				switch {
				case writer == "other" && !steps:
					// The copy is as far as the other side's chain is: nothing is wrong yet.
					if err != nil || got != text {
						t.Fatalf("%q, %v", got, err)
					}
					return
				case steps && !is(err, ErrDecrypt), !steps && !is(err, ErrReused):
					t.Fatalf("%q, %v; want it to be recognised", got, err)
				}
				if err := to.peer.renew(start.Add(time.Hour), to.local, from.bundle(start), from.oneTime(), [32]byte{}, to.rnd); err != nil {
					t.Fatal(err)
				}
				from.expect(to.encrypt("anew"), "anew")
				agreeOn(t, from, to)
				exchange(low, high, 3)
			})
		}
	}
}
