package identity

import (
	"bytes"

	"github.com/tyler-smith/go-bip39/wordlists"
	"golang.org/x/crypto/argon2"
)

// The hash behind the words is slow, some milliseconds, because somebody in the
// middle may choose both of its ids, and so needs only a collision (spec §2.9).
const (
	contextWords   = "SREMP v1 verification words"
	wordsTime      = 3
	wordsMemoryKiB = 4 << 10
	wordsThreads   = 1
)

// VerificationWords returns the 12 words that both people see if nobody stands
// between them (spec §2.9): 132 bits of a hash of the two ids, the lower first,
// 11 bits for each word of the English BIP-39 list. It takes some milliseconds.
func VerificationWords(a, b PeerID) (words [12]string) {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	ids := bytes.Join([][]byte{a[:], b[:]}, nil)
	sum := argon2.IDKey(ids, []byte(contextWords), wordsTime, wordsMemoryKiB, wordsThreads, 32)
	for i := range words {
		n := 0
		for bit := 11 * i; bit < 11*(i+1); bit++ {
			n = n<<1 | int(sum[bit/8]>>(7-bit%8)&1)
		}
		words[i] = wordlists.English[n]
	}
	return words
}
