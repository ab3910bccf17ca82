// Package postgres keeps a rendezvous's records in PostgreSQL, for several
// processes that serve one phone book (spec §7.15): a [Store] is the
// [rendezvous.Store] and the [rendezvous.Cluster] of one process.
package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sremp/sremp/rendezvous"
)

//go:embed migrations/*.sql
var files embed.FS

// ErrNewerSchema: a newer version of the program uses the database.
var ErrNewerSchema = errors.New("rendezvous: the database is of a newer version of the program; install that version")

// migrationLock keeps two processes from migrating at once.
const migrationLock = 0x5372656d70

// A Store is one process's view of the database.
type Store struct {
	pool     *pgxpool.Pool
	log      *slog.Logger
	node     string
	messages chan []byte
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	// How many rows there are, nearly: other processes' are counted by Expire.
	records, listed atomic.Int64
}

// Open connects to the database that conn names (libpq's format or a URL), makes
// the tables that are missing, and joins the processes there. It must be closed.
func Open(ctx context.Context, conn string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pool, err := pgxpool.New(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("rendezvous: connecting to PostgreSQL: %w", err)
	}
	var id [8]byte
	rand.Read(id[:])
	s := &Store{pool: pool, log: log, node: hex.EncodeToString(id[:]), messages: make(chan []byte, messageQueue)}
	if err := s.start(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return wrap("making the tables", err)
	}
	if err := s.count(ctx); err != nil {
		return wrap("counting records", err)
	}
	if err := s.beat(ctx); err != nil {
		return wrap("joining the other processes", err)
	}
	conn, err := s.listen(ctx)
	if err != nil {
		return wrap("listening to the other processes", err)
	}
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() { s.receive(run, conn) })
	s.wg.Go(func() { s.beatAlways(run) })
	return nil
}

// Close leaves the other processes and closes the connections.
func (s *Store) Close() error {
	s.cancel()
	s.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), beatEvery)
	defer cancel()
	_, err := s.pool.Exec(ctx, "DELETE FROM nodes WHERE node = $1", s.node)
	s.pool.Close()
	return wrap("leaving the other processes", err)
}

func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrationLock); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS rendezvous_schema (version int NOT NULL)"); err != nil {
			return err
		}
		var have int
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM rendezvous_schema").Scan(&have); err != nil {
			return err
		}
		if have > len(names) {
			return ErrNewerSchema
		}
		for i, name := range names[have:] {
			script, err := files.ReadFile(name)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, string(script)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO rendezvous_schema VALUES ($1)", have+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// Count implements [rendezvous.Store].
func (s *Store) Count(ctx context.Context) (records, listed int, err error) {
	err = s.count(ctx)
	return int(s.records.Load()), int(s.listed.Load()), wrap("counting records", err)
}

func (s *Store) count(ctx context.Context) error {
	var records, listed int64
	err := s.pool.QueryRow(ctx, "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM listed)").Scan(&records, &listed)
	s.records.Store(records)
	s.listed.Store(listed)
	return err
}

// upsert runs update if there is no room for another row, else insert, which
// returns whether the row is new.
func (s *Store) upsert(ctx context.Context, n *atomic.Int64, limit int, update, insert string, args ...any) error {
	if n.Load() >= int64(limit) {
		tag, err := s.pool.Exec(ctx, update, args...)
		if err == nil && tag.RowsAffected() == 0 {
			return rendezvous.ErrFull
		}
		return err
	}
	var isNew bool
	if err := s.pool.QueryRow(ctx, insert, args...).Scan(&isNew); err != nil {
		return err
	}
	if isNew {
		n.Add(1)
	}
	return nil
}

// Put implements [rendezvous.Store]. With several processes the limit is kept
// nearly.
func (s *Store) Put(ctx context.Context, r rendezvous.StoredRecord, limit int) error {
	err := s.upsert(ctx, &s.records, limit,
		"UPDATE records SET sealed = $2, expires = $3 WHERE blinded = $1",
		`INSERT INTO records VALUES ($1, $2, $3)
			ON CONFLICT (blinded) DO UPDATE SET sealed = excluded.sealed, expires = excluded.expires RETURNING xmax = 0`,
		r.Blinded[:], r.Sealed, r.Expires.Unix())
	return wrap("storing a record", err)
}

// Get implements [rendezvous.Store].
func (s *Store) Get(ctx context.Context, blinded [32]byte, now time.Time) (r rendezvous.StoredRecord, ok bool, err error) {
	r.Blinded = blinded
	var expires int64
	err = s.pool.QueryRow(ctx, "SELECT sealed, expires FROM records WHERE blinded = $1 AND expires > $2", blinded[:], now.Unix()).Scan(&r.Sealed, &expires)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return rendezvous.StoredRecord{}, false, nil
	case err != nil:
		return rendezvous.StoredRecord{}, false, wrap("reading a record", err)
	}
	r.Expires = time.Unix(expires, 0)
	return r, true, nil
}

// Delete implements [rendezvous.Store].
func (s *Store) Delete(ctx context.Context, blinded [32]byte) error {
	tag, err := s.pool.Exec(ctx, "DELETE FROM records WHERE blinded = $1", blinded[:])
	s.records.Add(-tag.RowsAffected())
	return wrap("deleting a record", err)
}

// Renew implements [rendezvous.Store], and moves the expiry of what this process
// reaches.
func (s *Store) Renew(ctx context.Context, records, listed []rendezvous.Renewal) error {
	b := &pgx.Batch{}
	for _, x := range []struct {
		renewals []rendezvous.Renewal
		query    string
	}{
		{records, "UPDATE records r SET expires = x.expires FROM unnest($1::bytea[], $2::bigint[]) x(name, expires) WHERE r.blinded = x.name"},
		{listed, "UPDATE listed r SET expires = x.expires FROM unnest($1::bytea[], $2::bigint[]) x(name, expires) WHERE r.identity = x.name"},
	} {
		if len(x.renewals) == 0 {
			continue
		}
		var names [][]byte
		var expires []int64
		for _, r := range x.renewals {
			names, expires = append(names, r.Name[:]), append(expires, r.Expires.Unix())
		}
		b.Queue(x.query, names, expires)
		b.Queue(`UPDATE online o SET expires = x.expires FROM unnest($1::bytea[], $2::bigint[]) x(name, expires)
			WHERE o.name = x.name AND o.node = $3`, names, expires, s.node)
	}
	if b.Len() == 0 {
		return nil
	}
	return wrap("renewing records", s.pool.SendBatch(ctx, b).Close())
}

// Expire implements [rendezvous.Store].
func (s *Store) Expire(ctx context.Context, now time.Time) (n int, err error) {
	for _, query := range []string{"DELETE FROM records WHERE expires <= $1", "DELETE FROM listed WHERE expires <= $1"} {
		tag, err := s.pool.Exec(ctx, query, now.Unix())
		if err != nil {
			return n, wrap("removing expired records", err)
		}
		n += int(tag.RowsAffected())
	}
	if _, err := s.pool.Exec(ctx, "DELETE FROM online WHERE expires <= $1", now.Unix()); err != nil {
		return n, wrap("removing expired names", err)
	}
	return n, wrap("counting records", s.count(ctx))
}

func wrap(what string, err error) error {
	if err == nil || errors.Is(err, rendezvous.ErrFull) {
		return err
	}
	return fmt.Errorf("rendezvous: %s: %w", what, err)
}
