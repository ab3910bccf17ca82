package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sremp/sremp/internal/pgtest"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
)

const (
	senders  = 256
	blobSize = 1024
)

// rate runs put from many senders for a while and returns how many a second were
// durable.
func rate(t *testing.T, d time.Duration, put func(n uint64) error) float64 {
	t.Helper()
	var next, done atomic.Uint64
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	start := time.Now()
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := put(next.Add(1)); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

func numbered(n uint64) []byte {
	b := make([]byte, blobSize)
	binary.BigEndian.PutUint64(b, n)
	return b
}

// An appendLog is the floor: records appended to a file, one sync for all that
// wait.
type appendLog struct {
	f    *os.File
	work chan logRecord
}

type logRecord struct {
	b    []byte
	done chan error
}

func (l *appendLog) run() {
	for r := range l.work {
		batch := []logRecord{r}
		for more := true; more && len(batch) < senders; {
			select {
			case r := <-l.work:
				batch = append(batch, r)
			default:
				more = false
			}
		}
		var all []byte
		for _, r := range batch {
			all = append(all, r.b...)
		}
		_, err := l.f.Write(all)
		if err == nil {
			err = l.f.Sync()
		}
		for _, r := range batch {
			r.done <- err
		}
	}
}

func (l *appendLog) put(b []byte) error {
	done := make(chan error, 1)
	l.work <- logRecord{b, done}
	return <-done
}

// many makes owners with inboxes, and returns who is whose.
func many(t *testing.T, s relay.Store, owners, each int) (boxes [][32]byte) {
	t.Helper()
	id := func(kind byte, n int) (a [32]byte) {
		a[0] = kind
		binary.BigEndian.PutUint64(a[24:], uint64(n))
		h := sha256.Sum256(a[:]) // spread, as random names are
		return h
	}
	var wg sync.WaitGroup
	work := make(chan int)
	var mu sync.Mutex
	for range 64 {
		wg.Go(func() {
			for n := range work {
				o := id(1, n)
				if _, err := s.Owner(t.Context(), o, time.Now(), relay.Admission{Open: true, Limit: 1 << 30}); err != nil {
					t.Error(err)
				}
				for k := range each {
					b := id(2, n*each+k)
					if err := s.CreateInbox(t.Context(), o, relay.InboxParams{ID: b, TokenHash: relay.TokenHash(token)}, 1<<30); err != nil {
						t.Error(err)
					}
					mu.Lock()
					boxes = append(boxes, b)
					mu.Unlock()
				}
			}
		})
	}
	for n := range owners {
		work <- n
	}
	close(work)
	wg.Wait()
	return boxes
}

// TestStoreFigures measures durable stores of 1 KiB (spec §6.8). By itself it
// shows that every engine takes them; with SREMP_FIGURES it prints figures, with
// SREMP_FULL also those with a million messages stored.
func TestStoreFigures(t *testing.T) {
	figures := os.Getenv("SREMP_FIGURES") != ""
	d, owners := 100*time.Millisecond, 10
	if figures {
		d, owners = 5*time.Second, 1000
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := &appendLog{f, make(chan logRecord)}
	go log.run()
	defer close(log.work)

	pg := pgtest.Start(t, "max_connections=200")
	pool, err := pgxpool.New(t.Context(), pg.Database(t)+" pool_max_conns=64")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "CREATE TABLE mail (id bigserial PRIMARY KEY, body bytea NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	sq, err := sqlite.Open(t.Context(), filepath.Join(dir, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer sq.Close()
	boxes := many(t, sq, owners, 100)
	putIn := func(s relay.Store, boxes [][32]byte) func(n uint64) error {
		return func(n uint64) error {
			del := delivery(numbered(n))
			del.Inbox = boxes[n%uint64(len(boxes))]
			_, err := s.Put(t.Context(), del)
			return err
		}
	}
	floor := rate(t, d, func(n uint64) error { return log.put(numbered(n)) })
	rows := rate(t, d, func(n uint64) error {
		_, err := pool.Exec(t.Context(), "INSERT INTO mail (body) VALUES ($1)", numbered(n))
		return err
	})
	var used atomic.Uint64
	put := putIn(sq, boxes)
	count := func(n uint64) error { used.Add(1); return put(n) }
	empty := rate(t, d, count)
	p99 := latency(t, d, func(n uint64) error { return put(1<<40 + n) })
	s := open(t, pg.Database(t)+" pool_max_conns=64")
	own := rate(t, d, putIn(s, many(t, s, 10, 10)))
	t.Logf("log %.0f, rows in PostgreSQL %.0f, SQLite %.0f, our PostgreSQL %.0f a second; p99 %v", floor, rows, empty, own, p99)
	if !figures {
		return
	}
	fmt.Printf("figure: relay.3.sqlite_of_log %.3f ratio %.0f against %.0f stores/s of an append-only log with group fsync\n", empty/floor, empty, floor)
	fmt.Printf("figure: relay.3.sqlite_of_postgres_rows %.2f ratio %.0f against %.0f stores/s of PostgreSQL, row per commit\n", empty/rows, empty, rows)
	fmt.Printf("figure: relay.3.postgres %.0f stores/s of relay/postgres, all checks and the notification included\n", own)
	fmt.Printf("figure: relay.3.p99 %.1f ms of a store at 1000 stores/s, at most 50\n", p99.Seconds()*1e3)
	if os.Getenv("SREMP_FULL") == "" {
		return
	}
	fill := putIn(sq, boxes)
	var wg sync.WaitGroup
	var next atomic.Uint64
	next.Store(1 << 20)
	for range senders {
		wg.Go(func() {
			for n := next.Add(1); n < 1<<20+1_000_000; n = next.Add(1) {
				if err := fill(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	full := rate(t, d, func(n uint64) error { return fill(1<<41 + n) })
	fmt.Printf("figure: relay.3.sqlite_full_of_empty %.2f ratio %.0f stores/s with 1 M messages in %d inboxes against %.0f\n", full/empty, full, len(boxes), empty)
}

// latency stores 1000 a second and returns the 99th percentile of the time each
// took from when it was due.
func latency(t *testing.T, d time.Duration, put func(n uint64) error) time.Duration {
	t.Helper()
	const perSecond = 1000
	n := int(d.Seconds() * perSecond)
	took := make([]time.Duration, n)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		due := start.Add(time.Duration(i) * time.Second / perSecond)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if err := put(uint64(i)); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took[n*99/100]
}
