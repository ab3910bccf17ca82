package bench

import (
	"bytes"
	"testing"
	"time"

	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/wire"
)

// bucket is the smallest size that payloads are padded to.
const bucket = 1536

// A talk is two ends that write to each other in turn.
type talk struct {
	from, to *end
	now      time.Time
	plain    []byte
	msg, got []byte
}

func newTalk(tb testing.TB, plain []byte) *talk {
	a, b, now := pair(tb)
	return &talk{from: a, to: b, now: now, plain: plain}
}

func (k *talk) message(tb testing.TB) {
	k.msg = k.from.encrypt(tb, k.msg[:0], k.plain)
	k.got = k.to.decrypt(tb, k.now, k.got[:0], k.msg)
	k.from, k.to = k.to, k.from
}

// save returns the states of both ends.
func (k *talk) save(tb testing.TB) (states [2][]byte) {
	tb.Helper()
	for i, e := range []*end{k.from, k.to} {
		var err error
		if states[i], err = e.peer.MarshalBinary(); err != nil {
			tb.Fatal(err)
		}
	}
	return states
}

// load returns a talk with saved states.
func (k *talk) load(tb testing.TB, states [2][]byte) *talk {
	return &talk{from: k.from.load(tb, states[0]), to: k.to.load(tb, states[1]), now: k.now, plain: k.plain}
}

// offered reports whether the end whose turn it is has, with the message that it
// now encrypts, offered a key: its state then holds one.
func (k *talk) offered(tb testing.TB) bool {
	next := k.from.clone(tb)
	next.encrypt(tb, nil, k.plain)
	state, err := next.peer.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	return len(state) > 400+32+wire.MLKEMCiphertextLen
}

// BenchmarkPostQuantum compares talks whose payloads have room for post-quantum
// vectors with talks whose payloads have none, in messages of the same size.
func BenchmarkPostQuantum(b *testing.B) {
	roomy := make([]byte, bucket)
	roomy[0] = 1
	full := bytes.Repeat([]byte{1}, bucket)
	b.Run("exchange", func(b *testing.B) {
		// The three messages of an exchange - key, ciphertext, step that mixes -
		// against three without one. They are played again and again from states of
		// two messages before, so that all keys are as in a running conversation.
		const messages = 3
		with, without := newTalk(b, roomy), newTalk(b, full)
		var states [][2][]byte
		for !with.offered(b) {
			states = append(states, with.save(b))
			with.message(b)
			without.message(b)
		}
		before, other := states[len(states)-2], without.save(b)
		var a, c [2]*talk
		x := duel{turn: len(a), setup: func() {
			for i := range a {
				a[i], c[i] = with.load(b, before), without.load(b, other)
				for range 2 {
					a[i].message(b)
					c[i].message(b)
				}
			}
		}, floor: func(i int) {
			for range messages {
				c[i].message(b)
			}
		}, op: func(i int) {
			for range messages {
				a[i].message(b)
			}
		}}.run(b, "x-without")
		// Once in an epoch: the steps that make it due, and those of the exchange.
		const epoch = ratchet.PQSteps + messages - 1
		figure("6.cpu", 100*(x-1)*messages/epoch, "%", "at most 5, at the default period, a step in every message")
		figure("6.exchange", x, "x-without", "the three messages of an exchange by three without")
	})
	b.Run("absent-peer", func(b *testing.B) {
		// The key was offered and nobody answers.
		with, without := newTalk(b, roomy), newTalk(b, full)
		for !with.offered(b) {
			with.message(b)
		}
		without.message(b)
		msg := make([]byte, 0, 2*bucket)
		x := duel{turn: 256, floor: func(int) { msg = without.from.encrypt(b, msg[:0], full) }, op: func(int) {
			msg = with.from.encrypt(b, msg[:0], roomy)
		}}.run(b, "x-without")
		figure("6.absent_peer_cpu", 100*(x-1), "%", "encrypting 1536 bytes with a key in flight")
	})
	b.Run("primitives", func(b *testing.B) {
		f := newKEMFloor(b)
		g := newFloor(b, bucket)
		x := duel{turn: 1, floor: func(int) { g.pingPong() }, op: func(int) { f.exchange() }}.run(b, "x-ping-pong")
		figure("6.primitives", x, "x-ping-pong", "those of one exchange by those of one message with a step")
	})
}
