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
		d, owners = 3*time.Second, 1000
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
	if _, err := pool.Exec(t.Context(), `CREATE TABLE plain (id bigserial PRIMARY KEY, body bytea NOT NULL);
		CREATE TABLE mail (id bigserial PRIMARY KEY, inbox bigint NOT NULL, owner bigint NOT NULL, seq bigint NOT NULL, hash bytea NOT NULL,
			stored bigint NOT NULL, expires bigint NOT NULL, size bigint NOT NULL, body bytea NOT NULL, UNIQUE (inbox, hash), UNIQUE (owner, seq));
		CREATE INDEX ON mail (expires)`); err != nil {
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
	var used atomic.Uint64
	put := putIn(sq, boxes)
	// What nobody has asked for yet is read once: all inboxes, for deliveries to
	// come are to those that have had some.
	cold := rate(t, d, func(uint64) error { return put(used.Add(1)) })
	if figures {
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for n := used.Add(1); n < uint64(len(boxes)); n = used.Add(1) {
					if err := put(n); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	// In turns: the disk and its other users are not the same at all times.
	turns := 1
	if figures {
		turns = 3
	}
	var floors, plains, likes, empties []float64
	for range turns {
		floors = append(floors, rate(t, d, func(n uint64) error { return log.put(numbered(n)) }))
		plains = append(plains, rate(t, d, func(n uint64) error {
			_, err := pool.Exec(t.Context(), "INSERT INTO plain (body) VALUES ($1)", numbered(n))
			return err
		}))
		likes = append(likes, rate(t, d, func(n uint64) error {
			b := numbered(n)
			hash := sha256.Sum256(append([]byte{byte(len(likes))}, b...))
			_, err := pool.Exec(t.Context(), "INSERT INTO mail (inbox, owner, seq, hash, stored, expires, size, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
				n%100_000, n%1000, uint64(len(likes))<<40+n, hash[:], time.Now().UnixMilli(), time.Now().UnixMilli()+int64(n), len(b), b)
			return err
		}))
		empties = append(empties, rate(t, d, func(uint64) error { return put(used.Add(1)) }))
	}
	floor, plain, like, empty := middle(floors), middle(plains), middle(likes), middle(empties)
	p99 := latency(t, d, func(uint64) error { return put(used.Add(1)) })
	s := open(t, pg.Database(t)+" pool_max_conns=64")
	pgOwners := 10
	if figures {
		pgOwners = 200 // one owner's deliveries wait for each other
	}
	own := rate(t, d, putIn(s, many(t, s, pgOwners, 2)))
	t.Logf("log %.0f, rows in PostgreSQL %.0f and %.0f, SQLite %.0f, at first %.0f, our PostgreSQL %.0f a second; p99 %v", floor, plain, like, empty, cold, own, p99)
	if !figures {
		return
	}
	fmt.Printf("figure: relay.3.sqlite_of_log %.3f ratio %.0f against %.0f stores/s of an append-only log with group fsync, at least 0.15\n", empty/floor, empty, floor)
	fmt.Printf("figure: relay.3.sqlite_cold_of_log %.3f ratio %.0f stores/s when each inbox gets its first blob since the start\n", cold/floor, cold)
	fmt.Printf("figure: relay.3.sqlite_of_postgres_rows %.2f ratio %.0f against %.0f stores/s of rows with the same columns and indexes in PostgreSQL, one a commit, 64 connections; at least 5\n", empty/like, empty, like)
	fmt.Printf("figure: relay.3.sqlite_of_postgres_plain %.2f ratio %.0f against %.0f stores/s of rows of a number and a body in PostgreSQL, one a commit, 64 connections\n", empty/plain, empty, plain)
	fmt.Printf("figure: relay.3.sqlite_of_postgres_store %.2f ratio %.0f against %.0f stores/s of relay/postgres, all checks and the notification included, one a commit\n", empty/own, empty, own)
	fmt.Printf("figure: relay.3.p99 %.1f ms of a store at 1000 stores/s, at most 50\n", p99.Seconds()*1e3)
	if os.Getenv("SREMP_FULL") == "" {
		return
	}
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for n := used.Add(1); n < 1_000_000; n = used.Add(1) {
				if err := put(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	full := rate(t, d, func(uint64) error { return put(used.Add(1)) })
	fmt.Printf("figure: relay.3.sqlite_full_of_empty %.2f ratio %.0f stores/s with %d messages in %d inboxes against %.0f; at least 0.4\n", full/empty, full, used.Load(), len(boxes), empty)
	p99 = latency(t, d, func(uint64) error { return put(used.Add(1)) })
	fmt.Printf("figure: relay.3.p99_full %.1f ms of a store at 1000 stores/s beside so many messages, at most 50\n", p99.Seconds()*1e3)
}

// middle returns the median.
func middle(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
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
