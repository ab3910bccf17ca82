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
	b.Run("period", func(b *testing.B) {
		// A turn is two epochs, with the steps that the exchanges take.
		const period = 2 * (ratchet.PQSteps + 2)
		with, without := newTalk(b, roomy), newTalk(b, full)
		x := duel{turn: 1, floor: func(int) {
			for range period {
				without.message(b)
			}
		}, op: func(int) {
			for range period {
				with.message(b)
			}
		}}.run(b, "x-without")
		figure("6.cpu", 100*(x-1), "%", "at most 5, at the default period, a step in every message")
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
	b.Run("exchange", func(b *testing.B) {
		f := newKEMFloor(b)
		g := newFloor(b, bucket)
		x := duel{turn: 1, floor: func(int) { g.pingPong() }, op: func(int) { f.exchange() }}.run(b, "x-ping-pong")
		figure("6.exchange", x, "x-ping-pong", "the primitives of one exchange by those of one message with a step")
	})
}
