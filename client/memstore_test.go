package client

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
)

// A memStore is a Store without a disk.
type memStore struct {
	mu     sync.Mutex
	header []byte
	rows   map[memKey]Row
}

type memKey struct {
	table      Table
	owner, seq int64
}

func newMemStore() *memStore { return &memStore{rows: map[memKey]Row{}} }

func (s *memStore) Header(context.Context) ([]byte, error) { return s.header, nil }

func (s *memStore) SetHeader(_ context.Context, h []byte) error { s.header = h; return nil }

func (s *memStore) Apply(ctx context.Context, changes []Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		if c.Kind == Put {
			r := c.Row
			r.Body = bytes.Clone(r.Body)
			s.rows[memKey{c.Table, c.Owner, c.Seq}] = r
			continue
		}
		for key := range s.rows {
			if key.table != c.Table || key.owner != c.Owner || key.seq < c.Seq || key.seq > c.Through {
				continue
			}
			delete(s.rows, key)
		}
	}
	return nil
}

func (s *memStore) Rows(_ context.Context, q Query) (out []Row, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range s.rows {
		if key.table == q.Table && key.owner == q.Owner && key.seq >= q.From && (q.Below == 0 || key.seq < q.Below) &&
			(q.Tag == 0 || r.Tag == q.Tag) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Row) int {
		if q.Descending {
			a, b = b, a
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	if q.Limit > 0 {
		out = out[:min(len(out), q.Limit)]
	}
	return out, nil
}

func (s *memStore) Close() error { return nil }
