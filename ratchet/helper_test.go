package ratchet

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// start is the time at which tests begin.
var start = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// seeded is a deterministic source of keys.
func seeded(t testing.TB, seed string) entropy {
	var key [32]byte
	copy(key[:], seed)
	c := rand.NewChaCha8(key)
	read := func(b []byte) { c.Read(b) }
	var kem [32]byte
	copy(kem[1:], seed)
	d := rand.NewChaCha8(kem)
	seedKEM := func(b []byte) { d.Read(b) }
	return entropy{read, seedKEM, func(k *mlkem.EncapsulationKey768) ([]byte, []byte) {
		m := make([]byte, 32)
		seedKEM(m)
		secret, ciphertext, err := mlkemtest.Encapsulate768(k, m)
		if err != nil {
			t.Fatal(err)
		}
		return secret, ciphertext
	}}
}

// testLocal is an identity of fixed keys.
func testLocal(t testing.TB, seed byte) *identity.Local {
	t.Helper()
	key := func(role byte) []byte { return bytes.Repeat([]byte{seed, role}, 16) }
	id, err := identity.NewSecretKey(key(1))
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := identity.NewSecretKey(key(2))
	if err != nil {
		t.Fatal(err)
	}
	var public [2][32]byte
	for i := range public {
		k, err := identity.NewDHKey(key(3 + byte(i)))
		if err != nil {
			t.Fatal(err)
		}
		public[i] = k.Public()
	}
	x := wire.Record{
		Identity: id.Public(), Noise: public[0], Agreement: public[1], Recovery: recovery.Public(),
		Name: "peer " + string('a'+rune(seed)), Version: 1, Created: uint64(start.Unix()),
	}
	x.Signature = id.Sign("SREMP v1 identity record", x.AppendUnsigned(nil))
	b := append([]byte{1}, bytes.Repeat([]byte{seed}, 16)...)
	b = wire.AppendVec8(append(b, key(1)...), nil)
	b = append(append(append(b, key(3)...), key(4)...), 0)
	l, err := identity.ParseLocal(wire.AppendVec16(b, x.Append(nil)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A side is one device in a test.
type side struct {
	t     testing.TB
	local *identity.Local
	store *PrekeyStore
	rnd   entropy
	peer  *Peer
}

// newSides returns two, the first with the lower key, with n one-time pairs each.
func newSides(t testing.TB, n int) (low, high *side) {
	t.Helper()
	var s [2]*side
	for i := range s {
		l := testLocal(t, byte(i+1))
		rnd := seeded(t, string('a'+rune(i)))
		store, err := newPrekeyStore(l, start, n, rnd)
		if err != nil {
			t.Fatal(err)
		}
		s[i] = &side{t, l, store, rnd, nil}
	}
	if partyOf(s[0].local).compare(partyOf(s[1].local)) > 0 {
		s[0], s[1] = s[1], s[0]
	}
	return s[0], s[1]
}

func (s *side) bundle(now time.Time) *Bundle {
	s.t.Helper()
	b, err := ParseBundle(s.store.Bundle(), s.local.PeerID(), now)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// oneTime hands out a pair, nil if there is none.
func (s *side) oneTime() []byte {
	one := s.store.OneTime()
	if len(one) == 0 {
		return nil
	}
	s.store.Published([]uint32{one[0].ID})
	return one[0].Bytes
}

func (s *side) initiate(to *side, psk [32]byte) {
	s.t.Helper()
	p, err := initiatePeer(start, s.local, to.bundle(start), to.oneTime(), psk, s.rnd)
	if err != nil {
		s.t.Fatal(err)
	}
	s.peer = p
}

func (s *side) accept(msg []byte, psk [32]byte) string {
	s.t.Helper()
	p, _, plaintext, err := Accept(start, s.local, s.store, psk, msg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.peer = p
	return string(plaintext)
}

func (s *side) encrypt(text string) []byte {
	s.t.Helper()
	msg, err := s.peer.s.encrypt(nil, []byte(text), s.rnd)
	if err != nil {
		s.t.Fatal(err)
	}
	return msg
}

func (s *side) decrypt(msg []byte) (string, error) {
	b, err := s.peer.appendDecrypt(nil, start, s.local, s.store, [32]byte{}, msg, s.rnd)
	return string(b), err
}

// expect decrypts a message that must be want.
func (s *side) expect(msg []byte, want string) {
	s.t.Helper()
	got, err := s.decrypt(msg)
	if err != nil || got != want {
		s.t.Fatalf("decrypted %q, %v; want %q", got, err, want)
	}
}

// refuse offers a message that must be refused with want and change nothing.
func (s *side) refuse(msg []byte, want error) {
	s.t.Helper()
	before := s.state()
	got, err := s.decrypt(msg)
	if err == nil || !is(err, want) {
		s.t.Fatalf("decrypted %q, %v; want %v", got, err, want)
	}
	if !bytes.Equal(before, s.state()) {
		s.t.Fatal("a refused message changed the state")
	}
}

// state is everything that is stored.
func (s *side) state() []byte {
	s.t.Helper()
	b, err := s.store.MarshalBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.peer != nil {
		p, err := s.peer.MarshalBinary()
		if err != nil {
			s.t.Fatal(err)
		}
		b = append(b, p...)
	}
	return b
}

// restart replaces the state with what was stored.
func (s *side) restart() {
	s.t.Helper()
	s.store, s.peer = s.stored()
}

func (s *side) stored() (*PrekeyStore, *Peer) {
	s.t.Helper()
	b, err := s.store.MarshalBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := ParsePrekeyStore(b)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.peer == nil {
		return store, nil
	}
	if b, err = s.peer.MarshalBinary(); err != nil {
		s.t.Fatal(err)
	}
	p, err := ParsePeer(b)
	if err != nil {
		s.t.Fatal(err)
	}
	again, err := p.MarshalBinary()
	if err != nil || !bytes.Equal(again, b) {
		s.t.Fatalf("the state parsed and stored again differs, %v", err)
	}
	return store, p
}

// established returns two sides with a session that was answered.
func established(t testing.TB) (low, high *side) {
	t.Helper()
	low, high = newSides(t, 1)
	low.initiate(high, [32]byte{})
	if got := high.accept(low.encrypt("first"), [32]byte{}); got != "first" {
		t.Fatalf("accepted %q, want %q", got, "first")
	}
	low.expect(high.encrypt("answer"), "answer")
	return low, high
}
