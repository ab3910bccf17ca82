package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	mdCode    = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	section   = regexp.MustCompile(`(RFC \d+,? )?§(\d+(?:\.\d+)*)`)
	inCode    = regexp.MustCompile(`spec,? §(\d+(?:\.\d+)*)`)
	headed    = regexp.MustCompile(`(?m)^#{1,6} +(\d+(?:\.\d+)*) `)
)

// markdown returns all documents of the repository by their path below its root.
func markdown(t *testing.T) map[string]string {
	t.Helper()
	base, docs := root(t), map[string]string{}
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bin" || d.Name() == "artifacts") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(base, path)
			if err != nil {
				return err
			}
			docs[name] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) < 15 {
		t.Fatalf("found %d documents; the laws below would hold for nothing", len(docs))
	}
	return docs
}

// Every relative link of a document leads to a file, and to a heading of it if
// it names one.
func TestLinks(t *testing.T) {
	docs, base := markdown(t), root(t)
	for name, text := range docs {
		for _, m := range mdLink.FindAllStringSubmatch(mdCode.ReplaceAllString(text, ""), -1) {
			if broken := deadLink(base, docs, name, m[1]); broken != "" {
				t.Errorf("%s: %s: %s", name, m[1], broken)
			}
		}
	}
}

func deadLink(base string, docs map[string]string, from, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	path, anchor, _ := strings.Cut(link, "#")
	target := from
	if path != "" {
		target = filepath.Join(filepath.Dir(from), path)
	}
	if _, err := os.Stat(filepath.Join(base, target)); err != nil {
		return "there is no such file"
	}
	if anchor == "" {
		return ""
	}
	for _, h := range mdHeading.FindAllStringSubmatch(docs[target], -1) {
		if slug(h[1]) == anchor {
			return ""
		}
	}
	return "there is no such heading"
}

// slug is the anchor of a heading: lower case, hyphens for spaces, no punctuation.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
}

func TestLinksBite(t *testing.T) {
	docs := map[string]string{"README.md": "# One\n## Two words, really\n"}
	for link, dead := range map[string]bool{
		"README.md": false, "README.md#two-words-really": false, "#one": false, "https://example.org/x": false,
		"nowhere.md": true, "README.md#three": true,
	} {
		if got := deadLink(root(t), docs, "README.md", link); (got != "") != dead {
			t.Errorf("%s: got %q", link, got)
		}
	}
}

// Every section that the spec, the threat model or a Go file names exists.
func TestSections(t *testing.T) {
	exists := map[string]bool{}
	docs := markdown(t)
	for name, text := range docs {
		if strings.HasPrefix(name, "docs/spec/") {
			for _, m := range headed.FindAllStringSubmatch(text, -1) {
				exists[m[1]] = true
			}
		}
	}
	if len(exists) < 100 {
		t.Fatalf("the spec has %d sections", len(exists))
	}
	for name, text := range docs {
		if !strings.HasPrefix(name, "docs/spec/") && name != "docs/threat-model.md" {
			continue
		}
		for _, m := range section.FindAllStringSubmatch(text, -1) {
			if m[1] == "" && !exists[m[2]] {
				t.Errorf("%s: §%s does not exist", name, m[2])
			}
		}
	}
	own, _ := list(t)
	for _, p := range own {
		paths, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range inCode.FindAllStringSubmatch(string(b), -1) {
				if !exists[m[1]] {
					t.Errorf("%s: spec §%s does not exist", path, m[1])
				}
			}
		}
	}
}

// What docs/architecture.md says of files stands in files that exist.
func TestNamedFiles(t *testing.T) {
	text := markdown(t)["docs/architecture.md"]
	named := regexp.MustCompile("`([a-z0-9_]+(?:/[a-z0-9_]+)*/[a-z0-9_]+\\.(?:go|md|json))`").FindAllStringSubmatch(text, -1)
	if len(named) < 20 {
		t.Fatalf("got %d files, want the way of a message", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join(root(t), m[1])); err != nil {
			t.Errorf("docs/architecture.md: %v", err)
		}
	}
}
