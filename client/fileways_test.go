package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

// accounts are two contacts with a server of their own who have written to each
// other.
func accounts(t *testing.T) (s *testServer, a, b *person) {
	t.Helper()
	s = startServer(t)
	a, b = newPerson(t, "Alice"), newPerson(t, "Bob")
	a.open(nil)
	b.open(nil)
	useServer(t, a.c, s)
	useServer(t, b.c, s)
	add(t, b.c, invite(t, a.c))
	send(t, b.c, a.id, "hello")
	waitTexts(t, b.c, a.id, ">delivered hello")
	send(t, a.c, b.id, "hello")
	waitTexts(t, a.c, b.id, "<hello", ">delivered hello")
	return s, a, b
}

// A file reaches somebody who is never there when its sender is, and the sender
// learns that it did.
func TestFileWhileAway(t *testing.T) {
	t.Parallel()
	_, a, b := accounts(t)
	dir := takesFiles(t, b.c, 25e6)
	s, err := b.c.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.c.Close()
	path := writeFile(t, "photo.bin", 3_000_000)
	m := sendFile(t, a.c, b.id, client.FileDraft{Path: path})
	eventually(t, "all chunks in the mailbox", func() (bool, string) {
		f, _ := file(t, a.c, b.id, m.ID)
		return client.Mailed(a.c, b.id, m.ID) == 12, fmt.Sprintf("%+v", f)
	})
	a.c.Close()

	b.open(nil)
	if err := b.c.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	got := waitFile(t, b.c, a.id, m.ID, client.FileDone)
	if sum(t, got.Path) != sum(t, path) || filepath.Dir(got.Path) != dir {
		t.Errorf("received %+v, not the file that was sent", got)
	}
	flushed(t, b.c) // the report too: Bob does not come back
	b.c.Close()

	a.open(nil)
	waitFile(t, a.c, b.id, m.ID, client.FileDone)
}

// A file that is too large to be sent unasked goes when it is wanted, also when
// the two never meet.
func TestLargeFileWhileAway(t *testing.T) {
	t.Parallel()
	_, a, b := accounts(t)
	b.c.Close()
	path := writeFile(t, "film.bin", 9_000_000)
	m := sendFile(t, a.c, b.id, client.FileDraft{Path: path})
	eventually(t, "the offer held", func() (bool, string) {
		got := texts(t, a.c, b.id)
		return strings.HasPrefix(got[len(got)-1], ">held"), fmt.Sprint(got)
	})
	if n := client.Mailed(a.c, b.id, m.ID); n != 0 {
		t.Errorf("%d chunks were mailed that nobody asked for", n)
	}
	a.c.Close()

	b.open(nil)
	takesFiles(t, b.c, 0)
	waitFile(t, b.c, a.id, m.ID, client.FileOffered)
	s, _ := b.c.Settings(t.Context())
	if _, err := b.c.ControlFile(t.Context(), a.id, m.ID, client.FileAccept); err != nil {
		t.Fatal(err)
	}
	flushed(t, b.c)
	b.c.Close()

	a.open(nil)
	eventually(t, "all chunks in the mailbox", func() (bool, string) {
		n := client.Mailed(a.c, b.id, m.ID)
		return n == 35, fmt.Sprint(n)
	})
	a.c.Close()

	b.open(nil)
	if err := b.c.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	got := waitFile(t, b.c, a.id, m.ID, client.FileDone)
	if sum(t, got.Path) != sum(t, path) {
		t.Error("another file than the one sent")
	}
}

