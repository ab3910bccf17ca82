package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sremp/sremp/internal/domains"
)

// Every context of §1.4 has its row of the domain matrix: a test in which its own
// receiver is offered what was made in every context of the table.
func TestDomainMatrix(t *testing.T) {
	own, _ := list(t)
	has := map[string]bool{}
	for _, p := range own {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := matrixRows(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range rows {
			has[c] = true
		}
	}
	names, kinds := domains.Contexts(t)
	for i, c := range names {
		if !has[c] {
			t.Errorf("%q, %s, has no row in the domain matrix (domains.Row)", c, kinds[i])
		}
		delete(has, c)
	}
	for c := range has {
		t.Errorf("the domain matrix has a row for %q, which is not in §1.4", c)
	}
}

// matrixRows returns the contexts of the calls of domains.Row in a package's files.
func matrixRows(files []string) (rows []string, err error) {
	constants := map[string]string{}
	var args []ast.Expr
	fset := token.NewFileSet()
	for _, name := range files {
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						if s, ok := text(n.Values[i]); ok {
							constants[name.Name] = s
						}
					}
				}
			case *ast.CallExpr:
				if typeText(n.Fun) == "domains.Row" && len(n.Args) == 3 {
					args = append(args, n.Args[1])
				}
			}
			return true
		})
	}
	for _, a := range args {
		s, ok := text(a)
		if id, is := a.(*ast.Ident); is {
			s, ok = constants[id.Name]
		}
		if ok {
			rows = append(rows, s)
		}
	}
	return rows, nil
}

func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// Where a context stands before data without a length, in a hash and in a box's
// associated data, none begins another: else the rest could be data.
func TestContextsDoNotBeginEachOther(t *testing.T) {
	names, kinds := domains.Contexts(t)
	for i, a := range names {
		for j, b := range names {
			for _, kind := range []string{"hash", "sealed box"} {
				if i != j && strings.Contains(kinds[i], kind) && strings.Contains(kinds[j], kind) && strings.HasPrefix(b, a) {
					t.Errorf("%q, a %s, begins %q", a, kind, b)
				}
			}
		}
	}
}
