package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A duel times an operation against another one in the same process, in turns
// of a few hundred microseconds each, so that their ratio holds on a machine
// that is busy or changes its clock.
type duel struct {
	turn  int    // calls in one turn
	setup func() // before each turn, not timed; may be nil
	op    func(i int)
	floor func(i int)
}

// run is the whole of a benchmark: ns/op and allocations are op's. It returns
// the median over the turns of op's time by floor's, and reports it as metric.
func (d duel) run(b *testing.B, metric string) (ratio float64) {
	b.Helper()
	var ratios []float64
	round := func(n int, took time.Duration) {
		start := time.Now()
		for i := range n {
			d.floor(i)
		}
		if f := time.Since(start); n == d.turn || len(ratios) == 0 {
			ratios = append(ratios, float64(took)/float64(f))
		}
	}
	if d.setup != nil {
		d.setup()
	}
	i := 0
	b.ReportAllocs()
	start := time.Now()
	for b.Loop() {
		if i == d.turn {
			took := time.Since(start)
			b.StopTimer()
			round(i, took)
			if d.setup != nil {
				d.setup()
			}
			i = 0
			b.StartTimer()
			start = time.Now()
		}
		d.op(i)
		i++
	}
	round(i, time.Since(start))
	if len(ratios) > 2 {
		ratios = ratios[1:] // the first turn grows buffers
	}
	slices.Sort(ratios)
	ratio = ratios[len(ratios)/2]
	b.ReportMetric(ratio, metric)
	return ratio
}

// figures are printed when all benchmarks are done, for internal/measure.
var figures struct {
	mu    sync.Mutex
	lines []string
}

// figure keeps a figure; name is its number and what it is of, against says
// what it is to be compared with.
func figure(name string, value float64, unit, against string) {
	figures.mu.Lock()
	defer figures.mu.Unlock()
	v := strconv.FormatFloat(value, 'g', 4, 64)
	figures.lines = append(figures.lines, fmt.Sprintf("figure: ratchet.%s %s %s %s", name, v, unit, against))
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, l := range figures.lines {
		fmt.Println(l)
	}
	os.Exit(code)
}

// variant names the build in figures that differ with a profile.
func variant() string { return os.Getenv("SREMP_BENCH_VARIANT") }
