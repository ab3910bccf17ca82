package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pure lists the packages that do no I/O, take no lock, keep no time, write no
// log and start no goroutine.
var pure = []string{"wire", "identity", "handshake", "ratchet", "nat", "transfer"}

// bannedImports are out of bounds for pure packages, with all below them.
var bannedImports = []string{
	"net", "os", "log", "sync", "syscall", "io/fs", "io/ioutil", "math/rand", "database/sql",
	"golang.org/x/net", "golang.org/x/sys", "golang.org/x/sync",
}

// harmless lists the names that pure packages may use of banned imports, nil
// for all: values without I/O.
var harmless = map[string][]string{
	"net/netip": nil,
	"log/slog":  {"Value", "StringValue", "LogValuer"}, // how a secret keeps itself out of logs
}

// exceptions are names of banned imports that one package may use.
var exceptions = map[string]map[string][]string{
	"identity": {"net": {"JoinHostPort", "SplitHostPort"}}, // text only
}

// bannedNames are single names of imports that are otherwise fine.
var bannedNames = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
}

// purityLaw checks one file of a pure package.
func purityLaw(pkg, file string, src []byte) (broken []string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, pkg+"/"+file, src, 0)
	if err != nil {
		return []string{err.Error()}
	}
	say := func(pos token.Pos, format string, args ...any) {
		broken = append(broken, fset.Position(pos).String()+": "+fmt.Sprintf(format, args...))
	}

	names := map[string]string{} // by the file's local name, the import path
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return []string{err.Error()}
		}
		local := path.Base(imp)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "." { // its names could not be told apart below
			say(spec.Pos(), "import . %q in a pure package", imp)
		}
		if allowedUses, ok := uses(pkg, imp); banned(imp) && ok && allowedUses == nil {
			continue
		} else if banned(imp) && !ok {
			say(spec.Pos(), "import %q in a pure package", imp)
			continue
		}
		names[local] = imp
	}

	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n.Pos(), "go statement in a pure package")
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok || x.Obj != nil { // Obj: a local variable, not an import
				return true
			}
			imp, ok := names[x.Name]
			if !ok {
				return true
			}
			if slices.Contains(bannedNames[imp], n.Sel.Name) {
				say(n.Pos(), "%s.%s in a pure package", imp, n.Sel.Name)
			}
			if ok, _ := uses(pkg, imp); banned(imp) && !slices.Contains(ok, n.Sel.Name) {
				say(n.Pos(), "%s.%s in a pure package", imp, n.Sel.Name)
			}
		}
		return true
	})
	return broken
}

func banned(imp string) bool {
	return slices.ContainsFunc(bannedImports, func(b string) bool {
		return imp == b || strings.HasPrefix(imp, b+"/")
	})
}

// uses returns the names that pkg may use of a banned import, nil for all, and
// whether it may import it at all.
func uses(pkg, imp string) (names []string, ok bool) {
	if names, ok = exceptions[pkg][imp]; ok {
		return names, true
	}
	names, ok = harmless[imp]
	return names, ok
}

func TestPurityLawBites(t *testing.T) {
	bad := map[string]string{
		"goroutine":       `func f() { go f() }`,
		"clock":           `import "time"; var t = time.Now()`,
		"clock, renamed":  `import clock "time"; var t = clock.Now()`,
		"clock as value":  `import "time"; var now = time.Now`,
		"everything":      `import . "time"`,
		"sockets":         `import "net"; var d net.Dialer`,
		"files":           `import "os"; var f os.File`,
		"processes":       `import "os/exec"; var c exec.Cmd`,
		"locks":           `import "sync"; var mu sync.Mutex`,
		"atomics":         `import "sync/atomic"; var n atomic.Int64`,
		"logs":            `import "log/slog"; var l *slog.Logger`,
		"weak randomness": `import "math/rand/v2"; var n = rand.Int()`,
		"side effects":    `import _ "net/http"`,
	}
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		if got := purityLaw("wire", "x.go", []byte("package wire\n"+bad[name])); len(got) != 1 {
			t.Errorf("%s: got %q, want one broken law", name, got)
		}
	}

	const joined = "package p\nimport \"net\"\nvar s = net.JoinHostPort(\"a\", \"1\")\n"
	if got := purityLaw("identity", "x.go", []byte(joined)); got != nil {
		t.Errorf("identity: got %q, want net.JoinHostPort allowed", got)
	}
	if got := purityLaw("wire", "x.go", []byte(joined)); len(got) == 0 {
		t.Error("wire: got no broken law, want net refused")
	}
	const fine = "package p\nimport (\"net/netip\"; \"time\")\ntype T struct{ now time.Time; a netip.Addr }\n" +
		"func (t T) f(time struct{ Now int }) int { return time.Now }\n"
	if got := purityLaw("nat", "x.go", []byte(fine)); got != nil {
		t.Errorf("got %q, want no broken law", got)
	}
}
