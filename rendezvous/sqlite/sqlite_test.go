package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/storetest"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) rendezvous.Store { return open(t, filepath.Join(t.TempDir(), "r.db")) })
}

func TestSurvivesRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	now := time.Unix(1_800_000_000, 0)
	s := open(t, path)
	if err := s.Put(t.Context(), rendezvous.StoredRecord{Blinded: [32]byte{1}, Sealed: []byte("x"), Expires: now.Add(time.Hour)}, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	r, ok, err := s.Get(t.Context(), [32]byte{1}, now)
	if err != nil || !ok || string(r.Sealed) != "x" {
		t.Errorf("got %q, %v, %v, want x", r.Sealed, ok, err)
	}
	// The count survived too.
	if err := s.Put(t.Context(), rendezvous.StoredRecord{Blinded: [32]byte{2}, Sealed: []byte("x"), Expires: now.Add(time.Hour)}, 1); err != rendezvous.ErrFull {
		t.Errorf("got %v, want ErrFull", err)
	}
}
