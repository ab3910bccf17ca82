// Package sqlite keeps a relay's state in SQLite (docs/spec/60-relay.md, section
// 6.8). One goroutine writes ([store.Writer]); what arrives during a commit shares
// the next one.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Store is a [relay.Store].
type Store struct {
	db   *sql.DB // readers
	w    *store.Writer
	held held // owned by changes
}

// A tx is what a change works with.
type tx struct {
	*store.Tx
	held *held
}

var _ relay.Store = (*Store)(nil)

// Open opens, or creates, the database at path. store.ErrNewerSchema,
// store.ErrDamaged.
func Open(ctx context.Context, path string) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, path, files)
	if err != nil {
		return nil, err
	}
	return prepare(ctx, db, nil)
}

// OpenOn opens or makes the database at path, on a disk as in
// [store.OpenSharedOn]. syncLog syncs the file of its log, path with "-wal".
func OpenOn(ctx context.Context, vfs, path string, syncLog func() error) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := store.OpenSharedOn(ctx, vfs, path, files)
	if err != nil {
		return nil, err
	}
	return prepare(ctx, db, syncLog)
}

// prepare takes over db.
func prepare(ctx context.Context, db *sql.DB, syncLog func() error) (_ *Store, err error) {
	s := &Store{db: db}
	s.held.forget()
	if s.w, err = store.NewWriter(ctx, db, store.WriterConfig{Refusal: relay.Refusal, Forget: s.held.forget, SyncLog: syncLog}); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// Close waits for the commit under way. Calls that come later fail.
func (s *Store) Close() error {
	return errors.Join(s.w.Close(), s.db.Close())
}

// write runs do in a transaction and returns when it is durable, or why it is
// not. If ctx ends first, the outcome is unknown.
func (s *Store) write(ctx context.Context, do func(*tx) error) error {
	err := s.w.Write(ctx, func(t *store.Tx) error { return do(&tx{t, &s.held}) })
	if err == nil || relay.Refusal(err) || ctx.Err() != nil && err == ctx.Err() {
		return err
	}
	return failure(err)
}

// failure wraps what the database reports.
func failure(err error) error {
	if store.IsFull(err) {
		return fmt.Errorf("%w: %w", relay.ErrFull, err)
	}
	return fmt.Errorf("relay/sqlite: %w", err)
}

func ms(t time.Time) int64     { return t.UnixMilli() }
func fromMS(v int64) time.Time { return time.UnixMilli(v) }

// Owner implements [relay.Store].
func (s *Store) Owner(ctx context.Context, owner [32]byte, now time.Time, a relay.Admission) (bool, error) {
	var known bool // not a result: if ctx ends first, the change is still to run
	err := s.write(ctx, func(t *tx) error {
		known = false
		var id, seen int64
		found, err := t.Get("SELECT id, day FROM owners WHERE key = ?", []any{owner[:]}, &id, &seen)
		if err != nil {
			return err
		}
		if found {
			known = true
			if seen != relay.Day(now) {
				_, err = t.Exec("UPDATE owners SET day = ? WHERE id = ?", relay.Day(now), id)
			}
			return err
		}
		if blocked, err := t.blocked(owner); err != nil || blocked {
			return or(err, relay.ErrAdmission)
		}
		var token int64
		if !a.Open && a.TokenHash != [32]byte{} {
			if _, err := t.Get("SELECT id FROM tokens WHERE hash = ? AND uses > 0 AND expires > ?", []any{a.TokenHash[:], now.Unix()}, &token); err != nil {
				return err
			}
		}
		if !a.Open && token == 0 {
			return nil
		}
		var n int
		if _, err := t.Get("SELECT count(*) FROM owners", nil, &n); err != nil {
			return err
		}
		if n >= a.Limit {
			return relay.ErrFull
		}
		known = true
		if token != 0 {
			if _, err := t.Exec("UPDATE tokens SET uses = uses - 1 WHERE id = ?", token); err != nil {
				return err
			}
		}
		_, err = t.Exec("INSERT INTO owners (key, day) VALUES (?, ?)", owner[:], relay.Day(now))
		return err
	})
	if err != nil {
		return false, err
	}
	return known, nil
}

// or returns err if there is one, and otherwise then.
func or(err, then error) error {
	if err != nil {
		return err
	}
	return then
}

// CreateInbox implements [relay.Store].
func (s *Store) CreateInbox(ctx context.Context, owner [32]byte, p relay.InboxParams, limit int) error {
	return s.write(ctx, func(t *tx) error {
		var ownerID int64
		var n int
		found, err := t.Get("SELECT id, (SELECT count(*) FROM inboxes WHERE owner = owners.id) FROM owners WHERE key = ?", []any{owner[:]}, &ownerID, &n)
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrNoInbox
		}
		var has int64
		var knock bool
		var hash []byte
		found, err = t.Get("SELECT owner, knock, token_hash FROM inboxes WHERE name = ?", []any{p.ID[:]}, &has, &knock, &hash)
		switch {
		case err != nil:
			return err
		case found && (has != ownerID || knock != p.Knock || string(hash) != string(p.TokenHash[:])):
			return relay.ErrExists
		case found:
			return nil
		case n >= limit:
			return relay.ErrQuota
		}
		if blocked, err := t.blocked(p.ID); err != nil || blocked {
			return or(err, relay.ErrExists)
		}
		_, err = t.Exec("INSERT INTO inboxes (name, owner, knock, token_hash) VALUES (?, ?, ?, ?)", p.ID[:], ownerID, p.Knock, p.TokenHash[:])
		return err
	})
}

