package handshake

import (
	"bytes"
	"errors"
	"testing"

	"github.com/flynn/noise"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Whatever differs in the prologue, neither side ends authenticated: a version
// or ALPN changed on the way, and TLS terminated in the middle (spec §3.2).
func TestPrologueMismatch(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		for name, change := range map[string]func(*Config){
			"version":             func(c *Config) { c.Version = Version + 1 },
			"ALPN":                func(c *Config) { c.ALPN = "sremp-test/0" },
			"ALPN, longer":        func(c *Config) { c.ALPN += "x" },
			"exporter: TLS proxy": func(c *Config) { c.Exporter[31] ^= 1 },
		} {
			for _, side := range []string{"initiator", "responder"} {
				ci, cr := p.configs(pattern)
				if side == "initiator" {
					change(&ci)
				} else {
					change(&cr)
				}
				i, r := pair(t, ci, cr)
				_, err := exchange(i, r, nil)
				if err == nil || i.Turn() == Done || r.Turn() == Done {
					t.Errorf("%v, %s of the %s: %v, turns %d and %d", pattern, name, side, err, i.Turn(), r.Turn())
				}
			}
		}
	}
}

// The pattern byte counts, too: one pattern's messages are not another's.
func TestPatternMismatch(t *testing.T) {
	p := newPeople(t)
	for _, a := range patterns {
		for _, b := range patterns {
			if a == b {
				continue
			}
			i, r := pair(t, first(p.configs(a)), second(p.configs(b)))
			if _, err := exchange(i, r, nil); err == nil || i.Turn() == Done || r.Turn() == Done {
				t.Errorf("%v with %v: %v, turns %d and %d", a, b, err, i.Turn(), r.Turn())
			}
		}
	}
}

// Somebody who terminates TLS and is somebody: each leg is a sound handshake
// with the wrong person.
func TestManInTheMiddleWithOwnKeys(t *testing.T) {
	p := newPeople(t)
	bad := p
	bad.bob, bad.server = p.mallory, newServer(t, 66)
	for _, pattern := range patterns {
		i, r := pair(t, first(p.configs(pattern)), second(bad.configs(pattern)))
		want := ErrWrongPeer
		if pattern == IK {
			want = ErrNeedXX // and in XX it will be the wrong peer
		}
		if _, err := exchange(i, r, nil); !errors.Is(err, want) || i.Turn() == Done {
			t.Errorf("%v: got %v, want %v", pattern, err, want)
		}
	}
	// The other leg: Mallory as Alice, to a Bob who knows or expects Alice.
	bad = p
	bad.alice = p.mallory
	for _, pattern := range []Pattern{XX, IK} {
		ci, _ := bad.configs(pattern)
		_, cr := p.configs(pattern)
		cr.Remote = p.alice.Record()
		i, r := pair(t, ci, cr)
		if _, err := exchange(i, r, nil); !errors.Is(err, ErrWrongPeer) || r.Turn() != Failed {
			t.Errorf("%v: got %v, want ErrWrongPeer", pattern, err)
		}
	}
}

// Every message: all bytes of its keys, and a fifth of what is behind them.
func TestTampering(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		for n, msg := range mustFinish(t, i, r) {
			for at := range msg {
				if at > 100 && at%5 != 0 {
					continue
				}
				i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
				_, err := exchange(i, r, func(m int, msg []byte) []byte {
					if m == n {
						msg[at] ^= 0x10
					}
					return msg
				})
				if err == nil || r.Turn() == Done || n < 2 && i.Turn() == Done {
					t.Fatalf("%v, message %d, byte %d changed: %v, turns %d and %d", pattern, n+1, at, err, i.Turn(), r.Turn())
				}
			}
		}
	}
}

// Every length but the right one.
func TestWrongLengths(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		transcript := mustFinish(t, i, r)
		for n := range transcript {
			for _, cut := range []func([]byte) []byte{
				func([]byte) []byte { return nil },
				func(b []byte) []byte { return b[:1] },
				func(b []byte) []byte { return b[:min(31, len(b)-1)] },
				func(b []byte) []byte { return b[:len(b)-1] },
				func(b []byte) []byte { return append(b, 0) },
				func(b []byte) []byte { return append(b, make([]byte, MaxMessage)...) },
			} {
				i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
				_, err := exchange(i, r, func(m int, msg []byte) []byte {
					if m == n {
						return cut(msg)
					}
					return msg
				})
				if err == nil || r.Turn() == Done || n < 2 && i.Turn() == Done {
					t.Errorf("%v, message %d cut: %v, turns %d and %d", pattern, n+1, err, i.Turn(), r.Turn())
				}
			}
		}
	}
}

