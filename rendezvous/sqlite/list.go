package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/store"
)

// List implements [rendezvous.Store].
func (s *Store) List(ctx context.Context, r rendezvous.ListedRecord, limit int) error {
	err := s.writer.Write(ctx, func(tx *store.Tx) error {
		return upsert(tx,
			"UPDATE listed SET fold = ?, entry = ?, expires = ?, seen = ? WHERE identity = ?",
			"INSERT INTO listed (fold, entry, expires, seen, identity) SELECT ?, ?, ?, ?, ? FROM listed_total WHERE n < ?",
			limit, []byte(r.Fold), r.Entry, r.Expires.Unix(), r.Seen.Unix(), r.Identity[:])
	})
	return wrap("storing an entry of the list", err)
}

// Unlist implements [rendezvous.Store].
func (s *Store) Unlist(ctx context.Context, id identity.PeerID) error {
	return wrap("taking an entry off the list", s.exec(ctx, "DELETE FROM listed WHERE identity = ?", id[:]))
}

// Seen implements [rendezvous.Store].
func (s *Store) Seen(ctx context.Context, ids []identity.PeerID, at time.Time) error {
	err := s.writer.Write(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec("UPDATE listed SET seen = ? WHERE identity = ?", at.Unix(), id[:]); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("noting who was seen", err)
}

// Browse implements [rendezvous.Store]. It walks the index that sorts the list
// and compares here: a page costs at most q.Scan steps, whatever the query.
func (s *Store) Browse(ctx context.Context, q rendezvous.ListQuery, now time.Time) (rendezvous.ListPage, error) {
	page, err := s.browse(ctx, q, now)
	return page, wrap("reading the list", err)
}

func (s *Store) browse(ctx context.Context, q rendezvous.ListQuery, now time.Time) (page rendezvous.ListPage, err error) {
	from := ""
	if !q.Substring {
		from = q.Fold
	}
	rows, err := s.db.QueryContext(ctx, `SELECT rowid, fold, identity FROM listed
		WHERE (fold, identity) > (?, ?) AND fold >= ? ORDER BY fold, identity LIMIT ?`,
		[]byte(q.After.Fold), q.After.Identity[:], []byte(from), q.Scan+1)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	size, scanned := 0, 0
	for rows.Next() {
		var rowid int64
		var fold, id []byte
		if err := rows.Scan(&rowid, &fold, &id); err != nil {
			return page, err
		}
		at := rendezvous.Position{Fold: string(fold), Identity: identity.PeerID(id)}
		if !q.Substring && !strings.HasPrefix(at.Fold, q.Fold) {
			break
		}
		if scanned == q.Scan || len(page.Records) == q.Limit {
			page.More = true
			break
		}
		scanned++
		if strings.Contains(at.Fold, q.Fold) {
			r, ok, err := s.listed(ctx, rowid, at, now)
			if err != nil {
				return page, err
			}
			if ok && size+len(r.Entry) > q.Bytes && len(page.Records) > 0 {
				page.More = true
				break
			}
			if ok {
				size += len(r.Entry)
				page.Records = append(page.Records, r)
			}
		}
		page.Next = at
	}
	if !page.More {
		page.Next = rendezvous.Position{}
	}
	return page, rows.Err()
}

// listed reads one entry; ok is false if it has expired, or has just gone.
func (s *Store) listed(ctx context.Context, rowid int64, at rendezvous.Position, now time.Time) (r rendezvous.ListedRecord, ok bool, err error) {
	var expires, seen int64
	err = s.db.QueryRowContext(ctx, "SELECT entry, expires, seen FROM listed WHERE rowid = ? AND identity = ? AND expires > ?",
		rowid, at.Identity[:], now.Unix()).Scan(&r.Entry, &expires, &seen)
	if err == sql.ErrNoRows {
		return r, false, nil
	}
	r.Identity, r.Fold = at.Identity, at.Fold
	r.Expires, r.Seen = time.Unix(expires, 0), time.Unix(seen, 0)
	return r, err == nil, err
}
