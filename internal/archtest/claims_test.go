package archtest

import (
	"regexp"
	"strings"
	"testing"
)

var (
	claimRow  = regexp.MustCompile(`(?m)^\| (.+) \| ([^|]+) \|$`)
	mdTarget  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	spaces    = regexp.MustCompile(`\s+`)
	wordsLeft = regexp.MustCompile(`[A-Za-z0-9]`)
)

// docs/claims.md names tests for the sentences of README.md: what it quotes stands
// there, the tests exist, and what is said to happen and promised is all quoted.
func TestClaimsHaveTests(t *testing.T) {
	docs, have := markdown(t), tests(t)
	plain := func(text string) string {
		return spaces.ReplaceAllString(mdTarget.ReplaceAllString(text, "$1"), " ")
	}
	readme := plain(docs["README.md"])
	left := ""
	for _, title := range []string{"What happens", "What is promised"} {
		_, after, ok := strings.Cut(docs["README.md"], "\n## "+title+"\n")
		if !ok {
			t.Fatalf("README.md has no section %q", title)
		}
		section, _, _ := strings.Cut(after, "\n## ")
		left += plain(section)
	}
	claims := 0
	for _, m := range claimRow.FindAllStringSubmatch(docs["docs/claims.md"], -1) {
		claim, named := plain(m[1]), namedTest.FindAllStringSubmatch(m[2], -1)
		if claim == "claim" {
			continue
		}
		claims++
		if !strings.Contains(readme, claim) {
			t.Errorf("README.md does not say %q", claim)
		}
		if len(named) == 0 {
			t.Errorf("no test for %q", claim)
		}
		for _, test := range named {
			if !have[test[1]+"/"+test[2]] {
				t.Errorf("docs/claims.md names %s, which does not exist", strings.Trim(test[0], "`"))
			}
		}
		left = strings.ReplaceAll(left, claim, "")
	}
	if claims < 20 {
		t.Errorf("found %d claims; the rule above would hold for nothing", claims)
	}
	if wordsLeft.MatchString(left) {
		t.Errorf("README.md claims what docs/claims.md has no test for: %q", strings.TrimSpace(left))
	}
}
