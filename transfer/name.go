package transfer

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds a cleaned name, in bytes: what is added to tell it from others,
// or while it is not whole, still fits the 255 of file systems.
const maxName = 180

// maxExt is the longest ending that is kept when a name is shortened.
const maxExt = 20

// reserved are the names that Windows gives to devices, with any ending.
var reserved = []string{
	"con", "prn", "aux", "nul", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "conin$", "conout$",
}

// CleanName makes a name that a stranger chose one that names a file in a folder
// and shows as what it is: no separators, nothing that turns text around or
// cannot be seen, no leading dot, none of Windows' special names, and of bounded
// length. What is left of a name without anything good in it is "file".
func CleanName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(cleanRune, strings.ToValidUTF8(name, "_"))
	name = trim(name)
	ext := path.Ext(name)
	if len(ext) > maxExt || len(ext) == len(name) {
		ext = ""
	}
	stem := strings.TrimSuffix(name, ext)
	stem = strings.TrimRight(cut(stem, maxName-len(ext)), " .")
	first, _, _ := strings.Cut(stem, ".")
	for _, r := range reserved {
		if strings.EqualFold(strings.TrimSpace(first), r) {
			stem = "_" + stem
			break
		}
	}
	if stem == "" {
		stem = "file"
	}
	return stem + ext
}

func cleanRune(r rune) rune {
	switch {
	case strings.ContainsRune(`<>:"|?*`, r):
		return '_'
	case r == ' ':
		return ' '
	case unicode.IsSpace(r):
		return ' '
	case !unicode.IsPrint(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
		return -1
	}
	return r
}

func trim(name string) string { return strings.TrimRight(strings.TrimLeft(name, " ."), " .") }

// cut shortens s to at most n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Numbered returns the name to try when n others have it already.
func Numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	ext := path.Ext(name)
	return fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), n, ext)
}
