package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	contextLiteral = regexp.MustCompile(`^(EXPORTER )?SREMP v1 [ -~]*$`)
	contextRow     = regexp.MustCompile("(?m)^\\| `((?:EXPORTER )?SREMP v1 [^`]*)` \\|")
)

// Every signature, AEAD, hash and derived key has a context string of its own,
// and spec §1.4 lists them all. Two uses of one string would let the result of
// the one pass for the other's.
func TestContextStrings(t *testing.T) {
	spec, err := os.ReadFile("../../docs/spec/10-wire.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range contextRow.FindAllStringSubmatch(string(spec), -1) {
		if slices.Contains(listed, m[1]) {
			t.Errorf("§1.4 lists %q twice", m[1])
		}
		listed = append(listed, m[1])
	}
	used := map[string]token.Position{}
	own, _ := list(t)
	for _, p := range own {
		for _, name := range p.GoFiles {
			for lit, pos := range contextLiterals(t, filepath.Join(p.Dir, name)) {
				if other, ok := used[lit]; ok {
					t.Errorf("%s: context %q is also written at %s: use one constant", pos, lit, other)
				}
				used[lit] = pos
				if !slices.Contains(listed, lit) {
					t.Errorf("%s: context %q is missing in spec §1.4", pos, lit)
				}
			}
		}
	}
	for _, c := range listed {
		if _, ok := used[c]; !ok {
			t.Errorf("spec §1.4 lists %q, which no code uses", c)
		}
	}
	if len(used) < 20 {
		t.Errorf("found %d context strings; the rule above would hold for nothing", len(used))
	}
}

func contextLiterals(t *testing.T, file string) map[string]token.Position {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]token.Position{}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				if s = strings.TrimRight(s, "\x00"); contextLiteral.MatchString(s) {
					found[s] = fset.Position(lit.Pos())
				}
			}
		}
		return true
	})
	return found
}