// long is a size that takes a while; under the race detector less does.
func long(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

func flushed(t *testing.T, c *client.Client) {
	t.Helper()
	eventually(t, "the outbox", func() (bool, string) {
		return client.Flushed(c), "not empty"
	})
}

// Either side dies in the middle, more than once; the file arrives whole, and
// what was verified is not sent again.
func TestFileSurvivesCrashes(t *testing.T) {
	t.Parallel()
	a, b := newPerson(t, "Alice"), newPerson(t, "Bob")
	a.open(nil)
	b.open(nil)
	add(t, b.c, invite(t, a.c))
	send(t, b.c, a.id, "hello")
	waitTexts(t, b.c, a.id, ">delivered hello")
	takesFiles(t, b.c, 0)
	s, err := b.c.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "film.bin", long(200_000_000))
	m := sendFile(t, a.c, b.id, client.FileDraft{Path: path})
	waitFile(t, b.c, a.id, m.ID, client.FileOffered)
	for i, who := range []*person{b, a, b} {
		if i == 0 {
			if _, err := b.c.ControlFile(t.Context(), a.id, m.ID, client.FileAccept); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := file(t, b.c, a.id, m.ID)
		eventually(t, "progress", func() (bool, string) {
			f, _ := file(t, b.c, a.id, m.ID)
			return f.Done > before.Done || f.State == client.FileDone, fmt.Sprintf("%+v", f)
		})
		who.c.Close() // what is told last is stored first; kill -9 is a process test's
		who.open(nil)
		if who == b {
			if err := b.c.SetSettings(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		after, _ := file(t, b.c, a.id, m.ID)
		if after.Done < before.Done {
			t.Errorf("%d bytes after a restart, %d before", after.Done, before.Done)
		}
	}
	got := waitFile(t, b.c, a.id, m.ID, client.FileDone)
	if sum(t, got.Path) != sum(t, path) {
		t.Error("another file than the one sent")
	}
	waitFile(t, a.c, b.id, m.ID, client.FileDone)
}

// Pause holds a transfer, resume goes on from the same byte, by either side.
func TestFilePause(t *testing.T) {
	t.Parallel()
	a, b := friends(t)
	takesFiles(t, b, 0)
	path := writeFile(t, "film.bin", long(300_000_000))
	for range 20 {
		if pauseFile(t, a, b, path) {
			return
		}
	}
	t.Fatal("every file arrived before it could be paused")
}

// pauseFile sends a file, and pauses and resumes it at each side. It returns false
// if the file had arrived before a pause: a busy machine looks away for that long.
func pauseFile(t *testing.T, a, b *client.Client, path string) bool {
	t.Helper()
	m := sendFile(t, a, me(t, b), client.FileDraft{Path: path})
	waitFile(t, b, me(t, a), m.ID, client.FileOffered)
	control := func(c, other *client.Client, act client.FileAction) (client.File, bool) {
		t.Helper()
		f, err := c.ControlFile(t.Context(), me(t, other), m.ID, act)
		if now, _ := file(t, b, me(t, a), m.ID); err != nil && now.State != client.FileDone {
			t.Fatal(err)
		}
		return f, err == nil
	}
	// reaches says whether c sees the state that is awaited before the file is there.
	reaches := func(c, other *client.Client, want func(client.File) bool) bool {
		t.Helper()
		var f client.File
		eventually(t, "the file", func() (bool, string) {
			f, _ = file(t, c, me(t, other), m.ID)
			return want(f) || f.State == client.FileDone, fmt.Sprintf("%+v", f)
		})
		return f.State != client.FileDone
	}
	is := func(state client.FileState) func(client.File) bool {
		return func(f client.File) bool { return f.State == state }
	}
	control(b, a, client.FileAccept)
	for _, x := range []struct{ who, other *client.Client }{{b, a}, {a, b}} {
		if !reaches(b, a, is(client.FileMoving)) || !reaches(b, a, func(f client.File) bool { return f.Done > 0 }) {
			return false
		}
		if _, ok := control(x.who, x.other, client.FilePause); !ok || !reaches(x.other, x.who, is(client.FilePaused)) {
			return false
		}
		var before client.File
		still := func(f client.File) bool {
			same := f == before
			before = f
			time.Sleep(50 * time.Millisecond)
			return same && f.State == client.FilePaused
		}
		if !reaches(b, a, still) {
			return false
		}
		// It is not for the other side to go on.
		if f, _ := control(x.other, x.who, client.FileResume); x.other == a && f.State != client.FilePaused {
			t.Errorf("resumed by the side that did not pause: %+v", f)
		}
		control(x.who, x.other, client.FileResume)
	}
	got := waitFile(t, b, me(t, a), m.ID, client.FileDone)
	if sum(t, got.Path) != sum(t, path) {
		t.Error("another file than the one sent")
	}
	return true
}

// A file in the middle of its transfer goes on over another path: through the
// relay when the contact gets no address of ours any more, and directly again.
func TestFileOverAnotherPath(t *testing.T) {
	t.Parallel()
	_, a, b := accounts(t)
	takesFiles(t, b.c, 0)
	path := writeFile(t, "film.bin", 60_000_000)
	m := sendFile(t, a.c, b.id, client.FileDraft{Path: path})
	waitFile(t, b.c, a.id, m.ID, client.FileOffered)
	if _, err := b.c.ControlFile(t.Context(), a.id, m.ID, client.FileAccept); err != nil {
		t.Fatal(err)
	}
	for _, relayOnly := range []bool{true, false} {
		before, _ := file(t, b.c, a.id, m.ID)
		if _, err := a.c.SetContact(t.Context(), b.id, client.ContactSettings{RelayOnly: &relayOnly}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "bytes over the other path", func() (bool, string) {
			f, _ := file(t, b.c, a.id, m.ID)
			p, err := b.c.Path(t.Context(), a.id)
			over := p.Kind == client.PathRelay == relayOnly && p.Kind != client.PathNone
			return over && f.Done > before.Done || f.State == client.FileDone, fmt.Sprintf("%+v %+v %v", f, p, err)
		})
	}
	got := waitFile(t, b.c, a.id, m.ID, client.FileDone)
	if sum(t, got.Path) != sum(t, path) {
		t.Error("another file than the one sent")
	}
	entries, _ := os.ReadDir(filepath.Dir(got.Path))
	t.Log(entries)
}

// A contact with two relays gets its mail, and its files, although the first is
// gone: by the second, at once. What the first alone held comes by it too.
func TestSecondMailbox(t *testing.T) {
	t.Parallel()
	first, a, b := accounts(t)
	second := startServerKey(t, 7)
	if err := b.c.AddServer(t.Context(), second.addr); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second relay in the card", func() (bool, string) {
		n := client.Mailboxes(a.c, b.id)
		return n == 2, fmt.Sprint(n)
	})
	eventually(t, "the second relay", func() (bool, string) {
		servers, err := b.c.Servers(t.Context())
		return err == nil && len(servers) == 2 && servers[1].Connected, fmt.Sprint(servers, err)
	})
	takesFiles(t, b.c, 25e6)
	settings, err := b.c.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.c.Close()
	send(t, a.c, b.id, "by the first")
	held := func(text string) {
		t.Helper()
		eventually(t, text+" held", func() (bool, string) {
			got := texts(t, a.c, b.id)
			return got[len(got)-1] == ">held "+text, fmt.Sprint(got)
		})
	}
	held("by the first")
	first.stop()
	send(t, a.c, b.id, "by the second")
	held("by the second")
	path := writeFile(t, "photo.bin", 600_000)
	m := sendFile(t, a.c, b.id, client.FileDraft{Path: path})
	eventually(t, "all chunks in the mailbox", func() (bool, string) {
		n := client.Mailed(a.c, b.id, m.ID)
		return n == 3, fmt.Sprint(n)
	})
	a.c.Close()

	b.open(nil)
	if err := b.c.SetSettings(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	waitTexts(t, b.c, a.id, ">delivered hello", "<hello", "<by the first", "<by the second", "<photo.bin")
	got := waitFile(t, b.c, a.id, m.ID, client.FileDone)
	if sum(t, got.Path) != sum(t, path) {
		t.Error("another file than the one sent")
	}
}
