package ratchet

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"

	"golang.org/x/crypto/chacha20poly1305"
)

// entropy is where new keys come from; tests give a deterministic one.
type entropy struct {
	read        func([]byte) // X25519 keys
	seed        func([]byte) // ML-KEM keys
	encapsulate func(*mlkem.EncapsulationKey768) (secret, ciphertext []byte)
}

// system is crypto/rand.
func system() entropy {
	return entropy{
		read:        fillRandom,
		seed:        fillRandom,
		encapsulate: (*mlkem.EncapsulationKey768).Encapsulate,
	}
}

func fillRandom(b []byte) { rand.Read(b) } // never fails, see crypto/rand.Read

// A headerKey seals headers. The cipher is made when it is first needed.
type headerKey struct {
	key  [32]byte
	aead cipher.AEAD
}

func (k *headerKey) cipher() cipher.AEAD {
	if k.aead == nil {
		k.aead = newAEAD(&k.key)
	}
	return k.aead
}

func newAEAD(key *[32]byte) cipher.AEAD {
	a, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	return a
}

// A ratchetKey is an X25519 pair. Computing with a parsed key costs as much as
// a Diffie-Hellman, so the parsed form is kept when there is one and made
// otherwise only when it is used.
type ratchetKey struct {
	private, public [32]byte
	key             *ecdh.PrivateKey
}

func newRatchetKey(rnd entropy) (k ratchetKey) {
	rnd.read(k.private[:])
	k.public = [32]byte(k.parsed().PublicKey().Bytes())
	return k
}

func (k *ratchetKey) parsed() *ecdh.PrivateKey {
	if k.key == nil {
		p, err := ecdh.X25519().NewPrivateKey(k.private[:])
		if err != nil {
			panic(err) // the key has 32 bytes
		}
		k.key = p
	}
	return k.key
}

// ecdh returns the shared secret with a canonical public key that is not of
// small order. Small order shows in the result, without a second computation.
func (k *ratchetKey) ecdh(remote *[32]byte) ([]byte, error) {
	if !canonicalX25519(remote) {
		return nil, ErrDecrypt
	}
	pub, err := ecdh.X25519().NewPublicKey(remote[:])
	if err != nil {
		return nil, ErrDecrypt
	}
	secret, err := k.parsed().ECDH(pub)
	if err != nil {
		return nil, ErrDecrypt
	}
	return secret, nil
}

// canonicalX25519 reports whether the little-endian number is below 2^255 - 19.
func canonicalX25519(k *[32]byte) bool {
	if k[31] < 0x7f {
		return true
	}
	if k[31] > 0x7f || k[0] < 0xed {
		return k[31] == 0x7f
	}
	for _, c := range k[1:31] {
		if c != 0xff {
			return true
		}
	}
	return false
}
