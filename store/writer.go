package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Tuning of a Writer.
const (
	// maxBatch bounds one commit: a sync costs about as much as a hundred inserts,
	// and more would only make the first wait for the last.
	maxBatch = 256
	// checkpointWrites is after how many statements that write the log is copied
	// into the database, and checkpointTime after what time if there are fewer.
	checkpointWrites = 8192
	checkpointTime   = time.Second
	// maxLogPages is how long the log may become (128 MiB) before writers wait for
	// a checkpoint that lets it begin anew.
	maxLogPages = 32768
)

// writerPragmas are tuning of the one connection that writes: the pages of many
// indexes stay in memory; commits do not sync and do not checkpoint, because the
// Writer does.
var writerPragmas = []string{"PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 0", "PRAGMA synchronous = NORMAL"}

// ErrClosed: the Writer was closed.
var ErrClosed = errors.New("store: the database is closed")

// A WriterConfig configures a [Writer].
type WriterConfig struct {
	// Refusal reports whether an error of a change is an answer and no failure. A
	// change returns one before it has written anything. nil: none is.
	Refusal func(error) bool
	// Forget is called, between changes, when what they may have kept of the
	// database in memory is no longer true: a transaction was rolled back, or
	// another connection has written. nil: they keep nothing.
	Forget func()
	// SyncLog syncs the log of a database of [OpenSharedOn]. nil: the log is the file
	// beside the database.
	SyncLog func() error
}

// A Writer owns the one connection of a database, opened by [Open], that writes,
// and commits in groups: changes that come while a commit is under way share the
// next one, and one sync of the disk.
//
// A commit is written to the log and then, while the next one is worked on, the
// log is synced; only then are its changes answered. So what was answered is as
// durable as with synchronous=FULL. Other connections may read what is not yet
// durable. A Writer whose disk fails to sync takes nothing any more.
type Writer struct {
	c       WriterConfig
	conn    *sql.Conn
	side    *sql.Conn            // of the checkpoints that nobody waits for
	log     *os.File             // the write-ahead log; owned by sync's goroutine
	stmts   map[string]*sql.Stmt // owned by loop, as are the next four
	version int64                // of the data, as the connection last saw it
	wrote   int                  // statements
	copied  int                  // of them, before the last checkpoint was asked for
	asked   time.Time            // when that was
	path    string

	changes    chan change
	committed  chan group
	checkpoint chan struct{}
	stop       chan struct{}
	stopped    chan struct{} // everything has been answered
	wg         sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// A change is one caller's work inside a group commit. do may run twice.
type change struct {
	do   func(*Tx) error
	done chan error // gets the outcome; has room for it
	// alone is called between transactions instead of do, if set.
	alone func(context.Context, *sql.Conn) error
}

// A group is answers that wait for the log to be synced.
type group struct {
	all   []outcome
	wrote bool // false: what the answers are based on was synced with others
}

type outcome struct {
	done chan error
	err  error
}

// NewWriter returns a writer. It is closed before the database.
func NewWriter(ctx context.Context, db *sql.DB, c WriterConfig) (_ *Writer, err error) {
	if c.Refusal == nil {
		c.Refusal = func(error) bool { return false }
	}
	if c.Forget == nil {
		c.Forget = func() {}
	}
	w := &Writer{
		c: c, stmts: map[string]*sql.Stmt{}, changes: make(chan change, maxBatch), committed: make(chan group),
		checkpoint: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("store: %w", err), w.release())
		}
	}()
	for _, conn := range []**sql.Conn{&w.conn, &w.side} {
		if *conn, err = db.Conn(ctx); err != nil {
			return nil, err
		}
		for _, p := range writerPragmas {
			if _, err := (*conn).ExecContext(ctx, p); err != nil {
				return nil, err
			}
		}
	}
	if err := w.conn.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&w.path); err != nil {
		return nil, err
	}
	w.wg.Go(w.loop)
	w.wg.Go(w.sync)
	w.wg.Go(w.checkpoints)
	return w, nil
}

// Write runs do in a transaction and returns when that is durable, or why it is
// not. do may run more than once. If ctx ends first the outcome is unknown.
func (w *Writer) Write(ctx context.Context, do func(*Tx) error) error {
	return w.run(ctx, change{do: do, done: make(chan error, 1)})
}

// Alone calls do between transactions, with the connection that writes.
func (w *Writer) Alone(ctx context.Context, do func(context.Context, *sql.Conn) error) error {
	return w.run(ctx, change{alone: do, done: make(chan error, 1)})
}

func (w *Writer) run(ctx context.Context, c change) error {
	select {
	case w.changes <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return ErrClosed
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
			return ErrClosed
		}
	}
}

// loop gathers changes and commits them.
func (w *Writer) loop() {
	defer close(w.committed)
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
				c.done <- c.alone(context.Background(), w.conn)
			}
			return c.alone != nil
		})
		if len(batch) > 0 {
			// It blocks while the last commit but one is synced: changes gather.
			before := w.wrote
			all := w.commit(batch)
			w.committed <- group{all, w.wrote > before}
		}
		clear(batch) // their blobs are in the closures
	}
}

