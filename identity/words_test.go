package identity

import (
	"testing"

	"github.com/tyler-smith/go-bip39/wordlists"
)

// Spec §2.9.
func TestVerificationWords(t *testing.T) {
	if n := len(wordlists.English); n != 2048 || wordlists.English[0] != "abandon" || wordlists.English[2047] != "zoo" {
		t.Fatalf("the list has %d words", n)
	}
	a, b, c := PeerID(testSecretKey(t, 1).Public()), PeerID(testSecretKey(t, 2).Public()), PeerID(testSecretKey(t, 3).Public())
	ab := VerificationWords(a, b)
	if VerificationWords(b, a) != ab {
		t.Error("the two sides see different words")
	}
	if VerificationWords(a, c) == ab || VerificationWords(c, b) == ab {
		t.Error("another pair sees the same words")
	}
	for _, w := range ab {
		if w == "" {
			t.Error("an empty word")
		}
	}
}
