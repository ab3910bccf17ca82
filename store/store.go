// Package store opens SQLite databases (docs/spec/80-client.md and
// docs/spec/60-relay.md, section 6.8). It is the one package that imports the
// cgo driver; client/sqlite, relay/sqlite and rendezvous/sqlite hold the SQL.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// Errors of Open and Check; they are matched with errors.Is.
var (
	// ErrNewerSchema: a newer version of the program wrote the database.
	ErrNewerSchema = errors.New("store: the database is from a newer version of the program; install that version")
	// ErrDamaged: the file is no database, or fails SQLite's own checks.
	ErrDamaged = errors.New("store: the database is damaged; restore it from a backup")
)

// Open opens, or creates with mode 0600, the database at path and applies the
// migrations that it lacks. Files in migrations are named NNNN-what.sql, 0001
// first, and never change once released.
//
// Every connection of the pool has foreign keys on, a write-ahead log that is
// synced at each commit, a busy timeout of 5 s, transactions that take the
// write lock when they begin, and overwrites what it deletes.
func Open(ctx context.Context, path string, migrations fs.FS) (*sql.DB, error) {
	path, err := filepath.Abs(path) // a relative path would be the URL's host
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	// SQLite would create it readable to all; its log takes the file's mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: opening the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("store: opening the database: %w", err)
	}
	// Pragmas go into the DSN: database/sql opens connections as it likes, and
	// "PRAGMA foreign_keys" holds for the one connection that executed it.
	pragmas := pragmas()
	pragmas.Set("_journal_mode", "WAL")
	return openDB(ctx, path, pragmas, migrations)
}

// OpenOn is Open on a disk that SQLite knows under the name vfs and that has no
// shared memory: of a test that has the disk fail. The one connection of the pool
// locks the database for itself and keeps the index of its log to itself.
func OpenOn(ctx context.Context, vfs, path string, migrations fs.FS) (*sql.DB, error) {
	pragmas := pragmas()
	pragmas.Set("vfs", vfs)
	pragmas.Set("_locking_mode", "EXCLUSIVE") // before the log is asked for, below
	return openDB(ctx, path, pragmas, migrations)
}

// OpenSharedOn is OpenOn for a [Writer] and readers beside it: the connections of
// the pool share one cache, and the index of the log with it. So readers see what
// is not yet committed, and no connection syncs a commit, for the pragma is that of
// the cache: the Writer does, as everywhere.
func OpenSharedOn(ctx context.Context, vfs, path string, migrations fs.FS) (*sql.DB, error) {
	pragmas := pragmas()
	pragmas.Set("vfs", vfs)
	pragmas.Set("_locking_mode", "EXCLUSIVE")
	pragmas.Set("cache", "shared")
	pragmas.Set("_synchronous", "NORMAL")
	return openDB(ctx, path, pragmas, migrations)
}

func pragmas() url.Values {
	return url.Values{
		"_foreign_keys":  {"on"},
		"_synchronous":   {"FULL"}, // what was acknowledged survives power loss
		"_busy_timeout":  {"5000"},
		"_txlock":        {"immediate"}, // writers queue instead of failing to upgrade
		"_secure_delete": {"on"},        // deleted ratchet keys are overwritten
	}
}

func openDB(ctx context.Context, path string, pragmas url.Values, migrations fs.FS) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: pragmas.Encode()}
	driver := "sqlite3"
	if pragmas.Has("cache") {
		driver = sharing()
	}
	db, err := sql.Open(driver, dsn.String())
	if err != nil {
		return nil, fmt.Errorf("store: opening %s: %w", path, err)
	}
	if pragmas.Has("vfs") {
		if driver == "sqlite3" {
			db.SetMaxOpenConns(1)
		}
		var mode string
		err = db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		if err == nil && mode != "wal" {
			err = fmt.Errorf("its journal is in mode %s", mode)
		}
	}
	if err == nil {
		err = migrate(ctx, db, migrations)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("store: opening %s: %w", path, damaged(err))
	}
	return db, nil
}

// sharing registers, once, and names the driver whose connections take no locks on
// the tables of a cache that they share: the writer would not wait for them, but
// fail.
var sharing = sync.OnceValue(func() string {
	const name = "sqlite3 sharing a cache"
	sql.Register(name, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("PRAGMA read_uncommitted = 1", nil)
		return err
	}})
	return name
})

// Check runs SQLite's quick check over the whole file: [ErrDamaged] if it finds
// anything. It reads every page, so large databases take seconds.
func Check(ctx context.Context, db *sql.DB) error {
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("store: checking: %w", damaged(err))
	}
	if result != "ok" {
		return fmt.Errorf("%w (%s)", ErrDamaged, result)
	}
	return nil
}

// damaged adds ErrDamaged to the driver's errors that mean it.
func damaged(err error) error {
	if e, ok := errors.AsType[sqlite3.Error](err); ok && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// IsDamaged reports whether err means that the file is damaged.
func IsDamaged(err error) bool { return errors.Is(damaged(err), ErrDamaged) }

// IsFull reports whether err means that the disk, or the database's own page
// limit, is full. The transaction was rolled back.
func IsFull(err error) bool {
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		return e.Code == sqlite3.ErrFull || e.SystemErrno == syscall.ENOSPC
	}
	return errors.Is(err, syscall.ENOSPC)
}

// IsReadOnly reports whether err means that the file, or the file system, takes
// no writes from us.
func IsReadOnly(err error) bool {
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		return e.Code == sqlite3.ErrReadonly || e.SystemErrno == syscall.EROFS || e.SystemErrno == syscall.EACCES
	}
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}

func migrate(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	names, err := fs.Glob(migrations, "*.sql") // sorted
	if err != nil {
		return err
	}
	return InTx(ctx, db, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return err
		}
		if have > len(names) {
			return ErrNewerSchema
		}
		for i, name := range names {
			prefix, _, _ := strings.Cut(name, "-")
			if n, err := strconv.Atoi(prefix); err != nil || n != i+1 {
				return fmt.Errorf("migration %s is not number %d", name, i+1)
			}
			if i < have {
				continue
			}
			script, err := fs.ReadFile(migrations, name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(script)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if have == len(names) {
			return nil
		}
		_, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(len(names)))
		return err
	})
}

// InTx runs f in a transaction that holds the write lock from its beginning:
// committed if f returns nil, rolled back if it returns an error or panics.
func InTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // no-op after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
