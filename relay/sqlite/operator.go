package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/store"
)

// AddToken implements [relay.Operator].
func (s *Store) AddToken(ctx context.Context, a relay.AdmissionToken) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.Exec("INSERT OR REPLACE INTO tokens (hash, note, uses, created, expires) VALUES (?, ?, ?, ?, ?)",
			a.Hash[:], a.Note, a.Uses, a.Created.Unix(), a.Expires.Unix())
		return err
	})
}

// Tokens implements [relay.Operator].
func (s *Store) Tokens(ctx context.Context) ([]relay.AdmissionToken, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT hash, note, uses, created, expires FROM tokens ORDER BY created, id")
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []relay.AdmissionToken
	for rows.Next() {
		var a relay.AdmissionToken
		var hash []byte
		var created, expires int64
		if err := rows.Scan(&hash, &a.Note, &a.Uses, &created, &expires); err != nil {
			return nil, failure(err)
		}
		copy(a.Hash[:], hash)
		a.Created, a.Expires = time.Unix(created, 0), time.Unix(expires, 0)
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return all, nil
}

// RevokeToken implements [relay.Operator].
func (s *Store) RevokeToken(ctx context.Context, hash [32]byte) (bool, error) {
	return s.delete(ctx, "DELETE FROM tokens WHERE hash = ?", hash)
}

func (s *Store) delete(ctx context.Context, query string, key [32]byte) (bool, error) {
	n := make(chan int64, 2) // do may run twice
	err := s.write(ctx, func(t *tx) error {
		rows, err := t.Exec(query, key[:])
		if err == nil {
			n <- rows
		}
		return err
	})
	if err != nil {
		return false, err
	}
	return <-n > 0, nil
}

// Block implements [relay.Operator].
func (s *Store) Block(ctx context.Context, key [32]byte, now time.Time) error {
	err := s.write(ctx, func(t *tx) error {
		t.held.forget()
		if _, err := t.Exec("DELETE FROM inboxes WHERE name = ?", key[:]); err != nil {
			return err
		}
		if _, err := t.Exec("DELETE FROM owners WHERE key = ?", key[:]); err != nil {
			return err
		}
		_, err := t.Exec("INSERT OR IGNORE INTO blocked (key, day) VALUES (?, ?)", key[:], relay.Day(now))
		return err
	})
	if err != nil {
		return err
	}
	return s.forget(ctx)
}

// Totals implements [relay.Operator]. It reads indexes only.
func (s *Store) Totals(ctx context.Context) (x relay.Totals, err error) {
	row := s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM owners), (SELECT count(*) FROM inboxes), count(*), coalesce(sum(size), 0)
		FROM mail INDEXED BY mail_owner`)
	if err := row.Scan(&x.Owners, &x.Inboxes, &x.Mail, &x.Bytes); err != nil {
		return x, failure(err)
	}
	return x, nil
}

// Unblock implements [relay.Operator].
func (s *Store) Unblock(ctx context.Context, key [32]byte) (bool, error) {
	return s.delete(ctx, "DELETE FROM blocked WHERE key = ?", key)
}

// Blocked implements [relay.Operator].
func (s *Store) Blocked(ctx context.Context) ([][32]byte, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT key FROM blocked ORDER BY id")
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all [][32]byte
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return nil, failure(err)
		}
		all = append(all, [32]byte(key))
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return all, nil
}

func (t *tx) blocked(key [32]byte) (bool, error) {
	var one int
	return t.Get("SELECT 1 FROM blocked WHERE key = ?", []any{key[:]}, &one)
}

// Owners implements [relay.Operator].
func (s *Store) Owners(ctx context.Context, n int) (all []relay.OwnerUse, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT o.key, o.day, (SELECT count(*) FROM inboxes WHERE owner = o.id), count(m.id), coalesce(sum(m.size), 0)
	FROM owners o LEFT JOIN mail m ON m.owner = o.id GROUP BY o.id, o.key, o.day
	ORDER BY 5 DESC, 4 DESC, 3 DESC, o.key LIMIT ?`, n)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var u relay.OwnerUse
		var key []byte
		var day int64
		if err := rows.Scan(&key, &day, &u.Inboxes, &u.Mail, &u.Bytes); err != nil {
			return nil, failure(err)
		}
		copy(u.Key[:], key)
		u.Seen = time.Unix(day*86400, 0).UTC()
		all = append(all, u)
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return all, nil
}