// Messages come back to who sent them.
func TestReflection(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		// Each side's first message to itself.
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		m1, err := i.WriteMessage()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ReadMessage(m1); err != nil {
			t.Fatal(err)
		}
		m2, err := r.WriteMessage()
		if err != nil {
			t.Fatal(err)
		}
		if err := i.ReadMessage(m1); err == nil || i.Turn() != Failed {
			t.Errorf("%v: message 1 reflected: %v", pattern, err)
		}
		if err := r.ReadMessage(m2); err == nil || r.Turn() != Failed {
			t.Errorf("%v: message 2 reflected: %v", pattern, err)
		}
	}
	// A mirror that answers with our own keys, in both roles.
	mirror := p
	mirror.bob = p.alice
	for _, pattern := range []Pattern{XX, IK} {
		i, r := pair(t, first(mirror.configs(pattern)), second(mirror.configs(pattern)))
		if _, err := exchange(i, r, nil); !errors.Is(err, ErrWrongPeer) || i.Turn() == Done {
			t.Errorf("%v with itself: got %v, want ErrWrongPeer", pattern, err)
		}
	}
}

// Recorded messages of one handshake in another of the same two, on the same
// connection even.
func TestReplay(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		old := mustFinish(t, i, r)
		for n := range old {
			i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
			_, err := exchange(i, r, func(m int, msg []byte) []byte {
				if m == n {
					return old[n]
				}
				return msg
			})
			if err == nil || r.Turn() == Done || n < 2 && i.Turn() == Done {
				t.Errorf("%v, message %d replayed: %v, turns %d and %d", pattern, n+1, err, i.Turn(), r.Turn())
			}
		}
		// All of the initiator's messages to a fresh responder: it has not the last word.
		r = start(t, second(p.configs(pattern)))
		if err := r.ReadMessage(old[0]); err != nil {
			t.Fatalf("%v: message 1 again on the same connection: %v", pattern, err)
		}
		if _, err := r.WriteMessage(); err != nil {
			t.Fatal(err)
		}
		if err := r.ReadMessage(old[2]); err == nil || r.Turn() != Failed {
			t.Errorf("%v: the initiator's messages replayed: %v", pattern, err)
		}
		// One message twice.
		i, r = pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		m1, err := i.WriteMessage()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ReadMessage(m1); err != nil {
			t.Fatal(err)
		}
		if err := r.ReadMessage(m1); err == nil || r.Turn() != Failed {
			t.Errorf("%v: message 1 twice: %v", pattern, err)
		}
	}
	// On another connection message 1 of IK is not even read.
	ci, cr := p.configs(IK)
	i, r := pair(t, ci, cr)
	old := mustFinish(t, i, r)
	cr.Exporter[0] ^= 2
	if err := start(t, cr).ReadMessage(old[0]); !errors.Is(err, ErrNeedXX) {
		t.Errorf("IK message 1 on another connection: got %v, want ErrNeedXX", err)
	}
}

// A record of one person under the key of another.
func TestRecordOfAnother(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range []Pattern{XX, IK} {
		// Mallory answers as Bob: with Bob's record, which is no secret.
		bad := p
		bad.bob = p.mallory
		ci, _ := p.configs(pattern)
		_, cr := bad.configs(pattern)
		if pattern == IK {
			// Only somebody with Bob's Noise key gets this far in IK.
			ci.Remote = p.mallory.Record()
		}
		i, r := pair(t, ci, cr)
		r.c.Local = p.bob
		want := ErrHandshake
		if pattern == IK {
			want = ErrWrongPeer
		}
		if _, err := exchange(i, r, nil); !errors.Is(err, want) || i.Turn() == Done {
			t.Errorf("%v, responder: got %v, want %v", pattern, err, want)
		}
		// Mallory calls as Alice.
		bad = p
		bad.alice = p.mallory
		ci, _ = bad.configs(pattern)
		_, cr = p.configs(pattern)
		i, r = pair(t, ci, cr)
		i.c.Local = p.alice
		if _, err := exchange(i, r, nil); !errors.Is(err, ErrHandshake) || r.Turn() != Failed {
			t.Errorf("%v, initiator: got %v, want ErrHandshake", pattern, err)
		}
	}
}

