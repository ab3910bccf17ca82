package ratchet

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// badPoints are X25519 keys of small order, all those of RFC 7748 and their
// non-canonical forms, and other non-canonical encodings.
var badPoints = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 9 + p, the base point
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0900000000000000000000000000000000000000000000000000000000000080", // the base point with its high bit
	"0000000000000000000000000000000000000000000000000000000000000080",
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func points(t testing.TB) (out [][32]byte) {
	t.Helper()
	for _, s := range badPoints {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, [32]byte(b))
	}
	return out
}

// forge makes a message as the holder of the session's keys could.
func forge(id sessionID, header, message [32]byte, h wire.RatchetHeader, plaintext []byte) []byte {
	head := h.Append(nil)
	ad := append(id[:], wire.RatchetVersion, wire.RatchetMessage)
	body := newAEAD(&message).Seal(nil, make([]byte, 12), plaintext, append(ad, head...))
	nonce := body[len(body)-wire.RatchetTagLen:][:12]
	msg := []byte{wire.RatchetVersion, wire.RatchetMessage}
	msg = newAEAD(&header).Seal(msg, nonce, head, msg)
	return append(msg, body...)
}

func TestForgedHeaders(t *testing.T) {
	low, high := established(t)
	s, r := low.peer.s.sessions[0], high.peer.s.sessions[0]
	if err := s.step(low.rnd); err != nil {
		t.Fatal(err)
	}
	high.expect(low.encrypt("first of a chain"), "first of a chain")
	high.encrypt("so that it has a key to step with") // lost
	good := wire.RatchetHeader{DH: s.dh.public, PN: s.prevN, N: s.sendN}
	step := wire.RatchetHeader{DH: low.store.bundleKey(t), PN: r.recvN}

	// With the right key of the next message only the header's own rules refuse.
	_, right := kdfChain(&s.sendChain)
	type forgery struct {
		name   string
		header [32]byte
		h      wire.RatchetHeader
	}
	with := func(h wire.RatchetHeader, f func(*wire.RatchetHeader)) wire.RatchetHeader { f(&h); return h }
	fs := []forgery{
		{"ahead, wrong body", s.send.key, with(good, func(h *wire.RatchetHeader) { h.N += 5 })},
		{"last number", s.send.key, with(good, func(h *wire.RatchetHeader) { h.N = 1<<32 - 1 })},
		{"too far ahead", s.send.key, with(good, func(h *wire.RatchetHeader) { h.N += MaxJump + 1 })},
		{"past", s.send.key, with(good, func(h *wire.RatchetHeader) { h.N = 0 })},
		{"post-quantum epoch", s.send.key, with(good, func(h *wire.RatchetHeader) { h.Epoch = 1 })},
		{"unknown flag", s.send.key, with(good, func(h *wire.RatchetHeader) { h.Flags = 0x80 })},
		{"vector longer than the body", s.send.key, with(good, func(h *wire.RatchetHeader) {
			h.PQKind, h.PQEpoch, h.PQLength = wire.PQKey, 1, wire.MLKEMKeyLen
		})},
		{"step, right header", r.nextRecv.key, step},
		{"step, number", r.nextRecv.key, with(step, func(h *wire.RatchetHeader) { h.N = 1<<32 - 1 })},
		{"step, too far", r.nextRecv.key, with(step, func(h *wire.RatchetHeader) { h.N = MaxJump + 1 })},
		{"step, previous chain shorter than known", r.nextRecv.key, with(step, func(h *wire.RatchetHeader) { h.PN = 0 })},
		{"step, previous chain too long", r.nextRecv.key, with(step, func(h *wire.RatchetHeader) { h.PN = 1<<32 - 1 })},
		{"step, epoch", r.nextRecv.key, with(step, func(h *wire.RatchetHeader) { h.Epoch = 9 })},
	}
	for i, p := range points(t) {
		fs = append(fs, forgery{fmt.Sprint("step, bad point ", i), r.nextRecv.key, with(step, func(h *wire.RatchetHeader) { h.DH = p })})
	}
	for _, f := range fs {
		msg := forge(s.id, f.header, right, f.h, []byte("forged"))
		before := high.state()
		if got, err := high.decrypt(msg); err == nil || got != "" {
			t.Errorf("%s: decrypted %q", f.name, got)
		}
		if !bytes.Equal(before, high.state()) {
			t.Errorf("%s: the state changed", f.name)
		}
	}
	high.refuse(forge(s.id, s.send.key, [32]byte{1}, good, []byte("forged")), ErrDecrypt)
	high.expect(forge(s.id, s.send.key, right, good, []byte("genuine")), "genuine")
	low.encrypt("the same number")
	high.expect(low.encrypt("and on"), "and on")
}

