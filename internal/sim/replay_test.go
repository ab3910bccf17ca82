package sim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/internal/sim/history"
)

// digest is that of a history, each event as text says.
func digest(events []history.Event, text func(history.Event) string) []byte {
	h := sha256.New()
	for _, e := range events {
		fmt.Fprintln(h, text(e))
	}
	return h.Sum(nil)[:8]
}

// seen is what a person knows of an event, without its time and its random id.
func seen(e history.Event) string {
	return fmt.Sprint(e.Who, e.Kind, e.Peer, e.Text, e.State, e.Missing, e.N)
}

// perPerson returns what happened at each device, in order, one device after the
// other.
func perPerson(events []history.Event) []history.Event {
	events = slices.DeleteFunc(slices.Clone(events), func(e history.Event) bool { return e.Kind == history.Note })
	slices.SortStableFunc(events, func(a, b history.Event) int { return cmp.Compare(a.Who, b.Who) })
	return events
}

var digestLine = regexp.MustCompile(`(?m)^sim: history ([0-9a-f]+), seen ([0-9a-f]+)$`)

// TestReplay runs the worlds of the first SREMP_SIM_REPLAY seeds twice, each time in a fresh process, and says how many
// went the same way. It asks for nothing: that a world runs again as it did is
// what its seed cannot promise.
func TestReplay(t *testing.T) {
	if testing.Short() {
		return // two worlds for one figure
	}
	seeds := number(t, "SREMP_SIM_REPLAY", 2)
	const day = time.Hour
	dir := memoryDir(t)
	var mu sync.Mutex
	var same, felt, done int
	next := 1
	var wg sync.WaitGroup
	for range number(t, "SREMP_SIM_WORKERS", 2) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				mu.Unlock()
				if seed > seeds {
					return
				}
				var runs [2][][]byte
				for i := range runs {
					o := child(t.Context(), os.Args[0], uint64(seed), day, dir, "0")
					if runs[i] = digestLine.FindSubmatch(o.output); o.failed || runs[i] == nil {
						t.Errorf("seed %d:\n%s", seed, tail(o.output))
						return
					}
				}
				mu.Lock()
				done++
				if bytes.Equal(runs[0][1], runs[1][1]) {
					same++
				}
				if bytes.Equal(runs[0][2], runs[1][2]) {
					felt++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if done == 0 {
		return
	}
	fmt.Printf("figure: proof.sim.replay_rate %.3f of_1 AGAINST 1 if the scheduler were seeded: of %d seeds run twice in fresh processes, %v each, those with equal histories, to the millisecond and with every id\n",
		float64(same)/float64(done), done, day)
	fmt.Printf("figure: proof.sim.replay_rate_seen %.3f of_1 AGAINST 1 if the scheduler were seeded: of %d seeds run twice, those in which every person did and saw the same in the same order\n",
		float64(felt)/float64(done), done)
}
