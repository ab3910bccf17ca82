package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

var errRefused = errors.New("refused")

func openWriter(t *testing.T, c WriterConfig) (*sql.DB, *Writer) {
	t.Helper()
	db := open(t, filepath.Join(t.TempDir(), "x.db"), v1)
	c.Refusal = func(err error) bool { return err == errRefused }
	w, err := NewWriter(t.Context(), db, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return db, w
}

func insert(name string) func(*Tx) error {
	return func(t *Tx) error {
		_, err := t.Exec("INSERT INTO boxes (id) VALUES (?)", []byte(name))
		return err
	}
}

func names(t *testing.T, db *sql.DB) (all []string) {
	t.Helper()
	rows, err := db.Query("SELECT id FROM boxes ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name []byte
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(name))
	}
	return all
}

// together makes changes share one commit: they gather behind one that waits.
func together(t *testing.T, w *Writer, all ...func(*Tx) error) (errs []error) {
	t.Helper()
	hold, held := make(chan struct{}), make(chan struct{})
	go w.Write(t.Context(), func(*Tx) error { close(held); <-hold; return nil })
	<-held
	var batch []change
	for _, do := range all {
		batch = append(batch, change{do: do, done: make(chan error, 1)})
		w.changes <- batch[len(batch)-1]
	}
	close(hold)
	for _, c := range batch {
		errs = append(errs, <-c.done)
	}
	return errs
}

// A change that fails by itself must not take those of its commit with it.
func TestWriterIsolatesFailures(t *testing.T) {
	forgot := 0
	db, w := openWriter(t, WriterConfig{Forget: func() { forgot++ }})
	boom := errors.New("boom")
	then := func(do func(*Tx) error, err error) func(*Tx) error {
		return func(t *Tx) error { do(t); return err }
	}
	got := together(t, w, insert("1"), then(insert("2"), boom),
		then(insert("3"), errRefused), // after a write: rolled back too
		func(*Tx) error { return errRefused }, insert("4"), insert("4"))
	for i, want := range []error{nil, boom, errRefused, errRefused, nil} {
		if !errors.Is(got[i], want) {
			t.Errorf("change %d: %v, want %v", i, got[i], want)
		}
	}
	if got[5] == nil {
		t.Error("the second of one name was taken")
	}
	if got := names(t, db); !slices.Equal(got, []string{"1", "4"}) {
		t.Errorf("rows %q; want 1 and 4", got)
	}
	if forgot < 4 { // the commit of all, and three alone
		t.Errorf("Forget was called %d times", forgot)
	}
}

// What changes keep in memory is forgotten when another connection has written,
// and only then.
func TestWriterSeesOthers(t *testing.T) {
	forgot := 0
	db, w := openWriter(t, WriterConfig{Forget: func() { forgot++ }})
	write := func(name string) {
		t.Helper()
		if err := w.Write(t.Context(), insert(name)); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	before := forgot
	write("b")
	if forgot != before {
		t.Error("forgotten although nobody else has written")
	}
	if _, err := db.Exec("INSERT INTO boxes (id) VALUES (x'00')"); err != nil {
		t.Fatal(err)
	}
	write("c")
	if forgot != before+1 {
		t.Errorf("forgotten %d times after another had written; want once", forgot-before)
	}
}

// A disk that fails to sync once is not believed again: the pages may be lost
// although a later sync succeeds.
func TestWriterDistrustsADiskThatFails(t *testing.T) {
	_, w := openWriter(t, WriterConfig{})
	if err := w.Write(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	good := w.log
	closed, err := os.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	w.log = closed // sync's goroutine waits for a commit
	if err := w.Write(t.Context(), insert("b")); err == nil {
		t.Error("acknowledged without a sync")
	}
	w.log = good
	if err := w.Write(t.Context(), insert("c")); err == nil {
		t.Error("acknowledged after a sync had failed")
	}
}

// Changes go on while the log is copied into the database, which keeps it from
// growing for ever.
func TestWriterCheckpoints(t *testing.T) {
	db, w := openWriter(t, WriterConfig{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range checkpointWrites / 2 {
				if err := w.Write(t.Context(), insert(string([]byte{byte(n), byte(i >> 8), byte(i)}))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Alone(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		var busy, pages, copied int
		err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied)
		if pages != copied {
			t.Errorf("%d of %d pages copied", copied, pages)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(w.path); err != nil || fi.Size() < 100<<10 {
		t.Errorf("nothing was copied: %v, %v", fi.Size(), err)
	}
	if n := len(names(t, db)); n != 2*checkpointWrites {
		t.Errorf("%d rows", n)
	}
}

func TestWriterClosed(t *testing.T) {
	_, w := openWriter(t, WriterConfig{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if err := w.Write(t.Context(), insert("a")); err != ErrClosed {
		t.Errorf("err = %v, want ErrClosed", err)
	}
}
