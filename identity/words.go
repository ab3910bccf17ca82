package identity

import (
	"crypto/sha256"

	"github.com/tyler-smith/go-bip39/wordlists"
)

const contextWords = "SREMP v1 verification words"

// VerificationWords returns the 12 words that both people see if nobody stands
// between them (spec §2.9): 132 bits of a hash of the two ids, the lower first,
// 11 bits for each word of the English BIP-39 list.
func VerificationWords(a, b PeerID) (words [12]string) {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	h := sha256.New()
	h.Write([]byte(contextWords))
	h.Write(a[:])
	h.Write(b[:])
	sum := h.Sum(nil)
	for i := range words {
		n := 0
		for bit := 11 * i; bit < 11*(i+1); bit++ {
			n = n<<1 | int(sum[bit/8]>>(7-bit%8)&1)
		}
		words[i] = wordlists.English[n]
	}
	return words
}
