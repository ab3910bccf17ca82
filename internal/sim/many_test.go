package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, s)
	}
	return n
}

// An outcome is what one process says of its seed.
type outcome struct {
	seed        uint64
	virtual     time.Duration
	right       [2]float64 // of the relay and the network
	total       int
	output      []byte
	failed, cut bool
}

var simLine = regexp.MustCompile(`(?m)^sim: seed \d+, (\S+) of virtual time in .* relay's advantage (-?[\d.]+) of (\d+), network's (-?[\d.]+) of`)

// child runs a seed in a process of its own.
func child(ctx context.Context, binary string, seed uint64, day time.Duration, dir, patience string) outcome {
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^TestSeed$", "-test.timeout", patience, "-seed", fmt.Sprint(seed), "-day", day.String())
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	o := outcome{seed: seed, output: out, failed: err != nil, cut: ctx.Err() != nil}
	if m := simLine.FindSubmatch(out); m != nil {
		o.virtual, _ = time.ParseDuration(string(m[1]))
		o.right[0], _ = strconv.ParseFloat(string(m[2]), 64)
		o.right[1], _ = strconv.ParseFloat(string(m[4]), 64)
		o.total, _ = strconv.Atoi(string(m[3]))
	}
	return o
}

// memoryDir returns a directory in memory if the system has one: what the disks of
// a world do is modelled, the machine's own only costs time.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "sremp-sim")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// regressions are seeds of worlds of six hours that broke a law once: what they
// found is mended.
var regressions = []uint64{2, 23, 27, 29, 156}

// TestMany runs worlds on all cores, one process each, for SREMP_SIM_SECONDS or
// until SREMP_SIM_SEEDS of them are done, each with SREMP_SIM_HOURS in which
// things happen, from seed SREMP_SIM_FIRST on. Worlds that are not done when time
// is up say nothing. A run for a time begins with the regressions.
func TestMany(t *testing.T) {
	if testing.Short() {
		return // TestSeed is enough there
	}
	// A slow machine looks at fewer worlds, not at worse ones.
	seeds := number(t, "SREMP_SIM_SEEDS", 0)
	seconds := number(t, "SREMP_SIM_SECONDS", 120)
	day := time.Duration(number(t, "SREMP_SIM_HOURS", 2)) * time.Hour
	first := uint64(number(t, "SREMP_SIM_FIRST", 1))
	ctx, cancel := context.WithCancel(t.Context())
	if seeds == 0 {
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	}
	defer cancel()
	dir := memoryDir(t)
	var mu sync.Mutex
	next, done := first, 0
	var pinned []uint64
	if seeds == 0 {
		pinned = regressions
	}
	var virtual time.Duration
	var right [2]float64
	total := 0
	begun := time.Now()
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for {
				mu.Lock()
				seed, day := next, day
				if len(pinned) > 0 {
					seed, day, pinned = pinned[0], 6*time.Hour, pinned[1:]
				} else {
					next++
				}
				mu.Unlock()
				if seeds > 0 && seed >= first+uint64(seeds) || ctx.Err() != nil {
					return
				}
				o := child(ctx, os.Args[0], seed, day, dir, "0")
				mu.Lock()
				switch {
				case o.cut:
				case o.failed:
					t.Errorf("seed %d:\n%s", seed, tail(o.output))
				default:
					done++
					virtual += o.virtual
					for i := range right {
						right[i] += o.right[i] * float64(o.total)
					}
					total += o.total
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if errors.Is(t.Context().Err(), context.Canceled) {
		return
	}
	took := time.Since(begun)
	days := virtual.Hours() / 24
	fmt.Printf("figure: proof.sim.days_per_second %.3f days/s AGAINST %d worlds of %.1f days together, one process each on %d cores\n",
		days/took.Seconds(), done, days, runtime.NumCPU())
	if total > 0 {
		fmt.Printf("figure: proof.sim.relay_advantage %.3f of_1 AGAINST naming the sender by chance: a relay that takes who came last before each of %d deliveries\n", right[0]/float64(total), total)
		fmt.Printf("figure: proof.sim.network_advantage %.3f of_1 AGAINST naming the sender by chance: who sees all packets and takes the last address before each of %d deliveries\n", right[1]/float64(total), total)
	}
}

// tail is the end of an output, with the laws that were broken.
func tail(b []byte) []byte {
	const most = 16 << 10
	if len(b) > most {
		return append([]byte("…"), b[bytes.IndexByte(b[len(b)-most:], '\n')+len(b)-most:]...)
	}
	return b
}
