package identity

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Contexts of a server's keys (spec §2.3).
const (
	contextServerCert    = "SREMP v1 server noise key" // signature over the Noise key
	contextServerSigning = "SREMP v1 server signing"
	contextServerNoise   = "SREMP v1 server noise"
)

// A ServerKey is the long-term key of a server. Its Ed25519 half stands in the
// server's address; the X25519 half authenticates Noise NX and is certified by
// the former (spec §2.3).
type ServerKey struct {
	sign  SecretKey
	noise DHKey
}

// NewServerKey derives both halves from a 32-byte seed.
func NewServerKey(seed []byte) (*ServerKey, error) {
	if len(seed) != 32 {
		return nil, ErrSeedSize
	}
	half := func(context string) []byte {
		b, err := hkdf.Key(sha256.New, seed, nil, context, 32)
		if err != nil {
			panic(err)
		}
		return b
	}
	sign, err := NewSecretKey(half(contextServerSigning))
	if err != nil {
		return nil, err
	}
	noise, err := NewDHKey(half(contextServerNoise))
	if err != nil {
		return nil, err
	}
	return &ServerKey{sign: sign, noise: noise}, nil
}

// ID returns the server's name.
func (k *ServerKey) ID() ServerID { return ServerID(k.sign.Public()) }

// Noise returns the X25519 half.
func (k *ServerKey) Noise() DHKey { return k.noise }

// Sign signs as the server.
func (k *ServerKey) Sign(context string, msg []byte) [64]byte { return k.sign.Sign(context, msg) }

// Certificate returns ID(32) noise key(32) signature(64), the payload with which
// the server authenticates itself in Noise NX.
func (k *ServerKey) Certificate() []byte {
	id, noise := k.sign.Public(), k.noise.Public()
	sig := k.sign.Sign(contextServerCert, noise[:])
	return append(append(id[:], noise[:]...), sig[:]...)
}

// CheckServerCertificate reports whether cert is id's certificate for the Noise
// key.
func CheckServerCertificate(cert []byte, id ServerID, noise [32]byte) bool {
	return len(cert) == 128 && ServerID(cert[:32]) == id && [32]byte(cert[32:64]) == noise &&
		Verify(id, contextServerCert, noise[:], [64]byte(cert[64:]))
}
