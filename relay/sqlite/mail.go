package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sremp/sremp/relay"
)

// A target is an inbox that somebody anonymous names, with the rows behind it.
type target struct {
	relay.InboxState
	inbox   *inboxRow
	owner   *ownerRow
	knock   int64 // row id
	prekeys int   // taken with the knock
}

// find reads what the decision about a delivery needs.
func (t *tx) find(inbox, tokenHash [32]byte) (x target, err error) {
	if x.inbox, err = t.inbox(inbox); err != nil || x.inbox == nil {
		return x, err
	}
	if x.owner, err = t.owner(x.inbox.owner); err != nil {
		return x, err
	}
	x.InboxState = x.inbox.state(x.owner)
	if x.Knock {
		var expires int64
		x.KnockFound, err = t.Get("SELECT id, expires, blobs, bytes, prekeys FROM knocks WHERE inbox = ? AND token_hash = ?",
			[]any{x.inbox.id, tokenHash[:]}, &x.knock, &expires, &x.KnockBlobs, &x.KnockBytes, &x.prekeys)
		x.KnockExpires = fromMS(expires)
	}
	return x, err
}

// TakePrekeys implements [relay.Store].
func (s *Store) TakePrekeys(ctx context.Context, inbox, tokenHash [32]byte, now time.Time) ([]byte, []byte, error) {
	var bundle, oneTime []byte // not results, see Owner
	err := s.write(ctx, func(t *tx) error {
		bundle, oneTime = nil, nil
		x, err := t.find(inbox, tokenHash)
		if err != nil {
			return err
		}
		if !x.Accepts(tokenHash, now) {
			return relay.ErrNoInbox
		}
		if _, err := t.Get("SELECT bundle FROM inboxes WHERE id = ?", []any{x.inbox.id}, &bundle); err != nil {
			return err
		}
		if len(bundle) == 0 {
			return relay.ErrNoPrekeys
		}
		if x.Knock && x.prekeys >= relay.KnockBlobs {
			return nil // one invite must not empty the store of all others
		}
		var id, number int64
		found, err := t.Get("SELECT id, number, body FROM one_time WHERE inbox = ? ORDER BY number LIMIT 1", []any{x.inbox.id}, &id, &number, &oneTime)
		if err != nil || !found {
			return err
		}
		if _, err := t.Exec("DELETE FROM one_time WHERE id = ?", id); err != nil {
			return err
		}
		if _, err := t.Exec("UPDATE inboxes SET handed_out = ? WHERE id = ?", number, x.inbox.id); err != nil {
			return err
		}
		if x.Knock {
			_, err = t.Exec("UPDATE knocks SET prekeys = prekeys + 1 WHERE id = ?", x.knock)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return bundle, oneTime, nil
}

// AllowWork implements [relay.Store].
func (s *Store) AllowWork(ctx context.Context, owner, inbox [32]byte, bits uint8) error {
	return s.write(ctx, func(t *tx) error {
		id, knock, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		if !knock {
			return relay.ErrNoInbox
		}
		if x := t.held.byID[id]; x != nil {
			t.held.drop(x)
		}
		_, err = t.Exec("UPDATE inboxes SET work = ? WHERE id = ?", bits, id)
		return err
	})
}

// WorkBits implements [relay.Store].
func (s *Store) WorkBits(ctx context.Context, inbox [32]byte) (bits uint8, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT work FROM inboxes WHERE name = ?", inbox[:]).Scan(&bits)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, failure(err)
	}
	return bits, nil
}

// TakeBundle implements [relay.Store].
func (s *Store) TakeBundle(ctx context.Context, inbox [32]byte, work uint8) (bundle []byte, err error) {
	x := relay.InboxState{Found: true}
	err = s.db.QueryRowContext(ctx, "SELECT knock, work, bundle FROM inboxes WHERE name = ?", inbox[:]).Scan(&x.Knock, &x.Work, &bundle)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, relay.ErrNoInbox
	case err != nil:
		return nil, failure(err)
	case !x.AcceptsWork(work):
		return nil, relay.ErrNoInbox
	case len(bundle) == 0:
		return nil, relay.ErrNoPrekeys
	}
	return bundle, nil
}

// Put implements [relay.Store].
func (s *Store) Put(ctx context.Context, d relay.Delivery) (relay.Stored, error) {
	var stored relay.Stored // not a result, see Owner
	err := s.write(ctx, func(t *tx) error {
		x, err := t.find(d.Inbox, d.TokenHash)
		if err != nil {
			return err
		}
		var earlier *relay.Stored
		var owner [32]byte
		if x.Takes(d) {
			owner = x.owner.key
			if earlier, err = t.earlier(x.inbox.id, d.Hash); err != nil {
				return err
			}
		}
		stored, err = d.Settle(x.InboxState, earlier, owner)
		if err != nil || !stored.Fresh {
			return err
		}
		return t.insert(x, d, stored)
	})
	if err != nil {
		return relay.Stored{}, err
	}
	return stored, nil
}

// earlier returns when a blob was stored, nil if it is not there.
func (t *tx) earlier(inbox int64, hash [32]byte) (*relay.Stored, error) {
	var at, expires int64
	found, err := t.Get("SELECT stored, expires FROM mail WHERE inbox = ? AND substr(hash, 1, 8) = ? AND hash = ?",
		[]any{inbox, hash[:8], hash[:]}, &at, &expires)
	if err != nil || !found {
		return nil, err
	}
	return &relay.Stored{StoredAt: fromMS(at), Expires: fromMS(expires)}, nil
}

func (t *tx) insert(x target, d relay.Delivery, s relay.Stored) error {
	n := len(d.Blob)
	seq, err := t.number(x.owner)
	if err != nil {
		return err
	}
	if _, err := t.Exec("INSERT INTO mail (inbox, owner, seq, hash, stored, expires, size, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		x.inbox.id, x.owner.id, seq, d.Hash[:], ms(s.StoredAt), ms(s.Expires), n, d.Blob); err != nil {
		return err
	}
	x.inbox.blobs++
	x.inbox.bytes += int64(n)
	x.owner.blobs++
	x.owner.bytes += int64(n)
	if !x.Knock || d.Work > 0 {
		return nil
	}
	_, err = t.Exec("UPDATE knocks SET blobs = blobs + 1, bytes = bytes + ? WHERE id = ?", n, x.knock)
	return err
}

// Fetch implements [relay.Store].
func (s *Store) Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) ([]relay.Mail, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT i.name, m.seq, m.hash, m.stored, m.body
		FROM mail m JOIN owners o ON o.id = m.owner JOIN inboxes i ON i.id = m.inbox
		WHERE o.key = ? AND m.seq > ? AND m.expires > ? ORDER BY m.seq LIMIT ?`, owner[:], int64(after), ms(now), limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []relay.Mail
	total := 0
	for rows.Next() {
		var m relay.Mail
		var name, hash []byte
		var at int64
		if err := rows.Scan(&name, &m.Seq, &hash, &at, &m.Blob); err != nil {
			return nil, failure(err)
		}
		if total += len(m.Blob); total > maxBytes && len(all) > 0 {
			break
		}
		copy(m.Inbox[:], name)
		copy(m.Hash[:], hash)
		m.StoredAt = fromMS(at)
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return all, nil
}

// drop deletes one blob and gives its room back.
func (t *tx) drop(id, owner, inbox, size int64) error {
	t.held.gone(owner, inbox, size)
	_, err := t.Exec("DELETE FROM mail WHERE id = ?", id)
	return err
}

// Ack implements [relay.Store].
func (s *Store) Ack(ctx context.Context, owner [32]byte, seqs []uint64) error {
	return s.write(ctx, func(t *tx) error {
		var o int64
		if found, err := t.Get("SELECT id FROM owners WHERE key = ?", []any{owner[:]}, &o); err != nil || !found {
			return err
		}
		for _, seq := range seqs {
			var id, inbox, size int64
			found, err := t.Get("SELECT id, inbox, size FROM mail WHERE owner = ? AND seq = ?", []any{o, int64(seq)}, &id, &inbox, &size)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			if err := t.drop(id, o, inbox, size); err != nil {
				return err
			}
		}
		return nil
	})
}

// expireBatch keeps one transaction of Expire short: deliveries wait for it.
const expireBatch = 256

// Expire implements [relay.Store].
func (s *Store) Expire(ctx context.Context, now, ownersBefore time.Time) error {
	for more := true; more; {
		err := s.write(ctx, func(t *tx) error {
			more = false
			for range expireBatch {
				var id, owner, inbox, size int64
				found, err := t.Get("SELECT id, owner, inbox, size FROM mail WHERE expires <= ? LIMIT 1", []any{ms(now)}, &id, &owner, &inbox, &size)
				if err != nil || !found {
					return err
				}
				if err := t.drop(id, owner, inbox, size); err != nil {
					return err
				}
			}
			more = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := s.write(ctx, func(t *tx) error {
		if _, err := t.Exec("DELETE FROM knocks WHERE expires <= ?", ms(now)); err != nil {
			return err
		}
		n, err := t.Exec("DELETE FROM owners WHERE day < ?", relay.Day(ownersBefore))
		if n > 0 {
			t.held.forget()
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.forget(ctx)
}
