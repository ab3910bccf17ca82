package present

import (
	"strings"
	"unicode"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

// Anybody can take any name. Who bears one that another has, or that looks the
// same, is shown with the beginning of the id, and so is the other.

// lookalikes are Cyrillic and Greek letters that are drawn like Latin ones: the
// usual ones of the confusables of Unicode UTS #39.
var lookalikes = strings.NewReplacer(
	"а", "a", "в", "b", "с", "c", "ԁ", "d", "е", "e", "ё", "e", "һ", "h", "і", "i", "ї", "i", "ј", "j", "к", "k", "ӏ", "l",
	"м", "m", "н", "h", "о", "o", "р", "p", "ԛ", "q", "ѕ", "s", "т", "t", "у", "y", "ѵ", "v", "ԝ", "w", "х", "x", "г", "r",
	"α", "a", "β", "b", "ε", "e", "η", "n", "ι", "i", "κ", "k", "ν", "v", "ο", "o", "ρ", "p", "τ", "t", "υ", "u", "χ", "x",
	"ı", "i", "l", "i", "|", "i", "1", "i", "0", "o",
)

// look is the same for names that look the same, or nearly.
func look(name string) string {
	return lookalikes.Replace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || isFormat(r) || unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name))
}

// countNames counts who looks alike.
func (w *Window) countNames() {
	clear(w.names)
	for _, c := range w.contacts {
		w.names[look(w.name(c))]++
	}
}

// hasTwin reports whether another contact's name looks the same.
func (w *Window) hasTwin(c client.Contact) bool { return w.names[look(w.name(c))] > 1 }

// name is what a contact is called.
func (w *Window) name(c client.Contact) string {
	if c.Self {
		return tr.T("Note to self")
	}
	return Line(c.Label())
}

// label is the name under which a contact is shown. No other looks like it.
func (w *Window) label(c client.Contact) string {
	if c.Self || !w.hasTwin(c) {
		return w.name(c)
	}
	return Isolate(c.Label()) + " (" + c.ID.Short() + ")"
}
