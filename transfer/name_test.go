package transfer

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"photo.jpg":                        "photo.jpg",
		"../../etc/passwd":                 "passwd",
		`..\..\boot.ini`:                   "boot.ini",
		"/":                                "file",
		"..":                               "file",
		"":                                 "file",
		".bashrc":                          "bashrc",
		"...hidden. . ":                    "hidden",
		"a\x00b\nc\x1b[31m.txt":            "ab c[31m.txt",
		"invoice\u202egpj.exe":             "invoicegpj.exe",
		"zero\u200bwidth\ufeff.txt":        "zerowidth.txt",
		"CON":                              "_CON",
		"nul.tar.gz":                       "_nul.tar.gz",
		"com1 .txt":                        "_com1.txt",
		`q<>:"|?*.txt`:                     "q_______.txt",
		"C:\\Users\\x.doc":                 "x.doc",
		"bad\xffutf8":                      "bad_utf8",
		"größe und 漢字.pdf":                 "größe und 漢字.pdf",
		"a b.txt":                          "a b.txt",
		strings.Repeat("x", 999):           strings.Repeat("x", 180),
		strings.Repeat("ä", 999):           strings.Repeat("ä", 90),
		strings.Repeat("y", 999) + ".jpeg": strings.Repeat("y", 175) + ".jpeg",
		"a." + strings.Repeat("e", 300):    "a." + strings.Repeat("e", 178),
	} {
		if got := CleanName(in); got != want {
			t.Errorf("CleanName(%.40q) = %q, want %q", in, got, want)
		}
	}
}

func checkName(t *testing.T, name string) {
	t.Helper()
	if name == "" || name == "." || name == ".." || name[0] == '.' || len(name) > maxName+1 || !utf8.ValidString(name) ||
		!filepath.IsLocal(name) || filepath.Base(name) != name || strings.ContainsAny(name, "/\\:") {
		t.Errorf("%q is no harmless name", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			t.Errorf("%q has %U", name, r)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "con", "\u202ea", " . ", "nul .x", "a" + strings.Repeat("\u0301", 400)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := CleanName(s)
		checkName(t, name)
		if again := CleanName(name); again != name {
			t.Errorf("CleanName(%q) = %q, and of that %q", s, name, again)
		}
	})
}

func TestNumbered(t *testing.T) {
	for n, want := range []string{"a.b.jpg", "a.b (1).jpg", "a.b (2).jpg"} {
		if got := Numbered("a.b.jpg", n); got != want {
			t.Errorf("Numbered(%d) = %q, want %q", n, got, want)
		}
	}
}
