// The matrix command runs the laboratory's pairs of networks with real sremp
// processes: a server on the internet, and two clients, already contacts, one
// after the other on each side of a pair.
//
//	go run ./internal/natlab/matrix -sremp bin/sremp [-pairs TEXT] [-json natlab.json] [-table FILE]
//
// It writes one row for each pair to a JSON file and a table, prints the
// figures, and fails if a pair does not exchange a message or is not on the path
// that theory says.
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
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("matrix", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.sremp, "sremp", "bin/sremp", "the `program`")
	fs.StringVar(&o.pairs, "pairs", "", "only pairs whose name contains `text`")
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
		if w.Net == nil {
			fmt.Fprintln(stderr, "matrix: NO TUN DEVICE HERE: there is no delay, loss or count of packets")
		}
		w.Close()
	case natlab.NeedsEnter():
		return enter(ctx, args, stdout, stderr)
	default:
		fmt.Fprintf(stderr, "matrix: NO NAT LABORATORY ON THIS MACHINE: %v\n", err)
		return 1
	}
	rows, err := o.measure(ctx, stderr)
	if err == nil {
		err = o.write(rows, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "matrix: %v\n", err)
		return 1
	}
	bad := 0
	for _, r := range rows {
		if !r.asTheory() {
			bad++
			fmt.Fprintf(stderr, "matrix: %s: connected %v, path %s, theory: direct %v; %s\n", r.Pair, r.Connected, r.Path, r.Theory, r.Problem)
		}
	}
	if bad > 0 {
		return 1
	}
	return 0
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

// measure runs every pair once.
func (o options) measure(ctx context.Context, stderr io.Writer) ([]row, error) {
	s, err := newStage(ctx, o.sremp)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var rows []row
	for _, p := range natlab.Pairs() {
		if !strings.Contains(p.Name(), o.pairs) || p.Skew != 0 {
			continue // the clients choose their own moments
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		start := time.Now()
		r := s.play(ctx, p)
		fmt.Fprintf(stderr, "%-40s %-7s after %5.0f ms, message after %5.0f ms (%s)\n", r.Pair, r.Path, r.DirectMS, r.MessageMS, time.Since(start).Round(100*time.Millisecond))
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no pair's name contains %q", o.pairs)
	}
	return rows, nil
}

// median returns the middle of the values, sorted.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
