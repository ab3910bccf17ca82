package archtest

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A library is a package of this module that another program can import and
// that says anything to it.
type library struct {
	name  string // below the module
	fset  *token.FileSet
	files []*ast.File // without tests and without those of the gtk tag
	tests []*ast.File
}

// libraries returns all of them. Mains, internal packages, benchmarks and the
// widgets, which all stand behind the tag gtk, are none.
func libraries(t *testing.T) (all []library) {
	t.Helper()
	own, _ := list(t)
	for _, p := range own {
		name := rel(p.ImportPath)
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "internal/") {
			continue
		}
		l := library{name: name, fset: token.NewFileSet()}
		paths, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			f, err := parser.ParseFile(l.fset, path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case strings.HasSuffix(path, "_test.go"):
				l.tests = append(l.tests, f)
			case !needsGTK(f):
				l.files = append(l.files, f)
			}
		}
		if exports(l.files) {
			all = append(all, l)
		}
	}
	if len(all) < 20 {
		t.Fatalf("found %d libraries; the laws below would hold for nothing", len(all))
	}
	return all
}

func needsGTK(f *ast.File) bool {
	for _, c := range f.Comments {
		if c.Pos() < f.Package && strings.Contains(c.List[0].Text, "go:build gtk") {
			return true
		}
	}
	return false
}

func exports(files []*ast.File) bool {
	return slices.ContainsFunc(files, func(f *ast.File) bool {
		return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
			switch d := d.(type) {
			case *ast.FuncDecl:
				return d.Name.IsExported()
			case *ast.GenDecl:
				return slices.ContainsFunc(d.Specs, func(s ast.Spec) bool {
					ts, ok := s.(*ast.TypeSpec)
					return ok && ts.Name.IsExported()
				})
			}
			return false
		})
	})
}

// Every library says what it is for, and has an example that runs and is checked.
func TestExamples(t *testing.T) {
	for _, l := range libraries(t) {
		if !slices.ContainsFunc(l.files, func(f *ast.File) bool { return len(f.Doc.Text()) > 40 }) {
			t.Errorf("%s has no package comment", l.name)
		}
		runs := slices.ContainsFunc(doc.Examples(l.tests...), func(e *doc.Example) bool { return e.Output != "" })
		if !runs {
			t.Errorf("%s has no example with an output: go test would run none", l.name)
		}
	}
}

// What another program needs to have a messenger, or authenticated connections,
// in it are 30 lines.
func TestEmbedding(t *testing.T) {
	const most = 30
	for _, l := range libraries(t) {
		if l.name != "client" && l.name != "transport" {
			continue
		}
		found := false
		for _, f := range l.tests {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Recv != nil || fn.Name.Name != "Example" {
					continue
				}
				found = true
				if n := l.fset.Position(fn.End()).Line - l.fset.Position(fn.Pos()).Line + 1; n > most {
					t.Errorf("%s: Example has %d lines, want %d at most", l.name, n, most)
				}
			}
		}
		if !found {
			t.Errorf("%s has no function Example", l.name)
		}
	}
}

// mayChange lists the package variables that are written to after they were
// made: none of a library that another program embeds.
var mayChange = []string{
	"desktop/tr.now", // the language of the one interface that a process shows
}

// No library has state of its own beside what its caller made: nothing exported
// can be assigned to but errors, which nobody has a reason to, and nothing
// unexported is assigned to at all.
func TestNoGlobals(t *testing.T) {
	for _, l := range libraries(t) {
		for _, broken := range globals(l) {
			t.Error(broken)
		}
	}
}

func globals(l library) (broken []string) {
	vars := map[string]bool{}
	for _, f := range l.files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for _, n := range spec.Names {
					at := l.name + "." + n.Name
					vars[n.Name] = n.Name != "_" && !slices.Contains(mayChange, at)
					if n.IsExported() && !strings.HasPrefix(n.Name, "Err") {
						broken = append(broken, at+" is a variable that importers can change")
					}
					if holdsState(spec.Type) && vars[n.Name] {
						broken = append(broken, at+" is state of the whole process")
					}
				}
			}
		}
	}
	for _, f := range l.files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				for _, name := range assigned(fn) {
					if vars[name] {
						broken = append(broken, fmt.Sprintf("%s: %s assigns to the package's %s", l.name, fn.Name.Name, name))
					}
				}
			}
		}
	}
	return broken
}

// holdsState reports whether a variable's type says that it is there to change.
func holdsState(typ ast.Expr) bool {
	if x, ok := typ.(*ast.IndexExpr); ok { // atomic.Pointer[T]
		typ = x.X
	}
	s, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && (pkg.Name == "sync" || pkg.Name == "atomic")
}

// assigned returns the names that a function assigns to, or to a part of, and
// does not declare itself.
func assigned(fn *ast.FuncDecl) (names []string) {
	local := map[string]bool{}
	declare := func(list *ast.FieldList) {
		if list == nil {
			return
		}
		for _, f := range list.List {
			for _, n := range f.Names {
				local[n.Name] = true
			}
		}
	}
	declare(fn.Recv)
	target := func(x ast.Expr) {
		for {
			switch e := x.(type) {
			case *ast.Ident:
				names = append(names, e.Name)
				return
			case *ast.IndexExpr:
				x = e.X
			case *ast.SelectorExpr:
				x = e.X
			case *ast.ParenExpr:
				x = e.X
			default:
				return
			}
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			declare(n.Params)
			declare(n.Results)
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				if id, ok := x.(*ast.Ident); ok && n.Tok == token.DEFINE {
					local[id.Name] = true
					continue
				}
				target(x)
			}
		case *ast.RangeStmt:
			for _, x := range []ast.Expr{n.Key, n.Value} {
				if id, ok := x.(*ast.Ident); ok && n.Tok == token.DEFINE {
					local[id.Name] = true
				}
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				local[id.Name] = true
			}
		case *ast.IncDecStmt:
			target(n.X)
		}
		return true
	})
	return slices.DeleteFunc(names, func(n string) bool { return local[n] })
}

func TestNoGlobalsBites(t *testing.T) {
	for src, want := range map[string]int{
		`package x; var Limit = 3`: 1,
		`package x; var ErrX = 3`:  0,
		`package x; var table = []int{1}; func f() int { return table[0] }`:                   0,
		`package x; var count int; func f() { count++ }`:                                      1,
		`package x; var count int; func f(count int) { count++ }`:                             0,
		`package x; var m = map[int]int{}; func f() { m[1] = 2 }`:                             1,
		`package x; var s struct{ n int }; func f() { if true { s.n = 2 } }`:                  1,
		`package x; var m = 1; func f() { for m := range 3 { _ = m } }`:                       0,
		`package x; import "sync"; var mu sync.Mutex`:                                         1,
		`package x; import "sync/atomic"; type T int; var now atomic.Pointer[T]; func f() {}`: 1,
	} {
		l := library{name: "x", fset: token.NewFileSet()}
		f, err := parser.ParseFile(l.fset, "x.go", src, 0)
		if err != nil {
			t.Fatal(err)
		}
		l.files = []*ast.File{f}
		if got := globals(l); len(got) != want {
			t.Errorf("%s: got %q, want %d", src, got, want)
		}
	}
}

// root is the directory of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}
