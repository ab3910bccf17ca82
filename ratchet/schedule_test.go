package ratchet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A world is two devices and a network that does what it likes. Each device
// stores its state before it sends a message or shows a text, and may crash
// before that.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	sides   [2]*side
	stored  [2]snapshot
	flight  []*parcel
	arrived []*parcel
	sent    int
}

type snapshot struct{ store, peer []byte }

type parcel struct {
	to   int
	text string
	msg  []byte
}

func newWorld(t *testing.T, seed uint64) *world {
	low, high := newSides(t, int(seed%2))
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), sides: [2]*side{low, high}}
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
	s := w.sides[i]
	if s.peer != nil {
		text, err := s.decrypt(msg)
		return text, err == nil
	}
	p, _, plaintext, err := Accept(start, s.local, s.store, [32]byte{}, msg)
	if err != nil {
		return "", false
	}
	s.peer = p
	return string(plaintext), true
}

// deliver takes a message in flight to its device.
func (w *world) deliver() {
	if len(w.flight) == 0 {
		return
	}
	k := w.rnd.IntN(len(w.flight))
	p := w.flight[k]
	text, ok := w.receive(p.to, p.msg)
	if !ok || text != p.text {
		w.t.Fatalf("message %q arrived as %q, %v", p.text, text, ok)
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
	default:
		w.attack()
	}
}

// TestSchedules: whatever the network does and wherever devices crash, each
// message that arrives is read, once, as it was written, and nothing else is;
// and both devices come to send on one session.
func TestSchedules(t *testing.T) {
	seeds := 200
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
