package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A mutant is a bug that is planted to see whether it is found: files of the
// module with a text replaced.
type mutant struct {
	name, why   string
	worlds      int    // it is to be found within so many,
	first, step uint64 // of these seeds: those of the kind that is likely to show it
	edits       []edit
}

type edit struct{ file, old, new string }

// readMutant parses mutants/NAME.txt.
func readMutant(path string) (m mutant, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	m.name = strings.TrimSuffix(filepath.Base(path), ".txt")
	head, rest, _ := strings.Cut(string(b), "-- old ")
	if _, err := fmt.Sscanf(head[strings.Index(head, "worlds: "):], "worlds: %d from %d by %d", &m.worlds, &m.first, &m.step); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	m.why = strings.TrimPrefix(head[:strings.IndexByte(head, '\n')], "why: ")
	for part := range strings.SplitSeq(rest, "-- old ") {
		file, body, ok := strings.Cut(part, " --\n")
		old, with, ok2 := strings.Cut(body, "\n-- new --\n")
		if !ok || !ok2 {
			return m, fmt.Errorf("%s has an edit without a new text", path)
		}
		m.edits = append(m.edits, edit{file, old, strings.TrimSuffix(with, "\n")})
	}
	return m, nil
}

const root = "../.." // of the module

// leastFound is how many of the planted bugs are to be found. A world is not the
// same each time, so that a single one may hide from its worlds.
const leastFound = 15

// mutantDay is how long things go on happening in a world that is to find a bug.
const mutantDay = 3 * time.Hour

// mutantPatience is how long one may take: a planted bug may have a world go round in
// circles, which says nothing.
const mutantPatience = "2m"

