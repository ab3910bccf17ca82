package client_test

import (
	"bytes"
	"errors"
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
				waitServer(t, b) // where the answer is left
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

// A backup from before its contact lost a computer knows nothing of the contact's new
// one. If that writes first, to somebody it knows, there is a session, and yet nothing
// could go back: neither knows an inbox of the other's. Each then tells the other where
// it is, also behind more messages than the inbox of the prekeys takes.
func TestRestoredFromBefore(t *testing.T) {
	for _, waiting := range []int{1, 20} {
		t.Run(fmt.Sprint(waiting), func(t *testing.T) {
			t.Parallel() // it waits more than it works
			s, s2 := startServerKey(t, 1), startServerKey(t, 2)
			a, _ := newClient(t, "Alice")
			b, _ := newClient(t, "Bob")
			aID, bID := me(t, a), me(t, b)
			useServer(t, a, s)
			useServer(t, b, s2)
			greet(t, a, b, aID, bID)
			again := func(c *client.Client, file string) (*client.Client, string) {
				t.Helper()
				c.Close()
				dir, err := restore(t, file, func(*client.Config) {})
				if err != nil {
					t.Fatal(err)
				}
				return open(t, dir), dir
			}
			afile, bfile := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "backup")
			if err := errors.Join(a.Backup(t.Context(), afile), b.Backup(t.Context(), bfile)); err != nil {
				t.Fatal(err)
			}
			b, bdir := again(b, bfile)
			waitServer(t, b) // its inboxes are there before the server goes
			for _, text := range []string{"from Bob's new computer", "and more"} {
				send(t, b, aID, text)
				delivered(t, b, a, bID, aID, text)
			}
			send(t, a, bID, "from Alice's old computer")
			delivered(t, a, b, aID, bID, "from Alice's old computer")

			s2.stop() // Alice's new computer does not hear of Bob's by itself
			a, adir := again(a, afile)
			b.Close()
			b = open(t, bdir) // asks for prekeys at once: that it did is forgotten
			for i := range waiting {
				send(t, b, aID, fmt.Sprint("waiting ", i))
			}
			eventually(t, "what waited", func() (bool, string) {
				got := texts(t, a, bID)
				return slices.Contains(got, "<waiting 0"), fmt.Sprint(got)
			})
			s2.start()
			a.Close()
			a = open(t, adir)
			send(t, a, bID, "from Alice's new computer")
			delivered(t, a, b, aID, bID, "from Alice's new computer")
			for i := range waiting {
				delivered(t, b, a, bID, aID, fmt.Sprint("waiting ", i))
			}
			settled(t, a, bID)
			waitServer(t, b)
			b.Close()
			for i := range 20 { // more than may wait where prekeys are
				send(t, a, bID, fmt.Sprint("for later ", i))
			}
			eventually(t, "mail for Bob", func() (bool, string) {
				got := texts(t, a, bID)
				return slices.Contains(got, ">held for later 19"), fmt.Sprint(got)
			})
		})
	}
}
