package bench

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// sizes of the plaintexts.
var sizes = []struct {
	name  string
	bytes int
}{{"100B", 100}, {"1KiB", 1 << 10}, {"64KiB", 64 << 10}}

// An end is one of two devices that talk.
type end struct {
	local *identity.Local
	store *ratchet.PrekeyStore
	peer  *ratchet.Peer
}

func newEnd(tb testing.TB, name string, now time.Time) *end {
	tb.Helper()
	l, _, err := identity.NewLocal(name, now)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := ratchet.NewPrekeyStore(l, now, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return &end{local: l, store: s}
}

func (e *end) encrypt(tb testing.TB, dst, plaintext []byte) []byte {
	msg, err := e.peer.Encrypt(dst, plaintext)
	if err != nil {
		tb.Fatal(err)
	}
	return msg
}

func (e *end) decrypt(tb testing.TB, now time.Time, dst, msg []byte) []byte {
	plaintext, err := e.peer.AppendDecrypt(dst, now, e.local, e.store, [32]byte{}, msg)
	if err != nil {
		tb.Fatal(err)
	}
	return plaintext
}

// pair returns two ends after their first question and answer.
func pair(tb testing.TB) (a, b *end, now time.Time) {
	tb.Helper()
	now = time.Now()
	a, b = newEnd(tb, "a", now), newEnd(tb, "b", now)
	bundle, err := ratchet.ParseBundle(b.store.Bundle(), b.local.PeerID(), now)
	if err != nil {
		tb.Fatal(err)
	}
	if a.peer, err = ratchet.Initiate(now, a.local, bundle, b.store.OneTime()[0].Bytes, [32]byte{}); err != nil {
		tb.Fatal(err)
	}
	if b.peer, _, _, err = ratchet.Accept(now, b.local, b.store, [32]byte{}, a.encrypt(tb, nil, []byte("?"))); err != nil {
		tb.Fatal(err)
	}
	if got := a.decrypt(tb, now, nil, b.encrypt(tb, nil, []byte("!"))); string(got) != "!" {
		tb.Fatalf("the answer reads %q", got)
	}
	return a, b, now
}

// clone returns an end with a copy of e's state.
func (e *end) clone(tb testing.TB) *end {
	tb.Helper()
	state, err := e.peer.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	return e.load(tb, state)
}

// load returns an end with a stored state.
func (e *end) load(tb testing.TB, state []byte) *end {
	p, err := ratchet.ParsePeer(state)
	if err != nil {
		tb.Fatal(err)
	}
	return &end{local: e.local, store: e.store, peer: p}
}

// BenchmarkEncrypt is one message more in a sending chain.
func BenchmarkEncrypt(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			from, _, _ := pair(b)
			f := newFloor(b, size.bytes)
			plaintext := bytes.Repeat([]byte{1}, size.bytes)
			msg := from.encrypt(b, nil, plaintext)
			b.SetBytes(int64(size.bytes))
			x := duel{turn: turn(size.bytes), floor: func(int) { f.encrypt() }, op: func(int) {
				msg = from.encrypt(b, msg[:0], plaintext)
			}}.run(b, "x-floor")
			if size.bytes == 100 {
				figure("1.encrypt_100B"+variant(), x, "x-floor", "at most 1.25")
				figure("1.encrypt_100B_allocations"+variant(), testing.AllocsPerRun(100, func() {
					msg = from.encrypt(b, msg[:0], plaintext)
				}), "allocs", "at most 1, 0 with PGO")
			}
		})
	}
}

// turn is how many messages of a size take some hundred microseconds.
func turn(size int) int { return max(4, (1<<19)/(size+1000)) }

// stream makes messages ahead of a receiver.
type stream struct {
	from  *end
	plain []byte
	msgs  [][]byte
}

func newStream(from *end, size, n int) *stream {
	return &stream{from, bytes.Repeat([]byte{1}, size), make([][]byte, n)}
}

func (s *stream) fill(tb testing.TB) {
	for i := range s.msgs {
		s.msgs[i] = s.from.encrypt(tb, s.msgs[i][:0], s.plain)
	}
}

