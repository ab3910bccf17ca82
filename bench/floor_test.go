package bench

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha256"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/wire"
)

// A floor does the primitives that an operation cannot avoid, with the sizes of
// spec §4 and nothing around them.
type floor struct {
	chain, key    [32]byte
	nonce         [12]byte
	ad            [16 + wire.RatchetPrefixLen + wire.RatchetHeaderLen]byte
	header        cipher.AEAD
	plain, buffer []byte
	sealedHeader  []byte
	sealed        []byte
	private       *ecdh.PrivateKey
	public        *ecdh.PublicKey
	seed          [32]byte
}

func newFloor(tb testing.TB, size int) *floor {
	tb.Helper()
	f := &floor{plain: make([]byte, size), buffer: make([]byte, 0, size+wire.RatchetOverhead)}
	var err error
	if f.header, err = chacha20poly1305.New(f.key[:]); err != nil {
		tb.Fatal(err)
	}
	f.seed[1] = 7
	if f.private, err = ecdh.X25519().NewPrivateKey(f.seed[:]); err != nil {
		tb.Fatal(err)
	}
	f.public = f.private.PublicKey()
	body, err := chacha20poly1305.New(f.key[:])
	if err != nil {
		tb.Fatal(err)
	}
	f.sealed = body.Seal(nil, f.nonce[:], f.plain, f.ad[:])
	f.sealedHeader = f.header.Seal(nil, f.nonce[:], f.ad[:wire.RatchetHeaderLen], f.ad[:2])
	return f
}

// chainStep is KDF_CK: two blocks of SHA-256.
func (f *floor) chainStep() {
	const n = 32 + len("SREMP v1 message key")
	var b [n]byte
	copy(b[:], f.chain[:])
	f.key = sha256.Sum256(b[:])
	f.chain = sha256.Sum256(b[:n-2])
}

func (f *floor) encrypt() {
	f.chainStep()
	body, err := chacha20poly1305.New(f.chain[:])
	if err != nil {
		panic(err)
	}
	f.buffer = body.Seal(f.buffer[:0], f.nonce[:], f.plain, f.ad[:])
	f.header.Seal(f.buffer[:0], f.nonce[:], f.ad[:wire.RatchetHeaderLen], f.ad[:2])
}

// decrypt opens with a key that is constant, so that the tags are right.
func (f *floor) decrypt() {
	f.chainStep()
	var zero [32]byte
	body, err := chacha20poly1305.New(zero[:])
	if err != nil {
		panic(err)
	}
	if _, err := f.header.Open(f.buffer[:0], f.nonce[:], f.sealedHeader, f.ad[:2]); err != nil {
		panic(err)
	}
	if f.buffer, err = body.Open(f.buffer[:0], f.nonce[:], f.sealed, f.ad[:]); err != nil {
		panic(err)
	}
}

func (f *floor) keygen() {
	if _, err := ecdh.X25519().NewPrivateKey(f.seed[:]); err != nil {
		panic(err)
	}
}

func (f *floor) ecdh() []byte {
	s, err := f.private.ECDH(f.public)
	if err != nil {
		panic(err)
	}
	return s
}

// rootStep is KDF_RK with the header key that goes with it.
func (f *floor) rootStep(dh []byte) {
	out, err := hkdf.Key(sha256.New, dh, f.chain[:], "SREMP v1 ratchet root", 64)
	if err != nil {
		panic(err)
	}
	if _, err := hkdf.Expand(sha256.New, out[:32], "SREMP v1 ratchet header", 32); err != nil {
		panic(err)
	}
}

// pingPong is a message with a Diffie-Hellman step, at both sides: one new key,
// two shared secrets.
func (f *floor) pingPong() {
	f.keygen()
	f.rootStep(f.ecdh())
	f.encrypt()
	f.rootStep(f.ecdh())
	f.decrypt()
}

func (f *floor) hmac() {
	h := hmac.New(sha256.New, f.key[:])
	h.Write(f.ad[:])
	f.buffer = h.Sum(f.buffer[:0])
}

// A kemFloor is the primitives of the prekey agreement.
type kemFloor struct {
	*floor
	seed       [mlkem.SeedSize]byte
	key        *mlkem.DecapsulationKey768
	encoded    []byte
	ciphertext []byte
	sign       ed25519.PrivateKey
	signed     []byte
	signature  []byte
}

func newKEMFloor(tb testing.TB) *kemFloor {
	tb.Helper()
	f := &kemFloor{floor: newFloor(tb, 1), sign: ed25519.NewKeyFromSeed(make([]byte, 32)), signed: make([]byte, 1500)}
	var err error
	if f.key, err = mlkem.NewDecapsulationKey768(f.seed[:]); err != nil {
		tb.Fatal(err)
	}
	f.encoded = f.key.EncapsulationKey().Bytes()
	_, f.ciphertext = f.key.EncapsulationKey().Encapsulate()
	f.signature = ed25519.Sign(f.sign, f.signed)
	return f
}

func (f *kemFloor) verify() {
	if !ed25519.Verify(f.sign.Public().(ed25519.PublicKey), f.signed, f.signature) {
		panic("bad signature")
	}
}

// initiate with a bundle and a one-time pair: three signatures (record, bundle,
// pair), two KEM keys to check, one encapsulation, two new X25519 keys and five
// shared secrets.
func (f *kemFloor) initiate() {
	for range 3 {
		f.verify()
	}
	var k *mlkem.EncapsulationKey768
	for range 2 {
		var err error
		if k, err = mlkem.NewEncapsulationKey768(f.encoded); err != nil {
			panic(err)
		}
	}
	k.Encapsulate()
	for range 2 {
		f.keygen()
	}
	for range 4 {
		f.ecdh()
	}
	f.rootStep(f.ecdh())
	f.rootStep(f.chain[:])
	f.encrypt()
}

// accept: the record's signature, the KEM key from its seed, a decapsulation,
// two X25519 keys from theirs, and five shared secrets.
func (f *kemFloor) accept() {
	f.verify()
	k, err := mlkem.NewDecapsulationKey768(f.seed[:])
	if err != nil {
		panic(err)
	}
	if _, err := k.Decapsulate(f.ciphertext); err != nil {
		panic(err)
	}
	for range 2 {
		f.keygen()
	}
	for range 4 {
		f.ecdh()
	}
	f.rootStep(f.ecdh())
	f.rootStep(f.chain[:])
	f.decrypt()
}

// exchange is a post-quantum epoch's KEM work.
func (f *kemFloor) exchange() {
	for range 2 { // made when offered, and again from the seed to decapsulate
		if _, err := mlkem.NewDecapsulationKey768(f.seed[:]); err != nil {
			panic(err)
		}
	}
	k, err := mlkem.NewEncapsulationKey768(f.encoded)
	if err != nil {
		panic(err)
	}
	k.Encapsulate()
	if _, err := f.key.Decapsulate(f.ciphertext); err != nil {
		panic(err)
	}
}