// plant writes the changed files to dir and returns an overlay for go build. It
// fails when the code has changed so that a text is no longer there.
func (m mutant) plant(dir string) (overlay string, err error) {
	files := map[string]string{}
	for _, e := range m.edits {
		if _, ok := files[e.file]; !ok {
			b, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", err
			}
			files[e.file] = string(b)
		}
		if n := strings.Count(files[e.file], e.old); n != 1 {
			return "", fmt.Errorf("%s: the text to replace is %d times in %s, want once; write the planted bug anew:\n%s", m.name, n, e.file, e.old)
		}
		files[e.file] = strings.Replace(files[e.file], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for name, text := range files {
		real, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		replace[real] = filepath.Join(dir, m.name+"-"+strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(replace[real], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, m.name+".json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// TestMutants plants every bug of mutants/. By itself it checks that they can be
// planted; with SREMP_SIM_MUTANTS, a comma-separated list of names or "all", it
// builds the code with each and runs worlds until one breaks a law. One that is not
// found says so in its figure; with "all" that is a failure only if fewer than
// leastFound are.
func TestMutants(t *testing.T) {
	paths, err := filepath.Glob("mutants/*.txt")
	if err != nil || len(paths) < leastFound {
		t.Fatalf("%d planted bugs, %v; want at least %d", len(paths), err, leastFound)
	}
	wanted := os.Getenv("SREMP_SIM_MUTANTS")
	h := &hunter{t: t, memory: memoryDir(t), workers: make(chan struct{}, number(t, "SREMP_SIM_WORKERS", 2)), honest: map[uint64]bool{}}
	found := make([]bool, len(paths))
	lines := make([]string, len(paths))
	var wg sync.WaitGroup
	two := make(chan struct{}, 2) // one is built while the other one's worlds run
	for i, path := range paths {
		m, err := readMutant(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		overlay, err := m.plant(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		if wanted == "" || wanted != "all" && !strings.Contains(","+wanted+",", ","+m.name+",") {
			continue
		}
		two <- struct{}{}
		wg.Go(func() {
			defer func() { <-two }()
			n, seed, law := h.hunt(m, dir, overlay)
			if found[i] = n > 0; found[i] {
				lines[i] = fmt.Sprintf("figure: proof.mutant.%s %d worlds AGAINST at most %d, planted: %s; found by seed %d: %s", m.name, n, m.worlds, m.why, seed, law)
				return
			}
			lines[i] = fmt.Sprintf("figure: proof.mutant.%s 0 worlds AGAINST at most %d, planted: %s; NOT FOUND", m.name, m.worlds, m.why)
			if wanted != "all" {
				t.Errorf("%s (%s) was not found in %d worlds", m.name, m.why, m.worlds)
			}
		})
	}
	wg.Wait()
	all := 0
	for i := range paths {
		if lines[i] != "" {
			fmt.Println(lines[i])
		}
		if found[i] {
			all++
		}
	}
	if wanted == "all" && all < leastFound {
		t.Errorf("%d planted bugs were found, want %d at least", all, leastFound)
	}
	if wanted != "" {
		fmt.Printf("figure: proof.mutants %d bugs AGAINST %d planted, each in worlds of three hours\n", all, len(paths))
	}
}

// A hunter runs the worlds of all planted bugs.
type hunter struct {
	t       *testing.T
	memory  string        // directory
	workers chan struct{} // as many worlds at a time

	mu     sync.Mutex
	honest map[uint64]bool // whether a seed's world broke no law without a planted bug
}

// world runs a world when there is room for it.
func (h *hunter) world(ctx context.Context, binary string, seed uint64, patience string) outcome {
	select {
	case h.workers <- struct{}{}:
		defer func() { <-h.workers }()
		return child(ctx, binary, seed, mutantDay, h.memory, patience)
	case <-ctx.Done():
		return outcome{cut: true}
	}
}

// isHonest reports whether a seed's world breaks no law without a planted bug; one
// that does shows nothing, and fails the test.
func (h *hunter) isHonest(seed uint64) bool {
	h.mu.Lock()
	ok, known := h.honest[seed]
	h.mu.Unlock()
	if known {
		return ok
	}
	o := h.world(h.t.Context(), os.Args[0], seed, "0")
	if o.failed && !o.cut {
		h.t.Errorf("seed %d of %v fails without a planted bug:\n%s", seed, mutantDay, tail(o.output))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.honest[seed] = !o.failed
	return !o.failed
}

// hunt returns how many worlds it takes until one breaks a law, the world's seed and
// the law; 0 if none does.
func (h *hunter) hunt(m mutant, dir, overlay string) (n int, seed uint64, law string) {
	binary := filepath.Join(dir, "sim.test")
	build := exec.Command("go", "test", "-overlay", overlay, "-c", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		h.t.Errorf("%s does not build: %v\n%s", m.name, err, out)
		return 0, 0, ""
	}
	defer os.Remove(binary)
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range cap(h.workers) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(m.worlds) && ctx.Err() == nil; i = next.Add(1) {
				at := m.first + uint64(i-1)*m.step
				o := h.world(ctx, binary, at, mutantPatience)
				if ctx.Err() != nil || !o.failed || bytes.Contains(o.output, []byte("panic: test timed out")) {
					continue // a slow machine finds nothing
				}
				if !h.isHonest(at) {
					continue
				}
				mu.Lock()
				if seed == 0 || int(i) < n {
					n, seed, law = int(i), at, firstLaw(o.output)
				}
				mu.Unlock()
				cancel()
			}
		})
	}
	wg.Wait()
	return n, seed, law
}

// firstLaw is what a failing world says first.
func firstLaw(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if _, law, ok := strings.Cut(line, "_test.go:"); ok && strings.HasPrefix(line, "    ") {
			_, law, _ = strings.Cut(law, ": ")
			law, _, _ = strings.Cut(law, ":  ")
			return strings.TrimSpace(law[:min(len(law), 90)])
		}
		if strings.HasPrefix(line, "panic: ") {
			return strings.TrimSpace(line)
		}
	}
	return "the world ended"
}
