package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestInviteCode(t *testing.T) {
	code := NewInviteCode()
	words := code.Words()
	if n := len(strings.Fields(words)); n != 8 {
		t.Fatalf("%q has %d words, want 8", words, n)
	}
	back, err := ParseInviteCode(" " + strings.ToUpper(strings.ReplaceAll(words, " ", " - ")))
	if err != nil || back.get() != code.get() {
		t.Errorf("parsing %q = %v", words, err)
	}
	if got := fmt.Sprintf("%v %+v %#v %s %x", code, code, code, []any{code}, code); strings.Contains(got, "0x") {
		t.Errorf("prints as %s", got)
	}
	inbox, knock, seal := code.Keys()
	if inbox == knock || knock == seal || inbox == seal {
		t.Error("the keys of a code are not three")
	}
	if a, b, c := NewInviteCode().Keys(); a == inbox || b == knock || c == seal {
		t.Error("two codes have a key in common")
	}
}

// A code's own bits are fixed: this is what another implementation must find.
func TestInviteCodeVector(t *testing.T) {
	const words = "abandon amount liar amount expire adjust cage cover"
	var b [codeBytes]byte
	for i := range b {
		b[i] = byte(i)
	}
	code := InviteCode{func() [codeBytes]byte { return b }}
	if got := code.Words(); got != words {
		t.Errorf("words = %q, want %q", got, words)
	}
	inbox, _, _ := code.Keys()
	const want = "990111b153840a48"
	if got := fmt.Sprintf("%x", inbox[:8]); got != want {
		t.Errorf("inbox begins with %s, want %s", got, want)
	}
}

func TestBadInviteCode(t *testing.T) {
	words := strings.Fields(NewInviteCode().Words())
	for _, s := range []string{
		"", "abandon", strings.Join(words[:7], " "), strings.Join(append(words, "zoo"), " "),
		strings.Join(append([]string{"notaword"}, words[1:]...), " "),
	} {
		if _, err := ParseInviteCode(s); !errors.Is(err, ErrBadCode) {
			t.Errorf("%q: err = %v, want ErrBadCode", s, err)
		}
	}
	bad := 0
	for i := range 2048 / 16 {
		other := append([]string(nil), words...)
		other[3] = toWords([]byte{byte(i >> 3), byte(i << 5)}, 1)[0]
		if _, err := ParseInviteCode(strings.Join(other, " ")); err != nil {
			bad++
		}
	}
	if bad < 120 {
		t.Errorf("%d of 128 wrong words were noticed", bad)
	}
}

func FuzzParseInviteCode(f *testing.F) {
	f.Add(NewInviteCode().Words())
	f.Add("abandon abandon abandon abandon abandon abandon abandon abandon")
	f.Fuzz(func(t *testing.T, s string) {
		code, err := ParseInviteCode(s)
		if err != nil {
			return
		}
		if again, err := ParseInviteCode(code.Words()); err != nil || again.get() != code.get() {
			t.Errorf("%q: parsed and written again: %v", s, err)
		}
	})
}
