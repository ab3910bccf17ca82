// The rivals command runs pairs of networks with what a user could pick instead
// of sremp: go-libp2p (circuit relay v2 and DCUtR), and pion/ice with coturn,
// each through the same routers and with the same delay as sremp's own figures.
//
//	go run ./internal/natlab/rivals [-runs N] [-pairs TEXT] [-only NAME] [-parallel N]
//
// The programs are in ../peers. Each side is a process, which finds out all that
// it can before it is told to dial: its relay, its own addresses. A run begins
// with the dial and is direct when both sides say so; what that includes differs:
//
//   - libp2p: the circuit through the relay, identify, DCUtR's exchange, and an
//     authenticated connection over QUIC or TCP.
//   - pion, pion_tuned: the exchange of candidates over a connection to the
//     signalling, and ICE's checks. No key exchange: DTLS would come after it.
//
// It prints figures, and nothing for a rival whose programs are not here.
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
	runs, parallel int
	pairs, only    string
	peers          string // the directory of their modules
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("rivals", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.runs, "runs", 5, "how `often` each pair is run")
	fs.IntVar(&o.parallel, "parallel", 3, "how many pairs at a time")
	fs.StringVar(&o.pairs, "pairs", "", "only pairs whose name contains `text`")
	fs.StringVar(&o.only, "only", "", "only the rival of this `name`")
	fs.StringVar(&o.peers, "peers", "internal/natlab/peers", "`directory` of the rivals' modules")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	w, err := natlab.NewWorld(natlab.Conditions{})
	if err == nil && w.Net == nil {
		err = errors.New("no TUN device, and so no delay")
	}
	if err == nil {
		w.Close()
		err = o.all(ctx, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "rivals: %v\n", err)
		return 1
	}
	return 0
}

// pairs are the telling ones.
func pairs() []natlab.Pair {
	loss := natlab.Conditions{Delay: natlab.PairRTT / 2, Loss: 0.05}
	return []natlab.Pair{
		{A: "port", B: "port", Direct: true},
		{A: "port", B: "port", Direct: true, Conditions: loss},
		{A: "port/accept", B: "port/accept", Direct: true},
		{A: "fullcone", B: "sym", Direct: true},
		{A: "port", B: "sym", Direct: true},
		{A: "port", B: "symseq", Direct: true},
		{A: "sym", B: "sym"},
		{A: "same port", B: "same port", Direct: true},
		{A: "same carrier portcone", B: "same carrier portcone", Direct: true},
		{A: "ipv6", B: "ipv6", Direct: true},
		{A: "port", B: "blocked"},
	}
}

// all runs every rival with every pair.
func (o options) all(ctx context.Context, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "sremp-rivals-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var mu sync.Mutex // of the two outputs
	jobs := make(chan func())
	var wg sync.WaitGroup
	for range max(o.parallel, 1) {
		wg.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	for _, r := range rivals() {
		if o.only != "" && o.only != r.name {
			continue
		}
		program := filepath.Join(dir, r.module)
		if err := r.build(ctx, o.peers, program); err != nil {
			fmt.Fprintf(stderr, "rivals: NO %s HERE: %v\n", strings.ToUpper(r.name), err)
			continue
		}
		for _, p := range pairs() {
			if !strings.Contains(p.Name(), o.pairs) {
				continue
			}
			jobs <- func() {
				s, err := o.play(ctx, r, program, p)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					fmt.Fprintf(stderr, "rivals: %s: %s: %v\n", r.name, p.Name(), err)
				}
				s.print(stdout, r, p)
			}
		}
	}
	close(jobs)
	wg.Wait()
	return ctx.Err()
}

// build builds the rival's program, and sees whether what it needs is there.
func (r rival) build(ctx context.Context, peers, program string) error {
	for _, name := range r.needs {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w (on Debian: apt-get install coturn)", err)
		}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = filepath.Join(peers, r.module)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building it: %w %s", err, out)
	}
	return nil
}

// A score is what one rival did with one pair.
type score struct {
	runs              int
	messages, directs []time.Duration // from the dial, of the runs that had one
}

func (s score) print(w io.Writer, r rival, p natlab.Pair) {
	if s.runs == 0 {
		return
	}
	name := p.Figure() + "." + r.name
	fmt.Fprintf(w, "figure: paths.1.%s.connected %d of_%d runs in which a message arrived\n", name, len(s.messages), s.runs)
	fmt.Fprintf(w, "figure: paths.1.%s.direct %d of_%d runs\n", name, len(s.directs), s.runs)
	if len(s.messages) > 0 {
		fmt.Fprintf(w, "figure: paths.3.%s.message_median_rtt %.2f RTT from the dial until the first message has arrived; %s\n", name, rtts(s.messages, 50), r.includes)
	}
	if len(s.directs) > 0 {
		fmt.Fprintf(w, "figure: paths.3.%s.median_rtt %.2f RTT from the dial until both sides are direct; %s\n", name, rtts(s.directs, 50), r.includes)
		fmt.Fprintf(w, "figure: paths.3.%s.p95_rtt %.2f RTT\n", name, rtts(s.directs, 95))
	}
}

// rtts returns a percentile in round trips.
func rtts(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return float64(d[(len(d)*percent+99)/100-1]) / float64(natlab.PairRTT)
}
