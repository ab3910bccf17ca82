package handshake

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/flynn/noise"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// weakKeys are of small order, or second names of good keys.
var weakKeys = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0900000000000000000000000000000000000000000000000000000000000080",
}

// Ephemeral keys, in messages 1 and 2 of every pattern (spec §3.4).
func TestWeakEphemeral(t *testing.T) {
	p := newPeople(t)
	for _, s := range weakKeys {
		weak, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (strictDH{}).DH(p.bob.NoiseKey().Seed(), weak); !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("DH with %s: got %v, want ErrBadKey", s, err)
		}
		for _, pattern := range patterns {
			for n := range 2 {
				i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
				transcript, err := exchange(i, r, func(m int, msg []byte) []byte {
					if m == n {
						copy(msg, weak)
					}
					return msg
				})
				// At once, by the reader, before anything is answered.
				if !errors.Is(err, ErrHandshake) || len(transcript) != n+1 || !strings.HasPrefix(err.Error(), "read") {
					t.Errorf("%v, message %d, %s: got %v after %d messages", pattern, n+1, s, err, len(transcript))
				}
			}
		}
	}
}

// weakDH is an attacker's: its static private key is a wish, the shared secret
// with it zero, as for a public key of small order.
type weakDH struct{ strictDH }

func (weakDH) DH(private, public []byte) ([]byte, error) {
	if bytes.Equal(private, make([]byte, 32)) {
		return make([]byte, 32), nil
	}
	return strictDH{}.DH(private, public)
}

// Static keys: a small-order one that the attacker encrypts properly.
func TestWeakStatic(t *testing.T) {
	p := newPeople(t)
	_, cr := p.configs(IK)
	r := start(t, cr)
	bob := p.bob.Record().Noise
	evil, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(weakDH{}, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Pattern:     noise.HandshakeIK, Initiator: true, Prologue: r.prologue, PeerStatic: bob[:],
		StaticKeypair: noise.DHKey{Private: make([]byte, 32), Public: make([]byte, 32)},
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, _, _, err := evil.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMessage(msg); !errors.Is(err, ErrHandshake) {
		t.Errorf("IK: got %v, want ErrHandshake", err)
	}

	ci, cr := p.configs(XX)
	r = start(t, cr)
	if evil, err = noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(weakDH{}, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Pattern:     noise.HandshakeXX, Initiator: true, Prologue: prologue(withVersion(ci)),
		StaticKeypair: noise.DHKey{Private: make([]byte, 32), Public: make([]byte, 32)},
	}); err != nil {
		t.Fatal(err)
	}
	if msg, _, _, err = evil.WriteMessage(nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMessage(msg); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := evil.ReadMessage(nil, must(r.WriteMessage())); err != nil {
		t.Fatal(err)
	}
	if msg, _, _, err = evil.WriteMessage(nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := r.states[0].ReadMessage(nil, msg); !errors.Is(err, identity.ErrBadKey) {
		t.Errorf("XX: got %v, want ErrBadKey", err)
	}
}

func withVersion(c Config) Config {
	if c.Version == 0 {
		c.Version = Version
	}
	return c
}

// kciDH is that of an attacker who stole Bob's Noise key: it computes the secret
// that Bob shares with Alice's static key, and uses Alice's name.
type kciDH struct {
	strictDH
	stolen, alice []byte
}

func (d kciDH) DH(private, public []byte) ([]byte, error) {
	if bytes.Equal(private, make([]byte, 32)) {
		return d.strictDH.DH(d.stolen, d.alice)
	}
	return d.strictDH.DH(private, public)
}

// Key-compromise impersonation: whoever has Bob's key can write IK's message 1 in
// Alice's name to Bob. It gets no further, and Bob has believed nothing.
func TestKeyCompromiseImpersonation(t *testing.T) {
	p := newPeople(t)
	_, cr := p.configs(IK)
	r := start(t, cr)
	alice, bob := p.alice.Record().Noise, p.bob.Record().Noise
	evil, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(kciDH{stolen: p.bob.NoiseKey().Seed(), alice: alice[:]},
			noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Pattern: noise.HandshakeIK, Initiator: true, Prologue: r.prologue, PeerStatic: bob[:],
		StaticKeypair: noise.DHKey{Private: make([]byte, 32), Public: alice[:]},
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, _, _, err := evil.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMessage(msg); err != nil {
		t.Fatalf("the attack's premise: %v", err)
	}
	m2, err := r.WriteMessage()
	if err != nil {
		t.Fatal(err)
	}
	if r.Turn() != Read || r.Result() != (Result{}) {
		t.Fatalf("turn %d before message 3, want Read", r.Turn())
	}
	if _, _, _, err := evil.ReadMessage(nil, m2); err == nil {
		t.Fatal("the attacker reads message 2")
	}
	payload := wire.HandshakePayload{Credential: p.alice.Record().Bytes()}.Append(nil)
	if err := r.ReadMessage(deriveKeys([32]byte{}, [32]byte{}, nil).seal(payload)); !errors.Is(err, ErrHandshake) || r.Turn() != Failed {
		t.Errorf("message 3: got %v, want ErrHandshake", err)
	}
}
