package handshake

import (
	"crypto/hkdf"
	"crypto/sha256"

	"golang.org/x/crypto/chacha20poly1305"
)

// Contexts (spec §3.6).
const (
	contextPrologue = "SREMP v1 handshake"
	contextConfirm  = "SREMP v1 handshake confirmation"
	contextChannel  = "SREMP v1 channel key"
)

// finalKeys come out of Noise's Split (spec §3.5).
type finalKeys struct {
	confirm, channel [32]byte
}

// deriveKeys is HKDF-SHA256 of both split keys, with the handshake hash as salt.
func deriveKeys(k1, k2 [32]byte, hash []byte) finalKeys {
	secret := append(k1[:], k2[:]...)
	derive := func(context string) [32]byte {
		k, err := hkdf.Key(sha256.New, secret, hash, context, 32)
		if err != nil {
			panic(err)
		}
		return [32]byte(k)
	}
	return finalKeys{confirm: derive(contextConfirm), channel: derive(contextChannel)}
}

// seal makes the confirmation. Its key serves once, so the nonce is zero.
func (k finalKeys) seal(payload []byte) []byte {
	a, err := chacha20poly1305.New(k.confirm[:])
	if err != nil {
		panic(err)
	}
	return a.Seal(nil, make([]byte, chacha20poly1305.NonceSize), payload, []byte(contextConfirm))
}

func (k finalKeys) open(msg []byte) ([]byte, error) {
	a, err := chacha20poly1305.New(k.confirm[:])
	if err != nil {
		panic(err)
	}
	payload, err := a.Open(nil, make([]byte, chacha20poly1305.NonceSize), msg, []byte(contextConfirm))
	if err != nil {
		return nil, ErrHandshake
	}
	return payload, nil
}
