package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// stepVariable names, in the environment of a program that buildStepped made, the
// file that says by how many seconds the wall clock is wrong.
const stepVariable = "SREMP_SOAK_CLOCK"

// stepSource is added to the program: it has no such thing of its own.
const stepSource = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	step := func() {
		b, _ := os.ReadFile(os.Getenv("` + stepVariable + `"))
		if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			time.Step(n)
		}
	}
	step()
	go func() {
		for {
			time.Sleep(100 * time.Millisecond)
			step()
		}
	}()
}
`

// buildStepped builds the program of a checkout of the module as it stands, with
// a standard library whose wall clock can be stepped while the program runs, as
// an administrator or a time server steps the system's: time.Now moves, and
// timers and the monotonic clock do not. A time namespace cannot do that, for it
// has no wall clock of its own, nor can a preloaded C library: Go asks the kernel.
func buildStepped(module, dir string) (binary string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	clock := filepath.Join(strings.TrimSpace(string(out)), "src", "time", "time.go")
	source, err := os.ReadFile(clock)
	if err != nil {
		return "", err
	}
	const call = "sec, nsec, mono := runtimeNow()\n"
	const imports = "import (\n"
	if strings.Count(string(source), call) != 1 || strings.Count(string(source), imports) != 1 {
		return "", errors.New("the standard library reads its clock in another way: write the step anew")
	}
	stepped := strings.Replace(string(source), call, call+"\tsec += step.Load()\n", 1)
	stepped = strings.Replace(stepped, imports, imports+"\t\"sync/atomic\"\n", 1)
	stepped += "\nvar step atomic.Int64\n\n// Step sets by how many seconds the wall clock is wrong.\nfunc Step(seconds int64) { step.Store(seconds) }\n"
	if module, err = filepath.Abs(module); err != nil {
		return "", err
	}
	replace := map[string]string{
		clock: filepath.Join(dir, "time.go"),
		filepath.Join(module, "cmd", "sremp", "soak_clock.go"): filepath.Join(dir, "soak_clock.go"),
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"time.go": stepped, "soak_clock.go": stepSource, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	f, err := os.CreateTemp(dir, "sremp")
	if err != nil {
		return "", err
	}
	f.Close()
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", f.Name(), "./cmd/sremp")
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s with a clock that steps: %w\n%s", module, err, out)
	}
	return f.Name(), nil
}