// owned returns the row of an inbox of the owner, or ErrNoInbox.
func (t *tx) owned(owner, inbox [32]byte) (id int64, knock bool, err error) {
	found, err := t.Get("SELECT i.id, i.knock FROM inboxes i JOIN owners o ON o.id = i.owner WHERE i.name = ? AND o.key = ?",
		[]any{inbox[:], owner[:]}, &id, &knock)
	if err == nil && !found {
		err = relay.ErrNoInbox
	}
	return id, knock, err
}

// DeleteInbox implements [relay.Store].
func (s *Store) DeleteInbox(ctx context.Context, owner, inbox [32]byte) error {
	return s.write(ctx, func(t *tx) error {
		id, _, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		return t.dropInbox(id)
	})
}

// dropInbox deletes an inbox with all that is in it. What the owner holds is
// counted anew.
func (t *tx) dropInbox(id int64) error {
	if x := t.held.byID[id]; x != nil {
		t.held.drop(x)
	}
	var owner int64
	if _, err := t.Get("SELECT owner FROM inboxes WHERE id = ?", []any{id}, &owner); err != nil {
		return err
	}
	t.held.unhold(owner)
	_, err := t.Exec("DELETE FROM inboxes WHERE id = ?", id)
	return err
}

// AllowKnock implements [relay.Store].
func (s *Store) AllowKnock(ctx context.Context, owner, inbox, tokenHash [32]byte, now, expires time.Time, limit int) error {
	return s.write(ctx, func(t *tx) error {
		id, knock, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		if !knock {
			return relay.ErrNoInbox
		}
		var n int
		if _, err := t.Get("SELECT count(*) FROM knocks WHERE inbox = ? AND expires > ? AND token_hash <> ?", []any{id, ms(now), tokenHash[:]}, &n); err != nil {
			return err
		}
		if n >= limit {
			return relay.ErrQuota
		}
		_, err = t.Exec(`INSERT INTO knocks (inbox, token_hash, expires) VALUES (?, ?, ?)
			ON CONFLICT (inbox, token_hash) DO UPDATE SET expires = excluded.expires`, id, tokenHash[:], ms(expires))
		return err
	})
}

// PutPrekeys implements [relay.Store].
func (s *Store) PutPrekeys(ctx context.Context, owner, inbox [32]byte, replace bool, bundle []byte, oneTime []relay.SealedOneTime, limit int) error {
	return s.write(ctx, func(t *tx) error {
		id, _, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		var handedOut, left int64
		if !replace {
			if _, err := t.Get("SELECT handed_out, (SELECT count(*) FROM one_time WHERE inbox = inboxes.id) FROM inboxes WHERE id = ?",
				[]any{id}, &handedOut, &left); err != nil {
				return err
			}
		} else {
			handedOut = -1
		}
		var fresh []relay.SealedOneTime
		for _, k := range oneTime {
			if int64(k.ID) <= handedOut {
				continue // a repetition must not bring back what somebody got
			}
			var one int
			found, err := t.Get("SELECT 1 FROM one_time WHERE inbox = ? AND number = ?", []any{id, k.ID}, &one)
			if err != nil {
				return err
			}
			if !found || replace {
				left++
			}
			fresh = append(fresh, k)
		}
		if left > int64(limit) {
			return relay.ErrQuota
		}
		if _, err := t.Exec("UPDATE inboxes SET bundle = ?, handed_out = ? WHERE id = ?", bundle, handedOut, id); err != nil {
			return err
		}
		if replace {
			if _, err := t.Exec("DELETE FROM one_time WHERE inbox = ?", id); err != nil {
				return err
			}
		}
		for _, k := range fresh {
			if _, err := t.Exec("INSERT OR REPLACE INTO one_time (inbox, number, body) VALUES (?, ?, ?)", id, k.ID, k.Blob); err != nil {
				return err
			}
		}
		return nil
	})
}

// PrekeyCount implements [relay.Store].
func (s *Store) PrekeyCount(ctx context.Context, owner, inbox [32]byte) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM one_time WHERE inbox = i.id) FROM inboxes i JOIN owners o ON o.id = i.owner
		WHERE i.name = ? AND o.key = ?`, inbox[:], owner[:]).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, relay.ErrNoInbox
	}
	if err != nil {
		return 0, failure(err)
	}
	return n, nil
}
