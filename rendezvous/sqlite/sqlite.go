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
	readers chan *reader // those that are idle
	all     []*reader
	writer  *store.Writer
	index   index
}

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
	s := &Store{db: db, readers: make(chan *reader, runtime.GOMAXPROCS(0))}
	if err := s.start(ctx); err != nil {
		_ = s.closeReaders()
		db.Close()
		return nil, wrap("opening the store", err)
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) (err error) {
	for range cap(s.readers) {
		r, err := newReader(ctx, s.db)
		if err != nil {
			return err
		}
		s.all = append(s.all, r)
		s.readers <- r
	}
	if err := s.index.load(ctx, s.db); err != nil {
		return err
	}
	s.writer, err = store.NewWriter(ctx, s.db, store.WriterConfig{Refusal: full})
	return err
}

func (s *Store) closeReaders() error {
	var errs []error
	for _, r := range s.all {
		errs = append(errs, r.close())
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
	if err == nil {
		err = s.changed(r.Blinded)
	}
	return wrap("storing a record", err)
}

// Count implements [rendezvous.Store].
func (s *Store) Count(ctx context.Context) (records, listed int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT (SELECT n FROM total), (SELECT n FROM listed_total)").Scan(&records, &listed)
	return records, listed, wrap("counting records", err)
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

// Get implements [rendezvous.Store]. The index knows what there is, so that only
// what is found costs a reading.
func (s *Store) Get(ctx context.Context, blinded [32]byte, now time.Time) (r rendezvous.StoredRecord, ok bool, err error) {
	at, ok := s.index.find(blinded)
	if !ok || at.expires <= now.Unix() {
		return rendezvous.StoredRecord{}, false, nil
	}
	err = s.read(ctx, func(from *reader) error {
		var expires int64
		r.Sealed, expires, ok, err = from.get(at.row, blinded)
		r.Expires = time.Unix(expires, 0)
		return err
	})
	if err != nil || !ok || !now.Before(r.Expires) { // gone in between
		return rendezvous.StoredRecord{}, false, wrap("reading a record", err)
	}
	r.Blinded = blinded
	return r, true, nil
}

// read lends f a reader.
func (s *Store) read(ctx context.Context, f func(*reader) error) error {
	select {
	case r := <-s.readers:
		defer func() { s.readers <- r }()
		return f(r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// changed brings the index up to date with what is stored under names now. Each
// change is followed by one, so the last one has the last word.
func (s *Store) changed(names ...[32]byte) error {
	return s.read(context.Background(), func(r *reader) error {
		for _, name := range names {
			if err := s.index.update(name, r.locate); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete implements [rendezvous.Store].
func (s *Store) Delete(ctx context.Context, blinded [32]byte) error {
	err := s.exec(ctx, "DELETE FROM records WHERE blinded = ?", blinded[:])
	if err == nil {
		err = s.changed(blinded)
	}
	return wrap("deleting a record", err)
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
	if err == nil {
		names := make([][32]byte, len(records))
		for i, r := range records {
			names[i] = r.Name
		}
		err = s.changed(names...)
	}
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
	s.index.expire(now)
	return n, nil
}

func wrap(what string, err error) error {
	if err == nil || errors.Is(err, rendezvous.ErrFull) {
		return err
	}
	return fmt.Errorf("rendezvous: %s: %w", what, err)
}
