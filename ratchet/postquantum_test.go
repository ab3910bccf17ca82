package ratchet

import (
	"bytes"
	"crypto/mlkem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/wire"
)

// padded is a text in the smallest bucket of payloads.
func padded(text string) string { return text + strings.Repeat("\x00", 1536-len(text)) }

// headerOf opens the header of a message that s sent last, as its holder can.
func (s *side) headerOf(msg []byte) (h wire.RatchetHeader) {
	s.t.Helper()
	x := s.peer.s.sessions[0]
	x.setAD()
	copy(x.scratch.nonce[:], msg[len(msg)-wire.RatchetTagLen:])
	if !x.openWith(&x.send, msg, &h) {
		s.t.Fatal("the header does not open")
	}
	return h
}

// hurry makes the next exchange due.
func (s *side) hurry() {
	for _, x := range s.peer.s.sessions {
		x.pq.steps = PQSteps
	}
}

// exchange lets two sides answer each other n times.
func exchange(a, b *side, n int) {
	a.t.Helper()
	for i := range n {
		text := padded(fmt.Sprint("there ", i))
		b.expect(a.encrypt(text), text)
		text = padded(fmt.Sprint("back ", i))
		a.expect(b.encrypt(text), text)
	}
}

// At the default period the epochs go on, both sides in step, no size shows
// which messages carry a vector, and a vector costs few bytes a message.
func TestPostQuantumPeriod(t *testing.T) {
	low, high := established(t)
	const messages = 800
	carried, epochs := 0, map[uint32]int{}
	from, to := low, high
	for i := range messages {
		text := padded(fmt.Sprint(i))
		msg := from.encrypt(text)
		if len(msg) != len(text)+wire.RatchetOverhead {
			t.Fatalf("message %d has %d bytes, want %d", i, len(msg), len(text)+wire.RatchetOverhead)
		}
		h := from.headerOf(msg)
		carried += int(h.PQLength)
		if h.PQKind == wire.PQKey {
			epochs[h.PQEpoch]++
			if (h.PQEpoch%2 == 0) != (from == low) {
				t.Errorf("epoch %d is offered by the wrong side", h.PQEpoch)
			}
		}
		to.expect(msg, text)
		if i%7 == 0 {
			from.restart()
			to.restart()
		}
		from, to = to, from
	}
	a, b := low.peer.s.sessions[0].pq.epoch, high.peer.s.sessions[0].pq.epoch
	if want := uint32(messages / (PQSteps + 6)); a < want || a != b && a != b+1 && b != a+1 {
		t.Errorf("epochs %d and %d after %d messages, want at least %d", a, b, messages, want)
	}
	for e, n := range epochs {
		if n != 1 {
			t.Errorf("the key of epoch %d was sent %d times without loss, want once", e, n)
		}
	}
	perMessage := float64(carried) / messages
	if perMessage > 50 {
		t.Errorf("%.1f bytes a message, want at most 50", perMessage)
	}
	t.Logf("figure: ratchet.6.bytes_per_message %.1f B at most 50 before padding, without loss", perMessage)
	t.Logf("figure: ratchet.6.padded_bytes_per_message 0 B vectors take the place of padding: every message had its bucket's size")
}

// A vector rides only on zeros: without them nothing is sent and nothing breaks.
func TestPostQuantumNeedsRoom(t *testing.T) {
	low, high := established(t)
	from, to := low, high
	for i := range 3 * PQSteps {
		text := fmt.Sprint("short ", i, strings.Repeat(".", i*20)) // up to 3.8 kB without a zero
		msg := from.encrypt(text)
		if h := from.headerOf(msg); h.PQKind != wire.PQNone || h.Epoch != 0 {
			t.Fatalf("message %d carries kind %d, epoch %d", i, h.PQKind, h.Epoch)
		}
		to.expect(msg, text)
		from, to = to, from
	}
	exact := "x" + strings.Repeat("\x00", wire.MLKEMKeyLen)
	for _, text := range []string{exact[:len(exact)-1], exact} {
		high.hurry()
		msg := high.encrypt(text)
		if h, want := high.headerOf(msg), len(text) == len(exact); (h.PQKind == wire.PQKey) != want {
			t.Errorf("%d bytes, kind %d, want a key: %v", len(text), h.PQKind, want)
		}
		low.expect(msg, text)
	}
}