// sync makes commits durable and answers their changes.
func (w *Writer) sync() {
	defer close(w.stopped)
	var broken error // what was not synced once may never be: no later sync counts
	for g := range w.committed {
		if broken == nil && g.wrote {
			broken = w.syncLog()
		}
		for _, o := range g.all {
			if o.err == nil {
				o.err = broken
			}
			o.done <- o.err
		}
	}
}

// syncLog syncs the log. SQLite locks the database and never the log: to open it
// beside SQLite is safe.
func (w *Writer) syncLog() (err error) {
	if w.c.SyncLog != nil {
		if err := w.c.SyncLog(); err != nil {
			return fmt.Errorf("store: syncing the log: %w", err)
		}
		return nil
	}
	if w.log == nil {
		if w.log, err = os.OpenFile(w.path+"-wal", os.O_RDWR, 0); err != nil {
			return fmt.Errorf("store: opening the log: %w", err)
		}
	}
	if err := syncData(w.log); err != nil {
		return fmt.Errorf("store: syncing the log: %w", err)
	}
	return nil
}

// commit runs a batch in one transaction. A change that fails for a reason of
// its own must not take others with it: then each gets its own transaction.
func (w *Writer) commit(batch []change) []outcome {
	all := make([]outcome, len(batch))
	err := w.transaction(batch, all)
	if err != nil && len(batch) > 1 {
		for i, c := range batch {
			all[i] = w.commit([]change{c})[0]
		}
		return all
	}
	for i, c := range batch {
		all[i].done = c.done
		if err != nil {
			all[i].err = err
		}
	}
	if n := w.wrote - w.copied; n >= checkpointWrites || n > 0 && time.Since(w.asked) >= checkpointTime {
		w.copied, w.asked = w.wrote, time.Now()
		select {
		case w.checkpoint <- struct{}{}:
		default: // one is under way, and another has been asked for
		}
	}
	return all
}

// transaction commits what all changes did. Refusals are answers; any other
// error rolls everything back and is returned.
func (w *Writer) transaction(batch []change, all []outcome) (err error) {
	ctx := context.Background() // one caller's end is not the others'
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// SQLite may have rolled back by itself; then this fails, harmlessly.
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
			w.c.Forget()
		}
	}()
	t := &Tx{w: w, ctx: ctx}
	var version int64
	if _, err := t.Get("PRAGMA data_version", nil, &version); err != nil {
		return err
	}
	if version != w.version {
		w.c.Forget()
		w.version = version
	}
	for i, c := range batch {
		t.wrote = false
		all[i].err = c.do(t)
		if err := all[i].err; err != nil && (t.wrote || !w.c.Refusal(err)) {
			return err
		}
	}
	_, err = w.conn.ExecContext(ctx, "COMMIT")
	return err
}

// checkpoints copies the log into the database, beside the writer, so that
// nobody waits for it. Only if changes come so fast that the log never ends do
// they wait for the rest of one.
func (w *Writer) checkpoints() {
	for {
		select {
		case <-w.checkpoint:
		case <-w.stop:
			return
		}
		if copyLog(w.side) < maxLogPages {
			continue
		}
		copyLog(w.side) // what was written during the first
		_ = w.Alone(context.Background(), func(_ context.Context, c *sql.Conn) error {
			copyLog(c)
			return nil
		})
	}
}

// copyLog checkpoints as far as readers let it and returns the pages in the log.
// An error is no harm: the log keeps what was not copied, and the next checkpoint
// tries again.
func copyLog(c *sql.Conn) (pages int) {
	var busy, copied int
	if c.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied) != nil {
		return 0
	}
	return pages
}

// Close waits for the commit under way. Changes that come later get ErrClosed.
func (w *Writer) Close() error {
	w.closing.Do(func() {
		close(w.stop)
		w.wg.Wait()
		w.closeErr = w.release()
	})
	return w.closeErr
}

func (w *Writer) release() error {
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	if w.log != nil {
		errs = append(errs, w.log.Close())
	}
	for _, c := range []*sql.Conn{w.side, w.conn} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// A Tx is what a change works with: prepared statements on the one connection.
type Tx struct {
	w     *Writer
	ctx   context.Context
	wrote bool
}

func (t *Tx) stmt(query string) (*sql.Stmt, error) {
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

// Exec runs a statement that writes, and returns how many rows it changed. The
// statement is kept: queries are constants.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	t.w.wrote++
	r, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		t.wrote = true
		return 0, err
	}
	n, err := r.RowsAffected()
	t.wrote = t.wrote || n > 0 || err != nil
	return n, err
}

// Get scans the one row of a query; found is false if there is none.
func (t *Tx) Get(query string, args []any, into ...any) (found bool, err error) {
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
