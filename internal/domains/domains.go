// Package domains offers what one context of the specification's table (§1.4)
// takes, made in every other, and wants it refused. Each package does it for the
// contexts that it uses, with its own code on the receiving side; the test of
// package archtest that reads the table wants a row for every context.
package domains

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var row = regexp.MustCompile("(?m)^\\| `((?:EXPORTER )?SREMP v1 [^`]*)` \\| ([^|]*) \\|")

// Contexts returns the contexts of the table in their order, with their kinds as
// they stand there: "signature", "derived key, sealed box".
func Contexts(t testing.TB) (names, kinds []string) {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("domains: not in the module")
		}
		dir = filepath.Dir(dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "docs", "spec", "10-wire.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		names, kinds = append(names, m[1]), append(kinds, m[2])
	}
	if len(names) < 20 {
		t.Fatalf("domains: found %d contexts in the table", len(names))
	}
	return names, kinds
}

// Row is own's row of the matrix: accepted makes, in the context that it is given
// and otherwise in every detail as own's, what own's receiver takes, hands it over
// and reports whether it was taken. A signature is made with the right key over
// the right message, a box sealed under the right key, a key derived from the
// right secret. Only own's must be taken.
func Row(t *testing.T, own string, accepted func(context string) bool) {
	t.Helper()
	names, _ := Contexts(t)
	found := false
	for _, c := range names {
		if got := accepted(c); got != (c == own) {
			t.Errorf("what was made in %q is taken in %q: %v, want %v", c, own, got, c == own)
		}
		found = found || c == own
	}
	if !found {
		t.Errorf("%q is not in the table", own)
	}
}
