package rendezvous

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrFull is returned by [Store.Put] when there is room for no other name.
var ErrFull = errors.New("rendezvous: the store is full")

// A StoredRecord is all that a server keeps: no owner, no address, no reader.
type StoredRecord struct {
	Blinded [32]byte
	Sealed  []byte
	Expires time.Time // to the second
}

// A Store keeps records until they expire. Its methods may be used
// concurrently. Package storetest says what each must do.
type Store interface {
	// Put stores r durably, in place of an older record of the same name. It
	// returns [ErrFull] if the name is new and there are limit records already.
	Put(ctx context.Context, r StoredRecord, limit int) error
	// Get returns the record under a name; ok is false if there is none or it
	// has expired.
	Get(ctx context.Context, blinded [32]byte, now time.Time) (r StoredRecord, ok bool, err error)
	// Delete removes a record; it is no error if there is none.
	Delete(ctx context.Context, blinded [32]byte) error
	// Expire removes the records that have expired, and returns how many.
	Expire(ctx context.Context, now time.Time) (n int, err error)
}

// A MemoryStore is a [Store] that forgets with its process. The zero value is
// empty and ready.
type MemoryStore struct {
	mu      sync.Mutex
	records map[[32]byte]StoredRecord
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

// Delete implements [Store].
func (s *MemoryStore) Delete(_ context.Context, blinded [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, blinded)
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
	return n, nil
}
