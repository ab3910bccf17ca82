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
	inbox, owner, knock int64 // row ids
	ownerKey, bundle    []byte
	prekeys             int // taken with the knock
}

// find reads what the decision about a delivery needs.
func (t *tx) find(inbox, tokenHash [32]byte) (x target, err error) {
	var hash []byte
	x.Found, err = t.get(`SELECT i.id, i.knock, i.token_hash, i.blobs, i.bytes, i.bundle, i.work, o.id, o.key, o.blobs, o.bytes
		FROM inboxes i JOIN owners o ON o.id = i.owner WHERE i.name = ?`, []any{inbox[:]},
		&x.inbox, &x.Knock, &hash, &x.InboxBlobs, &x.InboxBytes, &x.bundle, &x.Work, &x.owner, &x.ownerKey, &x.OwnerBlobs, &x.OwnerBytes)
	if err != nil || !x.Found {
		return x, err
	}
	copy(x.TokenHash[:], hash)
	if x.Knock {
		var expires int64
		x.KnockFound, err = t.get("SELECT id, expires, blobs, bytes, prekeys FROM knocks WHERE inbox = ? AND token_hash = ?",
			[]any{x.inbox, tokenHash[:]}, &x.knock, &expires, &x.KnockBlobs, &x.KnockBytes, &x.prekeys)
		x.KnockExpires = fromMS(expires)
	}
	return x, err
}

// TakePrekeys implements [relay.Store].
func (s *Store) TakePrekeys(ctx context.Context, inbox, tokenHash [32]byte, now time.Time) ([]byte, []byte, error) {
	var bundle, oneTime []byte // not results, see Owner
	err := s.w.write(ctx, func(t *tx) error {
		bundle, oneTime = nil, nil
		x, err := t.find(inbox, tokenHash)
		if err != nil {
			return err
		}
		if !x.Accepts(tokenHash, now) {
			return relay.ErrNoInbox
		}
		if len(x.bundle) == 0 {
			return relay.ErrNoPrekeys
		}
		bundle = x.bundle
		if x.Knock && x.prekeys >= relay.KnockBlobs {
			return nil // one invite must not empty the store of all others
		}
		var id, number int64
		found, err := t.get("SELECT id, number, body FROM one_time WHERE inbox = ? ORDER BY number LIMIT 1", []any{x.inbox}, &id, &number, &oneTime)
		if err != nil || !found {
			return err
		}
		if _, err := t.exec("DELETE FROM one_time WHERE id = ?", id); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE inboxes SET handed_out = ? WHERE id = ?", number, x.inbox); err != nil {
			return err
		}
		if x.Knock {
			_, err = t.exec("UPDATE knocks SET prekeys = prekeys + 1 WHERE id = ?", x.knock)
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
	return s.w.write(ctx, func(t *tx) error {
		id, knock, err := t.owned(owner, inbox)
		if err != nil {
			return err
		}
		if !knock {
			return relay.ErrNoInbox
		}
		_, err = t.exec("UPDATE inboxes SET work = ? WHERE id = ?", bits, id)
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
	err := s.w.write(ctx, func(t *tx) error {
		x, err := t.find(d.Inbox, d.TokenHash)
		if err != nil {
			return err
		}
		if !x.Takes(d) {
			return relay.ErrNoInbox
		}
		var at, expires int64
		copy(stored.Owner[:], x.ownerKey)
		found, err := t.get("SELECT stored, expires FROM mail WHERE inbox = ? AND hash = ?", []any{x.inbox, d.Hash[:]}, &at, &expires)
		if err != nil {
			return err
		}
		if found {
			stored.StoredAt, stored.Expires, stored.Fresh = fromMS(at), fromMS(expires), false
			return nil
		}
		if err := d.Limits.Admit(x.InboxState, d); err != nil {
			return err
		}
		at, expires = ms(d.Now), ms(d.Now.Add(d.Limits.TTL))
		stored.StoredAt, stored.Expires, stored.Fresh = fromMS(at), fromMS(expires), true
		return t.insert(x, d, at, expires)
	})
	if err != nil {
		return relay.Stored{}, err
	}
	return stored, nil
}

func (t *tx) insert(x target, d relay.Delivery, at, expires int64) error {
	n := len(d.Blob)
	if _, err := t.exec(`INSERT INTO mail (inbox, owner, seq, hash, stored, expires, size, body)
		VALUES (?1, ?2, (SELECT next_seq FROM owners WHERE id = ?2), ?3, ?4, ?5, ?6, ?7)`,
		x.inbox, x.owner, d.Hash[:], at, expires, n, d.Blob); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE owners SET next_seq = next_seq + 1, blobs = blobs + 1, bytes = bytes + ? WHERE id = ?", n, x.owner); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE inboxes SET blobs = blobs + 1, bytes = bytes + ? WHERE id = ?", n, x.inbox); err != nil {
		return err
	}
	if !x.Knock || d.Work > 0 {
		return nil
	}
	_, err := t.exec("UPDATE knocks SET blobs = blobs + 1, bytes = bytes + ? WHERE id = ?", n, x.knock)
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
func (t *tx) drop(id int64) error {
	if _, err := t.exec("UPDATE owners SET blobs = blobs - 1, bytes = bytes - (SELECT size FROM mail WHERE id = ?1) WHERE id = (SELECT owner FROM mail WHERE id = ?1)", id); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE inboxes SET blobs = blobs - 1, bytes = bytes - (SELECT size FROM mail WHERE id = ?1) WHERE id = (SELECT inbox FROM mail WHERE id = ?1)", id); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM mail WHERE id = ?", id)
	return err
}

// Ack implements [relay.Store].
func (s *Store) Ack(ctx context.Context, owner [32]byte, seqs []uint64) error {
	return s.w.write(ctx, func(t *tx) error {
		for _, seq := range seqs {
			var id int64
			found, err := t.get("SELECT m.id FROM mail m JOIN owners o ON o.id = m.owner WHERE o.key = ? AND m.seq = ?", []any{owner[:], int64(seq)}, &id)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			if err := t.drop(id); err != nil {
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
		err := s.w.write(ctx, func(t *tx) error {
			more = false
			for range expireBatch {
				var id int64
				found, err := t.get("SELECT id FROM mail WHERE expires <= ? LIMIT 1", []any{ms(now)}, &id)
				if err != nil || !found {
					return err
				}
				if err := t.drop(id); err != nil {
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
	err := s.w.write(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM knocks WHERE expires <= ?", ms(now)); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM owners WHERE day < ?", day(ownersBefore))
		return err
	})
	if err != nil {
		return err
	}
	return s.forget(ctx)
}
