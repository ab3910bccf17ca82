package handshake

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"

	"github.com/flynn/noise"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/internal/domains"
	"github.com/sremp/sremp/wire"
)

func TestDomainsOfPrologue(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		ci, cr := p.configs(pattern)
		domains.Row(t, contextPrologue, func(c string) bool {
			i, r := pair(t, ci, cr)
			own := wire.AppendVec8(nil, []byte(contextPrologue))
			i.prologue = append(wire.AppendVec8(nil, []byte(c)), bytes.TrimPrefix(i.prologue, own)...)
			i.states = nil
			for _, key := range i.staticKeys() {
				s, err := noise.NewHandshakeState(i.noiseConfig(key))
				if err != nil {
					t.Fatal(err)
				}
				i.states = append(i.states, s)
			}
			_, err := exchange(i, r, nil)
			return err == nil && i.Turn() == Done && r.Turn() == Done
		})
	}
}

func TestDomainsOfFinalKeys(t *testing.T) {
	k1, k2, hash := [32]byte{1}, [32]byte{2}, bytes.Repeat([]byte{3}, 64)
	derive := func(c string) [32]byte {
		b, err := hkdf.Key(sha256.New, append(k1[:], k2[:]...), hash, c, 32)
		if err != nil {
			t.Fatal(err)
		}
		return [32]byte(b)
	}
	keys := deriveKeys(k1, k2, hash)
	domains.Row(t, contextChannel, func(c string) bool { return derive(c) == keys.channel })
	seal := func(key [32]byte, c string) []byte {
		a, err := chacha20poly1305.New(key[:])
		if err != nil {
			t.Fatal(err)
		}
		return a.Seal(nil, make([]byte, chacha20poly1305.NonceSize), []byte("payload"), []byte(c))
	}
	domains.Row(t, contextConfirm, func(c string) bool { // as a key
		_, err := keys.open(seal(derive(c), contextConfirm))
		return err == nil
	})
	domains.Row(t, contextConfirm, func(c string) bool { // as a box
		_, err := keys.open(seal(keys.confirm, c))
		return err == nil
	})
}
