package present

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sremp/sremp/desktop/tr"
)

// said gathers the keys of everything that the desktop says, from its source and
// from what the client gives it to say.
func said(t *testing.T) []string {
	t.Helper()
	keys := tr.Names()
	for _, err := range sayWhatToDo {
		keys = append(keys, err.Error())
	}
	keys = append(keys, clientTexts()...)
	var files []string
	for _, dir := range []string{".", "..", "../shell"} {
		found, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "tr" || !slices.Contains([]string{"T", "N", "Mark"}, f.Sel.Name) {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: tr.%s takes its key as it stands there", fset.Position(call.Pos()), f.Sel.Name)
				return true
			}
			key, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
			return true
		})
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestTranslations compares every catalogue with the source: nothing lacks a
// translation, nothing is translated that is not said, and formats take the same
// arguments.
func TestTranslations(t *testing.T) {
	keys := said(t)
	if len(keys) < 300 {
		t.Errorf("found %d texts; the rule below would hold for little", len(keys))
	}
	files, err := filepath.Glob("../tr/*.po")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %q, %v; want catalogues", files, err)
	}
	for _, file := range files {
		l, ok := tr.Load(strings.TrimSuffix(filepath.Base(file), ".po"))
		if !ok {
			t.Fatalf("%s cannot be read", file)
		}
		var missing strings.Builder
		for _, key := range keys {
			if !l.Has(key) {
				fmt.Fprintf(&missing, "\nmsgid %q\nmsgstr \"\"\n", key)
			}
		}
		if missing.Len() > 0 {
			t.Errorf("%s lacks:\n%s", file, missing.String())
		}
		for _, key := range l.Keys() {
			if !slices.Contains(keys, key) {
				t.Errorf("%s translates %q, which is not said", file, key)
			}
			for _, form := range l.Forms(key) {
				if got, want := verbs(form), verbs(key); !slices.Equal(got, want) {
					t.Errorf("%s: %q takes %q, and %q takes %q", file, form, got, key, want)
				}
			}
		}
	}
}

// verbs returns the verbs of a format, sorted, as a translation may order them
// anew.
func verbs(format string) (all []string) {
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		rest := strings.TrimLeft(format[i+1:], "[]0123456789.")
		if rest != "" && strings.ContainsRune("sdcqvf", rune(rest[0])) {
			all = append(all, string(rest[0]))
		}
		i = len(format) - len(rest)
	}
	slices.Sort(all)
	return all
}
