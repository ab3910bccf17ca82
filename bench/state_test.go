package bench

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/sremp/sremp/ratchet"
)

// used returns two ends after a conversation of a few messages.
func used(tb testing.TB) (a, b *end, k *talk) {
	k = newTalk(tb, []byte("no room"))
	for range 20 {
		k.message(tb)
	}
	k.got = k.to.decrypt(tb, k.now, nil, k.from.encrypt(tb, nil, k.plain))
	return k.from, k.to, k
}

// BenchmarkMarshal stores the state of a peer; its floor is copying the bytes
// and one HMAC.
func BenchmarkMarshal(b *testing.B) {
	from, to, _ := used(b)
	most := 0
	for _, e := range []*end{from, to} {
		b.Run(map[*end]string{from: "sent-last", to: "received-last"}[e], func(b *testing.B) {
			state, err := e.peer.MarshalBinary()
			if err != nil {
				b.Fatal(err)
			}
			f, buf := newFloor(b, 1), make([]byte, len(state))
			x := duel{turn: 512, floor: func(int) { copy(buf, state); f.hmac() }, op: func(int) {
				if state, err = e.peer.AppendBinary(state[:0]); err != nil {
					b.Fatal(err)
				}
			}}.run(b, "x-copy-and-hmac")
			b.ReportMetric(float64(len(state)), "state-bytes")
			if most = max(most, len(state)); e == from {
				figure("7.marshal", x, "x-copy-and-hmac", "at most 1 us")
				figure("7.marshal_time", perOp(b), "ns", "at most 1000")
			}
		})
	}
	figure("state.bytes", float64(most), "B", "at most 400")
}

// perOp is a benchmark's time per operation in nanoseconds.
func perOp(b *testing.B) float64 { return float64(b.Elapsed().Nanoseconds()) / float64(b.N) }

// BenchmarkUnmarshal loads the state of a peer.
func BenchmarkUnmarshal(b *testing.B) {
	from, _, _ := used(b)
	state, err := from.peer.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	f, buf := newFloor(b, 1), make([]byte, len(state))
	x := duel{turn: 512, floor: func(int) { copy(buf, state); f.hmac() }, op: func(int) {
		if _, err := ratchet.ParsePeer(state); err != nil {
			b.Fatal(err)
		}
	}}.run(b, "x-copy-and-hmac")
	figure("7.unmarshal", x, "x-copy-and-hmac", "at most 1 us")
	figure("7.unmarshal_time", perOp(b), "ns", "at most 1000")
}

// BenchmarkHeap measures what a session and a stored key hold of the heap.
func BenchmarkHeap(b *testing.B) {
	from, to, k := used(b)
	msgs := newStream(from, 10, 1001)
	msgs.fill(b)
	next, err := to.peer.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	const n = 200
	measure := func(last int) float64 {
		all := make([]*end, n)
		before := liveHeap()
		for i := range all {
			all[i] = to.load(b, next)
			all[i].decrypt(b, k.now, nil, msgs.msgs[last])
		}
		after := liveHeap()
		runtime.KeepAlive(all)
		return float64(after-before) / n
	}
	var none, many float64
	for b.Loop() {
		none, many = measure(0), measure(1000)
	}
	b.ReportMetric(none, "B/session")
	b.ReportMetric(many, "B/session-1000-skipped")
	b.ReportMetric((many-none)/1000, "B/key")
	figure("heap.session", none, "B", "without stored keys, its header key in use")
	figure("heap.session_1000_skipped", many, "B", "with 1000 stored keys")
	figure("4.heap_per_stored_key", (many-none)/1000, "B", "at most 40")
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSessions sends a message in one of 10 000 sessions, chosen at random,
// and reads it at its other end, against the same in one session.
func BenchmarkSessions(b *testing.B) {
	from, to, k := used(b)
	const n = 10000
	load := func(e *end) (all []*end) {
		state, err := e.peer.MarshalBinary()
		if err != nil {
			b.Fatal(err)
		}
		for range n {
			all = append(all, e.load(b, state))
		}
		return all
	}
	froms, tos := load(from), load(to)
	rnd := rand.New(rand.NewPCG(1, 2))
	plain := bytes.Repeat([]byte{1}, 100)
	msg, got := make([]byte, 0, 300), make([]byte, 0, 300)
	one := func(i int) {
		msg = froms[i].encrypt(b, msg[:0], plain)
		got = tos[i].decrypt(b, k.now, got[:0], msg)
	}
	duel{turn: 256, floor: func(int) { one(0) }, op: func(int) { one(rnd.IntN(n)) }}.run(b, "x-one-session")
}
