package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sremp/sremp/relay"
)

// AddToken implements [relay.Operator].
func (s *Store) AddToken(ctx context.Context, a relay.AdmissionToken) error {
	return s.tx(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO tokens (hash, note, uses, created, expires) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (hash) DO UPDATE SET note = excluded.note, uses = excluded.uses, created = excluded.created, expires = excluded.expires`,
			a.Hash[:], a.Note, int64(a.Uses), a.Created.Unix(), a.Expires.Unix())
		return err
	})
}

// Tokens implements [relay.Operator].
func (s *Store) Tokens(ctx context.Context) (all []relay.AdmissionToken, err error) {
	err = s.rows(ctx, "SELECT hash, note, uses, created, expires FROM tokens ORDER BY created, id", nil, func() { all = nil },
		func(rows pgx.Rows) error {
			var a relay.AdmissionToken
			var hash []byte
			var created, expires int64
			if err := rows.Scan(&hash, &a.Note, &a.Uses, &created, &expires); err != nil {
				return err
			}
			copy(a.Hash[:], hash)
			a.Created, a.Expires = time.Unix(created, 0), time.Unix(expires, 0)
			all = append(all, a)
			return nil
		})
	return all, err
}

// RevokeToken implements [relay.Operator].
func (s *Store) RevokeToken(ctx context.Context, hash [32]byte) (bool, error) {
	return s.delete(ctx, "DELETE FROM tokens WHERE hash = $1", hash)
}

func (s *Store) delete(ctx context.Context, query string, key [32]byte) (had bool, err error) {
	err = s.tx(ctx, func(t *tx) error {
		n, err := t.exec(query, key[:])
		had = n > 0
		return err
	})
	return had, err
}

// Block implements [relay.Operator].
func (s *Store) Block(ctx context.Context, key [32]byte, now time.Time) error {
	return s.tx(ctx, func(t *tx) error {
		x, err := t.find(key, [32]byte{})
		if err != nil {
			return err
		}
		if x.Found {
			if err := t.dropInbox(x.inbox); err != nil {
				return err
			}
		}
		if _, err := t.exec("DELETE FROM owners WHERE key = $1", key[:]); err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO blocked (key, day) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", key[:], relay.Day(now))
		return err
	})
}

// Totals implements [relay.Operator].
func (s *Store) Totals(ctx context.Context) (x relay.Totals, err error) {
	err = s.rows(ctx, `SELECT (SELECT count(*) FROM owners), (SELECT count(*) FROM inboxes), count(*), coalesce(sum(size), 0)::bigint FROM mail`,
		nil, func() {}, func(rows pgx.Rows) error { return rows.Scan(&x.Owners, &x.Inboxes, &x.Mail, &x.Bytes) })
	return x, err
}

// Unblock implements [relay.Operator].
func (s *Store) Unblock(ctx context.Context, key [32]byte) (bool, error) {
	return s.delete(ctx, "DELETE FROM blocked WHERE key = $1", key)
}

// Blocked implements [relay.Operator].
func (s *Store) Blocked(ctx context.Context) (all [][32]byte, err error) {
	err = s.rows(ctx, "SELECT key FROM blocked ORDER BY id", nil, func() { all = nil }, func(rows pgx.Rows) error {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return err
		}
		all = append(all, [32]byte(key))
		return nil
	})
	return all, err
}

func (t *tx) blocked(key [32]byte) (bool, error) {
	var one int
	return t.get("SELECT 1 FROM blocked WHERE key = $1", []any{key[:]}, &one)
}

// Owners implements [relay.Operator].
func (s *Store) Owners(ctx context.Context, n int) (all []relay.OwnerUse, err error) {
	err = s.rows(ctx, `SELECT o.key, o.day, (SELECT count(*) FROM inboxes WHERE owner = o.id), count(m.id), coalesce(sum(m.size), 0)::bigint
	FROM owners o LEFT JOIN mail m ON m.owner = o.id GROUP BY o.id, o.key, o.day
	ORDER BY 5 DESC, 4 DESC, 3 DESC, o.key LIMIT $1`, []any{n}, func() { all = nil },
		func(rows pgx.Rows) error {
			var u relay.OwnerUse
			var key []byte
			var day int64
			if err := rows.Scan(&key, &day, &u.Inboxes, &u.Mail, &u.Bytes); err != nil {
				return err
			}
			copy(u.Key[:], key)
			u.Seen = time.Unix(day*86400, 0).UTC()
			all = append(all, u)
			return nil
		})
	return all, err
}

const ofKey = "inbox IN (SELECT id FROM inboxes WHERE name = $1 OR owner = (SELECT id FROM owners WHERE key = $1))"

// knows lists, for each table, the rows in which a key occurs. A test holds it
// to the schema.
var knows = []struct{ table, where string }{
	{"owners", "key = $1 OR id = (SELECT owner FROM inboxes WHERE name = $1)"},
	{"inboxes", "name = $1 OR owner = (SELECT id FROM owners WHERE key = $1)"},
	{"knocks", ofKey},
	{"mail", ofKey},
	{"one_time", ofKey},
	{"blocked", "key = $1"},
	{"tokens", "hash = $1"},
}

// Knows implements [relay.Operator].
func (s *Store) Knows(ctx context.Context, key [32]byte, f func(table string, columns []string, values []any) error) error {
	type row struct {
		columns []string
		values  []any
	}
	for _, k := range knows {
		var all []row
		err := s.rows(ctx, "SELECT * FROM "+k.table+" WHERE "+k.where+" ORDER BY id", []any{key[:]}, func() { all = nil }, func(rows pgx.Rows) error {
			values, err := rows.Values()
			if err != nil {
				return err
			}
			var columns []string
			for i, d := range rows.FieldDescriptions() {
				columns = append(columns, d.Name)
				if b, ok := values[i].(bool); ok {
					values[i] = map[bool]int64{true: 1}[b]
				}
			}
			all = append(all, row{columns, values})
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range all {
			if err := f(k.table, r.columns, r.values); err != nil {
				return err
			}
		}
	}
	return nil
}
