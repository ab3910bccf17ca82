package identity

import (
	"errors"
	"strings"
	"testing"
)

// Spec §2.5. Homoglyphs are not refused: a name identifies nobody.
func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"A", "Alice", "Alice B. Example", "O'Brien", "Zoë", "Zoe\u0308", "Łukasz", "Ωμέγα", "Алиса", "爱丽丝", "アリス",
		"أليس", "עליסה", "می\u200cخواهم", "🙂", "👩\u200d🚀", "👩\u200d👩\u200d👧", "❤️", "क्\u200dष", "a\u0301", strings.Repeat("界", 40), "x2", "<b>",
	} {
		if err := CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v, want no error", name, err)
		}
	}
	for why, name := range map[string]string{
		"empty":                   "",
		"41 characters":           strings.Repeat("a", 41),
		"not UTF-8":               "a\xff",
		"surrogate":               "a\xed\xa0\x80",
		"leading space":           " Alice",
		"trailing space":          "Alice ",
		"two spaces":              "Alice  B",
		"only a space":            " ",
		"line break":              "Alice\nBob",
		"tab":                     "Alice\tBob",
		"NUL":                     "Alice\x00",
		"escape":                  "\x1b[31mAlice",
		"C1 control":              "Alice\u0085",
		"line separator":          "Alice\u2028Bob",
		"no-break space":          "Alice\u00a0",
		"ideographic space":       "Alice\u3000Bob",
		"right-to-left override":  "Alice\u202egnp.exe",
		"isolate":                 "\u2067Alice\u2069",
		"left-to-right mark":      "Alice\u200e",
		"Arabic letter mark":      "Alice\u061c",
		"zero width space":        "Al\u200bice",
		"byte order mark":         "\ufeffAlice",
		"soft hyphen":             "Al\u00adice",
		"joiner in Latin":         "Al\u200dice",
		"non-joiner in Latin":     "Al\u200cice",
		"joiner at the end":       "👩\u200d",
		"joiner at the start":     "\u200d👩",
		"two joiners":             "👩\u200d\u200d👩",
		"word joiner":             "Al\u2060ice",
		"tag characters":          "Alice\U000e0041",
		"Hangul filler":           "Alice\u3164",
		"braille blank":           "\u2800",
		"combining mark first":    "\u0301Alice",
		"combining grapheme join": "Al\u034fice",
		"private use":             "Alice\ue000",
		"noncharacter":            "Alice\ufffe",
		"interlinear annotation":  "Alice\ufff9",
	} {
		if err := CheckName(name); !errors.Is(err, ErrBadName) {
			t.Errorf("%s: CheckName(%q) = %v, want ErrBadName", why, name, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"Alice", "می\u200cخواهم", "👩\u200d🚀", "\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckName(s) != nil {
			return
		}
		if len(s) == 0 || len(s) > 160 || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\n\r\t\x00\x1b\u202e\u2028") {
			t.Errorf("CheckName accepts %q", s)
		}
	})
}
