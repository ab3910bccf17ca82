package rendezvous

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
)

// A MemoryStore is a [Store] that forgets with its process. The zero value is
// empty and ready.
type MemoryStore struct {
	mu      sync.Mutex
	records map[[32]byte]StoredRecord
	listed  map[identity.PeerID]ListedRecord
	order   []Position // of listed, sorted
}

// Put implements [Store].
func (s *MemoryStore) Put(_ context.Context, r StoredRecord, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.records[r.Blinded]; !ok && len(s.records) >= limit {
		return ErrFull
	}
	if s.records == nil {
		s.records = make(map[[32]byte]StoredRecord)
	}
	r.Sealed = append([]byte(nil), r.Sealed...)
	r.Expires = r.Expires.Truncate(time.Second)
	s.records[r.Blinded] = r
	return nil
}

// Get implements [Store].
func (s *MemoryStore) Get(_ context.Context, blinded [32]byte, now time.Time) (StoredRecord, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[blinded]
	if !ok || !now.Before(r.Expires) {
		return StoredRecord{}, false, nil
	}
	r.Sealed = append([]byte(nil), r.Sealed...)
	return r, true, nil
}

// Count implements [Store].
func (s *MemoryStore) Count(context.Context) (records, listed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records), len(s.listed), nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(_ context.Context, blinded [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, blinded)
	return nil
}

// Renew implements [Store].
func (s *MemoryStore) Renew(_ context.Context, records, listed []Renewal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range records {
		if r, ok := s.records[n.Name]; ok {
			r.Expires = n.Expires.Truncate(time.Second)
			s.records[n.Name] = r
		}
	}
	for _, n := range listed {
		if r, ok := s.listed[n.Name]; ok {
			r.Expires = n.Expires.Truncate(time.Second)
			s.listed[n.Name] = r
		}
	}
	return nil
}

// Expire implements [Store].
func (s *MemoryStore) Expire(_ context.Context, now time.Time) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, r := range s.records {
		if !now.Before(r.Expires) {
			delete(s.records, k)
			n++
		}
	}
	for id, r := range s.listed {
		if !now.Before(r.Expires) {
			s.unlistLocked(id)
			n++
		}
	}
	return n, nil
}

// List implements [Store].
func (s *MemoryStore) List(_ context.Context, r ListedRecord, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.listed[r.Identity]; !ok && len(s.listed) >= limit {
		return ErrFull
	}
	if s.listed == nil {
		s.listed = make(map[identity.PeerID]ListedRecord)
	}
	s.unlistLocked(r.Identity)
	r.Entry = bytes.Clone(r.Entry)
	r.Expires, r.Seen = r.Expires.Truncate(time.Second), r.Seen.Truncate(time.Second)
	s.listed[r.Identity] = r
	at := Position{r.Fold, r.Identity}
	i, _ := slices.BinarySearchFunc(s.order, at, comparePositions)
	s.order = slices.Insert(s.order, i, at)
	return nil
}

// Unlist implements [Store].
func (s *MemoryStore) Unlist(_ context.Context, id identity.PeerID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlistLocked(id)
	return nil
}

func (s *MemoryStore) unlistLocked(id identity.PeerID) {
	r, ok := s.listed[id]
	if !ok {
		return
	}
	delete(s.listed, id)
	if i, ok := slices.BinarySearchFunc(s.order, Position{r.Fold, id}, comparePositions); ok {
		s.order = slices.Delete(s.order, i, i+1)
	}
}

func comparePositions(a, b Position) int {
	return cmp.Or(strings.Compare(a.Fold, b.Fold), bytes.Compare(a.Identity[:], b.Identity[:]))
}

// Browse implements [Store].
func (s *MemoryStore) Browse(_ context.Context, q ListQuery, now time.Time) (page ListPage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	after, from := q.After, q.After
	if !q.Substring && comparePositions(from, Position{Fold: q.Fold}) < 0 {
		from = Position{Fold: q.Fold}
	}
	i, found := slices.BinarySearchFunc(s.order, from, comparePositions)
	if found && from == after {
		i++
	}
	size := 0
	for scanned := 0; i < len(s.order); i, scanned = i+1, scanned+1 {
		at := s.order[i]
		if !q.Substring && !strings.HasPrefix(at.Fold, q.Fold) {
			break
		}
		r := s.listed[at.Identity]
		size += len(r.Entry)
		if scanned == q.Scan || len(page.Records) == q.Limit || size > q.Bytes && len(page.Records) > 0 {
			page.More = true
			break
		}
		page.Next = at
		if now.Before(r.Expires) && strings.Contains(at.Fold, q.Fold) {
			r.Entry = bytes.Clone(r.Entry)
			page.Records = append(page.Records, r)
		} else {
			size -= len(r.Entry)
		}
	}
	if !page.More {
		page.Next = Position{}
	}
	return page, nil
}

// Seen implements [Store].
func (s *MemoryStore) Seen(_ context.Context, ids []identity.PeerID, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if r, ok := s.listed[id]; ok {
			r.Seen = at.Truncate(time.Second)
			s.listed[id] = r
		}
	}
	return nil
}
