// Package sqlite keeps a rendezvous's records in SQLite (spec §7.8).
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/store"
)

//go:embed migrations/*.sql
var files embed.FS

// A Store is a [rendezvous.Store] in one SQLite file.
type Store struct{ db *sql.DB }

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
	return &Store{db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Put implements [rendezvous.Store].
func (s *Store) Put(ctx context.Context, r rendezvous.StoredRecord, limit int) error {
	err := store.InTx(ctx, s.db, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE records SET sealed = ?, expires = ? WHERE blinded = ?", r.Sealed, r.Expires.Unix(), r.Blinded[:])
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); n > 0 || err != nil {
			return err
		}
		res, err = tx.ExecContext(ctx, "INSERT INTO records (blinded, sealed, expires) SELECT ?, ?, ? FROM total WHERE n < ?",
			r.Blinded[:], r.Sealed, r.Expires.Unix(), limit)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); n > 0 || err != nil {
			return err
		}
		return rendezvous.ErrFull
	})
	return wrap("storing a record", err)
}

// Get implements [rendezvous.Store].
func (s *Store) Get(ctx context.Context, blinded [32]byte, now time.Time) (r rendezvous.StoredRecord, ok bool, err error) {
	r.Blinded = blinded
	var expires int64
	err = s.db.QueryRowContext(ctx, "SELECT sealed, expires FROM records WHERE blinded = ? AND expires > ?", blinded[:], now.Unix()).Scan(&r.Sealed, &expires)
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
	_, err := s.db.ExecContext(ctx, "DELETE FROM records WHERE blinded = ?", blinded[:])
	return wrap("deleting a record", err)
}

// Expire implements [rendezvous.Store].
func (s *Store) Expire(ctx context.Context, now time.Time) (int, error) {
	res, err := s.db.ExecContext(ctx, "DELETE FROM records WHERE expires <= ?", now.Unix())
	if err != nil {
		return 0, wrap("removing expired records", err)
	}
	n, err := res.RowsAffected()
	return int(n), wrap("removing expired records", err)
}

func wrap(what string, err error) error {
	if err == nil || errors.Is(err, rendezvous.ErrFull) {
		return err
	}
	return fmt.Errorf("rendezvous: %s: %w", what, err)
}
