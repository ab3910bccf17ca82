// Package postgres keeps a relay's state in PostgreSQL (docs/spec/60-relay.md,
// section 6.8), for those who outgrow one machine: any number of relay processes
// share one database, and a blob stored by one is pushed to an owner who is
// connected to another.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sremp/sremp/relay"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Errors of Open and of every method; they are matched with errors.Is.
var (
	// ErrUnavailable: no server that takes writes could be reached for as long as
	// a call is tried again. Whether it took effect may be unknown; to repeat it
	// is harmless.
	ErrUnavailable = errors.New("relay/postgres: the database cannot be reached or takes no writes; try again later")
	// ErrNewerSchema: a newer version of the program wrote the database.
	ErrNewerSchema = errors.New("relay/postgres: the database is from a newer version of the program; install that version")
)

// retryFor is how long a call is tried again while the database is not there: a
// restart takes a second or two, a fail-over some more.
const retryFor = 5 * time.Second

// migrationLock is the advisory lock that keeps two processes from migrating at
// once: any number that others do not use.
const migrationLock = 0x73726d70

// A Store is a [relay.Store] and a [relay.Notifier].
type Store struct{ pool *pgxpool.Pool }

var (
	_ relay.Store    = (*Store)(nil)
	_ relay.Notifier = (*Store)(nil)
)

// Open connects to the database that the connection string names, in libpq's
// form, and applies the migrations that it lacks. Name all servers of a cluster
// and target_session_attrs=read-write in it, and the store follows the primary.
// ErrUnavailable, ErrNewerSchema.
func Open(ctx context.Context, dsn string) (*Store, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// Its text may hold the password.
		return nil, errors.New("relay/postgres: the connection string cannot be read")
	}
	// Acknowledged means durable, whatever the server's default.
	c.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	c.ConnConfig.RuntimeParams["application_name"] = "sremp-relay"
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("relay/postgres: %w", err)
	}
	s := &Store{pool}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close ends all connections when they are done.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrationLock); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)"); err != nil {
			return err
		}
		var have int
		if _, err := t.get("SELECT coalesce(max(version), 0) FROM schema_version", nil, &have); err != nil {
			return err
		}
		if have > len(names) {
			return ErrNewerSchema
		}
		for i, name := range names {
			if n, err := strconv.Atoi(strings.TrimPrefix(name, "migrations/")[:4]); err != nil || n != i+1 {
				return fmt.Errorf("migration %s is not number %d", name, i+1)
			}
			if i < have {
				continue
			}
			script, err := fs.ReadFile(migrations, name)
			if err != nil {
				return err
			}
			if _, err := t.Exec(ctx, string(script)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := t.Exec(ctx, "INSERT INTO schema_version (version) VALUES ($1)", i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// A tx is one transaction.
type tx struct {
	pgx.Tx
	ctx context.Context
}

// get scans the one row of a query; found is false if there is none.
func (t *tx) get(query string, args []any, into ...any) (found bool, err error) {
	err = t.QueryRow(t.ctx, query, args...).Scan(into...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	tag, err := t.Exec(t.ctx, query, args...)
	return tag.RowsAffected(), err
}

// tx runs do in a transaction and returns when it is durable. What another
// transaction, a restart or a fail-over undoes is tried again: do may run more
// than once, also after a commit whose answer was lost.
func (s *Store) tx(ctx context.Context, do func(*tx) error) error {
	return s.retry(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(t pgx.Tx) error { return do(&tx{t, ctx}) })
	})
}

// retry gives each attempt retryFor: a primary that has lost its synchronous
// standby answers no commit at all.
func (s *Store) retry(ctx context.Context, do func(context.Context) error) error {
	end := time.Now().Add(retryFor)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		err := attempt(ctx, do)
		if err == nil || relay.Refusal(err) || err == ErrNewerSchema {
			return err
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isFull(err):
			return fmt.Errorf("%w: %w", relay.ErrFull, err)
		case !transient(err):
			return fmt.Errorf("relay/postgres: %w", err)
		case time.Now().After(end):
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func attempt(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, retryFor)
	defer cancel()
	return do(ctx)
}

// transient reports whether the same call may do better later: conflicts with
// others, a server that is ending, starting, or no primary (any more), and
// connections that broke.
func transient(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return true // of the connection
	}
	switch pg.Code {
	case "40001", "40P01", // serialization failure, deadlock
		"25006",                            // read-only transaction: a standby
		"57P01", "57P02", "57P03", "53300", // shutting down, crashed, starting, too many connections
		"23505": // a row that another inserted at the same moment
		return true
	}
	return strings.HasPrefix(pg.Code, "08")
}

func isFull(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "53100"
}

func ms(t time.Time) int64     { return t.UnixMilli() }
func fromMS(v int64) time.Time { return time.UnixMilli(v) }