// BenchmarkDecrypt is the next message of a receiving chain. The messages are
// made between the turns.
func BenchmarkDecrypt(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			from, to, now := pair(b)
			f := newFloor(b, size.bytes)
			msgs := newStream(from, size.bytes, turn(size.bytes))
			got := make([]byte, 0, size.bytes)
			b.SetBytes(int64(size.bytes))
			x := duel{turn: len(msgs.msgs), setup: func() { msgs.fill(b) }, floor: func(int) { f.decrypt() }, op: func(i int) {
				got = to.decrypt(b, now, got[:0], msgs.msgs[i])
			}}.run(b, "x-floor")
			if len(got) != size.bytes {
				b.Errorf("decrypted %d bytes, want %d", len(got), size.bytes)
			}
			if size.bytes == 100 {
				figure("1.decrypt_100B"+variant(), x, "x-floor", "at most 1.25")
				from, to, now = pair(b)
				msgs.from, msgs.msgs = from, make([][]byte, 101)
				msgs.fill(b)
				i := 0
				figure("1.decrypt_100B_allocations"+variant(), testing.AllocsPerRun(100, func() {
					got = to.decrypt(b, now, got[:0], msgs.msgs[i])
					i++
				}), "allocs", "at most 1, 0 with PGO")
			}
		})
	}
}

// BenchmarkPingPong is a message and its decryption where the direction changes
// each time, so that every message brings a Diffie-Hellman step.
func BenchmarkPingPong(b *testing.B) {
	from, to, now := pair(b)
	f := newFloor(b, 100)
	plaintext := bytes.Repeat([]byte{1}, 100)
	var msg, got []byte
	x := duel{turn: 4, floor: func(int) { f.pingPong() }, op: func(int) {
		msg = from.encrypt(b, msg[:0], plaintext)
		got = to.decrypt(b, now, got[:0], msg)
		from, to = to, from
	}}.run(b, "x-floor")
	if !bytes.Equal(got, plaintext) {
		b.Errorf("decrypted %d bytes, want %d", len(got), len(plaintext))
	}
	figure("3.ping_pong", x, "x-floor", "at most 1.1")
}

// BenchmarkSkip is a message that comes before so many others. Its floor is the
// chain's steps and the message itself.
func BenchmarkSkip(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			from, to, now := pair(b)
			f := newFloor(b, 100)
			msgs := newStream(from, 100, n+2)
			msgs.fill(b)
			to.decrypt(b, now, nil, msgs.msgs[0])
			state, err := to.peer.MarshalBinary()
			if err != nil {
				b.Fatal(err)
			}
			ends := make([]*end, max(1, 256/n))
			got := make([]byte, 0, 100)
			x := duel{turn: len(ends), setup: func() {
				for i := range ends {
					ends[i] = to.load(b, state)
				}
			}, floor: func(int) {
				for range n {
					f.chainStep()
				}
				f.decrypt()
			}, op: func(i int) {
				got = ends[i].decrypt(b, now, got[:0], msgs.msgs[n+1])
			}}.run(b, "x-floor")
			if n == 1000 {
				figure("4.skip_1000", x, "x-chain-steps", "at most 1.15")
			}
		})
	}
}

// BenchmarkLate is a late message among 1000 stored keys, against one where its
// key is the only one.
func BenchmarkLate(b *testing.B) {
	from, to, now := pair(b)
	msgs := newStream(from, 100, 1003)
	msgs.fill(b)
	to.decrypt(b, now, nil, msgs.msgs[0])
	stored := func(e *end, last int) []byte {
		e.decrypt(b, now, nil, msgs.msgs[last])
		state, err := e.peer.MarshalBinary()
		if err != nil {
			b.Fatal(err)
		}
		return state
	}
	one, many := stored(to.clone(b), 2), stored(to.clone(b), 1001)
	var a, c [16]*end
	got := make([]byte, 0, 100)
	x := duel{turn: len(a), setup: func() {
		for i := range a {
			a[i], c[i] = to.load(b, many), to.load(b, one)
			// Both have expanded their keys, as after any message.
			a[i].decrypt(b, now, nil, msgs.msgs[1002])
			c[i].decrypt(b, now, nil, msgs.msgs[3])
		}
	}, floor: func(i int) { got = c[i].decrypt(b, now, got[:0], msgs.msgs[1]) }, op: func(i int) {
		got = a[i].decrypt(b, now, got[:0], msgs.msgs[1+(i*61)%1000])
	}}.run(b, "x-one-stored")
	figure("4.late_among_1000", x, "x-one-stored", "at most 1.1")
}

