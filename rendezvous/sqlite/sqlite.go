// Package sqlite keeps a rendezvous's records in SQLite (spec §7.8). One
// goroutine writes, and commits what came meanwhile together.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"time"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/store"
)

//go:embed migrations/*.sql
var files embed.FS

// A Store is a [rendezvous.Store] in one SQLite file.
type Store struct {
	db      *sql.DB
	readers chan reader // those that are idle
	all     []reader
	writer  *store.Writer
}

// A reader is a connection that looks records up. It maps the file: a cache of
// its own would be empty after each commit of the writer.
type reader struct {
	conn *sql.Conn
	get  *sql.Stmt
}

// mapped is how much of the file a reader maps: SQLite's own limit.
const mapped = 0x7fff0000

// Open opens, or creates, the store at path. It must be closed.
func Open(ctx context.Context, path string) (*Store, error) {
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, path, migrations)
	if err != nil {
		return nil, fmt.Errorf("rendezvous: %w", err)
	}
	n := runtime.GOMAXPROCS(0)
	s := &Store{db: db, readers: make(chan reader, n)}
	for range n {
		if err := s.addReader(ctx); err != nil {
			_ = s.closeReaders()
			db.Close()
			return nil, wrap("opening the store", err)
		}
	}
	if s.writer, err = store.NewWriter(ctx, db, store.WriterConfig{Refusal: full}); err != nil {
		_ = s.closeReaders()
		db.Close()
		return nil, wrap("opening the store", err)
	}
	return s, nil
}

func (s *Store) addReader(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA mmap_size = %d", mapped)); err != nil {
		conn.Close()
		return err
	}
	get, err := conn.PrepareContext(ctx, "SELECT sealed, expires FROM records WHERE blinded = ? AND expires > ?")
	if err != nil {
		conn.Close()
		return err
	}
	r := reader{conn, get}
	s.all = append(s.all, r)
	s.readers <- r
	return nil
}

func (s *Store) closeReaders() error {
	var errs []error
	for _, r := range s.all {
		errs = append(errs, r.get.Close(), r.conn.Close())
	}
	return errors.Join(errs...)
}

// Close waits for the commit under way and closes the file.
func (s *Store) Close() error {
	return errors.Join(s.writer.Close(), s.closeReaders(), s.db.Close())
}

// full is the one answer of a change that is no failure.
func full(err error) bool { return errors.Is(err, rendezvous.ErrFull) }

// Put implements [rendezvous.Store].
func (s *Store) Put(ctx context.Context, r rendezvous.StoredRecord, limit int) error {
	err := s.writer.Write(ctx, func(tx *store.Tx) error {
		return upsert(tx,
			"UPDATE records SET sealed = ?, expires = ? WHERE blinded = ?",
			"INSERT INTO records (sealed, expires, blinded) SELECT ?, ?, ? FROM total WHERE n < ?",
			limit, r.Sealed, r.Expires.Unix(), r.Blinded[:])
	})
	return wrap("storing a record", err)
}

// upsert updates, or inserts if there is room: no conflict clause, which would
// fire the counting triggers for a row that stays.
func upsert(tx *store.Tx, update, insert string, limit int, args ...any) error {
	if n, err := tx.Exec(update, args...); n > 0 || err != nil {
		return err
	}
	if n, err := tx.Exec(insert, append(args, limit)...); n > 0 || err != nil {
		return err
	}
	return rendezvous.ErrFull
}

// Get implements [rendezvous.Store].
func (s *Store) Get(ctx context.Context, blinded [32]byte, now time.Time) (r rendezvous.StoredRecord, ok bool, err error) {
	r.Blinded = blinded
	var from reader
	select {
	case from = <-s.readers:
	case <-ctx.Done():
		return rendezvous.StoredRecord{}, false, ctx.Err()
	}
	var expires int64
	// Not ctx: the driver would start a goroutine to watch it, for microseconds.
	err = from.get.QueryRow(blinded[:], now.Unix()).Scan(&r.Sealed, &expires)
	s.readers <- from
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return rendezvous.StoredRecord{}, false, nil
	case err != nil:
		return rendezvous.StoredRecord{}, false, wrap("reading a record", err)
	}
	r.Expires = time.Unix(expires, 0)
	return r, true, nil
}

// Delete implements [rendezvous.Store].
func (s *Store) Delete(ctx context.Context, blinded [32]byte) error {
	return wrap("deleting a record", s.exec(ctx, "DELETE FROM records WHERE blinded = ?", blinded[:]))
}

// exec is one statement as a change.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.writer.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

// Renew implements [rendezvous.Store].
func (s *Store) Renew(ctx context.Context, records, listed []rendezvous.Renewal) error {
	err := s.writer.Write(ctx, func(tx *store.Tx) error {
		for _, r := range records {
			if _, err := tx.Exec("UPDATE records SET expires = ? WHERE blinded = ?", r.Expires.Unix(), r.Name[:]); err != nil {
				return err
			}
		}
		for _, r := range listed {
			if _, err := tx.Exec("UPDATE listed SET expires = ? WHERE identity = ?", r.Expires.Unix(), r.Name[:]); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("renewing records", err)
}

// Expire implements [rendezvous.Store].
func (s *Store) Expire(ctx context.Context, now time.Time) (n int, err error) {
	err = s.writer.Write(ctx, func(tx *store.Tx) error {
		n = 0
		for _, query := range []string{"DELETE FROM records WHERE expires <= ?", "DELETE FROM listed WHERE expires <= ?"} {
			removed, err := tx.Exec(query, now.Unix())
			if err != nil {
				return err
			}
			n += int(removed)
		}
		return nil
	})
	if err != nil {
		return 0, wrap("removing expired records", err)
	}
	return n, nil
}

func wrap(what string, err error) error {
	if err == nil || errors.Is(err, rendezvous.ErrFull) {
		return err
	}
	return fmt.Errorf("rendezvous: %s: %w", what, err)
}
