package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docs/self-hosting.md lists what a server logs: every message of its packages
// stands there.
func TestServerLogsAreDocumented(t *testing.T) {
	base := root(t)
	doc, err := os.ReadFile(filepath.Join(base, "docs/self-hosting.md"))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, pattern := range []string{"relay/*.go", "relay/*/*.go", "rendezvous/*.go", "rendezvous/*/*.go", "cmd/sremp/server*.go"} {
		found, err := filepath.Glob(filepath.Join(base, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	messages := 0
	for _, path := range paths {
		// Suites of stores, and the client's side of the phone book, are not a server.
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "storetest") || strings.Contains(filepath.Base(path), "pool") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			message, ok := logged(n)
			if !ok {
				return true
			}
			messages++
			if !strings.Contains(string(doc), "`"+message+"`") {
				t.Errorf("%s logs %q, which docs/self-hosting.md does not list", rel(path), message)
			}
			return true
		})
	}
	if messages < 8 {
		t.Errorf("found %d messages; the law would hold for nothing", messages)
	}
}

// logged returns the message of a call of a *slog.Logger.
func logged(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "LogAttrs"}, f.Sel.Name) {
		return "", false
	}
	at := 0
	if f.Sel.Name == "LogAttrs" { // context, level, message
		at = 2
	}
	if len(call.Args) <= at {
		return "", false
	}
	s, ok := call.Args[at].(*ast.BasicLit)
	if !ok || s.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(s.Value)
	return text, err == nil && text != ""
}
