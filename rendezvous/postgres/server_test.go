package postgres

import (
	"testing"

	"github.com/sremp/sremp/internal/pgtest"
)

// database makes an empty database on a server of the test's own, and returns how
// to connect to it.
func database(t testing.TB) string {
	t.Helper()
	return pgtest.Start(t, "fsync=off").Database(t)
}

func open(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
