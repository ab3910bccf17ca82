package postgres

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sremp/sremp/relay"
)

// channel is what processes notify each other on; the payload is an owner's key.
const channel = "sremp_relay_mail"

// A target is an inbox that somebody anonymous names, with the rows behind it.
type target struct {
	relay.InboxState
	inbox, owner, knock int64 // row ids
	ownerKey, bundle    []byte
	prekeys             int // taken with the knock
}

// find locks the inbox's owner and reads what the decision about it needs.
func (t *tx) find(inbox, tokenHash [32]byte) (x target, err error) {
	var hash []byte
	var work int64
	x.Found, err = t.get(`SELECT i.id, i.knock, i.token_hash, i.blobs, i.bytes, i.bundle, i.work, o.id, o.key, o.blobs, o.bytes
		FROM inboxes i JOIN owners o ON o.id = i.owner WHERE i.name = $1 FOR UPDATE OF o`, []any{inbox[:]},
		&x.inbox, &x.Knock, &hash, &x.InboxBlobs, &x.InboxBytes, &x.bundle, &work, &x.owner, &x.ownerKey, &x.OwnerBlobs, &x.OwnerBytes)
	if err != nil || !x.Found {
		return x, err
	}
	x.Work = uint8(work)
	copy(x.TokenHash[:], hash)
	// The row of the inbox may have changed while we waited for its owner's.
	if x.Found, err = t.get("SELECT blobs, bytes, bundle FROM inboxes WHERE id = $1", []any{x.inbox}, &x.InboxBlobs, &x.InboxBytes, &x.bundle); err != nil {
		return x, err
	}
	if x.Knock {
		var expires int64
		x.KnockFound, err = t.get("SELECT id, expires, blobs, bytes, prekeys FROM knocks WHERE inbox = $1 AND token_hash = $2",
			[]any{x.inbox, tokenHash[:]}, &x.knock, &expires, &x.KnockBlobs, &x.KnockBytes, &x.prekeys)
		x.KnockExpires = fromMS(expires)
	}
	return x, err
}