// An exchange begins after so many messages or so much time, too, and not
// before the session was answered.
func TestPostQuantumTriggers(t *testing.T) {
	for _, name := range []string{"messages", "age", "neither"} {
		t.Run(name, func(t *testing.T) {
			low, high := established(t)
			exchange(low, high, 2)
			later := start
			switch name {
			case "messages":
				high.peer.s.sessions[0].pq.count = PQMessages - 1
			case "age":
				later = start.Add(PQAge * time.Second)
			case "neither":
				later = start.Add((PQAge - 1) * time.Second)
			}
			if _, err := high.peer.Decrypt(later, high.local, high.store, [32]byte{}, low.encrypt("x")); err != nil {
				t.Fatal(err)
			}
			h := high.headerOf(high.encrypt(padded("answer")))
			if got, want := h.PQKind == wire.PQKey, name != "neither"; got != want {
				t.Errorf("a key is offered: %v, want %v", got, want)
			}
		})
	}
	low, high := newSides(t, 1)
	high.initiate(low, [32]byte{})
	high.hurry()
	if h := high.headerOf(high.encrypt(padded("first"))[high.peer.Overhead()-wire.RatchetOverhead:]); h.PQKind != wire.PQNone {
		t.Errorf("a session without an answer carries kind %d", h.PQKind)
	}
}

// A vector is repeated, not more often than every PQRepeat messages, until the
// other side is seen to have it; then it stops.
func TestPostQuantumRepeats(t *testing.T) {
	low, high := established(t)
	exchange(low, high, 1)
	// carriers sends n messages and returns which carried something.
	carriers := func(s *side, n int) (msgs [][]byte, at []int) {
		for i := range n {
			s.restart()
			msgs = append(msgs, s.encrypt(padded("x")))
			if s.headerOf(msgs[i]).PQKind != wire.PQNone {
				at = append(at, i)
			}
		}
		return msgs, at
	}
	high.hurry()
	keys, at := carriers(high, 40)
	if want := "[0 16 32]"; fmt.Sprint(at) != want {
		t.Errorf("keys ride in messages %v, want %v", at, want)
	}
	low.expect(keys[32], padded("x"))
	answers, at := carriers(low, 40)
	if want := "[0 16 32]"; fmt.Sprint(at) != want {
		t.Errorf("ciphertexts ride in messages %v, want %v", at, want)
	}
	low.expect(keys[0], padded("x")) // late: it changes nothing
	high.expect(answers[16], padded("x"))
	mixed := high.encrypt(padded("mixed"))
	if h := high.headerOf(mixed); h.Epoch != 1 || h.PQKind != wire.PQNone {
		t.Errorf("the step after the secret names epoch %d and carries kind %d; want 1, none", h.Epoch, h.PQKind)
	}
	if h := high.headerOf(high.encrypt("second")); h.Epoch != 1 {
		t.Errorf("the next header of the chain names epoch %d, want 1", h.Epoch)
	}
	low.expect(mixed, padded("mixed"))
	high.expect(answers[0], padded("x"))
	low.expect(keys[16], padded("x"))
	for _, s := range []*side{low, high} {
		if _, at := carriers(s, 20); at != nil {
			t.Errorf("after the epoch was mixed messages %v carry something", at)
		}
	}
	if f := low.peer.s.sessions[0].pq.flight; f != nil {
		t.Error("keys of a finished exchange are kept")
	}
}

// Who stole a state and can break X25519 reads on until the next post-quantum
// epoch, and nothing after it. Its copy makes the same Diffie-Hellman keys as
// the victim, which is what breaking X25519 gives, but not the same ML-KEM ones.
func TestPostQuantumHealing(t *testing.T) {
	for _, victim := range []string{"low", "high"} {
		t.Run(victim, func(t *testing.T) {
			low, high := established(t)
			exchange(low, high, 3)
			v, o := low, high
			if victim == "high" {
				v, o = high, low
			}
			thief := v.stolen()
			v.rnd, thief.rnd = seeded(t, "same"), seeded(t, "same")
			other := seeded(t, "other")
			thief.rnd.seed, thief.rnd.encapsulate = other.seed, other.encapsulate

			// One turn: the other side writes, the victim answers. The thief's copy
			// does the same.
			turn := func() (read bool) {
				msg := o.encrypt(padded("secret"))
				v.expect(msg, padded("secret"))
				got, err := thief.decrypt(msg)
				o.expect(v.encrypt(padded("answer")), padded("answer"))
				thief.encrypt(padded("answer"))
				return err == nil && got == padded("secret")
			}
			for i := range 10 {
				if !turn() {
					t.Fatalf("turn %d before a post-quantum step was not read; the theft is not real", i)
				}
			}
			before := v.peer.s.sessions[0].pq.epoch
			for range 12 {
				low.hurry()
				high.hurry()
				thief.hurry()
				turn()
			}
			if after := v.peer.s.sessions[0].pq.epoch; after < before+2 {
				t.Fatalf("epoch %d after %d, want two more", after, before)
			}
			for i := range 10 {
				if turn() {
					t.Errorf("turn %d after healing was read", i)
				}
			}
		})
	}
}

