package identity

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/tyler-smith/go-bip39/wordlists"
)

// ErrBadKit: a recovery kit's words are not complete or not in order.
var ErrBadKit = errors.New("these are not the 24 words of a recovery kit; check each word and their order")

// KitWords returns the recovery kit: the 32-byte seed of the recovery key as
// the 24 words that BIP-39 makes of it, the last 8 bits being a checksum.
func KitWords(seed [32]byte) (words [24]string) {
	sum := sha256.Sum256(seed[:])
	bits := append(seed[:], sum[0])
	copy(words[:], toWords(bits, len(words)))
	return words
}

// toWords returns n words of 11 bits each.
func toWords(bits []byte, n int) []string {
	words := make([]string, n)
	for i := range words {
		n := 0
		for bit := 11 * i; bit < 11*(i+1); bit++ {
			n = n<<1 | int(bits[bit/8]>>(7-bit%8)&1)
		}
		words[i] = wordlists.English[n]
	}
	return words
}

// fromWords is the inverse of toWords. The first four letters of a word are enough.
func fromWords(s string, n int) (bits []byte, ok bool) {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r < 'a' || r > 'z' })
	if len(words) != n {
		return nil, false
	}
	bits = make([]byte, (11*n+7)/8)
	for i, w := range words {
		n := slices.IndexFunc(wordlists.English, func(full string) bool {
			return full == w || len(w) >= 4 && len(full) > len(w) && strings.HasPrefix(full, w)
		})
		if n < 0 {
			return nil, false
		}
		for j := range 11 {
			bit := 11*i + j
			bits[bit/8] |= byte(n>>(10-j)&1) << (7 - bit%8)
		}
	}
	return bits, true
}

// ParseKit is the inverse of KitWords. Case, and what stands between the words,
// does not matter; the first four letters of a word are enough.
func ParseKit(s string) (seed [32]byte, err error) {
	bits, ok := fromWords(s, 24)
	if !ok {
		return seed, ErrBadKit
	}
	copy(seed[:], bits[:])
	if sha256.Sum256(seed[:])[0] != bits[32] {
		return [32]byte{}, ErrBadKit
	}
	return seed, nil
}