// TakePrekeys implements [relay.Store].
func (s *Store) TakePrekeys(ctx context.Context, inbox, tokenHash [32]byte, now time.Time) (bundle, oneTime []byte, err error) {
	err = s.tx(ctx, func(t *tx) error {
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
		var number int64
		found, err := t.get(`DELETE FROM one_time WHERE id = (SELECT id FROM one_time WHERE inbox = $1 ORDER BY number LIMIT 1)
			RETURNING number, body`, []any{x.inbox}, &number, &oneTime)
		if err != nil || !found {
			return err
		}
		if _, err := t.exec("UPDATE inboxes SET handed_out = $1 WHERE id = $2", number, x.inbox); err != nil {
			return err
		}
		if x.Knock {
			_, err = t.exec("UPDATE knocks SET prekeys = prekeys + 1 WHERE id = $1", x.knock)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return bundle, oneTime, nil
}

// Put implements [relay.Store].
func (s *Store) Put(ctx context.Context, d relay.Delivery) (stored relay.Stored, err error) {
	err = s.tx(ctx, func(t *tx) error {
		x, err := t.find(d.Inbox, d.TokenHash)
		if err != nil {
			return err
		}
		var earlier *relay.Stored
		if x.Takes(d) {
			if earlier, err = t.earlier(x.inbox, d.Hash); err != nil {
				return err
			}
		}
		var owner [32]byte
		copy(owner[:], x.ownerKey)
		stored, err = d.Settle(x.InboxState, earlier, owner)
		if err != nil || !stored.Fresh {
			return err
		}
		return t.insert(x, d, ms(stored.StoredAt), ms(stored.Expires))
	})
	if err != nil {
		return relay.Stored{}, err
	}
	return stored, nil
}

// earlier returns when a blob was stored, nil if it is not there.
func (t *tx) earlier(inbox int64, hash [32]byte) (*relay.Stored, error) {
	var at, expires int64
	found, err := t.get("SELECT stored, expires FROM mail WHERE inbox = $1 AND hash = $2", []any{inbox, hash[:]}, &at, &expires)
	if err != nil || !found {
		return nil, err
	}
	return &relay.Stored{StoredAt: fromMS(at), Expires: fromMS(expires)}, nil
}

func (t *tx) insert(x target, d relay.Delivery, at, expires int64) error {
	n := int64(len(d.Blob))
	var b pgx.Batch
	b.Queue(`WITH o AS (UPDATE owners SET next_seq = next_seq + 1, blobs = blobs + 1, bytes = bytes + $6 WHERE id = $2 RETURNING next_seq - 1 AS seq)
		INSERT INTO mail (inbox, owner, seq, hash, stored, expires, size, body) SELECT $1, $2, o.seq, $3, $4, $5, $6, $7 FROM o`,
		x.inbox, x.owner, d.Hash[:], at, expires, n, d.Blob)
	b.Queue("UPDATE inboxes SET blobs = blobs + 1, bytes = bytes + $1 WHERE id = $2", n, x.inbox)
	if x.Knock && d.Work == 0 {
		b.Queue("UPDATE knocks SET blobs = blobs + 1, bytes = bytes + $1 WHERE id = $2", n, x.knock)
	}
	b.Queue("SELECT pg_notify($1, $2)", channel, hex.EncodeToString(x.ownerKey))
	return t.SendBatch(t.ctx, &b).Close()
}

// Fetch implements [relay.Store].
func (s *Store) Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) (all []relay.Mail, err error) {
	total := 0
	err = s.rows(ctx, `SELECT i.name, m.seq, m.hash, m.stored, m.body
		FROM mail m JOIN owners o ON o.id = m.owner JOIN inboxes i ON i.id = m.inbox
		WHERE o.key = $1 AND m.seq > $2 AND m.expires > $3 ORDER BY m.seq LIMIT $4`, []any{owner[:], int64(after), ms(now), limit},
		func() { all, total = nil, 0 },
		func(rows pgx.Rows) error {
			var m relay.Mail
			var name, hash []byte
			var seq, at int64
			if err := rows.Scan(&name, &seq, &hash, &at, &m.Blob); err != nil {
				return err
			}
			if total += len(m.Blob); total > maxBytes && len(all) > 0 {
				return nil // nor any that follows: total only grows
			}
			copy(m.Inbox[:], name)
			copy(m.Hash[:], hash)
			m.Seq, m.StoredAt = uint64(seq), fromMS(at)
			all = append(all, m)
			return nil
		})
	return all, err
}

// Ack implements [relay.Store].
func (s *Store) Ack(ctx context.Context, owner [32]byte, seqs []uint64) error {
	numbers := make([]int64, len(seqs))
	for i, v := range seqs {
		numbers[i] = int64(v)
	}
	return s.tx(ctx, func(t *tx) error {
		id, found, err := t.lockOwner(owner)
		if err != nil || !found {
			return err
		}
		_, err = t.exec(drop("DELETE FROM mail WHERE owner = $1 AND seq = ANY($2) RETURNING inbox, owner, size"), id, numbers)
		return err
	})
}

// drop makes a statement of a deletion of mail that gives its room back.
func drop(deletion string) string {
	return "WITH gone AS (" + deletion + `),
		o AS (UPDATE owners SET blobs = blobs - g.n, bytes = bytes - g.size
			FROM (SELECT owner, count(*) AS n, sum(size)::bigint AS size FROM gone GROUP BY owner) g WHERE owners.id = g.owner),
		i AS (UPDATE inboxes SET blobs = blobs - g.n, bytes = bytes - g.size
			FROM (SELECT inbox, count(*) AS n, sum(size)::bigint AS size FROM gone GROUP BY inbox) g WHERE inboxes.id = g.inbox)
		SELECT 1 FROM gone`
}

// expireBatch keeps one transaction of Expire short: deliveries wait for it.
const expireBatch = 256

// Expire implements [relay.Store].
func (s *Store) Expire(ctx context.Context, now, ownersBefore time.Time) error {
	for more := true; more; {
		err := s.tx(ctx, func(t *tx) error {
			// Owners first, as everybody else locks them.
			n, err := t.exec(`SELECT 1 FROM owners WHERE id IN (SELECT owner FROM mail WHERE expires <= $1 ORDER BY expires LIMIT $2) ORDER BY id FOR UPDATE`, ms(now), expireBatch)
			if more = n > 0; err != nil || !more {
				return err
			}
			_, err = t.exec(drop("DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE expires <= $1 ORDER BY expires LIMIT $2) RETURNING inbox, owner, size"), ms(now), expireBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM knocks WHERE expires <= $1", ms(now)); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM owners WHERE day < $1", relay.Day(ownersBefore))
		return err
	})
}

// Notify implements [relay.Notifier]: it listens on a connection of its own, and
// when that breaks on another; what was stored in between it cannot know.
func (s *Store) Notify(ctx context.Context, f func(owner *[32]byte)) error {
	for ctx.Err() == nil {
		if err := s.listen(ctx, f); err != nil && ctx.Err() == nil {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

func (s *Store) listen(ctx context.Context, f func(owner *[32]byte)) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	c := pooled.Hijack() // it listens for good; the pool makes another
	defer c.Close(context.WithoutCancel(ctx))
	if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	f(nil)
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if key, err := hex.DecodeString(n.Payload); err == nil && len(key) == 32 {
			f((*[32]byte)(key))
		}
	}
}
