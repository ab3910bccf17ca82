// The measure command runs the benchmarks and labs that give figures, and writes
// them to docs/measurements.json, docs/measurements.md and plots in docs/images.
//
//	go run ./internal/measure [-only part,part] [-write]
//
// A figure is a line of a benchmark (package testing's format) or a line
//
//	figure: NAME VALUE UNIT [AGAINST...]
//
// of any program. Figures of parts that were not run, or that failed, stay as
// they were measured before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A part is one command and the name that its benchmarks' figures get.
type part struct {
	name    string
	env     []string
	command []string
}

var parts = []part{
	{name: "ratchet", command: []string{"scripts/bench.sh", "1s", "own"}},
	{name: "ratchet-peers", command: []string{"scripts/bench.sh", "1s", "peers"}},
	{name: "paths", command: []string{"make", "natlab-matrix"}},  // six minutes
	{name: "punch", command: []string{"make", "natlab-figures"}}, // ten minutes: each pair 20 times
	{name: "paths", // figures 2, 5, 6 and 8 in virtual time, 4 on loopback
		command: []string{"go", "test", "./transport", "-count", "1", "-timeout", "10m", "-v", "-bench", "^BenchmarkBulk$", "-benchtime", "9x",
			"-run", "^(TestRoundTripsPeers|TestRace|TestSwitchGap|TestFlaps|TestBlackHoles|TestNarrowPath|TestSmallerMTU|TestIdleDay)$"}},
	{name: "paths", env: []string{"SREMP_NATLAB_RUNS=1"}, // figures 5 and 7 through real kernel NATs, two minutes
		command: []string{"go", "test", "./internal/natlab", "-count", "1", "-timeout", "10m", "-v", "-run", "^(TestRebinding|TestBlackHole|TestFamilies|TestNoRoute|TestInterfaceDown)$"}},
	{name: "idle", env: []string{"SREMP_IDLE=3m"}, // figure 8 of whole clients, eight minutes of mostly waiting
		command: []string{"go", "test", "./cmd/sremp", "-run", "^TestIdleTraffic$", "-count", "1", "-v"}},
	{name: "rivals", // about five minutes; coturn is wanted
		command: []string{"go", "run", "./internal/natlab/rivals", "-runs", "5", "-parallel", "4"}},
	{name: "rendezvous", env: []string{"SREMP_LAB=1"},
		command: []string{"go", "test", "./bench/rendezvous", "-count", "1", "-v", "-timeout", "30m"}},
	{name: "chat", env: []string{"SREMP_FLOOD=10000"},
		command: []string{"go", "test", "./cmd/sremp", "-run", "^TestFlood$", "-count", "1", "-v"}},
	{name: "client", command: []string{"make", "client-figures"}},
	{name: "batched", env: []string{"SREMP_FLOOD=10000"},
		command: []string{"go", "test", "./client", "-run", "^TestBatched$", "-count", "1", "-v"}},
	{name: "files", env: []string{"SREMP_FILE_BYTES=4000000000"},
		command: []string{"go", "test", "./cmd/sremp", "-run", "^TestFileFigures$", "-count", "1", "-v", "-timeout", "30m"}},
	{name: "sim", env: []string{"SREMP_SIM_SEEDS=20", "SREMP_SIM_HOURS=24", "SREMP_SIM_REPLAY=20"}, // twenty virtual days and their healing; SREMP_SIM_SEEDS=200 for all of make sim
		command: []string{"go", "test", "./internal/sim", "-run", "^(TestMany|TestReplay)$", "-count", "1", "-v", "-timeout", "6h"}},
	{name: "fleet", command: []string{"make", "fleet"}}, // three minutes
	{name: "static", command: []string{"make", "dist-speed"}},
	{name: "soak", command: []string{"make", "soak"}},         // six minutes, as root
	{name: "journeys", command: []string{"make", "journeys"}}, // twenty minutes, as root; 4 GB of disk
	{name: "mutants", env: []string{"SREMP_SIM_MUTANTS=all"}, // half an hour
		command: []string{"go", "test", "./internal/sim", "-run", "^TestMutants$", "-count", "1", "-v", "-timeout", "6h"}},
	{name: "desktop", env: []string{"SREMP_FIGURES=1", "GSK_RENDERER=cairo"}, // a profile of a million messages is made first
		command: []string{"go", "test", "-tags", "gtk", "./cmd/sremp-desktop", "-run", "^(TestFigures|TestMemory)$", "-count", "1", "-v", "-timeout", "30m"}},
	{name: "relay", env: []string{"SREMP_FIGURES=1", "SREMP_FULL=1"}, // root and a loop device, for the power cuts
		command: []string{"go", "test", "./relay", "./relay/sqlite", "./relay/postgres", "-p", "1", "-count", "1", "-v", "-timeout", "30m",
			"-run", "^(TestDataPlane|TestRestart|TestRestartUnderLoad|TestCrowd|TestKill|TestPowerLoss|TestStoreFigures)$"}},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("measure", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "", "run these `parts` only, separated by commas")
	documents := fs.Bool("write", false, "run nothing, write the documents anew from measurements.json")
	dir := fs.String("docs", "docs", "`directory` of measurements.json and measurements.md")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	path := filepath.Join(*dir, "measurements.json")
	all, err := load(path)
	if err != nil {
		fmt.Fprintf(stderr, "measure: %v\n", err)
		return 1
	}
	status := 0
	for _, p := range parts {
		if *documents || *only != "" && !slices.Contains(strings.Split(*only, ","), p.name) {
			continue
		}
		fresh, err := p.measure(ctx, stdout)
		if err != nil {
			fmt.Fprintf(stderr, "measure: %s: %v\n", p.name, err)
			status = 1
			continue
		}
		all = merge(all, fresh)
	}
	if err := write(*dir, all); err != nil {
		fmt.Fprintf(stderr, "measure: %v\n", err)
		return 1
	}
	return status
}

// measure runs the part's command, showing what it prints.
func (p part) measure(ctx context.Context, stdout io.Writer) ([]figure, error) {
	var out strings.Builder
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	env := p.settings(os.LookupEnv)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = io.MultiWriter(stdout, &out)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(p.command, " "), err)
	}
	found := parse(p.name, out.String())
	if len(found) == 0 {
		return nil, fmt.Errorf("%s printed no figure", strings.Join(p.command, " "))
	}
	command := strings.Join(slices.Concat(env, p.command), " ")
	for i := range found {
		found[i].Command = command
		found[i].Machine = machine()
		found[i].Date = time.Now().UTC().Format(time.DateOnly)
	}
	return found, nil
}

// settings are the part's variables, each with the value that lookup has for it, if
// any: a part can be tried with less, and says so where its figures stand.
func (p part) settings(lookup func(string) (string, bool)) (out []string) {
	for _, x := range p.env {
		name, _, _ := strings.Cut(x, "=")
		if value, ok := lookup(name); ok {
			x = name + "=" + value
		}
		out = append(out, x)
	}
	return out
}

// machine describes this one, as far as figures depend on it.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s/%s", runtime.NumCPU(), model, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
