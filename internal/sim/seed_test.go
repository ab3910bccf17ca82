package sim

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/sim/history"
)

var (
	seedFlag = flag.Uint64("seed", 1, "the world that TestSeed runs")
	dayFlag  = flag.Duration("day", 2*time.Hour, "how long things go on happening in a world")
	showFlag = flag.String("history", "", "`file` for the history of the world that TestSeed runs, also when it breaks no law")
)

const (
	// healTime is how long a healed world may take to come to rest: contacts are
	// asked again within an hour, a wrong clock lasts three, and a renewal of a
	// session can wait for six.
	healTime = 12 * time.Hour
	// Bounds of what a world of five may use.
	maxHeap    = 512 << 20
	maxTraffic = 400 << 20 // bytes a person and day, with files, repeats and keep-alives
	maxWaiting = 2000      // goroutines in a world at rest
)

// TestSeed runs one world and holds what happened against the laws.
func TestSeed(t *testing.T) {
	runtime.GOMAXPROCS(1)
	day := *dayFlag
	if testing.Short() {
		day = min(day, 30*time.Minute)
	}
	begun := time.Now()
	r := runSeed(t, *seedFlag, day)
	fmt.Printf("sim: seed %d, %v of virtual time in %.1fs, %d events, %d packets, relay's advantage %.3f of %d, network's %.3f of %d, %d lies\n",
		*seedFlag, r.virtual.Round(time.Minute), time.Since(begun).Seconds(), len(r.events), r.packets,
		r.relay.advantage(), r.relay.total, r.network.advantage(), r.network.total, r.lies)
	fmt.Printf("sim: history %x, seen %x\n", digest(r.events, history.Event.String), digest(perPerson(r.events), seen))
	if *showFlag != "" {
		f, err := os.Create(*showFlag)
		if err != nil {
			t.Fatal(err)
		}
		writeHistory(f, r.events)
		f.Close()
	}
	if len(r.broken) == 0 {
		return
	}
	writeHistory(os.Stdout, r.events)
	for _, b := range r.broken {
		t.Error(b)
	}
	t.Errorf("again: go test ./internal/sim -run 'TestSeed$' -seed %d -day %v", *seedFlag, day)
}

func writeHistory(w io.Writer, events []history.Event) {
	for _, e := range events {
		if e.Kind != history.Final {
			fmt.Fprintln(w, e)
		}
	}
}

// A result is what came of one world.
type result struct {
	events         []history.Event
	broken         []string
	virtual        time.Duration
	packets        int64
	lies           int // of servers' operators, and of the cheat
	relay, network guess
	searched       map[string]int64
}

// runSeed lets the world of a seed live for a day, heals it, and judges.
func runSeed(t *testing.T, seed uint64, day time.Duration) (r result) {
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		defer w.end()
		if w.onSQLite() {
			w.note("", "all databases are SQLite's, on disks that fail at any write or sync")
		}
		w.build(2+w.rng.IntN(len(names)-1), 1+w.rng.IntN(3))
		w.lie(true)
		w.live(day, 3*time.Minute)
		quiet, why := w.heal()
		w.finals()
		r.events = w.history.Events()
		r.broken = append(history.Check(r.events), w.bounds()...)
		if !quiet {
			r.broken = append(r.broken, "after healing there was no rest: "+why)
		}
		r.broken = append(r.broken, w.filesArrived()...)
		for _, p := range w.people {
			w.views.stolen(p)
		}
		w.views.mu.Lock()
		r.broken = append(r.broken, w.views.found...)
		r.relay, r.network, r.searched = *w.views.guesses["relay"], *w.views.guesses["network"], w.views.searched
		w.views.mu.Unlock()
		r.packets, _ = w.net.sent()
		r.virtual, r.lies = w.now(), w.lies()+w.cheating()
	})
	return r
}

// heal ends everything that is broken, and waits until nothing is under way.
func (w *world) heal() (quiet bool, why string) {
	w.net.change(func() {
		w.net.calm = true
		for _, s := range w.net.sites {
			s.island = 0
		}
		for _, h := range w.net.hosts {
			h.off = false
		}
	})
	w.lie(false)
	w.endCheat()
	for _, s := range w.servers {
		s.disk.mend(s)
		if s.running == nil {
			s.up()
		}
	}
	for _, p := range w.people {
		if p.client != nil && p.died.Load() {
			p.bury()
		}
		p.disk.repair()
		p.store.diesIn(powerPlan{})
		w.setClock(p, 0)
		p.back = 0
		switch {
		case p.lost:
			time.Sleep(p.behind())
			w.restore(p)
		case p.client == nil:
			p.restart()
		}
	}
	w.history.Add(history.Event{At: w.now(), Kind: history.Healed})
	w.writeAgain()
	for end := time.Now().Add(healTime); time.Now().Before(end); {
		time.Sleep(5 * time.Minute)
		if why = w.underWay(); why == "" {
			time.Sleep(history.Slack) // what disappears does so
			return true, ""
		}
	}
	return false, why
}

