package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sremp/sremp/relay"
)

// Owner implements [relay.Store].
func (s *Store) Owner(ctx context.Context, owner [32]byte, now time.Time, a relay.Admission) (known bool, err error) {
	err = s.tx(ctx, func(t *tx) error {
		known = false
		var id, seen int64
		found, err := t.get("SELECT id, day FROM owners WHERE key = $1", []any{owner[:]}, &id, &seen)
		if err != nil {
			return err
		}
		if found {
			known = true
			if seen != relay.Day(now) {
				_, err = t.exec("UPDATE owners SET day = $1 WHERE id = $2", relay.Day(now), id)
			}
			return err
		}
		if blocked, err := t.blocked(owner); err != nil || blocked {
			return or(err, relay.ErrAdmission)
		}
		if !a.Open {
			if a.TokenHash == [32]byte{} {
				return nil
			}
			n, err := t.exec("UPDATE tokens SET uses = uses - 1 WHERE hash = $1 AND uses > 0 AND expires > $2", a.TokenHash[:], now.Unix())
			if err != nil || n == 0 {
				return err
			}
		}
		var n int
		if _, err := t.get("SELECT count(*) FROM owners", nil, &n); err != nil {
			return err
		}
		if n >= a.Limit {
			return relay.ErrFull
		}
		known = true
		_, err = t.exec("INSERT INTO owners (key, day) VALUES ($1, $2)", owner[:], relay.Day(now))
		return err
	})
	return known && err == nil, err
}

// or returns err if there is one, and otherwise then.
func or(err, then error) error {
	if err != nil {
		return err
	}
	return then
}

// lockOwner keeps all else from an owner's rows until the transaction ends, and
// so its numbers in the order of their commits.
func (t *tx) lockOwner(owner [32]byte) (id int64, found bool, err error) {
	found, err = t.get("SELECT id FROM owners WHERE key = $1 FOR UPDATE", []any{owner[:]}, &id)
	return id, found, err
}

// CreateInbox implements [relay.Store].
func (s *Store) CreateInbox(ctx context.Context, owner [32]byte, p relay.InboxParams, limit int) error {
	return s.tx(ctx, func(t *tx) error {
		id, found, err := t.lockOwner(owner)
		if err != nil {
			return err
		}
		if !found {
			return relay.ErrNoInbox
		}
		var has int64
		var knock bool
		var hash []byte
		found, err = t.get("SELECT owner, knock, token_hash FROM inboxes WHERE name = $1", []any{p.ID[:]}, &has, &knock, &hash)
		switch {
		case err != nil:
			return err
		case found && (has != id || knock != p.Knock || !bytes.Equal(hash, p.TokenHash[:])):
			return relay.ErrExists
		case found:
			return nil
		}
		var n int
		if _, err := t.get("SELECT count(*) FROM inboxes WHERE owner = $1", []any{id}, &n); err != nil {
			return err
		}
		if n >= limit {
			return relay.ErrQuota
		}
		if blocked, err := t.blocked(p.ID); err != nil || blocked {
			return or(err, relay.ErrExists)
		}
		_, err = t.exec("INSERT INTO inboxes (name, owner, knock, token_hash) VALUES ($1, $2, $3, $4)", p.ID[:], id, p.Knock, p.TokenHash[:])
		return err
	})
}

// owned locks the owner and returns the row of his inbox, or ErrNoInbox.
func (t *tx) owned(owner, inbox [32]byte) (id int64, knock bool, err error) {
	o, found, err := t.lockOwner(owner)
	if err == nil && found {
		found, err = t.get("SELECT id, knock FROM inboxes WHERE name = $1 AND owner = $2", []any{inbox[:], o}, &id, &knock)
	}
	if err == nil && !found {
		err = relay.ErrNoInbox
	}
	return id, knock, err
}

// DeleteInbox implements [relay.Store].
func (s *Store) DeleteInbox(ctx context.Context, owner, inbox [32]byte) error {
	return s.tx(ctx, func(t *tx) error {
		id, _, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		return t.dropInbox(id)
	})
}

func (t *tx) dropInbox(id int64) error {
	if _, err := t.exec(`UPDATE owners o SET blobs = o.blobs - i.blobs, bytes = o.bytes - i.bytes
		FROM inboxes i WHERE i.id = $1 AND o.id = i.owner`, id); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM inboxes WHERE id = $1", id)
	return err
}

