// Package tr translates what the desktop says. English is the language of the
// source: a text is its own key, in [T] or, where a number decides, in [N].
// The others are gettext catalogues (GNU gettext manual, "The Format of PO
// Files") in this directory, named for their language; test TestTranslations of
// package present compares them with the source and prints what is missing.
package tr

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/leonelquinteros/gotext"
)

//go:embed *.po
var catalogues embed.FS

// A Language is one to speak, with its catalogue.
type Language struct {
	Name  string // as in LANG: "de"
	po    *gotext.Po
	texts map[string]*gotext.Translation // by key
}

var now atomic.Pointer[Language] // nil: English

// Load returns a language; false if there is no catalogue of it.
func Load(name string) (*Language, bool) {
	b, err := fs.ReadFile(catalogues, name+".po")
	if err != nil {
		return nil, false
	}
	l := &Language{Name: name, po: gotext.NewPo()}
	l.po.Parse(b)
	l.texts = l.po.GetDomain().GetTranslations()
	delete(l.texts, "")
	return l, true
}

// Use makes everything that is said from now on be said in a language; nil is
// English.
func Use(l *Language) { now.Store(l) }

// locale is the person's, as far as messages go; empty if it is C.
func locale(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if l := getenv(name); l != "" {
			if l == "C" || strings.HasPrefix(l, "C.") || l == "POSIX" {
				return ""
			}
			return l
		}
	}
	return ""
}

// rightToLeft are the languages that are written so.
var rightToLeft = []string{"ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"}

// RightToLeft reports whether a person's language is written from right to left.
func RightToLeft(getenv func(string) string) bool {
	language, _, _ := strings.Cut(locale(getenv), "_")
	language, _, _ = strings.Cut(language, ".")
	return slices.Contains(rightToLeft, language)
}

// Preferred returns the language that a person's environment asks for (GNU
// gettext manual, "Locale Environment Variables"); nil is English.
func Preferred(getenv func(string) string) *Language {
	l := locale(getenv)
	if l == "" {
		return nil
	}
	for _, wish := range append(strings.Split(getenv("LANGUAGE"), ":"), l) {
		wish, _, _ = strings.Cut(wish, ".")
		wish, _, _ = strings.Cut(wish, "@")
		short, _, _ := strings.Cut(wish, "_")
		if short == "en" {
			return nil
		}
		for _, name := range []string{wish, short} {
			if l, ok := Load(name); ok {
				return l
			}
		}
	}
	return nil
}

// Has reports whether the language has a translation of a key, in all its forms.
func (l *Language) Has(key string) bool {
	t := l.texts[key]
	if t == nil || len(t.Trs) == 0 || t.PluralID != "" && len(t.Trs) < 2 {
		return false
	}
	for _, s := range t.Trs {
		if s == "" {
			return false
		}
	}
	return true
}

// Keys returns what the language translates.
func (l *Language) Keys() []string { return slices.Sorted(maps.Keys(l.texts)) }

// Forms returns the translations of a key: several, where a number decides.
func (l *Language) Forms(key string) []string {
	if t := l.texts[key]; t != nil {
		return slices.Collect(maps.Values(t.Trs))
	}
	return nil
}

func (l *Language) text(key string) string {
	if t := l.texts[key]; t != nil {
		return t.Get()
	}
	return key
}

// T says a text. With arguments it is a format of [fmt.Sprintf]; a translation
// may take them in another order ("%[2]s").
func T(format string, args ...any) string {
	if l := now.Load(); l != nil {
		format = l.text(format)
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// N says a text of which there are several forms, for n of a thing. Both are
// formats; the first is the key.
func N(one, many string, n int, args ...any) string {
	format := many
	if l := now.Load(); l != nil {
		format = l.po.GetN(one, many, n)
	} else if n == 1 {
		format = one
	}
	return fmt.Sprintf(format, args...)
}

// Text says a text that another part of the program made: it is looked up and
// is no format.
func Text(s string) string {
	if l := now.Load(); l != nil {
		return l.text(s)
	}
	return s
}

// Mark returns its text as it is, for tables: [Text] is to be called where it is
// said.
func Mark(s string) string { return s }

// Date is t.Format in the language: a translation of the layout orders day and
// month, and their names are translated.
func Date(t time.Time, layout string) string {
	layout = Text(layout)
	s := t.Format(layout)
	if now.Load() == nil {
		return s
	}
	for _, name := range [2]string{t.Month().String(), t.Weekday().String()} {
		if strings.Contains(s, name) {
			s = strings.Replace(s, name, Text(name), 1)
		} else if short := name[:3]; strings.Contains(s, short) {
			s = strings.Replace(s, short, Text(short), 1)
		}
	}
	return s
}

// Names are the keys that [Date] looks up besides its layouts.
func Names() []string {
	var names []string
	for m := time.January; m <= time.December; m++ {
		names = append(names, m.String(), m.String()[:3])
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		names = append(names, d.String(), d.String()[:3])
	}
	return names
}