// bundleKey is some valid point.
func (s *PrekeyStore) bundleKey(t testing.TB) [32]byte {
	t.Helper()
	x, err := wire.ParsePrekeyBundle(s.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	return x.SignedPrekey
}

// With the right message key a bad point still gives no session key.
func TestBadPointsGiveNoSecret(t *testing.T) {
	k := newRatchetKey(seeded(t, "k"))
	for _, p := range points(t) {
		if s, err := k.ecdh(&p); err == nil {
			t.Errorf("%x: secret %x", p, s)
		}
	}
	good := [32]byte{0: 0xec, 31: 0x7f}
	if !canonicalX25519(&good) {
		t.Error("a canonical key below 2^255 - 19 was refused")
	}
}

func TestEveryBitOfAMessageCounts(t *testing.T) {
	low, high := established(t)
	msg := low.encrypt("text")
	for i := range 8 * len(msg) {
		bad := bytes.Clone(msg)
		bad[i/8] ^= 1 << (i % 8)
		high.refuse(bad, ErrDecrypt)
	}
	for n := range msg {
		high.refuse(msg[:n], ErrDecrypt)
	}
	high.refuse(append(bytes.Clone(msg), 0), ErrDecrypt)
	low.refuse(msg, ErrDecrypt) // reflected
	high.expect(msg, "text")
}

// Every field of the agreement is bound: changed on the way, nobody accepts it.
func TestAgreementFieldsAreBound(t *testing.T) {
	psk := [32]byte{5}
	low, high := newSides(t, 2)
	mallory := testLocal(t, 9)
	high.initiate(low, psk)
	msg := high.encrypt("text")
	m, x, err := wire.ParseRatchetInitialMessage(msg)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*wire.Agreement){
		"version 0":          func(x *wire.Agreement) { x.Version = 0 },
		"version 2":          func(x *wire.Agreement) { x.Version = 2 },
		"capability":         func(x *wire.Agreement) { x.Capabilities = 1 },
		"sender":             func(x *wire.Agreement) { x.Record = mallory.Record().Bytes() },
		"receiver as sender": func(x *wire.Agreement) { x.Record, x.Device = low.local.Record().Bytes(), low.local.Device() },
		"device":             func(x *wire.Agreement) { x.Device[0]++ },
		"time":               func(x *wire.Agreement) { x.Created++ },
		"serial":             func(x *wire.Agreement) { x.Serial++ },
		"one-time dropped":   func(x *wire.Agreement) { x.OneTime = 0 },
		"other one-time":     func(x *wire.Agreement) { x.OneTime++ },
		"psk dropped":        func(x *wire.Agreement) { x.PSK = false },
		"ciphertext":         func(x *wire.Agreement) { x.Ciphertext[100] ^= 1 },
		"ephemeral":          func(x *wire.Agreement) { x.Ephemeral[1] ^= 1 },
		"extension":          func(x *wire.Agreement) { x.Extensions = []wire.Extension{{Type: 1}} },
	}
	for i, p := range points(t) {
		changes[fmt.Sprint("bad point ", i)] = func(x *wire.Agreement) { x.Ephemeral = p }
	}
	before := low.state()
	for name, change := range changes {
		y := x
		change(&y)
		bad := wire.RatchetInitialMessage{Agreement: y.Append(nil), Message: m.Message}.Append(nil)
		for _, k := range [][32]byte{psk, {}} {
			if _, _, _, err := Accept(start, low.local, low.store, k, bad); !is(err, ErrDecrypt) {
				t.Errorf("%s: %v, want ErrDecrypt", name, err)
			}
		}
	}
	for i := range len(msg) {
		bad := bytes.Clone(msg)
		bad[i] ^= 0x10
		if _, _, _, err := Accept(start, low.local, low.store, psk, bad); !is(err, ErrDecrypt) {
			t.Errorf("byte %d changed: %v, want ErrDecrypt", i, err)
		}
	}
	for name, k := range map[string][32]byte{"no": {}, "another": {6}} {
		if _, _, _, err := Accept(start, low.local, low.store, k, msg); !is(err, ErrDecrypt) {
			t.Errorf("%s psk: %v, want ErrDecrypt", name, err)
		}
	}
	if !bytes.Equal(before, low.state()) {
		t.Error("a refused initial message changed the prekeys")
	}
	if got := low.accept(msg, psk); got != "text" {
		t.Errorf("accepted %q", got)
	}
	// The one-time pair is gone: nobody accepts it again.
	if _, _, _, err := Accept(start, low.local, low.store, psk, msg); !is(err, ErrNoPrekey) {
		t.Errorf("replayed: %v, want ErrNoPrekey", err)
	}
}