// AllowKnock implements [relay.Store].
func (s *Store) AllowKnock(ctx context.Context, owner, inbox, tokenHash [32]byte, now, expires time.Time, limit int) error {
	return s.tx(ctx, func(t *tx) error {
		id, knock, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		if !knock {
			return relay.ErrNoInbox
		}
		var n int
		if _, err := t.get("SELECT count(*) FROM knocks WHERE inbox = $1 AND expires > $2 AND token_hash <> $3", []any{id, ms(now), tokenHash[:]}, &n); err != nil {
			return err
		}
		if n >= limit {
			return relay.ErrQuota
		}
		_, err = t.exec(`INSERT INTO knocks (inbox, token_hash, expires) VALUES ($1, $2, $3)
			ON CONFLICT (inbox, token_hash) DO UPDATE SET expires = excluded.expires`, id, tokenHash[:], ms(expires))
		return err
	})
}

// AllowWork implements [relay.Store].
func (s *Store) AllowWork(ctx context.Context, owner, inbox [32]byte, bits uint8) error {
	return s.tx(ctx, func(t *tx) error {
		id, knock, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		if !knock {
			return relay.ErrNoInbox
		}
		_, err = t.exec("UPDATE inboxes SET work = $1 WHERE id = $2", int64(bits), id)
		return err
	})
}

// WorkBits implements [relay.Store].
func (s *Store) WorkBits(ctx context.Context, inbox [32]byte) (bits uint8, err error) {
	err = s.tx(ctx, func(t *tx) error {
		var n int64
		_, err := t.get("SELECT work FROM inboxes WHERE name = $1", []any{inbox[:]}, &n)
		bits = uint8(n)
		return err
	})
	return bits, err
}

// TakeBundle implements [relay.Store].
func (s *Store) TakeBundle(ctx context.Context, inbox [32]byte, work uint8) (bundle []byte, err error) {
	err = s.tx(ctx, func(t *tx) error {
		bundle = nil
		x := relay.InboxState{}
		var bits int64
		if x.Found, err = t.get("SELECT knock, work, bundle FROM inboxes WHERE name = $1", []any{inbox[:]}, &x.Knock, &bits, &bundle); err != nil {
			return err
		}
		x.Work = uint8(bits)
		if !x.AcceptsWork(work) {
			return relay.ErrNoInbox
		}
		if len(bundle) == 0 {
			return relay.ErrNoPrekeys
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return bundle, nil
}

// PutPrekeys implements [relay.Store].
func (s *Store) PutPrekeys(ctx context.Context, owner, inbox [32]byte, replace bool, bundle []byte, oneTime []relay.SealedOneTime, limit int) error {
	return s.tx(ctx, func(t *tx) error {
		id, _, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		handedOut := int64(-1)
		if replace {
			_, err = t.exec("DELETE FROM one_time WHERE inbox = $1", id)
		} else {
			_, err = t.get("SELECT handed_out FROM inboxes WHERE id = $1", []any{id}, &handedOut)
		}
		if err != nil {
			return err
		}
		for _, k := range oneTime {
			if int64(k.ID) <= handedOut {
				continue // a repetition must not bring back what somebody got
			}
			if _, err := t.exec(`INSERT INTO one_time (inbox, number, body) VALUES ($1, $2, $3)
				ON CONFLICT (inbox, number) DO UPDATE SET body = excluded.body`, id, int64(k.ID), k.Blob); err != nil {
				return err
			}
		}
		var left int
		if _, err := t.get("SELECT count(*) FROM one_time WHERE inbox = $1", []any{id}, &left); err != nil {
			return err
		}
		if left > limit {
			return relay.ErrQuota // rolled back
		}
		_, err = t.exec("UPDATE inboxes SET bundle = $1, handed_out = $2 WHERE id = $3", bundle, handedOut, id)
		return err
	})
}

// PrekeyCount implements [relay.Store].
func (s *Store) PrekeyCount(ctx context.Context, owner, inbox [32]byte) (n int, err error) {
	err = s.tx(ctx, func(t *tx) error {
		found, err := t.get(`SELECT (SELECT count(*) FROM one_time WHERE inbox = i.id) FROM inboxes i JOIN owners o ON o.id = i.owner
			WHERE i.name = $1 AND o.key = $2`, []any{inbox[:], owner[:]}, &n)
		if err == nil && !found {
			err = relay.ErrNoInbox
		}
		return err
	})
	return n, err
}

// rows runs a query and hands each row to f.
func (s *Store) rows(ctx context.Context, query string, args []any, reset func(), f func(pgx.Rows) error) error {
	return s.retry(ctx, func(ctx context.Context) error {
		reset()
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := f(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}
