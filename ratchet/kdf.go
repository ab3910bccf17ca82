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
	contextHeader     = "SREMP v1 ratchet header"
	contextPair       = "SREMP v1 device pair"
	contextChain      = "SREMP v1 chain key"
	contextMessage    = "SREMP v1 message key"
)

// kdfRoot is KDF_RK of the specification with encrypted headers: HKDF-SHA256
// with the root key as salt (spec §4.3.2). pq is the secret of a post-quantum
// epoch, or nil. The header key that belongs to it is [kdfHeader]'s of next.
func kdfRoot(root *[32]byte, dh, pq []byte) (next, chain [32]byte) {
	out := expand(append(append(make([]byte, 0, 64), dh...), pq...), root[:], contextRoot)
	clear(dh)
	return out[0], out[1]
}

// kdfHeader derives the header key of the chain after the next from a root key.
// Because it is derived when the root key is replaced, it need not be stored
// before (spec §4.3.2).
func kdfHeader(root *[32]byte) headerKey {
	b, err := hkdf.Expand(sha256.New, root[:], contextHeader, 32)
	if err != nil {
		panic(err) // 32 bytes are within HKDF's limit
	}
	defer clear(b)
	return headerKey{key: [32]byte(b)}
}

// expand returns two keys of HKDF-SHA256.
func expand(secret, salt []byte, info string) (out [2][32]byte) {
	b, err := hkdf.Key(sha256.New, secret, salt, info, 64)
	if err != nil {
		panic(err) // 64 bytes are within HKDF's limit
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
