package client_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// groupLen is how many commands and arrivals share a transaction at most (spec §8.7).
const groupLen = 256

// A recorder keeps what is written through it, from record on.
type recorder struct {
	client.Store
	mu      sync.Mutex
	on      bool
	commits int
	changes []client.Change
}

func (r *recorder) Apply(ctx context.Context, changes []client.Change) error {
	r.mu.Lock()
	if r.on {
		r.commits++
		r.changes = append(r.changes, changes...) // bodies are not written to again
	}
	r.mu.Unlock()
	return r.Store.Apply(ctx, changes)
}

func (r *recorder) record() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = true
}

func newRecorded(t *testing.T, name string) (*client.Client, *recorder) {
	t.Helper()
	dir := t.TempDir()
	create(t, dir, name)
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Store: s}
	c, err := client.Open(t.Context(), client.Config{Store: r, Passphrase: []byte("pw"), Listen: loopback(t).String() + ":0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, r
}

// Messages each way, at most 512 of each unacknowledged, between two clients in this process, against what
// group commits allow on this disk and these cores: the same sealed rows of both,
// written to two new databases at the same time, in transactions as long as a
// client's longest, with nothing else to do. And where the processor's time goes. A
// figure only; SREMP_FLOOD says how many messages.
//
// That bound is what fsync batching allows: no client with these rows, transactions
// and promises can be faster, since each message is stored and synced by both sides
// before anybody hears of it, and what encrypts, seals, sends and acknowledges it
// shares the processors with that. Half of it leaves as much time for all the rest as
// the database takes. A bound without the rows, of syncs alone, would be one that
// nobody reaches who stores anything.
//
// Each client is a process of its own otherwise, with as many threads that run Go as
// there are processors. Here both share them: one that waits for the disk keeps its
// thread's place, up to 10 ms, from what would gather the next transaction. So there are
// twice as many, for both measurements.
func TestBatched(t *testing.T) {
	n := 300
	figures := os.Getenv("SREMP_FLOOD") != ""
	if figures {
		if _, err := fmt.Sscan(os.Getenv("SREMP_FLOOD"), &n); err != nil {
			t.Fatal(err)
		}
	}
	threads := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * threads)
	defer runtime.GOMAXPROCS(threads)
	a, ra := newRecorded(t, "Alice")
	b, rb := newRecorded(t, "Bob")
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	waitTexts(t, b, me(t, a), ">delivered hello")
	before := history(t, b, me(t, a))[0].ID
	profile := filepath.Join(t.TempDir(), "cpu")
	if figures {
		f, err := os.Create(profile)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			t.Fatal(err)
		}
	}
	ra.record()
	rb.record()
	cpu, began := processTime(t), time.Now()
	var all sync.WaitGroup
	for _, x := range []struct{ from, to *client.Client }{{a, b}, {b, a}} {
		all.Go(func() { conversing(t, x.from, me(t, x.to), n, before) })
	}
	all.Wait()
	took := time.Since(began)
	cpu = processTime(t) - cpu
	pprof.StopCPUProfile()
	allowed := replay(t, n, ra, rb)
	each := float64(2 * n)
	rate, limit := each/took.Seconds(), each/allowed.Seconds()
	t.Logf("%d rows in %d transactions", len(ra.changes)+len(rb.changes), ra.commits+rb.commits)
	t.Logf("figure: client.1.batched.ratio %.2f of_rows_alone AGAINST 0.5 (%.0f against %.0f messages/s: the same sealed rows of both clients in transactions of %d messages and nothing else; %d each way)", rate/limit, rate, limit, groupLen, n)
	t.Logf("figure: client.1.batched.rate %.0f messages/s both ways together, each stored on both sides and acknowledged, two clients in one process", rate)
	t.Logf("figure: client.1.batched.cpu %.0f us/message of both clients together: sent, stored twice and acknowledged", cpu.Seconds()*1e6/each)
	t.Logf("figure: client.1.batched.per_commit %.1f messages of at most %d, sent or received", 2*each/float64(ra.commits+rb.commits), groupLen)
	if figures {
		shares := cpuShares(t, profile)
		for _, name := range slices.Sorted(maps.Keys(shares)) {
			t.Logf("figure: client.1.batched.cpu_%s %.3f of_1 of the processor's time", name, shares[name])
		}
	}
}

// conversing sends n messages, unacknowledged at a time as many as the send window
// has (spec §8.4), and waits until all are delivered, not counting the one before.
func conversing(t *testing.T, from *client.Client, to identity.PeerID, n int, before client.MessageID) {
	events, err := from.Subscribe(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	const window = 512
	tokens, done := make(chan struct{}, window), make(chan struct{})
	for range window {
		tokens <- struct{}{}
	}
	go func() {
		defer close(done)
		seen := map[client.MessageID]bool{}
		for e := range events {
			if d, ok := e.(client.DeliveryEvent); ok && d.State == client.Delivered && d.ID != before && !seen[d.ID] {
				if seen[d.ID] = true; len(seen) == n {
					return
				}
				tokens <- struct{}{}
			}
		}
		t.Errorf("the events ended after %d of %d messages", len(seen), n)
		close(tokens)
	}()
	var all sync.WaitGroup
	next := make(chan int)
	for range groupLen {
		all.Go(func() {
			for i := range next {
				if _, err := from.Send(t.Context(), to, fmt.Sprintf("message %d of some length, as people write", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		<-tokens
		next <- i
	}
	close(next)
	all.Wait()
	<-done
}

func processTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// replay returns how long the rows alone take that were written for 2n messages.
func replay(t *testing.T, n int, records ...*recorder) time.Duration {
	t.Helper()
	var stores []*sqlite.Store
	for range records {
		s, err := sqlite.Create(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores = append(stores, s)
	}
	began := time.Now()
	var both sync.WaitGroup
	for i, r := range records {
		r.mu.Lock()
		changes := r.changes // whoever else writes appends behind them
		r.mu.Unlock()
		both.Go(func() {
			for group := range slices.Chunk(changes, max(1, groupLen*len(changes)/(2*n))) {
				if err := stores[i].Apply(t.Context(), group); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	return time.Since(began)
}

// parts are what the processor's time is for, by the names that a stack has in it: the
// first that is found counts.
var parts = []struct {
	name  string
	marks []string
}{
	{"sqlite_commit_and_fsync", []string{"database/sql.(*Tx).Commit"}},
	{"sqlite_rows", []string{"go-sqlite3", "database/sql."}},
	{"ratchet", []string{"sremp/ratchet."}},
	{"sealing", []string{"client.(*vault)", "chacha20poly1305"}},
	{"quic", []string{"quic-go", "sremp/transport."}},
	{"garbage_collection", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.gcAssistAlloc"}},
	{"client", []string{"sremp/client"}},
	{"scheduler_and_rest", []string{""}},
}

// cpuShares returns what part of a profile's samples each part has.
func cpuShares(t *testing.T, profile string) map[string]float64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-traces", "-unit", "ms", profile).Output()
	if err != nil {
		t.Fatal(err)
	}
	shares, total := map[string]float64{}, 0.0
	for stack := range strings.SplitSeq(string(out), "-----------+") {
		_, lines, _ := strings.Cut(stack, "\n")
		var ms float64
		if _, err := fmt.Sscanf(strings.TrimSpace(lines), "%fms", &ms); err != nil {
			continue // the header
		}
		total += ms
	find:
		for _, p := range parts {
			for _, mark := range p.marks {
				if strings.Contains(lines, mark) {
					shares[p.name] += ms
					break find
				}
			}
		}
	}
	for name := range shares {
		shares[name] /= total
	}
	return shares
}