// Unsigned or foreign bundles, and signed ones with bad content, start no session.
func TestBundlesRefused(t *testing.T) {
	low, high := newSides(t, 1)
	enc := low.store.Bundle()
	want := low.local.PeerID()
	x, err := wire.ParsePrekeyBundle(enc)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*wire.PrekeyBundle){
		"version":      func(x *wire.PrekeyBundle) { x.Versions = []byte{2, 3} },
		"agreement":    func(x *wire.PrekeyBundle) { x.Agreement = high.local.Record().Agreement },
		"record":       func(x *wire.PrekeyBundle) { x.Record = high.local.Record().Bytes() },
		"no record":    func(x *wire.PrekeyBundle) { x.Record = []byte("record") },
		"expires late": func(x *wire.PrekeyBundle) { x.Expiry += 2 * 86400 },
		"never ends":   func(x *wire.PrekeyBundle) { x.Expiry = 1<<64 - 1 },
		"ML-KEM key":   func(x *wire.PrekeyBundle) { copy(x.LastResort[:], bytes.Repeat([]byte{0xff}, 100)) },
	}
	for i, p := range points(t) {
		changes[fmt.Sprint("bad point ", i)] = func(x *wire.PrekeyBundle) { x.SignedPrekey = p }
	}
	for name, change := range changes {
		y := x
		change(&y)
		y.Signature = low.local.Sign(contextBundle, y.AppendSigned(nil))
		if _, err := ParseBundle(y.Append(nil), want, start); !is(err, ErrBundle) {
			t.Errorf("%s: %v, want ErrBundle", name, err)
		}
	}
	for i := range enc {
		bad := bytes.Clone(enc)
		bad[i] ^= 1
		if _, err := ParseBundle(bad, want, start); !is(err, ErrBundle) {
			t.Errorf("byte %d changed: %v, want ErrBundle", i, err)
		}
	}
	if _, err := ParseBundle(enc, high.local.PeerID(), start); !is(err, ErrBundle) {
		t.Errorf("somebody else's: %v, want ErrBundle", err)
	}
	late := start.Add(BundleLifetime + time.Second)
	if _, err := ParseBundle(enc, want, late); !is(err, ErrExpired) {
		t.Errorf("expired: %v, want ErrExpired", err)
	}
	if _, err := Initiate(start, low.local, low.bundle(start), nil, [32]byte{}); !is(err, ErrBundle) {
		t.Errorf("our own: %v, want ErrBundle", err)
	}
}