// knows lists, for each table, the rows in which a key occurs. A test holds it
// to the schema.
var knows = []struct{ table, where string }{
	{"owners", "key = ?1 OR id = (SELECT owner FROM inboxes WHERE name = ?1)"},
	{"inboxes", "name = ?1 OR owner = (SELECT id FROM owners WHERE key = ?1)"},
	{"knocks", "inbox IN (SELECT id FROM inboxes WHERE name = ?1 OR owner = (SELECT id FROM owners WHERE key = ?1))"},
	{"mail", "inbox IN (SELECT id FROM inboxes WHERE name = ?1 OR owner = (SELECT id FROM owners WHERE key = ?1))"},
	{"one_time", "inbox IN (SELECT id FROM inboxes WHERE name = ?1 OR owner = (SELECT id FROM owners WHERE key = ?1))"},
	{"blocked", "key = ?1"},
	{"tokens", "hash = ?1"},
}

// Knows implements [relay.Operator].
func (s *Store) Knows(ctx context.Context, key [32]byte, f func(table string, columns []string, values []any) error) error {
	for _, k := range knows {
		if err := s.each(ctx, k.table, "SELECT * FROM "+k.table+" WHERE "+k.where+" ORDER BY id", key, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) each(ctx context.Context, table, query string, key [32]byte, f func(string, []string, []any) error) error {
	rows, err := s.db.QueryContext(ctx, query, key[:])
	if err != nil {
		return failure(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return failure(err)
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return failure(err)
		}
		if err := f(table, columns, values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return failure(err)
	}
	return nil
}

// forget makes what was deleted leave the files: the pages are overwritten in the
// database (secure_delete), and the write-ahead log, which may still hold them, is
// emptied. Readers at work put that off to the next time.
func (s *Store) forget(ctx context.Context) error {
	err := s.w.Alone(ctx, func(ctx context.Context, c *sql.Conn) error {
		// A reader at work must not hold up deliveries.
		if _, err := c.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
			return err
		}
		var busy, pages, moved int
		err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
		_, e := c.ExecContext(ctx, "PRAGMA busy_timeout = 5000")
		return errors.Join(err, e)
	})
	if err != nil && ctx.Err() == nil {
		return failure(err)
	}
	return err
}

// Backup writes a consistent copy of the database to a new file, while the
// store, in this process or another, goes on. What was deleted is not in it.
func (s *Store) Backup(ctx context.Context, path string) error {
	// SQLite would create it readable to all, and accept an empty one.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("relay/sqlite: backup: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("relay/sqlite: backup: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		os.Remove(path)
		return failure(err)
	}
	return syncFile(path)
}

// syncFile makes a new file and its name durable.
func syncFile(path string) error {
	for _, p := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(p)
		if err != nil {
			return fmt.Errorf("relay/sqlite: %w", err)
		}
		err = errors.Join(f.Sync(), f.Close())
		if err != nil {
			return fmt.Errorf("relay/sqlite: %w", err)
		}
	}
	return nil
}

// restoredSeqs is how far the numbers of mail go ahead after a restore: those
// given since the backup must not be given again.
const restoredSeqs = 1 << 32

// Restore makes the database at path from a backup; there must be none yet, and
// nobody who uses it. One-time prekeys are dropped: those handed out since the
// backup must not be handed out again, and owners upload new ones.
func Restore(ctx context.Context, path, backup string) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("relay/sqlite: there is a database at %s already; move it away first", path)
	}
	tmp := path + ".restoring"
	if err := copyFile(tmp, backup); err != nil {
		return fmt.Errorf("relay/sqlite: restore: %w", err)
	}
	defer os.Remove(tmp)
	s, err := Open(ctx, tmp)
	if err != nil {
		return err
	}
	err = store.Check(ctx, s.db)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			if _, err := t.Exec("DELETE FROM one_time"); err != nil {
				return err
			}
			_, err := t.Exec("UPDATE owners SET next_seq = next_seq + ?", restoredSeqs)
			return err
		})
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("relay/sqlite: restore: %w", err)
	}
	return syncFile(path)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
