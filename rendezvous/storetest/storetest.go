// Package storetest is the conformance suite of [rendezvous.Store].
package storetest

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/rendezvous"
)

// Run checks the stores that open returns; each call returns an empty one.
func Run(t *testing.T, open func(t *testing.T) rendezvous.Store) {
	for name, test := range map[string]func(*testing.T, rendezvous.Store){
		"PutGet":     testPutGet,
		"Expiry":     testExpiry,
		"Limit":      testLimit,
		"Delete":     testDelete,
		"Concurrent": testConcurrent,
		"Count":      testCount,
		"Renew":      testRenew,
		"List":       testList,
		"ListLimit":  testListLimit,
		"Seen":       testSeen,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func record(name byte, sealed string, ttl time.Duration) rendezvous.StoredRecord {
	return rendezvous.StoredRecord{Blinded: [32]byte{name}, Sealed: []byte(sealed), Expires: t0.Add(ttl)}
}

func put(t *testing.T, s rendezvous.Store, r rendezvous.StoredRecord) {
	t.Helper()
	if err := s.Put(t.Context(), r, 100); err != nil {
		t.Fatal(err)
	}
}

// want checks what stands under a name at a time; "" means nothing.
func want(t *testing.T, s rendezvous.Store, name byte, at time.Time, sealed string) {
	t.Helper()
	r, ok, err := s.Get(t.Context(), [32]byte{name}, at)
	if err != nil || ok != (sealed != "") || string(r.Sealed) != sealed {
		t.Errorf("record %d: got %q, %v, %v, want %q", name, r.Sealed, ok, err, sealed)
	}
}

func testPutGet(t *testing.T, s rendezvous.Store) {
	want(t, s, 1, t0, "")
	big := string(bytes.Repeat([]byte{0, 0xff}, 8212))
	put(t, s, record(1, big, time.Hour))
	put(t, s, record(2, "two", time.Hour))
	want(t, s, 1, t0, big)
	put(t, s, record(1, "newer", 2*time.Hour))
	want(t, s, 1, t0, "newer")
	want(t, s, 2, t0, "two")
	r, _, err := s.Get(t.Context(), [32]byte{1}, t0)
	if err != nil || r.Blinded != [32]byte{1} || !r.Expires.Equal(t0.Add(2*time.Hour)) {
		t.Errorf("got %x until %v, %v, want %x until %v", r.Blinded, r.Expires, err, [32]byte{1}, t0.Add(2*time.Hour))
	}
	r.Sealed[0] = 'X'
	want(t, s, 1, t0, "newer")
}

func testExpiry(t *testing.T, s rendezvous.Store) {
	put(t, s, record(1, "short", time.Hour))
	put(t, s, record(2, "long", 3*time.Hour))
	want(t, s, 1, t0.Add(time.Hour-time.Second), "short")
	want(t, s, 1, t0.Add(time.Hour), "")
	for _, wantN := range []int{1, 0} {
		if n, err := s.Expire(t.Context(), t0.Add(time.Hour)); err != nil || n != wantN {
			t.Errorf("Expire: got %d, %v, want %d", n, err, wantN)
		}
	}
	want(t, s, 1, t0, "")
	want(t, s, 2, t0, "long")
}

func testLimit(t *testing.T, s rendezvous.Store) {
	for i := range byte(3) {
		if err := s.Put(t.Context(), record(i, "x", time.Hour), 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(t.Context(), record(3, "x", time.Hour), 3); !errors.Is(err, rendezvous.ErrFull) {
		t.Errorf("a fourth record of three: %v, want ErrFull", err)
	}
	if err := s.Put(t.Context(), record(1, "renewed", time.Hour), 3); err != nil {
		t.Errorf("renewal in a full store: %v", err)
	}
	want(t, s, 3, t0, "")
	want(t, s, 1, t0, "renewed")
	if err := s.Delete(t.Context(), [32]byte{0}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), record(3, "x", time.Hour), 3); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
}

func testCount(t *testing.T, s rendezvous.Store) {
	counts := func(records, listed int) {
		t.Helper()
		if r, l, err := s.Count(t.Context()); r != records || l != listed || err != nil {
			t.Errorf("Count = %d, %d, %v; want %d, %d", r, l, err, records, listed)
		}
	}
	counts(0, 0)
	put(t, s, record(1, "one", time.Hour))
	put(t, s, record(2, "two", time.Hour))
	put(t, s, record(2, "again", time.Hour))
	r := rendezvous.ListedRecord{Identity: [32]byte{3}, Fold: "ann", Entry: []byte("e"), Expires: t0.Add(time.Hour), Seen: t0}
	if err := s.List(t.Context(), r, 10); err != nil {
		t.Fatal(err)
	}
	counts(2, 1)
	if err := s.Delete(t.Context(), [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	counts(1, 1)
}

func testDelete(t *testing.T, s rendezvous.Store) {
	put(t, s, record(1, "one", time.Hour))
	for range 2 {
		if err := s.Delete(t.Context(), [32]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, 1, t0, "")
}

func testConcurrent(t *testing.T, s rendezvous.Store) {
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			for range 10 {
				if err := s.Put(t.Context(), record(i, "x", time.Hour), 100); err != nil {
					t.Error(err)
				}
				if _, ok, err := s.Get(t.Context(), [32]byte{i}, t0); !ok || err != nil {
					t.Errorf("record %d: got %v, %v", i, ok, err)
				}
			}
		})
	}
	wg.Wait()
}
