package rendezvous

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// lookalikes maps letters, after lower case and decomposition, to the Latin ones
// that they are taken for in either case (spec §7.10.3).
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pairs := range []string{
		// Cyrillic
		"аaвbсcԁdеeгrнhһhіiјjкkӏlмmоoрpԛqѕsтtуyѵvԝwхx",
		// Greek
		"αaβbεeζzηhιiκkμmνvοoρpτtυyχxϲcϳj",
		// Armenian, and digits
		"օoսuոnհhցg0o1l",
	} {
		rs := []rune(pairs)
		for i := 0; i+1 < len(rs); i += 2 {
			m[rs[i]] = rs[i+1]
		}
	}
	return m
}()

// Fold returns s as names are searched for and sorted: compatibility
// decomposition, lower case, without marks and joiners, lookalikes made one. Two
// names that fold to one string may be taken for each other.
func Fold(s string) string {
	return strings.Map(func(c rune) rune {
		c = unicode.ToLower(c)
		if unicode.IsMark(c) || c == '\u200c' || c == '\u200d' {
			return -1
		}
		if l, ok := lookalikes[c]; ok {
			return l
		}
		return c
	}, norm.NFKD.String(strings.ToLower(norm.NFKC.String(s))))
}

// confusable are the scripts whose letters are taken for each other's.
var confusable = []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu}

// MixedScripts reports whether a name has letters of two scripts that look
// alike, as honest names do not.
func MixedScripts(s string) bool {
	seen := 0
	for _, t := range confusable {
		if strings.ContainsFunc(s, func(c rune) bool { return unicode.Is(t, c) }) {
			seen++
		}
	}
	return seen > 1
}
