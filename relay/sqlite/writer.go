package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// maxBatch bounds one group commit: a sync costs about as much as a hundred
// inserts, and more would only make the first wait for the last.
const maxBatch = 256

// writerPragmas are tuning of the one connection that writes: the pages of many
// inboxes' indexes stay in memory, and one checkpoint, which syncs the database,
// serves more commits.
var writerPragmas = []string{"PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 16384"}

var errClosed = errors.New("relay/sqlite: the store is closed")

// A change is one caller's work inside a group commit. do may run twice.
type change struct {
	do   func(*tx) error
	done chan error // gets the outcome after the commit; has room for it
	// alone is called between transactions instead of do, if set.
	alone func(*sql.Conn) error
}

// A writer owns the one connection that writes. Changes that come while a
// commit is under way share the next one, and one sync of the disk.
type writer struct {
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt // owned by loop
	changes chan change
	stop    chan struct{}
	stopped chan struct{}

	closing  sync.Once
	closeErr error
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("relay/sqlite: %w", err)
	}
	for _, p := range writerPragmas {
		if _, err := conn.ExecContext(ctx, p); err != nil {
			conn.Close()
			return nil, fmt.Errorf("relay/sqlite: %w", err)
		}
	}
	w := &writer{
		conn: conn, stmts: map[string]*sql.Stmt{}, changes: make(chan change, maxBatch),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

// write runs do in a transaction and returns when it is durable, or why it is
// not. If ctx ends first, the outcome is unknown.
func (w *writer) write(ctx context.Context, do func(*tx) error) error {
	return w.run(ctx, change{do: do, done: make(chan error, 1)})
}

func (w *writer) run(ctx context.Context, c change) error {
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
	case <-w.stopped:
		select {
		case err := <-c.done:
			return err
		default:
			return errClosed
		}
	}
}

func (w *writer) loop() {
	defer close(w.stopped)
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
		batch = slices.DeleteFunc(batch, func(c change) bool {
			if c.alone != nil {
				c.done <- c.alone(w.conn)
			}
			return c.alone != nil
		})
		if len(batch) > 0 {
			w.commit(batch)
		}
		clear(batch) // their blobs are in the closures
	}
}

// commit runs a batch in one transaction. A change that fails for a reason of
// its own must not take others with it: then each gets its own transaction.
func (w *writer) commit(batch []change) {
	answers := make([]error, len(batch))
	err := w.transaction(batch, answers)
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

// transaction commits what all changes did. Refusals (spec §6.9) are answers
// and must come before the first write of their change; any other error rolls
// everything back and is returned.
func (w *writer) transaction(batch []change, answers []error) (err error) {
	ctx := context.Background() // one caller's end is not the others'
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return failure(err)
	}
	defer func() {
		if err != nil {
			// SQLite may have rolled back by itself; then this fails, harmlessly.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	for i, c := range batch {
		t := &tx{w: w, ctx: ctx}
		answers[i] = c.do(t)
		if answers[i] != nil && (t.wrote || !refusal(answers[i])) {
			return failure(answers[i])
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return failure(err)
	}
	return nil
}

func (w *writer) close() error {
	w.closing.Do(func() {
		close(w.stop)
		<-w.stopped
		for _, s := range w.stmts {
			s.Close()
		}
		w.closeErr = w.conn.Close()
	})
	return w.closeErr
}

// A tx is what a change works with: prepared statements on the one connection.
type tx struct {
	w     *writer
	ctx   context.Context
	wrote bool
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s := t.w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, err
	}
	t.w.stmts[query] = s
	return s, nil
}

// exec runs a statement that writes, and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	t.wrote = true
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// get scans the one row of a query; found is false if there is none.
func (t *tx) get(query string, args []any, into ...any) (found bool, err error) {
	s, err := t.stmt(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(t.ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
