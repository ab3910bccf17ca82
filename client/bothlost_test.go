package client_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sremp/sremp/client"
)

// Two contacts who both lost their computers, each after the backup that the other
// begins again from: neither has an inbox, a hello key or an introduction key of
// the other's new computer, and each is at a server that the other does not use.
// They write to each other again, whether they are
// there at the same time or not, and the relay does not learn who writes.
func TestBothRestored(t *testing.T) {
	for _, apart := range []bool{false, true} {
		t.Run(map[bool]string{false: "together", true: "apart"}[apart], func(t *testing.T) {
			t.Parallel() // it waits more than it works
			s, s2 := startServerKey(t, 1), startServerKey(t, 2)
			a, _ := newClient(t, "Alice")
			b, _ := newClient(t, "Bobby Tables")
			aID, bID := me(t, a), me(t, b)
			useServer(t, a, s)
			useServer(t, b, s2)
			greet(t, a, b, aID, bID)
			dirs := map[*client.Client]string{}
			for _, c := range []*client.Client{a, b} {
				file := filepath.Join(t.TempDir(), "backup")
				if err := c.Backup(t.Context(), file); err != nil {
					t.Fatal(err)
				}
				c.Close()
				dir, err := restore(t, file, func(*client.Config) {})
				if err != nil {
					t.Fatal(err)
				}
				dirs[c] = dir
			}
			adir, bdir := dirs[a], dirs[b]
			a = open(t, adir)
			if apart {
				// Their new records are written, and nothing else.
				waitServer(t, a)
				settled(t, a, bID)
				a.Close()
			}
			b = open(t, bdir)
			send(t, b, aID, "from Bob's new computer")
			if apart {
				eventually(t, "mail for Alice", func() (bool, string) {
					got := texts(t, b, aID)
					return slices.Contains(got, ">held from Bob's new computer"), fmt.Sprint(got)
				})
				settled(t, b, aID)
				b.Close()
				for _, name := range []string{s.path, s.path + "-wal"} {
					stored, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					if bytes.Contains(stored, bID[:]) || bytes.Contains(stored, []byte("Bobby Tables")) {
						t.Errorf("%s names the sender", filepath.Base(name))
					}
				}
				a = open(t, adir)
			}
			send(t, a, bID, "from Alice's new computer")
			if apart {
				eventually(t, "Bob's mail", func() (bool, string) {
					got := texts(t, a, bID)
					return slices.Contains(got, "<from Bob's new computer") && slices.Contains(got, ">held from Alice's new computer"), fmt.Sprint(got)
				})
				settled(t, a, bID)
				a.Close()
				b = open(t, bdir)
				eventually(t, "Alice's mail", func() (bool, string) {
					got := texts(t, b, aID)
					return slices.Contains(got, "<from Alice's new computer") && slices.Contains(got, ">delivered from Bob's new computer"), fmt.Sprint(got)
				})
				return
			}
			delivered(t, a, b, aID, bID, "from Alice's new computer")
			delivered(t, b, a, bID, aID, "from Bob's new computer")
		})
	}
}
