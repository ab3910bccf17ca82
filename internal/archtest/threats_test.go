package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`(?:([a-z]+)/)?((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	attackRow = regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+\| [^|]+\|([^|]*)\| [^|]+\|$`)
)

// docs/threat-model.md says of each attack which tests fail without its defence:
// all 24 have a row, and every test that it names exists, in a package of that name.
func TestThreatModelNamesTests(t *testing.T) {
	doc, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	have := tests(t)
	named := 0
	for _, m := range namedTest.FindAllStringSubmatch(string(doc), -1) {
		named++
		if !have[m[1]+"/"+m[2]] {
			t.Errorf("the threat model names %s, which does not exist", strings.Trim(m[0], "`"))
		}
	}
	rows := map[int]string{}
	for _, m := range attackRow.FindAllStringSubmatch(string(doc), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil || rows[n] != "" {
			t.Errorf("row %s stands there twice, or is no number", m[1])
		}
		rows[n] = m[2]
	}
	for n := 1; n <= 24; n++ {
		row, ok := rows[n]
		if !ok || n != 11 && !namedTest.MatchString(row) { // 11: groups
			t.Errorf("attack %d has no row with a test", n)
		}
	}
	if named < 80 {
		t.Errorf("found %d tests; the rule above would hold for nothing", named)
	}
}

// attackers are those of whom docs/threat-model.md says what each can and what
// each cannot.
var attackers = []string{
	"the network", "the operator of a rendezvous", "the operator of a relay", "both operators together", "a contact",
	"a stranger", "the thief of a disk", "the thief of a running, unlocked machine", "who sees all networks at once",
}

func TestThreatModelNamesAttackers(t *testing.T) {
	doc, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "\n| attacker | can | cannot |\n")
	if !ok {
		t.Fatal("there is no table of what attackers can and cannot")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	for _, who := range attackers {
		found := false
		for row := range strings.Lines(table) {
			cells := strings.Split(row, "|")
			if len(cells) == 5 && strings.HasPrefix(strings.TrimSpace(cells[1]), who) {
				found = len(strings.TrimSpace(cells[2])) > 20 && len(strings.TrimSpace(cells[3])) > 20
			}
		}
		if !found {
			t.Errorf("nothing is said of what this attacker can and cannot: %s", who)
		}
	}
}

// tests returns the tests of the module as directory/Name, and as /Name.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				have[filepath.Base(filepath.Dir(path))+"/"+fn.Name.Name] = true
				have["/"+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}
