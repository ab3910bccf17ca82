package interop

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDecoder runs the tests of the independent implementation.
func TestDecoder(t *testing.T) {
	if testing.Short() {
		t.Skip("Node does not know Go's race detector")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("NO NODE: docs/spec was not proven by its independent decoder; make test installs it")
	}
	if _, err := os.Stat("node_modules/@noble/curves"); err != nil {
		t.Skip("NO NODE MODULES: docs/spec was not proven by its independent decoder; run npm ci in internal/interop")
	}
	tests, err := filepath.Glob("test/*.test.mjs")
	if err != nil || len(tests) < 8 {
		t.Fatalf("got %d files of tests, %v; want 8 at least", len(tests), err)
	}
	touch(t, "decoder", "test", "../../identity/testdata", "../../handshake/testdata", "../../ratchet/testdata", "../../wire/testdata", "../../client/testdata",
		"../../relay/testdata", "../../rendezvous/testdata", "../../nat/testdata")

	out, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
	// Node 18 and later end with a summary; a run of nothing also succeeds.
	if s := string(out); !strings.Contains(s, "fail 0") || strings.Contains(s, "pass 0") || strings.Contains(s, "skipped 1") {
		t.Errorf("got this summary, want all passed:\n%s", s[max(0, len(s)-400):])
	}
}

// touch reads what node reads, so that go test knows when its cached result is old.
func touch(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
