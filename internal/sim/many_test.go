package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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
	Seed          uint64
	Virtual, Took time.Duration // simulated, and of a processor
	Right         [2]float64    // of the relay and the network
	Total         int

	output      []byte
	failed, cut bool
}

// A tally is what the worlds of a run came to. If it has a file, one line of JSON a
// world that broke no law, a run that was interrupted goes on where it was.
type tally struct {
	file   *os.File        // nil: none
	before map[uint64]bool // what an earlier run did
	worlds []outcome
}

// openTally reads what a run with this file has done; "" is none.
func openTally(name string) (*tally, error) {
	x := &tally{before: map[uint64]bool{}}
	if name == "" {
		return x, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	x.file = f
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var o outcome
		if json.Unmarshal(lines.Bytes(), &o) == nil { // the last one may be cut
			x.before[o.Seed], x.worlds = true, append(x.worlds, o)
		}
	}
	return x, nil
}

func (x *tally) add(o outcome) error {
	x.worlds = append(x.worlds, o)
	if x.file == nil {
		return nil
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = x.file.Write(append(b, '\n'))
	return err
}

// figures prints what the worlds say together.
func (x *tally) figures() {
	var virtual, took time.Duration
	var right [2]float64
	total := 0
	for _, o := range x.worlds {
		virtual, took, total = virtual+o.Virtual, took+o.Took, total+o.Total
		for i := range right {
			right[i] += o.Right[i] * float64(o.Total)
		}
	}
	days, cores := virtual.Hours()/24, runtime.NumCPU()
	fmt.Printf("figure: proof.sim.worlds %d worlds AGAINST no law broken in any, %.1f days of virtual time together\n", len(x.worlds), days)
	fmt.Printf("figure: proof.sim.days_per_second %.3f days/s AGAINST %d worlds of %.1f days together, by processor time, one process each on %d cores\n",
		days/took.Seconds()*float64(cores), len(x.worlds), days, cores)
	if total > 0 {
		fmt.Printf("figure: proof.sim.relay_advantage %.3f of_1 AGAINST naming the sender by chance: a relay that takes who came last before each of %d deliveries\n", right[0]/float64(total), total)
		fmt.Printf("figure: proof.sim.network_advantage %.3f of_1 AGAINST naming the sender by chance: who sees all packets and takes the last address before each of %d deliveries\n", right[1]/float64(total), total)
	}
}

var simLine = regexp.MustCompile(`(?m)^sim: seed \d+, (\S+) of virtual time in .* relay's advantage (-?[\d.]+) of (\d+), network's (-?[\d.]+) of`)

// child runs a seed in a process of its own.
func child(ctx context.Context, binary string, seed uint64, day time.Duration, dir, patience string) outcome {
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^TestSeed$", "-test.timeout", patience, "-seed", fmt.Sprint(seed), "-day", day.String())
	// With one processor the collector is in the way; a world is bounded anyway.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	o := outcome{Seed: seed, output: out, failed: err != nil, cut: ctx.Err() != nil}
	if p := cmd.ProcessState; p != nil {
		o.Took = p.UserTime() + p.SystemTime()
	}
	if m := simLine.FindSubmatch(out); m != nil {
		o.Virtual, _ = time.ParseDuration(string(m[1]))
		o.Right[0], _ = strconv.ParseFloat(string(m[2]), 64)
		o.Right[1], _ = strconv.ParseFloat(string(m[4]), 64)
		o.Total, _ = strconv.Atoi(string(m[3]))
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

// regressions are seeds of worlds of two to six hours that broke a law once: what they
// found is mended.
var regressions = []uint64{2, 16, 23, 27, 29, 44, 156}

// TestMany runs worlds on all cores, one process each, for SREMP_SIM_SECONDS or
// until SREMP_SIM_SEEDS of them are done, each with SREMP_SIM_HOURS in which
// things happen, from seed SREMP_SIM_FIRST on. Worlds that are not done when time
// is up say nothing. A run for a time begins with the regressions; one for a number
// goes on with what stands in the file SREMP_SIM_TALLY.
func TestMany(t *testing.T) {
	if testing.Short() {
		return // TestSeed is enough there
	}
	// A slow machine looks at fewer worlds, not at worse ones.
	seeds := number(t, "SREMP_SIM_SEEDS", 0)
	seconds := number(t, "SREMP_SIM_SECONDS", 120)
	day := time.Duration(number(t, "SREMP_SIM_HOURS", 2)) * time.Hour
	first := uint64(number(t, "SREMP_SIM_FIRST", 1))
	all, err := openTally(os.Getenv("SREMP_SIM_TALLY"))
	if err != nil {
		t.Fatal(err)
	}
	if all.file != nil {
		defer all.file.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	if seeds == 0 {
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	}
	defer cancel()
	dir := memoryDir(t)
	var mu sync.Mutex
	next := first
	var pinned []uint64
	if seeds == 0 {
		pinned = regressions
	}
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for {
				mu.Lock()
				seed, day := next, day
				done := all.before[seed]
				if len(pinned) > 0 {
					seed, day, pinned, done = pinned[0], 6*time.Hour, pinned[1:], false
				} else {
					next++
				}
				mu.Unlock()
				if seeds > 0 && seed >= first+uint64(seeds) || ctx.Err() != nil {
					return
				}
				if done {
					continue
				}
				o := child(ctx, os.Args[0], seed, day, dir, "0")
				mu.Lock()
				switch {
				case o.cut:
				case o.failed:
					t.Errorf("seed %d:\n%s", seed, tail(o.output))
				default:
					if err := all.add(o); err != nil {
						t.Error(err)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if errors.Is(t.Context().Err(), context.Canceled) {
		return
	}
	all.figures()
}

// tail is the end of an output, with the laws that were broken.
func tail(b []byte) []byte {
	const most = 16 << 10
	if len(b) > most {
		return append([]byte("…"), b[bytes.IndexByte(b[len(b)-most:], '\n')+len(b)-most:]...)
	}
	return b
}
