package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
)

// A disk that was copied is noticed by both copies, though they are never there
// at the same time; a profile that is opened again and again notices nothing.
func TestTwoCopies(t *testing.T) {
	s := startServer(t)
	a, dir := newClient(t, "Alice")
	useServer(t, a, s)
	seen := func(c *client.Client) bool {
		t.Helper()
		k, err := c.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return !k.CopySeen.IsZero()
	}
	noted := func(c *client.Client) { // until its note lies at the relay
		t.Helper()
		eventually(t, "note", func() (bool, string) { return client.Noted(c, s.addr.ID), "not left" })
	}
	noted(a)
	a.Close()
	for range 2 {
		a = open(t, dir)
		noted(a)
		waitServer(t, a)
		if seen(a) {
			t.Fatal("a profile that has no copy noticed one")
		}
		a.Close()
	}
	stolen := t.TempDir()
	b, err := os.ReadFile(filepath.Join(dir, "client.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(stolen, "client.db"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	a = open(t, dir)
	noted(a)
	a.Close()
	thief := open(t, stolen)
	noted(thief)
	eventually(t, "the copy notices", func() (bool, string) { return seen(thief), "it does not" })
	thief.Close()
	a = open(t, dir)
	eventually(t, "the owner notices", func() (bool, string) { return seen(a), fmt.Sprint(seen(a)) })
}