// A state stolen after an epoch reads nothing that came before it, and holds no
// key of it.
func TestPostQuantumForwardSecrecy(t *testing.T) {
	low, high := established(t)
	high.hurry()
	var flights []*flight
	msgs := [][]byte{}
	for range 4 {
		for _, x := range [][2]*side{{high, low}, {low, high}} {
			msg := x[0].encrypt(padded("past"))
			msgs = append(msgs, msg)
			x[1].expect(msg, padded("past"))
			for _, s := range x {
				if f := s.peer.s.sessions[0].pq.flight; f != nil {
					flights = append(flights, f)
				}
			}
		}
	}
	for _, s := range []*side{low, high} {
		if p := s.peer.s.sessions[0].pq; p.epoch != 1 || p.flight != nil {
			t.Fatalf("epoch %d, flight %v; want 1, none", p.epoch, p.flight != nil)
		}
		thief := s.stolen()
		for _, msg := range msgs {
			if _, err := thief.decrypt(msg); err == nil {
				t.Error("a stolen state read the past")
			}
		}
	}
	for _, f := range flights {
		if f.secret != [32]byte{} || f.seed != [mlkem.SeedSize]byte{} {
			t.Error("a key of a finished exchange was not erased")
		}
	}
}

// What a device that keeps the rules cannot send is refused without a trace.
func TestPostQuantumHostile(t *testing.T) {
	low, high := established(t)
	exchange(low, high, 1)
	high.hurry()
	low.expect(high.encrypt(padded("offer")), padded("offer"))
	msg := low.encrypt(padded("answer"))
	high.expect(msg, padded("answer"))
	low.expect(high.encrypt("epoch 1"), "epoch 1")
	high.expect(low.encrypt("fine"), "fine") // low offers epoch 2 next, high 3

	s := low.peer.s.sessions[0]
	key := decapsulator(&[64]byte{1}).EncapsulationKey().Bytes()
	bad := bytes.Repeat([]byte{0xff}, wire.MLKEMKeyLen)
	forged := func(kind uint8, epoch uint32, vector []byte, change func(*wire.RatchetHeader)) []byte {
		h := wire.RatchetHeader{DH: s.dh.public, PN: s.prevN, N: s.sendN, PQKind: kind, PQEpoch: epoch, PQLength: uint16(len(vector))}
		if change != nil {
			change(&h)
		}
		ck := s.sendChain
		_, mk := kdfChain(&ck)
		return forge(s.id, s.send.key, mk, h, append(bytes.Clone(vector), make([]byte, 10)...))
	}
	ciphertext := make([]byte, wire.MLKEMCiphertextLen)
	for name, msg := range map[string][]byte{
		"key of our own epoch":              forged(wire.PQKey, 3, key, nil),
		"key of a later epoch":              forged(wire.PQKey, 4, key, nil),
		"key that is not reduced":           forged(wire.PQKey, 2, bad, nil),
		"ciphertext of its own epoch":       forged(wire.PQCiphertext, 2, ciphertext, nil),
		"ciphertext of a later epoch":       forged(wire.PQCiphertext, 3, ciphertext, nil),
		"epoch in a chain that has none":    forged(wire.PQNone, 0, nil, func(h *wire.RatchetHeader) { h.Epoch = 2 }),
		"key of the length of a ciphertext": forged(wire.PQKey, 2, ciphertext, nil),
		"kind 3":                            forged(3, 2, key, nil),
		"vector longer than the plaintext":  forged(wire.PQKey, 2, key[:10], func(h *wire.RatchetHeader) { h.PQLength = wire.MLKEMKeyLen }),
		"no epoch":                          forged(wire.PQKey, 0, key, nil),
	} {
		before := high.state()
		if _, err := high.decrypt(msg); !is(err, ErrDecrypt) {
			t.Errorf("%s: %v, want ErrDecrypt", name, err)
		}
		if !bytes.Equal(before, high.state()) {
			t.Errorf("%s: the state changed", name)
		}
	}
	if _, err := high.decrypt(forged(wire.PQKey, 2, key, nil)); err != nil {
		t.Errorf("the right key: %v", err)
	}
	// A step that names an epoch whose secret we do not have is refused: FuzzDecrypt
	// and TestForgedHeaders. One that leaves out an epoch is an ordinary step.
}

// A wrong ciphertext, which ML-KEM rejects implicitly, gives the two sides
// different secrets: the epoch's first message then does not open, as any forgery.
func TestPostQuantumSecretMatters(t *testing.T) {
	low, high := established(t)
	exchange(low, high, 1)
	high.hurry()
	low.expect(high.encrypt(padded("offer")), padded("offer"))
	high.expect(low.encrypt(padded("answer")), padded("answer"))
	s := high.peer.s.sessions[0]
	if s.pq.phase != pqAgreed {
		t.Fatalf("phase %d, want %d", s.pq.phase, pqAgreed)
	}
	_, good := high.stored()
	s.pq.flight.secret[0] ^= 1
	low.refuse(high.encrypt("x"), ErrDecrypt)
	high.peer = good
	_, good = high.stored()
	// The right secret under the wrong name is refused, too.
	high.peer.s.sessions[0].pq.epoch += 2
	low.refuse(high.encrypt("x"), ErrDecrypt)
	high.peer = good
	low.expect(high.encrypt("x"), "x")
}
