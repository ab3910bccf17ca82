package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/store"
)

// maxBatch bounds one group commit: a sync costs as much as about a hundred
// inserts, and more would make the first wait for the last.
const maxBatch = 256

var errClosed = errors.New("rendezvous: the store is closed")

// A change is one caller's work inside a group commit; it may run twice.
type change struct {
	do   func(context.Context, *sql.Tx) error
	done chan error // gets the outcome after the commit; has room for it
}

// A writer is the one goroutine that writes. Changes that come while a commit is
// under way share the next one, and one sync of the disk.
type writer struct {
	db      *sql.DB
	changes chan change
	stop    chan struct{}
	close   func()
	wg      sync.WaitGroup
}

func newWriter(db *sql.DB) *writer {
	w := &writer{db: db, changes: make(chan change, maxBatch), stop: make(chan struct{})}
	w.close = sync.OnceFunc(func() { close(w.stop) })
	w.wg.Go(w.loop)
	return w
}

// write runs do in a transaction, and returns when that is durable. If ctx ends
// first the outcome is unknown.
func (w *writer) write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	c := change{do, make(chan error, 1)}
	select {
	case w.changes <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return errClosed
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return errClosed
	}
}

func (w *writer) loop() {
	var batch []change
	for {
		select {
		case c := <-w.changes:
			batch = append(batch[:0], c)
		case <-w.stop:
			return
		}
	more:
		for len(batch) < maxBatch {
			select {
			case c := <-w.changes:
				batch = append(batch, c)
			default:
				break more
			}
		}
		w.commit(batch)
		clear(batch) // their records are in the closures
	}
}

// commit runs a batch in one transaction. A change that fails must not take
// others with it: then each gets a transaction of its own. ErrFull is an answer,
// given before anything was written.
func (w *writer) commit(batch []change) {
	ctx := context.Background() // one caller's end is not the others'
	answers := make([]error, len(batch))
	err := store.InTx(ctx, w.db, func(tx *sql.Tx) error {
		for i, c := range batch {
			answers[i] = c.do(ctx, tx)
			if answers[i] != nil && !errors.Is(answers[i], rendezvous.ErrFull) {
				return answers[i]
			}
		}
		return nil
	})
	if err != nil && len(batch) > 1 {
		for _, c := range batch {
			w.commit([]change{c})
		}
		return
	}
	for i, c := range batch {
		if err != nil {
			answers[i] = err
		}
		c.done <- answers[i]
	}
}
