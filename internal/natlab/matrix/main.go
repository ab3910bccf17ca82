// The matrix command runs the laboratory's pairs of networks with real sremp
// processes: a server on the internet, and two clients, already contacts, one
// after the other on each side of a pair.
//
//	go run ./internal/natlab/matrix -sremp bin/sremp [-pairs TEXT] [-runs N] [-parallel N] [-json natlab.json] [-table FILE]
//
// It writes one row for each pair to a JSON file and a table, prints the
// figures, and fails if a pair does not exchange a message or is not on the path
// that theory says, in each of the runs.
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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sremp/sremp/internal/natlab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	sremp, pairs, json, table string
	runs, parallel            int
	delays                    bool // there is a TUN device
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("matrix", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.sremp, "sremp", "bin/sremp", "the `program`")
	fs.StringVar(&o.pairs, "pairs", "", "only pairs whose name contains `text`")
	fs.IntVar(&o.runs, "runs", 1, "how `often` each pair is run; times are medians then")
	fs.IntVar(&o.parallel, "parallel", 1, "how many pairs at a `time`; more than one disturbs the times")
	fs.StringVar(&o.json, "json", "natlab.json", "`file` for one row a pair")
	fs.StringVar(&o.table, "table", "", "`file` for the table; it is printed in any case")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	w, err := natlab.NewWorld(natlab.Conditions{})
	switch {
	case err == nil:
		if o.delays = w.Net != nil; !o.delays {
			fmt.Fprintln(stderr, "matrix: NO TUN DEVICE HERE: there is no delay, loss or count of packets")
		}
		w.Close()
	case natlab.NeedsEnter():
		return enter(ctx, args, stdout, stderr)
	default:
		fmt.Fprintf(stderr, "matrix: NO NAT LABORATORY ON THIS MACHINE: %v\n", err)
		return 1
	}
	bad := 0
	if strings.Contains(fallbackName, o.pairs) {
		if err := o.fallback(ctx, stdout); err != nil {
			fmt.Fprintf(stderr, "matrix: %s: %v\n", fallbackName, err)
			bad++
		}
	}
	rows, err := o.measure(ctx, stderr)
	if err == nil {
		err = o.write(rows, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "matrix: %v\n", err)
		return 1
	}
	for _, r := range rows {
		if !r.asTheory() {
			bad++
			fmt.Fprintf(stderr, "matrix: %s: connected in %d runs, direct in %d, of %d, theory: direct %v; %s\n", r.Pair, r.ConnectedRuns, r.DirectRuns, r.Runs, r.Theory, r.Problem)
		}
	}
	if bad > 0 {
		return 1
	}
	return 0
}

// fallbackName stands beside the pairs' names.
const fallbackName = "UDP comes and goes"

// fallback plays a client whose UDP comes and goes, and prints the figures.
func (o options) fallback(ctx context.Context, stdout io.Writer) error {
	s, err := newStage(o.sremp)
	if err != nil {
		return err
	}
	defer s.close()
	f, err := s.playFallback(ctx)
	if err != nil {
		return err
	}
	if f.write(stdout); !f.asPromised() {
		return fmt.Errorf("not as promised: %+v", f)
	}
	return nil
}

// enter runs this program again in a user namespace.
func enter(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	natlab.Enter(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintf(stderr, "matrix: NO NAT LABORATORY ON THIS MACHINE: %v\n", err)
		return 1
	}
	return 0
}

// measure runs every pair.
func (o options) measure(ctx context.Context, stderr io.Writer) ([]row, error) {
	s, err := newStage(o.sremp)
	if err != nil {
		return nil, err
	}
	defer s.close()
	pairs := slices.DeleteFunc(natlab.Pairs(), func(p natlab.Pair) bool {
		return !strings.Contains(p.Name(), o.pairs) || p.Skew != 0 // the clients choose their own moments
	})
	if len(pairs) == 0 && !strings.Contains(fallbackName, o.pairs) {
		return nil, fmt.Errorf("no pair's name contains %q", o.pairs)
	}
	rows := make([]row, len(pairs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(o.parallel, 1) {
		wg.Go(func() {
			for i := range next {
				start := time.Now()
				rows[i] = s.repeat(ctx, pairs[i], max(o.runs, 1))
				fmt.Fprintf(stderr, "%-40s %-7s after %5.0f ms, message after %5.0f ms (%s)\n", rows[i].Pair, rows[i].Path, rows[i].DirectMS, rows[i].MessageMS, time.Since(start).Round(100*time.Millisecond))
			}
		})
	}
	for i := range pairs {
		next <- i
	}
	close(next)
	wg.Wait()
	return rows, ctx.Err()
}

// median returns the middle of the values, sorted.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
