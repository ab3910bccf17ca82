package ratchet

import (
	"bytes"
	"testing"

	"github.com/sremp/sremp/wire"
)

// fuzzState is a state with stored keys, old chains and two sessions.
func fuzzState(t testing.TB) (low, high *side) {
	low, high = established(t)
	low.encrypt("lost")
	high.expect(low.encrypt("x"), "x")
	low.expect(high.encrypt("y"), "y")
	low.encrypt("lost")
	high.expect(low.encrypt("x"), "x")
	if err := high.peer.Renew(start, high.local, low.bundle(start), nil, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	return low, high
}

// What ParsePeer accepts is stored again as the same bytes and can be used.
func FuzzParsePeer(f *testing.F) {
	low, high := fuzzState(f)
	for _, s := range []*side{low, high} {
		b, err := s.peer.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	msg := low.encrypt("text")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePeer(b)
		if err != nil {
			return
		}
		again, err := p.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("stored again = %x, %v", again, err)
		}
		if _, err := p.Decrypt(start, high.local, high.store, [32]byte{}, msg); err != nil {
			if again, err := p.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("a refused message changed the state, %v", err)
			}
		}
		if _, err := p.Encrypt(nil, []byte("text")); err != nil && !is(err, ErrState) && !is(err, ErrExhausted) {
			t.Errorf("Encrypt: %v", err)
		}
	})
}

func FuzzParsePrekeyStore(f *testing.F) {
	low, _ := newSides(f, 2)
	b, err := low.store.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParsePrekeyStore(b)
		if err != nil {
			return
		}
		again, err := s.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("stored again = %x, %v", again, err)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	low, high := newSides(f, 1)
	f.Add(low.store.Bundle())
	f.Fuzz(func(t *testing.T, b []byte) {
		bundle, err := ParseBundle(b, low.local.PeerID(), start)
		if err != nil {
			return
		}
		if !bytes.Equal(b, low.store.Bundle()) {
			t.Errorf("a bundle that nobody signed was accepted: %x", b)
		}
		if _, err := Initiate(start, high.local, bundle, nil, [32]byte{}); err != nil {
			t.Error(err)
		}
	})
}

// A live session refuses everything but what was written to it, and stays as it was.
func FuzzDecrypt(f *testing.F) {
	low, high := fuzzState(f)
	msg := low.encrypt("text")
	f.Add(msg)
	f.Add(high.encrypt("initial"))
	s := low.peer.s.sessions[0]
	f.Add(forge(s.id, s.send.key, [32]byte{}, wire.RatchetHeader{DH: s.dh.public, PN: s.prevN, N: s.sendN}, []byte("forged")))
	state, err := high.peer.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := high.decrypt(b)
		if err == nil && (text != "text" || !bytes.Equal(b, msg)) {
			t.Fatalf("%x reads %q", b, text)
		}
		if err == nil {
			if high.peer, err = ParsePeer(state); err != nil {
				t.Fatal(err)
			}
			return
		}
		if !is(err, ErrDecrypt) && !is(err, ErrDuplicate) {
			t.Errorf("%v", err)
		}
		if now, err := high.peer.MarshalBinary(); err != nil || !bytes.Equal(now, state) {
			t.Errorf("a refused message changed the state, %v", err)
		}
	})
}

func FuzzAccept(f *testing.F) {
	low, high := newSides(f, 1)
	low.initiate(high, [32]byte{})
	msg := low.encrypt("text")
	f.Add(msg)
	state, err := high.store.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, text, err := Accept(start, high.local, high.store, [32]byte{}, b)
		if err == nil {
			if !bytes.Equal(b, msg) {
				t.Fatalf("%x reads %q", b, text)
			}
			if high.store, err = ParsePrekeyStore(state); err != nil {
				t.Fatal(err)
			}
			return
		}
		if now, err := high.store.MarshalBinary(); err != nil || !bytes.Equal(now, state) {
			t.Errorf("a refused message changed the prekeys, %v", err)
		}
	})
}
