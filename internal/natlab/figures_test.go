//go:build linux

package natlab

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestPairs runs every pair that theory lets be punched, and those it does not,
// SREMP_NATLAB_RUNS times and prints the figures; each set as a subtest.
func TestPairs(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("SREMP_NATLAB_RUNS"))
	if err != nil {
		t.Skip("every pair, many times, runs with `make natlab-figures`")
	}
	// The routers sleep most of the time: some pairs at once do not disturb each
	// other's times.
	for _, set := range []struct {
		name  string
		pairs []Pair
		times bool
	}{{"usual", usualPairs(), true}, {"loss_5_percent", LossyPairs(), false}, {"accepting_100ms_skew", SkewedPairs(), false}} {
		all := total{name: set.name}
		t.Run(set.name, func(t *testing.T) {
			for _, c := range set.pairs {
				t.Run(c.Name(), func(t *testing.T) {
					t.Parallel()
					all.add(c, repeat(t, c, runs, set.times))
				})
			}
		})
		all.print()
	}
}

// usualPairs are those of the matrix that UDP gets through, with times as usual.
func usualPairs() []Pair {
	noUDP := func(kind string) bool { return kind == string(Blocked) || kind == string(TCPOnly) }
	return slices.DeleteFunc(Pairs(), func(c Pair) bool {
		return c.Conditions.Loss > 0 || noUDP(c.A) || noUDP(c.B)
	})
}

// total sums the runs of a set of pairs that can be punched.
type total struct {
	name string

	mu           sync.Mutex
	pairs, whole int // whole: direct in every run
	runs, direct int
	chances      int // runs that need a birthday search
	found        int // of them, direct within three seconds
}

func (s *total) add(c Pair, got []pairResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.Direct {
		return
	}
	direct := 0
	for _, r := range got {
		if r.fault == "" {
			direct++
		}
	}
	if c.Chance() {
		s.chances += len(got)
		s.found += direct
		return
	}
	s.pairs++
	s.runs += len(got)
	s.direct += direct
	if direct == len(got) {
		s.whole++
	}
}

func (s *total) print() {
	if s.runs+s.chances == 0 {
		return // none of them was asked for
	}
	fmt.Printf("figure: paths.1.%s.pairs %d pairs direct in every run, of %d\n", s.name, s.whole, s.pairs)
	fmt.Printf("figure: paths.1.%s.runs %d runs direct, of %d\n", s.name, s.direct, s.runs)
	if s.chances > 0 {
		fmt.Printf("figure: paths.1.%s.birthday %.1f %% of %d runs direct within 3 s by birthday search; at least 95\n", s.name, 100*float64(s.found)/float64(s.chances), s.chances)
	}
}

// repeat runs a pair n times and prints its figures.
func repeat(t *testing.T, c Pair, n int, times bool) (got []pairResult) {
	p := newPunch(t, c)
	p.chat = c.Chance()
	var gap time.Duration
	var direct, afterGo, usable, proven []time.Duration
	var faults []string
	packets := 0
	for i := range n {
		r := p.run(t, i)
		got = append(got, r)
		if r.fault != "" {
			faults = append(faults, r.fault)
		}
		if r.direct > 0 {
			direct = append(direct, r.direct)
			proven = append(proven, r.proven)
			afterGo = append(afterGo, r.direct-r.begun)
		}
		if r.usable > 0 {
			usable = append(usable, r.usable)
		}
		packets, gap = max(packets, r.packets), max(gap, r.gap)
	}
	allowed := 0
	if c.Chance() {
		allowed = max(n/10, 1) // 5 % of few runs
	}
	if len(faults) > allowed {
		t.Errorf("%d faults: %v", len(faults), faults)
	}
	name := c.Figure()
	if len(faults) > 0 || times {
		fmt.Printf("figure: paths.1.%s.direct %d of_%d theory: %v\n", name, len(direct), n, c.Direct)
	}
	if !times {
		return got
	}
	if gap > 0 {
		fmt.Printf("figure: paths.1.%s.chat_gap %d ms at most between two echoes every %v, from the first by the relay to ten after the switch\n", name, gap.Milliseconds(), echoEvery)
	}
	if len(usable) > 0 {
		fmt.Printf("figure: paths.3.%s.usable_median_rtt %.2f RTT from the offer until both sides are authenticated, by whatever path\n", name, rtts(usable, 50))
	}
	if len(direct) > 0 {
		fmt.Printf("figure: paths.3.%s.median_rtt %.2f RTT from the offer through a warm rendezvous until both sides are authenticated and direct, the dialling one by the first message of Noise IK; at most 3\n", name, rtts(direct, 50))
		fmt.Printf("figure: paths.3.%s.p95_rtt %.2f RTT at most 5\n", name, rtts(direct, 95))
		fmt.Printf("figure: paths.3.%s.proven_median_rtt %.2f RTT the same until the dialling side has also seen the answer to its own message\n", name, rtts(proven, 50))
		fmt.Printf("figure: paths.3.%s.go_median_rtt %.2f RTT from the moment when both were told to begin\n", name, rtts(afterGo, 50))
		fmt.Printf("figure: paths.3.%s.go_p95_rtt %.2f RTT\n", name, rtts(afterGo, 95))
		fmt.Printf("figure: paths.1.%s.packets %d probes at most by one side of one search; at most 1164, pongs among them\n", name, packets)
	}
	return got
}

// rtts returns a percentile in round trips.
func rtts(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return float64(d[(len(d)*percent+99)/100-1]) / float64(PairRTT)
}