// underWay names something that has not come to its end, "" if nothing.
func (w *world) underWay() string {
	for _, p := range w.people {
		for _, q := range w.people {
			if p == q {
				continue
			}
			var h []client.Message
			err := w.call(func(ctx context.Context) (err error) {
				h, err = p.client.History(ctx, q.id, client.HistoryQuery{Limit: 1 << 20})
				return err
			})
			switch {
			case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errOff):
				return p.name + "'s client does not answer"
			case err != nil:
				continue // not known any more, after a restore from before they met
			}
			for _, m := range h {
				if m.Mine && m.State < client.Delivered && !w.lostBefore(p, m) {
					return fmt.Sprintf("%s's %.20q to %s is %v", p.name, m.Text, q.name, m.State)
				}
			}
		}
	}
	for _, x := range w.sentFiles {
		if s := w.fileState(x); s != "" {
			return s
		}
	}
	return ""
}

// lostBefore reports whether a message was in an outbox that was lost with a
// device: it stays as it was.
func (w *world) lostBefore(p *person, m client.Message) bool {
	var accepted time.Duration = -1
	for _, e := range w.history.Events() {
		switch {
		case e.Kind == history.Accepted && e.ID == m.ID.String():
			accepted = e.At
		case e.Kind == history.Restored && e.Who == p.name && accepted >= 0:
			return true
		}
	}
	return accepted < 0 && slices.ContainsFunc(w.history.Events(), func(e history.Event) bool { return e.Kind == history.Restored && e.Who == p.name })
}

func (w *world) restored(p *person) bool {
	return slices.ContainsFunc(w.history.Events(), func(e history.Event) bool { return e.Kind == history.Restored && e.Who == p.name })
}

// fileState says what is not done with a file, "" if nothing.
func (w *world) fileState(x sentFile) string {
	if w.restored(x.from) || w.restored(x.to) {
		return ""
	}
	fs, err := x.to.client.Files(w.t.Context(), x.from.id)
	if err != nil {
		return err.Error()
	}
	for _, f := range fs {
		if f.ID == x.id {
			if f.State != client.FileDone {
				return fmt.Sprintf("%s's file %s is %v at %s, %d of %d: %s", x.from.name, f.Name, f.State, x.to.name, f.Done, f.Size, f.Problem)
			}
			return ""
		}
	}
	return fmt.Sprintf("%s's file of %d bytes is unknown to %s", x.from.name, len(x.content), x.to.name)
}

// filesArrived returns the files that are not what was sent.
func (w *world) filesArrived() (broken []string) {
	for _, x := range w.sentFiles {
		if s := w.fileState(x); s != "" {
			broken = append(broken, "in the end "+s)
			continue
		}
		fs, err := x.to.client.Files(w.t.Context(), x.from.id)
		if err != nil {
			continue
		}
		for _, f := range fs {
			if f.ID != x.id || f.State != client.FileDone {
				continue
			}
			if b, err := os.ReadFile(f.Path); err != nil || !bytes.Equal(b, x.content) {
				broken = append(broken, fmt.Sprintf("the file %s arrived as %d other bytes, %v", f.Name, len(b), err))
			}
		}
	}
	return broken
}

// bounds returns what exceeds what a world may use.
func (w *world) bounds() (broken []string) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > maxHeap {
		broken = append(broken, fmt.Sprintf("%d MiB of memory, more than %d", m.HeapAlloc>>20, maxHeap>>20))
	}
	if n := runtime.NumGoroutine(); n > maxWaiting {
		broken = append(broken, fmt.Sprintf("%d goroutines at rest, more than %d", n, maxWaiting))
	}
	days := w.now().Hours() / 24
	_, sent := w.net.sent()
	if each := float64(sent) / float64(len(w.people)) / max(days, 0.5); each > maxTraffic {
		broken = append(broken, fmt.Sprintf("%.0f MiB a person and day, more than %d", each/(1<<20), maxTraffic>>20))
	}
	return broken
}
