package rendezvous

import (
	"crypto/sha3"
	"crypto/sha512"
	"encoding/binary"
	"time"

	"filippo.io/edwards25519"

	"github.com/sremp/sremp/identity"
)

// Contexts of the blinding (spec §7.2).
const (
	contextBlinding   = "SREMP v1 rendezvous blinding"
	contextSignPrefix = "Derive temporary signing key hash input" // Tor's
)

// periodLength is how long one blinded key serves.
const periodLength = 24 * time.Hour

// Period returns the number of the day that now lies in: days since 1970 in UTC.
func Period(now time.Time) uint64 {
	return uint64(max(now.Unix(), 0)) / uint64(periodLength/time.Second)
}

// A Name is what a record stands under at a server during one period.
type Name struct {
	Blinded [32]byte // an Ed25519 public key
	Period  uint64
}

// BlindedName returns the name of id for those who know its lookup secret. An
// id that is no acceptable key gives the zero name.
func BlindedName(id identity.PeerID, lookup [32]byte, period uint64) Name {
	if identity.CheckEd25519(id) != nil {
		return Name{}
	}
	p, err := new(edwards25519.Point).SetBytes(id[:])
	if err != nil {
		return Name{}
	}
	h := blindingFactor(blindingParameter(id, lookup, period))
	return Name{Blinded: [32]byte(p.ScalarMult(h, p).Bytes()), Period: period}
}

// blindingParameter is the 32 bytes from which the factor is made (spec §7.2).
func blindingParameter(id identity.PeerID, lookup [32]byte, period uint64) [32]byte {
	b := append([]byte(contextBlinding), 0)
	b = append(append(b, id[:]...), lookup[:]...)
	b = binary.BigEndian.AppendUint64(b, period)
	b = binary.BigEndian.AppendUint64(b, uint64(periodLength/time.Second))
	return sha3.Sum256(b)
}

// blindingFactor clamps as Tor does (rend-spec-v3, appendix A.2).
func blindingFactor(parameter [32]byte) *edwards25519.Scalar {
	s, err := new(edwards25519.Scalar).SetBytesWithClamping(parameter[:])
	if err != nil {
		panic(err)
	}
	return s
}

// A blindedKey signs for a blinded name. It must not outlive the call that
// needs it: with the lookup secret it gives the identity key away.
type blindedKey struct {
	scalar *edwards25519.Scalar
	prefix [32]byte
	public [32]byte
}

// blindKey returns the private half of [BlindedName] of k.
func blindKey(k identity.SecretKey, lookup [32]byte, period uint64) blindedKey {
	return blindWith(k, blindingParameter(k.Public(), lookup, period))
}

func blindWith(k identity.SecretKey, parameter [32]byte) blindedKey {
	expanded := sha512.Sum512(k.Seed()) // RFC 8032, section 5.1.5
	a, err := new(edwards25519.Scalar).SetBytesWithClamping(expanded[:32])
	if err != nil {
		panic(err)
	}
	return blindExpanded(a, expanded[32:], parameter)
}

// blindExpanded blinds an expanded key: the scalar is multiplied, and the prefix
// hashed so that no two keys derive one nonce from one message.
func blindExpanded(a *edwards25519.Scalar, prefix []byte, parameter [32]byte) blindedKey {
	s := new(edwards25519.Scalar).Multiply(blindingFactor(parameter), a)
	h := sha512.Sum512(append([]byte(contextSignPrefix), prefix...))
	return blindedKey{
		scalar: s,
		prefix: [32]byte(h[:32]),
		public: [32]byte(new(edwards25519.Point).ScalarBaseMult(s).Bytes()),
	}
}

// sign makes a signature that [identity.Verify] accepts under k.public: RFC
// 8032, section 5.1.6, with the blinded scalar and prefix.
func (k blindedKey) sign(context string, msg []byte) [64]byte {
	m := append([]byte{byte(len(context))}, context...)
	m = append(binary.BigEndian.AppendUint32(m, uint32(len(msg))), msg...)
	return k.signRaw(m)
}

func (k blindedKey) signRaw(m []byte) (sig [64]byte) {
	r := hashToScalar(k.prefix[:], m)
	copy(sig[:32], new(edwards25519.Point).ScalarBaseMult(r).Bytes())
	c := hashToScalar(sig[:32], k.public[:], m)
	copy(sig[32:], c.MultiplyAdd(c, k.scalar, r).Bytes())
	return sig
}

func hashToScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := new(edwards25519.Scalar).SetUniformBytes(h.Sum(nil))
	if err != nil {
		panic(err)
	}
	return s
}
