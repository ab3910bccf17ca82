package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Vectors of BIP-39 (trezor/python-mnemonic, vectors.json).
func TestKitVectors(t *testing.T) {
	for _, tt := range []struct {
		fill byte
		want string
	}{
		{0x00, strings.Repeat("abandon ", 23) + "art"},
		{0x7f, strings.Repeat("legal winner thank year wave sausage worth useful ", 2) + "legal winner thank year wave sausage worth title"},
		{0xff, strings.Repeat("zoo ", 23) + "vote"},
	} {
		seed := [32]byte(bytes.Repeat([]byte{tt.fill}, 32))
		words := KitWords(seed)
		if got := strings.Join(words[:], " "); got != tt.want {
			t.Errorf("words of %02x = %q, want %q", tt.fill, got, tt.want)
		}
		for _, text := range []string{tt.want, strings.ToUpper(tt.want), strings.ReplaceAll(tt.want, " ", "\n1. ")} {
			if got, err := ParseKit(text); err != nil || got != seed {
				t.Errorf("ParseKit(%q) = %x, %v; want %x", text, got, err, seed)
			}
		}
	}
	short := strings.Repeat("aban ", 23) + "art"
	if got, err := ParseKit(short); err != nil || got != [32]byte{} {
		t.Errorf("short words: %x, %v", got, err)
	}
	for _, bad := range []string{"", strings.Repeat("abandon ", 24), strings.Repeat("abandon ", 22) + "art", short + " art", "xyzzy" + short[4:]} {
		if _, err := ParseKit(bad); !errors.Is(err, ErrBadKit) {
			t.Errorf("ParseKit(%q) = %v, want ErrBadKit", bad, err)
		}
	}
}
