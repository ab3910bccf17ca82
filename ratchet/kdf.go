package ratchet

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Contexts of this package (spec §4.6).
const (
	contextBundle     = "SREMP v1 prekey bundle"
	contextOneTime    = "SREMP v1 one-time prekey"
	contextBundleHash = "SREMP v1 prekey bundle hash"
	contextOneHash    = "SREMP v1 one-time prekey hash"
	contextAgreement  = "SREMP v1 agreement hash"
	contextTranscript = "SREMP v1 agreement transcript"
	contextKeys       = "SREMP v1 agreement keys"
	contextRoot       = "SREMP v1 ratchet root"
	contextChain      = "SREMP v1 chain key"
	contextMessage    = "SREMP v1 message key"
)

// kdfRoot is KDF_RK of the specification with encrypted headers: HKDF-SHA256
// with the root key as salt (spec §4.3.2). pq is the secret of a post-quantum
// epoch, or nil.
func kdfRoot(root *[32]byte, dh, pq []byte) (next, chain, header [32]byte) {
	out := expand(append(append(make([]byte, 0, 64), dh...), pq...), root[:], contextRoot)
	return out[0], out[1], out[2]
}

// expand returns three keys of HKDF-SHA256.
func expand(secret, salt []byte, info string) (out [3][32]byte) {
	b, err := hkdf.Key(sha256.New, secret, salt, info, 96)
	if err != nil {
		panic(err) // 96 bytes are within HKDF's limit
	}
	for i := range out {
		copy(out[i][:], b[32*i:])
	}
	clear(b)
	clear(secret)
	return out
}

// kdfChain is KDF_CK (spec §4.3.2): SHA-256 of the chain key and a label, which
// fit one block. The assumption is that SHA-256's compression function is a PRF
// when keyed through its message block, the one that HKDF's extraction and HMAC
// with a long key make as well. It allocates nothing.
func kdfChain(chain *[32]byte) (next, message [32]byte) {
	var b [32 + len(contextMessage)]byte
	copy(b[:], chain[:])
	copy(b[32:], contextMessage)
	message = sha256.Sum256(b[:])
	n := 32 + copy(b[32:], contextChain)
	next = sha256.Sum256(b[:n])
	clear(b[:])
	return next, message
}

// tagged is SHA-256 of a context and then parts.
func tagged(context string, parts ...[]byte) (out [32]byte) {
	h := sha256.New()
	h.Write([]byte(context))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}
