package present

import (
	"hash/fnv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"github.com/sremp/sremp/identity"
)

// Bidirectional controls (Unicode UAX #9, section 2).
const (
	firstStrongIsolate = '\u2068'
	popIsolate         = '\u2069'
)

// previewLen is how many characters of a text a list shows; the widget cuts
// further by its width, this bounds its work.
const previewLen = 160

// Literal makes text from outside fit for a label: valid UTF-8 without control
// characters, which C strings or the toolkit would act on. Line breaks and tabs
// stay. Directional embeddings, overrides and unmatched isolates are dropped, so
// that a text cannot reorder what stands around it.
func Literal(s string) string {
	return clean(s, func(r rune) rune { return r })
}

// Line is [Literal] in one line, for names and lists.
func Line(s string) string {
	s = clean(s, func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	})
	return strings.Join(strings.Fields(s), " ")
}

// clean maps every rune that stays through f.
func clean(s string, f func(rune) rune) string {
	var b strings.Builder
	b.Grow(len(s))
	open := 0
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '\r':
			continue
		case r == '\n', r == '\t':
			r = f(r)
		case r == '\u2028', r == '\u2029':
			r = f('\n')
		case r < 0x20:
			r = '\u2400' + r // the visible picture of the control character
		case r == 0x7f:
			r = '\u2421'
		case unicode.Is(unicode.Cc, r):
			r = '\ufffd'
		case r >= '\u202a' && r <= '\u202e': // embeddings, overrides and their end
			continue
		case r >= '\u2066' && r <= firstStrongIsolate:
			open++
		case r == popIsolate:
			if open == 0 {
				continue
			}
			open--
		default:
			r = f(r)
		}
		b.WriteRune(r)
	}
	for ; open > 0; open-- {
		b.WriteRune(popIsolate)
	}
	return b.String()
}

// Isolate is [Line] between a first strong isolate and its end: it keeps its own
// direction in the middle of a sentence and changes nobody else's.
func Isolate(s string) string {
	return string(firstStrongIsolate) + Line(s) + string(popIsolate)
}

// Preview returns the beginning of a text in one line.
func Preview(s string) string {
	// A line break costs at most four bytes; the bound is generous because
	// cutting comes again below, by characters.
	if len(s) > 16*previewLen {
		s = s[:16*previewLen]
	}
	s = Line(strings.TrimRight(strings.ToValidUTF8(s, ""), "\x00"))
	n := 0
	for i := range s {
		if n++; n > previewLen {
			return Line(s[:i]) + "…"
		}
	}
	return s
}

// Initials returns one or two characters for a picture: the first of the first
// word and the first of the last.
func Initials(label string) string {
	words := strings.FieldsFunc(Line(label), func(r rune) bool {
		return unicode.IsSpace(r) || r == '-' || r == '_' || r == '.'
	})
	first := func(word string) string {
		c, _, _, _ := uniseg.FirstGraphemeClusterInString(strings.TrimLeftFunc(word, isFormat), -1)
		return strings.ToUpper(c)
	}
	switch len(words) {
	case 0:
		return "?"
	case 1:
		return first(words[0])
	}
	return first(words[0]) + first(words[len(words)-1])
}

func isFormat(r rune) bool { return unicode.Is(unicode.Cf, r) }

// Colours is the number of picture colours.
const Colours = 8

// Colour returns the picture's colour of a person, 0 to Colours-1. It depends on
// the key alone, so a person who takes another's name keeps another colour.
func Colour(id identity.PeerID) int {
	h := fnv.New32a()
	h.Write(id[:])
	return int(h.Sum32() % Colours)
}
