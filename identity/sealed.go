package identity

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/wire"
)

// Limits of sealed secrets (spec §2.10). What a file demands beyond them is
// refused before any of it is spent.
const (
	sealedFormat    = 1
	sealedHeaderLen = 1 + 4 + 4 + 1 + 16 + chacha20poly1305.NonceSizeX

	maxKDFTime      = 64
	minKDFMemoryKiB = 8       // for each thread, by RFC 9106
	maxKDFMemoryKiB = 1 << 20 // 1 GiB
	maxKDFWorkKiB   = 4 << 20 // memory times passes: 4 GiB written
	maxKDFThreads   = 4
)

// Errors of sealed secrets.
var (
	// ErrWrongPassphrase does not tell a wrong passphrase from a changed file.
	ErrWrongPassphrase = errors.New("identity: wrong passphrase, or the file is damaged")
	ErrBadKDF          = errors.New("identity: key derivation parameters out of bounds")
	ErrNotSealed       = errors.New("identity: not a sealed secret")
)

// KDFParams are the costs of Argon2id. Zero fields mean those of [DefaultKDF].
type KDFParams struct {
	Time, MemoryKiB uint32
	Threads         uint8
}

// DefaultKDF returns 3 passes over 64 MiB with 4 threads (RFC 9106, section 4,
// second choice).
func DefaultKDF() KDFParams { return KDFParams{Time: 3, MemoryKiB: 64 << 10, Threads: 4} }

func (p KDFParams) withDefaults() KDFParams {
	d := DefaultKDF()
	if p.Time != 0 {
		d.Time = p.Time
	}
	if p.MemoryKiB != 0 {
		d.MemoryKiB = p.MemoryKiB
	}
	if p.Threads != 0 {
		d.Threads = p.Threads
	}
	return d
}

// Check returns ErrBadKDF for parameters that OpenSecret would refuse.
func (p KDFParams) Check() error {
	p = p.withDefaults()
	if p.Time > maxKDFTime || p.Threads > maxKDFThreads ||
		p.MemoryKiB < minKDFMemoryKiB*uint32(p.Threads) || p.MemoryKiB > maxKDFMemoryKiB ||
		uint64(p.Time)*uint64(p.MemoryKiB) > maxKDFWorkKiB {
		return ErrBadKDF
	}
	return nil
}

// SealSecret seals secret under a passphrase (spec §2.10):
//
//	struct {
//	    uint8 format = 1;
//	    uint32 time, memory_kib;
//	    uint8 threads;
//	    opaque salt[16], nonce[24];
//	    opaque sealed[rest];
//	} Sealed;
//
// The key is Argon2id(passphrase, salt), the cipher XChaCha20-Poly1305 with
// uint8(len(context)) context and the fields before it as associated data.
// Parameters out of bounds and a context over 255 bytes panic.
func SealSecret(passphrase []byte, p KDFParams, context string, secret []byte) []byte {
	p = p.withDefaults()
	if err := p.Check(); err != nil {
		panic(err)
	}
	var random [16 + chacha20poly1305.NonceSizeX]byte
	rand.Read(random[:]) // never fails, see crypto/rand.Read
	return sealSecret(passphrase, p, context, secret, random)
}

func sealSecret(passphrase []byte, p KDFParams, context string, secret []byte, random [40]byte) []byte {
	header := binary.BigEndian.AppendUint32([]byte{sealedFormat}, p.Time)
	header = binary.BigEndian.AppendUint32(header, p.MemoryKiB)
	header = append(header, p.Threads)
	header = append(header, random[:]...)
	aead := sealAEAD(passphrase, p, random[:16])
	return aead.Seal(header, random[16:], secret, sealAD(context, header))
}

// OpenSecret is the inverse of SealSecret. The context must be the same.
func OpenSecret(passphrase []byte, context string, sealed []byte) ([]byte, error) {
	r := wire.NewReader(sealed)
	format := r.Uint8()
	p := KDFParams{Time: r.Uint32(), MemoryKiB: r.Uint32(), Threads: r.Uint8()}
	salt, nonce := r.Bytes(16), r.Bytes(chacha20poly1305.NonceSizeX)
	box := r.Rest()
	if r.Done() != nil || format != sealedFormat || len(box) < chacha20poly1305.Overhead {
		return nil, ErrNotSealed
	}
	if p.Time == 0 || p.MemoryKiB == 0 || p.Threads == 0 || p.Check() != nil {
		return nil, ErrBadKDF
	}
	secret, err := sealAEAD(passphrase, p, salt).Open(nil, nonce, box, sealAD(context, sealed[:sealedHeaderLen]))
	if err != nil {
		return nil, ErrWrongPassphrase
	}
	return secret, nil
}

type aead interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
}

func sealAEAD(passphrase []byte, p KDFParams, salt []byte) aead {
	a, err := chacha20poly1305.NewX(argon2.IDKey(passphrase, salt, p.Time, p.MemoryKiB, p.Threads, chacha20poly1305.KeySize))
	if err != nil {
		panic(err)
	}
	return a
}

func sealAD(context string, header []byte) []byte {
	return append(wire.AppendVec8(nil, []byte(context)), header...)
}
