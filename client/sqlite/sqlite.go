package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/store"
)

// Names of files in a profile's directory.
const (
	databaseFile = "client.db"
	lockFile     = "lock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A Store is a profile's database. It is safe for concurrent use.
type Store struct {
	db   *sql.DB
	lock *os.File // nil on a disk of OpenOn

	put, del *sql.Stmt
	rows     map[shape]*sql.Stmt // compiled once: compiling one takes longer than running it
}

var _ client.Store = (*Store)(nil)

// Create makes dir, if it is missing, and an empty database in it.
// [client.ErrProfileExists] if it has one with a profile in it, what a Create
// that was interrupted left behind is used again.
func Create(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: making the profile's directory: %w", full(err))
	}
	s, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	header, err := s.Header(ctx)
	if err == nil && header != nil {
		err = client.ErrProfileExists
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Open opens the database in dir. [client.ErrNoProfile],
// [client.ErrProfileInUse], [client.ErrDamaged], [client.ErrNewerProfile],
// [client.ErrReadOnly].
func Open(ctx context.Context, dir string) (*Store, error) {
	info, err := os.Stat(filepath.Join(dir, databaseFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, client.ErrNoProfile
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return open(ctx, dir)
}

func open(ctx context.Context, dir string) (*Store, error) {
	lock, err := lockProfile(dir)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, filepath.Join(dir, databaseFile), migrations())
	if err != nil {
		lock.Close()
		return nil, translate(err)
	}
	return prepare(ctx, db, lock)
}

// OpenOn opens or makes the database of a profile at path, on a disk as in
// [store.OpenOn]. Nothing keeps others out.
func OpenOn(ctx context.Context, vfs, path string) (*Store, error) {
	db, err := store.OpenOn(ctx, vfs, path, migrations())
	if err != nil {
		return nil, translate(err)
	}
	return prepare(ctx, db, nil)
}

func migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err)
	}
	return sub
}

func prepare(ctx context.Context, db *sql.DB, lock *os.File) (*Store, error) {
	s := &Store{db: db, lock: lock, rows: map[shape]*sql.Stmt{}}
	compile := func(text string) (stmt *sql.Stmt, err error) { return db.PrepareContext(ctx, text) }
	var err error
	s.put, err = compile(`INSERT INTO row (kind, owner, seq, tag, state, body) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, owner, seq) DO UPDATE SET tag = excluded.tag, state = excluded.state, body = excluded.body`)
	if err == nil {
		s.del, err = compile(`DELETE FROM row WHERE kind = ? AND owner = ? AND seq BETWEEN ? AND ?`)
	}
	for _, q := range []shape{{}, {descending: true}, {tagged: true}} {
		if err == nil {
			s.rows[q], err = compile(q.text())
		}
	}
	if err != nil {
		s.Close()
		return nil, translate(err)
	}
	return s, nil
}

// lockProfile takes the lock that ends with the process at the latest.
func lockProfile(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite: locking the profile: %w", full(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, client.ErrProfileInUse
		}
		return nil, fmt.Errorf("sqlite: locking the profile: %w", err)
	}
	return f, nil
}

// Header implements [client.Store].
func (s *Store) Header(ctx context.Context) (body []byte, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT body FROM header WHERE id = 1").Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return body, translate(err)
}

// SetHeader implements [client.Store].
func (s *Store) SetHeader(ctx context.Context, header []byte) error {
	_, err := s.db.ExecContext(ctx, "INSERT OR REPLACE INTO header (id, body) VALUES (1, ?)", header)
	return translate(err)
}

