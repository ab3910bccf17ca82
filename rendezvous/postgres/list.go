package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

// List implements [rendezvous.Store].
func (s *Store) List(ctx context.Context, r rendezvous.ListedRecord, limit int) error {
	err := s.upsert(ctx, &s.listed, limit,
		"UPDATE listed SET fold = $2, entry = $3, expires = $4, seen = $5 WHERE identity = $1",
		`INSERT INTO listed VALUES ($1, $2, $3, $4, $5) ON CONFLICT (identity) DO UPDATE
			SET fold = excluded.fold, entry = excluded.entry, expires = excluded.expires, seen = excluded.seen RETURNING xmax = 0`,
		r.Identity[:], []byte(r.Fold), r.Entry, r.Expires.Unix(), r.Seen.Unix())
	return wrap("storing an entry of the list", err)
}

// Unlist implements [rendezvous.Store].
func (s *Store) Unlist(ctx context.Context, id identity.PeerID) error {
	tag, err := s.pool.Exec(ctx, "DELETE FROM listed WHERE identity = $1", id[:])
	s.listed.Add(-tag.RowsAffected())
	return wrap("taking an entry off the list", err)
}

// Seen implements [rendezvous.Store].
func (s *Store) Seen(ctx context.Context, ids []identity.PeerID, at time.Time) error {
	var keys [][]byte
	for _, id := range ids {
		keys = append(keys, id[:])
	}
	_, err := s.pool.Exec(ctx, "UPDATE listed SET seen = $2 WHERE identity = ANY($1)", keys, at.Unix())
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
	rows, err := s.pool.Query(ctx, `SELECT fold, identity FROM listed
		WHERE (fold, identity) > ($1, $2) AND fold >= $3 ORDER BY fold, identity LIMIT $4`,
		[]byte(q.After.Fold), q.After.Identity[:], []byte(from), q.Scan+1)
	if err != nil {
		return page, err
	}
	type line struct{ Fold, Identity []byte }
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
	if err != nil {
		return page, err
	}
	size := 0
	for i, l := range lines {
		if !q.Substring && !bytes.HasPrefix(l.Fold, []byte(q.Fold)) {
			break
		}
		if i == q.Scan || len(page.Records) == q.Limit {
			page.More = true
			break
		}
		at := rendezvous.Position{Fold: string(l.Fold), Identity: identity.PeerID(l.Identity)}
		if bytes.Contains(l.Fold, []byte(q.Fold)) {
			r, ok, err := s.entry(ctx, at, now)
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
	return page, nil
}

// entry reads one entry; ok is false if it has expired, or has just gone.
func (s *Store) entry(ctx context.Context, at rendezvous.Position, now time.Time) (r rendezvous.ListedRecord, ok bool, err error) {
	var expires, seen int64
	err = s.pool.QueryRow(ctx, "SELECT entry, expires, seen FROM listed WHERE identity = $1 AND expires > $2",
		at.Identity[:], now.Unix()).Scan(&r.Entry, &expires, &seen)
	if err == pgx.ErrNoRows {
		return r, false, nil
	}
	r.Identity, r.Fold = at.Identity, at.Fold
	r.Expires, r.Seen = time.Unix(expires, 0), time.Unix(seen, 0)
	return r, err == nil, err
}
