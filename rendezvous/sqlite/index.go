package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// An index says which names there are, where, and until when: some 80 bytes each.
// What is absent or has expired is known without reading, so that the server,
// which reads one record whatever is asked for, reads one and not two.
type index struct{ shards [256]shard }

// A shard is small: whoever sweeps it holds nobody up.
type shard struct {
	mu     sync.RWMutex
	places map[[32]byte]place
}

// A place is a row and its expiry in Unix seconds.
type place struct{ row, expires int64 }

// of returns the shard of a name. Names are random, to who cannot choose them;
// who can fills one shard at most as he fills the store.
func (x *index) of(name [32]byte) *shard { return &x.shards[name[31]] }

func (x *index) find(name [32]byte) (place, bool) {
	s := x.of(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.places[name]
	return p, ok
}

// update takes what locate says of a name, with its shard held.
func (x *index) update(name [32]byte, locate func([32]byte) (place, bool, error)) error {
	s := x.of(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok, err := locate(name)
	switch {
	case err != nil:
		return err
	case ok:
		s.put(name, p)
	default:
		delete(s.places, name)
	}
	return nil
}

func (s *shard) put(name [32]byte, p place) {
	if s.places == nil {
		s.places = make(map[[32]byte]place)
	}
	s.places[name] = p
}

// expire forgets what is over.
func (x *index) expire(now time.Time) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		for name, p := range s.places {
			if p.expires <= now.Unix() {
				delete(s.places, name)
			}
		}
		s.mu.Unlock()
	}
}

// load reads what is stored, before there are others: from the two indexes of the
// table, which are a twentieth of it.
func (x *index) load(ctx context.Context, db *sql.DB) error {
	expires := make(map[int64]int64)
	err := each(ctx, db, "SELECT rowid, expires FROM records INDEXED BY records_expires WHERE expires > 0", func(rows *sql.Rows) error {
		var row, at int64
		err := rows.Scan(&row, &at)
		expires[row] = at
		return err
	})
	if err != nil {
		return err
	}
	var blinded sql.RawBytes
	return each(ctx, db, "SELECT blinded, rowid FROM records INDEXED BY sqlite_autoindex_records_1 WHERE blinded > x''", func(rows *sql.Rows) error {
		var row int64
		if err := rows.Scan(&blinded, &row); err != nil {
			return err
		}
		if at, ok := expires[row]; ok && len(blinded) == 32 {
			name := [32]byte(blinded)
			x.of(name).put(name, place{row, at})
		}
		return nil
	})
}

func each(ctx context.Context, db *sql.DB, query string, f func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
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
}