// BenchmarkReject refuses messages, against a good decryption: junk that no key
// opens, a header changed by one bit, and a good header with another body, by
// far the dearest that somebody without keys can make. A header that skips
// cannot be made without the header key.
func BenchmarkReject(b *testing.B) {
	from, to, now := pair(b)
	good := newStream(from, 100, turn(100))
	to.decrypt(b, now, nil, from.encrypt(b, nil, good.plain)) // the chain's first
	other := to.clone(b)
	for _, c := range []struct {
		name, number string
		most         float64
		spoil        func([]byte)
	}{
		{"junk", "5.junk", 0.5, func(m []byte) {
			for i := range m[2:] {
				m[2+i] = byte(37 * i)
			}
		}},
		{"forged-header", "5.forged_header", 1, func(m []byte) { m[10] ^= 1 }},
		{"forged-body", "5.forged_body", 1, func(m []byte) { m[90] ^= 1 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var bad []byte
			got := make([]byte, 0, 100)
			refuse := func() {
				if _, err := other.peer.AppendDecrypt(got[:0], now, to.local, to.store, [32]byte{}, bad); !errors.Is(err, ratchet.ErrDecrypt) {
					b.Fatalf("%v, want ErrDecrypt", err)
				}
			}
			x := duel{turn: len(good.msgs), setup: func() {
				good.fill(b)
				other = to.clone(b)
				bad = append(bad[:0], good.msgs[0]...)
				c.spoil(bad)
				refuse() // expands the header keys
			}, floor: func(i int) { got = to.decrypt(b, now, got[:0], good.msgs[i]) }, op: func(int) { refuse() }}.run(b, "x-decrypt")
			figure(c.number, x, "x-decrypt", fmt.Sprint("at most ", c.most))
			figure(c.number+"_allocations", testing.AllocsPerRun(100, refuse), "allocs", "0 for junk")
		})
	}
}

// BenchmarkAgreement is the prekey agreement with a one-time pair: the checks of
// a bundle and the first message, and its acceptance.
func BenchmarkAgreement(b *testing.B) {
	now := time.Now()
	alice, bob := newEnd(b, "a", now), newEnd(b, "b", now)
	enc, one := bob.store.Bundle(), bob.store.OneTime()[0].Bytes
	f := newKEMFloor(b)
	var msg []byte
	initiate := func(int) {
		bundle, err := ratchet.ParseBundle(enc, bob.local.PeerID(), now)
		if err != nil {
			b.Fatal(err)
		}
		if alice.peer, err = ratchet.Initiate(now, alice.local, bundle, one, [32]byte{}); err != nil {
			b.Fatal(err)
		}
		msg = alice.encrypt(b, msg[:0], nil)
	}
	b.Run("initiate", func(b *testing.B) {
		duel{turn: 1, floor: func(int) { f.initiate() }, op: initiate}.run(b, "x-floor")
	})
	initiate(0)
	keys, err := bob.store.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("accept", func(b *testing.B) {
		var store *ratchet.PrekeyStore
		duel{turn: 1, setup: func() {
			var err error
			if store, err = ratchet.ParsePrekeyStore(keys); err != nil {
				b.Fatal(err)
			}
		}, floor: func(int) { f.accept() }, op: func(int) {
			if _, _, _, err := ratchet.Accept(now, bob.local, store, [32]byte{}, msg); err != nil {
				b.Fatal(err)
			}
		}}.run(b, "x-floor")
	})
}

// TestOperations checks that what the benchmarks time is what they say: every
// message comes out as it went in, once, and junk does not.
func TestOperations(t *testing.T) {
	from, to, now := pair(t)
	for _, size := range sizes {
		t.Run(size.name, func(t *testing.T) {
			plaintext := bytes.Repeat([]byte("x"), size.bytes)
			for i := range 3 {
				copy(plaintext, fmt.Sprint(i))
				msg := from.encrypt(t, nil, plaintext)
				if got := to.decrypt(t, now, nil, msg); !bytes.Equal(got, plaintext) {
					t.Errorf("message %d: decrypted %d bytes that differ", i, len(got))
				}
				if _, err := to.peer.Decrypt(now, to.local, to.store, [32]byte{}, msg); !errors.Is(err, ratchet.ErrDuplicate) {
					t.Errorf("message %d again: %v, want ErrDuplicate", i, err)
				}
				msg[10] ^= 1
				if _, err := to.peer.Decrypt(now, to.local, to.store, [32]byte{}, msg); err == nil {
					t.Errorf("junk %d was decrypted", i)
				}
				from, to = to, from
			}
		})
	}
	state, err := to.peer.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if to.peer, err = ratchet.ParsePeer(state); err != nil {
		t.Fatal(err)
	}
	msg := from.encrypt(t, nil, []byte("after a restart"))
	if got := to.decrypt(t, now, nil, msg); string(got) != "after a restart" {
		t.Errorf("decrypted %q", got)
	}
}
