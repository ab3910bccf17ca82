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

// BenchmarkEncrypt is one message more in a sending chain.
func BenchmarkEncrypt(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			from, _, _ := pair(b)
			plaintext := make([]byte, size.bytes)
			msg := from.encrypt(b, nil, plaintext)
			b.ReportAllocs()
			b.SetBytes(int64(size.bytes))
			for b.Loop() {
				msg = from.encrypt(b, msg[:0], plaintext)
			}
		})
	}
}

// BenchmarkDecrypt is the next message of a receiving chain. The messages are
// made while the clock stands, many at a time: stopping it costs much more than
// one takes.
func BenchmarkDecrypt(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			from, to, now := pair(b)
			plaintext := make([]byte, size.bytes)
			batch := make([][]byte, 1+(4<<20)/(size.bytes+100)/8)
			fill := func() {
				for i := range batch {
					batch[i] = from.encrypt(b, batch[i][:0], plaintext)
				}
			}
			fill()
			i, got := 0, make([]byte, 0, size.bytes)
			b.ReportAllocs()
			b.SetBytes(int64(size.bytes))
			for b.Loop() {
				if i == len(batch) {
					b.StopTimer()
					fill()
					i = 0
					b.StartTimer()
				}
				got = to.decrypt(b, now, got[:0], batch[i])
				i++
			}
			if len(got) != size.bytes {
				b.Errorf("decrypted %d bytes, want %d", len(got), size.bytes)
			}
		})
	}
}

// BenchmarkPingPong is a message and its decryption where the direction changes
// each time, so that every message brings a Diffie-Hellman step.
func BenchmarkPingPong(b *testing.B) {
	from, to, now := pair(b)
	plaintext := make([]byte, 100)
	var msg, got []byte
	b.ReportAllocs()
	for b.Loop() {
		msg = from.encrypt(b, msg[:0], plaintext)
		got = to.decrypt(b, now, got[:0], msg)
		from, to = to, from
	}
	if !bytes.Equal(got, plaintext) {
		b.Errorf("decrypted %d bytes, want %d", len(got), len(plaintext))
	}
}

// BenchmarkJunk refuses a message that no key opens.
func BenchmarkJunk(b *testing.B) {
	from, to, now := pair(b)
	msg := from.encrypt(b, nil, make([]byte, 100))
	msg[10] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		if _, err := to.peer.Decrypt(now, to.local, to.store, [32]byte{}, msg); err == nil {
			b.Fatal("junk was decrypted")
		}
	}
}

// BenchmarkMarshal stores the state of a peer.
func BenchmarkMarshal(b *testing.B) {
	_, to, _ := pair(b)
	var state []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if state, err = to.peer.AppendBinary(state[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(state)), "state-bytes")
}

// BenchmarkUnmarshal loads the state of a peer.
func BenchmarkUnmarshal(b *testing.B) {
	_, to, _ := pair(b)
	state, err := to.peer.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ratchet.ParsePeer(state); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAgreement is a prekey agreement without a one-time pair: the bundle's
// check, both sides, and the first message.
func BenchmarkAgreement(b *testing.B) {
	now := time.Now()
	alice, bob := newEnd(b, "a", now), newEnd(b, "b", now)
	enc := bob.store.Bundle()
	b.ReportAllocs()
	for b.Loop() {
		bundle, err := ratchet.ParseBundle(enc, bob.local.PeerID(), now)
		if err != nil {
			b.Fatal(err)
		}
		if alice.peer, err = ratchet.Initiate(now, alice.local, bundle, nil, [32]byte{}); err != nil {
			b.Fatal(err)
		}
		if _, _, _, err = ratchet.Accept(now, bob.local, bob.store, [32]byte{}, alice.encrypt(b, nil, nil)); err != nil {
			b.Fatal(err)
		}
	}
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
