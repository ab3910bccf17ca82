package identity

import (
	"errors"
	"unicode"
	"unicode/utf8"
)

// MaxNameChars is the most characters (code points) a person's name has.
const MaxNameChars = 40

// ErrBadName is returned for names that cannot be shown safely.
var ErrBadName = errors.New("identity: a name has 1 to 40 visible characters, no line breaks and no spaces at its ends")

// CheckName accepts the names that a record may carry (spec §2.5): 1 to 40
// characters of valid UTF-8 that show, in one line and one direction, what they
// are. A name identifies nobody: two people may have the same.
func CheckName(s string) error {
	if !utf8.ValidString(s) {
		return ErrBadName
	}
	chars := []rune(s)
	if len(chars) == 0 || len(chars) > MaxNameChars || unicode.IsMark(chars[0]) {
		return ErrBadName
	}
	for i, c := range chars {
		switch {
		case c == ' ':
			// Not at the ends, and not two in a row: they look like one.
			if i == 0 || i == len(chars)-1 || chars[i-1] == ' ' {
				return ErrBadName
			}
		case c == '\u200c' || c == '\u200d':
			// Joiners shape Arabic, Indic scripts and emoji; in Latin, Greek and
			// Cyrillic they would be invisible differences.
			if i == 0 || i == len(chars)-1 || !joins(chars[i-1]) || !joins(chars[i+1]) {
				return ErrBadName
			}
		case hidden(c):
			return ErrBadName
		}
	}
	return nil
}

// joins reports whether a joiner may stand beside c: scripts from Arabic on.
func joins(c rune) bool { return c >= '\u0600' && !hidden(c) && c != '\u200c' && c != '\u200d' }

// hidden reports whether c is a control, a bidirectional or other format
// character, a line or odd space, private, unassigned, or shows nothing.
func hidden(c rune) bool {
	return !unicode.IsGraphic(c) || unicode.Is(unicode.Z, c) || c == '\u2800' || // braille blank
		unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
}
