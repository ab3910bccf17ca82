package identity

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"filippo.io/edwards25519"
)

// Errors of key checks.
var (
	ErrSeedSize = errors.New("identity: seed must be 32 bytes")
	ErrBadKey   = errors.New("identity: not an acceptable public key")
)

// CheckEd25519 refuses keys that are no canonical encoding of a point of the
// curve, and those of small order: crypto/ed25519 accepts the identity point
// with one signature for every message (spec §2.1).
func CheckEd25519(key [32]byte) error {
	p, err := new(edwards25519.Point).SetBytes(key[:])
	if err != nil {
		return ErrBadKey
	}
	if !bytes.Equal(p.Bytes(), key[:]) {
		return ErrBadKey
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return ErrBadKey
	}
	return nil
}

// CheckX25519 refuses non-canonical encodings (RFC 7748, section 5 would reduce
// them) and the points of small order, which give everybody the same secret.
func CheckX25519(key [32]byte) error {
	// Little-endian u must be below p = 2^255 - 19.
	if key[31]&0x80 != 0 {
		return ErrBadKey
	}
	if key[31] == 0x7f && key[0] >= 0xed {
		rest := true
		for _, c := range key[1:31] {
			rest = rest && c == 0xff
		}
		if rest {
			return ErrBadKey
		}
	}
	pub, err := ecdh.X25519().NewPublicKey(key[:])
	if err != nil {
		return ErrBadKey
	}
	if _, err := smallOrderProbe.ECDH(pub); err != nil {
		return ErrBadKey
	}
	return nil
}

// smallOrderProbe is any key: scalars are multiples of the cofactor, so ECDH
// gives zero, and an error, for points of small order and for no others.
var smallOrderProbe = func() *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{0x42}, 32))
	if err != nil {
		panic(err)
	}
	return k
}()

// A SecretKey is an Ed25519 signing key.
//
// It never prints itself. Format and LogValue are not enough for that: fmt
// cannot call them on a value in another struct's unexported field, and prints
// the fields by reflection instead. A func prints as an address.
type SecretKey struct {
	key func() ed25519.PrivateKey
}

// NewSecretKey returns the key of a 32-byte seed.
func NewSecretKey(seed []byte) (SecretKey, error) {
	if len(seed) != ed25519.SeedSize {
		return SecretKey{}, ErrSeedSize
	}
	k := ed25519.NewKeyFromSeed(seed)
	return SecretKey{func() ed25519.PrivateKey { return k }}, nil
}

// GenerateSecretKey returns a new random key.
func GenerateSecretKey() SecretKey {
	k, err := NewSecretKey(randomSeed())
	if err != nil {
		panic(err)
	}
	return k
}

func randomSeed() []byte {
	seed := make([]byte, 32)
	rand.Read(seed) // never fails, see crypto/rand.Read
	return seed
}

// IsZero reports whether k is no key at all.
func (k SecretKey) IsZero() bool { return k.key == nil }

// Public returns the public key.
func (k SecretKey) Public() [32]byte { return [32]byte(k.key().Public().(ed25519.PublicKey)) }

// Seed returns a copy of the 32-byte seed, for sealed storage only.
func (k SecretKey) Seed() []byte { return k.key().Seed() }

// Sign signs msg in the given context (spec §1.4 lists them all).
func (k SecretKey) Sign(context string, msg []byte) [64]byte {
	return [64]byte(ed25519.Sign(k.key(), signed(context, msg)))
}

// Verify reports whether sig is key's signature over msg in the context. A key
// that [CheckEd25519] refuses has no valid signatures.
func Verify(key [32]byte, context string, msg []byte, sig [64]byte) bool {
	return CheckEd25519(key) == nil && ed25519.Verify(key[:], signed(context, msg), sig[:])
}

// signed is what is really signed: uint8(len(context)) context uint32(len(msg)) msg.
func signed(context string, msg []byte) []byte {
	if len(context) == 0 || len(context) > 255 {
		panic("identity: bad signature context " + context)
	}
	b := append([]byte{byte(len(context))}, context...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(msg)))
	return append(b, msg...)
}

// A DHKey is an X25519 private key; it does not print either.
type DHKey struct {
	key func() *ecdh.PrivateKey
}

// NewDHKey returns the key of a 32-byte seed.
func NewDHKey(seed []byte) (DHKey, error) {
	if len(seed) != 32 {
		return DHKey{}, ErrSeedSize
	}
	k, err := ecdh.X25519().NewPrivateKey(seed)
	if err != nil {
		return DHKey{}, fmt.Errorf("identity: %w", err)
	}
	return DHKey{func() *ecdh.PrivateKey { return k }}, nil
}

// GenerateDHKey returns a new random key.
func GenerateDHKey() DHKey {
	k, err := NewDHKey(randomSeed())
	if err != nil {
		panic(err)
	}
	return k
}

// IsZero reports whether k is no key at all.
func (k DHKey) IsZero() bool { return k.key == nil }

// Public returns the public key.
func (k DHKey) Public() [32]byte { return [32]byte(k.key().PublicKey().Bytes()) }

// Seed returns a copy of the 32-byte private key, for sealed storage and for
// package handshake only.
func (k DHKey) Seed() []byte { return k.key().Bytes() }

// ECDH returns the shared secret with pub. It refuses what [CheckX25519] does.
func (k DHKey) ECDH(pub [32]byte) ([]byte, error) {
	if err := CheckX25519(pub); err != nil {
		return nil, err
	}
	p, err := ecdh.X25519().NewPublicKey(pub[:])
	if err != nil {
		return nil, ErrBadKey
	}
	s, err := k.key().ECDH(p)
	if err != nil {
		return nil, ErrBadKey
	}
	return s, nil
}

// Format implements [fmt.Formatter] for every verb.
func (k SecretKey) Format(s fmt.State, _ rune) { io.WriteString(s, "identity.SecretKey(redacted)") }

// LogValue implements [slog.LogValuer].
func (k SecretKey) LogValue() slog.Value { return slog.StringValue("identity.SecretKey(redacted)") }

// Format implements [fmt.Formatter] for every verb.
func (k DHKey) Format(s fmt.State, _ rune) { io.WriteString(s, "identity.DHKey(redacted)") }

// LogValue implements [slog.LogValuer].
func (k DHKey) LogValue() slog.Value { return slog.StringValue("identity.DHKey(redacted)") }