// step is what a statement, or a step of one, is run with that takes microseconds:
// for a context that may end, goroutines are started that take longer than the row.
// Who uses it looks at ctx between steps. Not for deleting: that may be a whole
// conversation.
func step(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// Apply implements [client.Store].
func (s *Store) Apply(ctx context.Context, changes []client.Change) error {
	return translate(store.InTx(ctx, s.db, func(tx *sql.Tx) error {
		put, del := tx.StmtContext(ctx, s.put), tx.StmtContext(ctx, s.del)
		defer put.Close()
		defer del.Close()
		for _, c := range changes {
			err := ctx.Err()
			if err != nil {
				return err
			}
			switch c.Kind {
			case client.Put:
				_, err = put.ExecContext(step(ctx), c.Table, c.Owner, c.Seq, c.Tag, c.State, c.Body)
			case client.Delete:
				_, err = del.ExecContext(ctx, c.Table, c.Owner, c.Seq, c.Through)
			default:
				panic(fmt.Sprintf("sqlite: unknown change %d", c.Kind))
			}
			if err != nil {
				// When ctx ends, the transaction is rolled back beside us: a step may find it over.
				return cmp.Or(ctx.Err(), err)
			}
		}
		return nil
	}))
}

// A shape is what decides the text of a query's statement.
type shape struct{ tagged, descending bool }

// shapeOf returns a query's shape. What has one tag is put into order here: it is
// one row but for somebody's tampering, and SQLite would make a table to sort it.
func shapeOf(q client.Query) shape {
	if q.Tag != 0 {
		return shape{tagged: true}
	}
	return shape{descending: q.Descending}
}

// text returns the statement of queries of the shape.
func (h shape) text() string {
	const columns, place = `SELECT seq, tag, state, body FROM row `, `kind = ? AND owner = ? AND seq >= ? AND seq < ?`
	switch {
	case h.tagged:
		// Left to itself SQLite prefers the index that has the order, and reads all of a
		// conversation for one message. The second part lets it use the other.
		return columns + `INDEXED BY row_tag WHERE ` + place + ` AND tag = ? AND tag <> 0`
	case h.descending:
		return columns + `WHERE ` + place + ` ORDER BY seq DESC LIMIT ?`
	}
	return columns + `WHERE ` + place + ` ORDER BY seq LIMIT ?`
}

// arguments returns what a query's statement is run with.
func arguments(q client.Query) []any {
	below := q.Below
	if below == 0 {
		below = 1<<63 - 1
	}
	limit := q.Limit
	if limit == 0 {
		limit = -1
	}
	args := []any{q.Table, q.Owner, q.From, below}
	if q.Tag != 0 {
		return append(args, q.Tag)
	}
	return append(args, limit)
}

// ordered puts the rows of one tag into a query's order, as many as it wants.
func ordered(rows []client.Row, q client.Query) []client.Row {
	slices.SortFunc(rows, func(a, b client.Row) int {
		if q.Descending {
			a, b = b, a
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	if q.Limit > 0 && len(rows) > q.Limit {
		rows = rows[:q.Limit]
	}
	return rows
}

// Rows implements [client.Store].
func (s *Store) Rows(ctx context.Context, q client.Query) ([]client.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, translate(err)
	}
	rows, err := s.rows[shapeOf(q)].QueryContext(step(ctx), arguments(q)...)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	var out []client.Row
	for rows.Next() {
		if err := ctx.Err(); err != nil {
			return nil, translate(err)
		}
		r := client.Row{Owner: q.Owner}
		if err := rows.Scan(&r.Seq, &r.Tag, &r.State, &r.Body); err != nil {
			return nil, translate(err)
		}
		out = append(out, r)
	}
	if q.Tag != 0 {
		out = ordered(out, q)
	}
	return out, translate(rows.Err())
}

// Close implements [client.Store].
func (s *Store) Close() error {
	err := s.db.Close()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// translate gives errors the sentinels that people can act on.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNewerSchema):
		return client.ErrNewerProfile
	case store.IsDamaged(err):
		return fmt.Errorf("%w (%w)", client.ErrDamaged, err)
	}
	return fmt.Errorf("sqlite: %w", full(err))
}

func full(err error) error {
	if store.IsFull(err) {
		return fmt.Errorf("%w (%w)", client.ErrDiskFull, err)
	}
	if store.IsReadOnly(err) {
		return fmt.Errorf("%w (%w)", client.ErrReadOnly, err)
	}
	return err
}

var _ client.Destroyer = (*Store)(nil)

// Destroy implements [client.Destroyer]. What the disk itself keeps of deleted
// files cannot be opened: the wrapped key was overwritten before.
func (s *Store) Destroy() error {
	path := s.lock.Name()
	dir := filepath.Dir(path)
	err := s.db.Close()
	for _, name := range []string{databaseFile, databaseFile + "-wal", databaseFile + "-shm", lockFile} {
		if e := os.Remove(filepath.Join(dir, name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, s.lock.Close())
}