func TestOneTimeRefused(t *testing.T) {
	low, high := newSides(t, 1)
	b := low.bundle(start)
	enc := low.oneTime()
	x, err := wire.ParseOneTimePrekey(enc)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*wire.OneTimePrekey){
		"device":     func(x *wire.OneTimePrekey) { x.Device[0]++ },
		"expired":    func(x *wire.OneTimePrekey) { x.Expiry = unix(start) - 1 },
		"ML-KEM key": func(x *wire.OneTimePrekey) { copy(x.MLKEM[:], bytes.Repeat([]byte{0xff}, 100)) },
	}
	for i, p := range points(t) {
		changes[fmt.Sprint("bad point ", i)] = func(x *wire.OneTimePrekey) { x.X25519 = p }
	}
	for name, change := range changes {
		y := x
		change(&y)
		y.Signature = low.local.Sign(contextOneTime, y.AppendSigned(nil))
		if _, err := Initiate(start, high.local, b, y.Append(nil), [32]byte{}); !is(err, ErrBundle) {
			t.Errorf("%s: %v, want ErrBundle", name, err)
		}
	}
	x.Signature = high.local.Sign(contextOneTime, x.AppendSigned(nil))
	if _, err := Initiate(start, high.local, b, x.Append(nil), [32]byte{}); !is(err, ErrBundle) {
		t.Errorf("another's signature: %v, want ErrBundle", err)
	}
	x.Signature = low.local.Sign(contextBundle, x.AppendSigned(nil))
	if _, err := Initiate(start, high.local, b, x.Append(nil), [32]byte{}); !is(err, ErrBundle) {
		t.Errorf("another context: %v, want ErrBundle", err)
	}
}

// Somebody else's initial message does not reach a peer's state.
func TestInitialMessageOfAnother(t *testing.T) {
	low, high := established(t)
	mallory := &side{t: t, local: testLocal(t, 9), rnd: seeded(t, "mallory")}
	mallory.initiate(low, [32]byte{})
	msg := mallory.encrypt("it is me")
	low.refuse(msg, ErrWrongPeer)
	if r, err := PeekInitial(msg); err != nil || r.Identity != mallory.local.PeerID() {
		t.Errorf("PeekInitial = %v, %v", r, err)
	}
	if d, err := PeekDevice(msg); err != nil || d != mallory.local.Device() {
		t.Errorf("PeekDevice = %v, %v", d, err)
	}
	// With the record of the one who is expected, but not her key.
	m, x, err := wire.ParseRatchetInitialMessage(msg)
	if err != nil {
		t.Fatal(err)
	}
	x.Record, x.Device = high.local.Record().Bytes(), identity.DeviceID(high.local.Device())
	low.refuse(wire.RatchetInitialMessage{Agreement: x.Append(nil), Message: m.Message}.Append(nil), ErrDecrypt)
}

// A message under our own identity and device, which only a copy of this device
// could make, starts no session.
func TestOwnInitialMessage(t *testing.T) {
	low, high := newSides(t, 0)
	copied := testLocal(t, 1)
	if partyOf(copied) != partyOf(low.local) {
		copied = testLocal(t, 2)
	}
	// The copy begins a session with its own bundle, by a bundle of another device.
	b := low.bundle(start)
	b.x.Device = high.local.Device()
	s, err := initiate(start, copied, b, nil, [32]byte{}, low.rnd)
	if err != nil {
		t.Fatal(err)
	}
	x, err := wire.ParseAgreement(s.pending)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := respond(low.local, low.store.s, [32]byte{}, s.pending, x, copied.Record()); !is(err, ErrWrongPeer) {
		t.Errorf("respond to ourselves: %v, want ErrWrongPeer", err)
	}
}
