package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// copyOf returns a copy of a profile that nobody has open.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// greet makes b a contact of a by an invite; each has a first message of the other.
func greet(t *testing.T, a, b *client.Client, aID, bID identity.PeerID) {
	t.Helper()
	add(t, b, invite(t, a))
	send(t, b, aID, "hello")
	delivered(t, b, a, bID, aID, "hello")
	send(t, a, bID, "welcome")
	delivered(t, a, b, aID, bID, "welcome")
}

// delivered waits until a text of one is shown once to the other, and has its
// tick.
func delivered(t *testing.T, from, to *client.Client, fromID, toID identity.PeerID, text string) {
	t.Helper()
	eventually(t, text, func() (bool, string) {
		mine, theirs := texts(t, from, toID), texts(t, to, fromID)
		n := 0
		for _, x := range theirs {
			if x == "<"+text {
				n++
			}
		}
		return n == 1 && slices.Contains(mine, ">delivered "+text), fmt.Sprint(mine, theirs)
	})
}

// A disk that is put back to what it was, as by a snapshot, is recognised: by
// message keys that were used, by ratchet steps that it missed, by messages that
// it does not remember having sent. Both sides read each other again, and no
// message written since is taken for delivered that was not.
func TestOldCopy(t *testing.T) {
	for _, x := range []struct {
		name                string
		missed, heard, typd int // messages sent and received after the copy; typed before it is connected
	}{
		{"used keys", 3, 0, 2},
		{"as many as were lost", 2, 0, 2},
		{"more than were lost", 2, 0, 4},
		{"steps missed", 2, 3, 3},
		{"only heard", 0, 3, 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel() // it waits more than it works
			s := startServer(t)
			a, adir := newClient(t, "Alice")
			b, bdir := newClient(t, "Bob")
			aID, bID := me(t, a), me(t, b)
			useServer(t, a, s)
			useServer(t, b, s)
			greet(t, a, b, aID, bID)
			a.Close()
			old := copyOf(t, adir)
			a = open(t, adir)
			for i := range x.missed {
				text := fmt.Sprint("lost at Alice ", i)
				send(t, a, bID, text)
				delivered(t, a, b, aID, bID, text)
			}
			for i := range x.heard {
				text := fmt.Sprint("lost at Alice, of Bob ", i)
				send(t, b, aID, text)
				delivered(t, b, a, bID, aID, text)
			}
			a.Close()
			b.Close()

			a = open(t, old)
			for i := range x.typd {
				send(t, a, bID, fmt.Sprint("new of Alice ", i))
			}
			b = open(t, bdir)
			send(t, b, aID, "new of Bob")
			for i := range x.typd {
				delivered(t, a, b, aID, bID, fmt.Sprint("new of Alice ", i))
			}
			delivered(t, b, a, bID, aID, "new of Bob")
			send(t, a, bID, "and on")
			delivered(t, a, b, aID, bID, "and on")
			for i := range x.missed {
				if got := texts(t, b, aID); !slices.Contains(got, fmt.Sprint("<lost at Alice ", i)) {
					t.Errorf("Bob has %q", got)
				}
			}
		})
	}
}

// The same, and the two are never online together: the prekeys come from the
// other's relay.
func TestOldCopyApart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, adir := newClient(t, "Alice")
	b, bdir := newClient(t, "Bob")
	aID, bID := me(t, a), me(t, b)
	useServer(t, a, s)
	useServer(t, b, s)
	greet(t, a, b, aID, bID)
	a.Close()
	old := copyOf(t, adir)
	a = open(t, adir)
	for i := range 3 {
		text := fmt.Sprint("lost at Alice ", i)
		send(t, a, bID, text)
		delivered(t, a, b, aID, bID, text)
		text = fmt.Sprint("lost at Alice, of Bob ", i)
		send(t, b, aID, text)
		delivered(t, b, a, bID, aID, text)
	}
	a.Close()
	for i := range 4 {
		send(t, b, aID, fmt.Sprint("while away ", i))
	}
	eventually(t, "mail", func() (bool, string) {
		got := texts(t, b, aID)
		return slices.Contains(got, ">held while away 3"), fmt.Sprint(got)
	})
	b.Close()

	dirs := map[bool]string{true: old, false: bdir}
	for turn := 0; ; turn++ {
		if turn == 20 {
			t.Fatal("no healing in 20 turns")
		}
		alice := turn%2 == 0
		c := open(t, dirs[alice])
		if turn == 0 {
			for i := range 3 {
				send(t, c, bID, fmt.Sprint("new of Alice ", i))
			}
		}
		peer := bID
		if !alice {
			peer = aID
		}
		waitServer(t, c)
		settled(t, c, peer)
		got := texts(t, c, peer)
		c.Close()
		if alice && slices.Contains(got, ">delivered new of Alice 2") && slices.Contains(got, "<while away 3") {
			return
		}
	}
}

// A restored profile and its contact, who are never online together: the
// contact's relay has prekeys for it, and what waited for the lost device comes.
func TestRestoreApart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, _ := newClient(t, "Alice")
	b, bdir := newClient(t, "Bob")
	aID, bID := me(t, a), me(t, b)
	useServer(t, a, s)
	useServer(t, b, s)
	greet(t, a, b, aID, bID)
	file := filepath.Join(t.TempDir(), "backup")
	if err := a.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	waitServer(t, b)
	a.Close()
	send(t, b, aID, "waits")
	eventually(t, "mail", func() (bool, string) {
		got := texts(t, b, aID)
		return slices.Contains(got, ">held waits"), fmt.Sprint(got)
	})
	settled(t, b, aID)
	b.Close()

	adir, err := restore(t, file, func(*client.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	a = open(t, adir)
	send(t, a, bID, "new computer")
	eventually(t, "mail to Bob", func() (bool, string) {
		got := texts(t, a, bID)
		return slices.Contains(got, ">held new computer"), fmt.Sprint(got)
	})
	a.Close()
	b = open(t, bdir)
	eventually(t, "Bob", func() (bool, string) {
		got := texts(t, b, aID)
		return slices.Contains(got, "<new computer") && slices.Contains(got, ">held waits"), fmt.Sprint(got)
	})
	settled(t, b, aID)
	b.Close()
	a = open(t, adir)
	eventually(t, "Alice", func() (bool, string) {
		got := texts(t, a, bID)
		return slices.Contains(got, "<waits") && slices.Contains(got, ">delivered new computer"), fmt.Sprint(got)
	})
}

// settled waits until all that could leave for a relay has left.
func settled(t *testing.T, c *client.Client, peer identity.PeerID) {
	t.Helper()
	last, same := "", 0
	eventually(t, "rest", func() (bool, string) {
		got := fmt.Sprint(texts(t, c, peer))
		if same++; got != last {
			last, same = got, 0
		}
		return same > 150, got
	})
}
