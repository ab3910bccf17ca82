package handshake

import (
	"io"

	"github.com/flynn/noise"

	"github.com/sremp/sremp/identity"
)

// suite is Noise's 25519_ChaChaPoly_BLAKE2s.
var suite = noise.NewCipherSuite(strictDH{}, noise.CipherChaChaPoly, noise.HashBLAKE2s)

// strictDH is X25519 that refuses small-order and non-canonical public keys,
// which the Noise specification leaves to the implementation (section 12.1).
type strictDH struct{}

// GenerateKeypair implements [noise.DHFunc]. Go's ECDH ignores readers; so does
// this.
func (strictDH) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	return keypair(identity.GenerateDHKey()), nil
}

// DH implements [noise.DHFunc].
func (strictDH) DH(private, public []byte) ([]byte, error) {
	k, err := identity.NewDHKey(private)
	if err != nil {
		return nil, err
	}
	if len(public) != 32 {
		return nil, identity.ErrBadKey
	}
	return k.ECDH([32]byte(public))
}

// DHLen implements [noise.DHFunc].
func (strictDH) DHLen() int { return 32 }

// DHName implements [noise.DHFunc].
func (strictDH) DHName() string { return "25519" }

func keypair(k identity.DHKey) noise.DHKey {
	pub := k.Public()
	return noise.DHKey{Private: k.Seed(), Public: pub[:]}
}
