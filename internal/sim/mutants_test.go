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
	name, why string
	seeds     int // it is to be found within so many
	edits     []edit
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
	if _, err := fmt.Sscanf(head[strings.Index(head, "seeds: "):], "seeds: %d", &m.seeds); err != nil {
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
// builds the code with each and runs worlds until one breaks a law.
func TestMutants(t *testing.T) {
	paths, err := filepath.Glob("mutants/*.txt")
	if err != nil || len(paths) < leastFound {
		t.Fatalf("%d planted bugs, %v; want at least %d", len(paths), err, leastFound)
	}
	wanted := os.Getenv("SREMP_SIM_MUTANTS")
	found := 0
	for _, path := range paths {
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
		seed, law := m.hunt(t, dir, overlay)
		if seed == 0 {
			fmt.Printf("figure: proof.mutant.%s 0 worlds AGAINST at most %d, planted: %s; NOT FOUND\n", m.name, m.seeds, m.why)
			if wanted != "all" {
				t.Errorf("%s (%s) was not found in %d worlds", m.name, m.why, m.seeds)
			}
			continue
		}
		found++
		fmt.Printf("figure: proof.mutant.%s %d worlds AGAINST at most %d, planted: %s; found by: %s\n", m.name, seed, m.seeds, m.why, law)
	}
	if wanted == "all" && found < leastFound {
		t.Errorf("%d planted bugs were found, want %d at least", found, leastFound)
	}
	if wanted != "" {
		fmt.Printf("figure: proof.mutants %d bugs AGAINST %d planted, each in worlds of three hours\n", found, len(paths))
	}
}

// hunt returns the first seed whose world breaks a law, and the law.
func (m mutant) hunt(t *testing.T, dir, overlay string) (seed uint64, law string) {
	binary := filepath.Join(dir, "sim.test")
	build := exec.Command("go", "test", "-overlay", overlay, "-c", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%s does not build: %v\n%s", m.name, err, out)
		return 0, ""
	}
	defer os.Remove(binary)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	memory := memoryDir(t)
	var next atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range number(t, "SREMP_SIM_WORKERS", 2) {
		wg.Go(func() {
			for n := next.Add(1); n <= uint64(m.seeds) && ctx.Err() == nil; n = next.Add(1) {
				o := child(ctx, binary, n, mutantDay, memory, "5m")
				if ctx.Err() != nil || !o.failed || bytes.Contains(o.output, []byte("panic: test timed out")) {
					continue // a slow machine finds nothing
				}
				if honest := child(ctx, os.Args[0], n, mutantDay, memory, "0"); honest.failed {
					if ctx.Err() == nil {
						t.Errorf("seed %d of %v fails without a planted bug:\n%s", n, mutantDay, tail(honest.output))
					}
					continue // it shows nothing
				}
				mu.Lock()
				if seed == 0 || n < seed {
					seed, law = n, firstLaw(o.output)
				}
				mu.Unlock()
				cancel()
			}
		})
	}
	wg.Wait()
	return seed, law
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
