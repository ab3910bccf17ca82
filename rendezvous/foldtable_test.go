package rendezvous

import (
	"os"
	"strings"
	"testing"
)

// The table of spec §7.10.3 is the one in use, whole.
func TestFoldTable(t *testing.T) {
	b, err := os.ReadFile("../docs/spec/70-rendezvous.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(b), "each first letter becomes the second:\n\n```\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("the spec has no table")
	}
	count := 0
	for line := range strings.Lines(block) {
		pairs := []rune(strings.TrimSpace(line))
		for i := 0; i+1 < len(pairs); i += 2 {
			count++
			if got := lookalikes[pairs[i]]; got != pairs[i+1] {
				t.Errorf("%c becomes %c, in the spec %c", pairs[i], got, pairs[i+1])
			}
		}
	}
	if count != len(lookalikes) {
		t.Errorf("the spec has %d letters, the program %d", count, len(lookalikes))
	}
}