// Sound encryption of what may not be said (spec §3.4, checks 1 and 3).
func TestPayloadRules(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		msg, _, _, err := i.states[0].WriteMessage(nil, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ReadMessage(msg); !errors.Is(err, ErrHandshake) {
			t.Errorf("%v: payload in message 1: got %v, want ErrHandshake", pattern, err)
		}
	}

	// An anonymous client that shows a record.
	i, r := pair(t, first(p.configs(NX)), second(p.configs(NX)))
	if _, err := exchange(i, r, func(n int, msg []byte) []byte {
		if n == 2 {
			return r.keys.seal(wire.HandshakePayload{Credential: p.alice.Record().Bytes()}.Append(nil))
		}
		return msg
	}); !errors.Is(err, ErrHandshake) {
		t.Errorf("credential in NX: got %v, want ErrHandshake", err)
	}

	// Message 2 with an extension: unknown ones are ignored, up to the limit.
	for _, tt := range []struct {
		size int
		want error
	}{{1000, nil}, {MaxMessage, ErrHandshake}} {
		i, r = pair(t, first(p.configs(XX)), second(p.configs(XX)))
		if err := r.ReadMessage(must(i.WriteMessage())); err != nil {
			t.Fatal(err)
		}
		payload := wire.HandshakePayload{
			Credential: p.bob.Record().Bytes(), Extensions: []wire.Extension{{Type: 1, Data: make([]byte, tt.size)}},
		}
		msg, _, _, err := r.states[0].WriteMessage(nil, payload.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := i.ReadMessage(msg); !errors.Is(err, tt.want) {
			t.Errorf("extension of %d bytes: got %v, want %v", tt.size, err, tt.want)
		}
	}
}

func TestWrongServerKey(t *testing.T) {
	p := newPeople(t)
	ci, cr := p.configs(NX)
	other := newServer(t, 2)
	for name, cert := range map[string][]byte{
		"other server":      other.Certificate(),
		"other's signature": append(bytes.Clone(p.server.Certificate()[:64]), other.Certificate()[64:]...),
		"none":              nil,
		"cut":               p.server.Certificate()[:127],
		"longer":            append(p.server.Certificate(), 0),
	} {
		i, r := pair(t, ci, cr)
		if err := r.ReadMessage(must(i.WriteMessage())); err != nil {
			t.Fatal(err)
		}
		msg, _, _, err := r.states[0].WriteMessage(nil, wire.HandshakePayload{Credential: cert}.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := i.ReadMessage(msg); !errors.Is(err, ErrWrongPeer) || i.Turn() != Failed {
			t.Errorf("%s: got %v, want ErrWrongPeer", name, err)
		}
	}
	// The certificate of the right server under somebody else's Noise key.
	cr.Server = other
	i, r := pair(t, ci, cr)
	r.c.Server = p.server
	if _, err := exchange(i, r, nil); !errors.Is(err, ErrWrongPeer) || i.Turn() != Failed {
		t.Errorf("stolen certificate: got %v, want ErrWrongPeer", err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// The suite is Noise's own: it talks to the library's.
func TestSuiteInteroperates(t *testing.T) {
	if got, want := string(suite.Name()), "25519_ChaChaPoly_BLAKE2s"; got != want {
		t.Errorf("suite %s, want %s", got, want)
	}
	p := newPeople(t)
	stock := noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s)
	ci, cr := p.configs(XX)
	r := start(t, cr)
	i, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: stock, Pattern: noise.HandshakeXX, Initiator: true, Prologue: prologue(withVersion(ci)),
		StaticKeypair: keypair(p.alice.NoiseKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	m1, _, _, err := i.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMessage(m1); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := i.ReadMessage(nil, must(r.WriteMessage())); err != nil {
		t.Fatal(err)
	}
	m3, cs1, cs2, err := i.WriteMessage(nil, wire.HandshakePayload{Credential: p.alice.Record().Bytes()}.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMessage(m3); err != nil {
		t.Fatal(err)
	}
	if got := deriveKeys(cs1.UnsafeKey(), cs2.UnsafeKey(), i.ChannelBinding()).channel; got != r.Result().ChannelKey {
		t.Error("the channel keys differ")
	}
}

// Who shows an old record of somebody, and has not its key, does not learn that a newer
// one is known.
func TestOldRecordOfAnother(t *testing.T) {
	p := newPeople(t)
	bob, recovery := newLocal(t, "Bob")
	back, err := bob.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		key  identity.DHKey
		old  bool // it hears that the record is old
	}{{"a stranger", p.mallory.NoiseKey(), false}, {"the lost device", bob.NoiseKey(), true}} {
		p.bob = back
		ci, _ := p.configs(XX)
		ci.Remote = back.Record()
		i := start(t, ci)
		r, err := noise.NewHandshakeState(noise.Config{
			CipherSuite: suite, Pattern: noise.HandshakeXX, Prologue: prologue(withVersion(ci)), StaticKeypair: keypair(tt.key),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := r.ReadMessage(nil, must(i.WriteMessage())); err != nil {
			t.Fatal(err)
		}
		m2, _, _, err := r.WriteMessage(nil, wire.HandshakePayload{Credential: bob.Record().Bytes()}.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := i.ReadMessage(m2); err == nil || errors.Is(err, identity.ErrOldEpoch) != tt.old {
			t.Errorf("%s: got %v; want that it says so: %v", tt.name, err, tt.old)
		}
	}
}

// Any bytes at any point: no panic, and nobody authenticated.
func FuzzReadMessage(f *testing.F) {
	p := newPeople(f)
	for k, pattern := range patterns {
		i, r := pair(f, first(p.configs(pattern)), second(p.configs(pattern)))
		for n, msg := range mustFinish(f, i, r) {
			f.Add(uint8(k), uint8(n), msg)
		}
	}
	f.Fuzz(func(t *testing.T, k, n uint8, data []byte) {
		pattern, at := patterns[int(k)%len(patterns)], int(n)%messages
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		_, err := exchange(i, r, func(m int, msg []byte) []byte {
			if m == at {
				return data
			}
			return msg
		})
		if err == nil || r.Turn() == Done || at < 2 && i.Turn() == Done {
			t.Errorf("%v, message %d replaced: %v", pattern, at+1, err)
		}
	})
}
