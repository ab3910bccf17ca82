package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
)

// backedUp is a profile of somebody who writes notes, and a backup of it.
type backedUp struct {
	t    *testing.T
	c    *client.Client
	file string
}

func newBackedUp(t *testing.T) *backedUp {
	t.Helper()
	dir := t.TempDir()
	create(t, dir, "Alice")
	c, err := openWith(t, dir, func(c *client.Config) { c.Passphrase = []byte("pw") })
	if err != nil {
		t.Fatal(err)
	}
	return &backedUp{t: t, c: c, file: filepath.Join(t.TempDir(), "backup")}
}

// fill writes n notes, many at a time so that they share transactions, and
// returns the newest.
func (b *backedUp) fill(n int, text string) (newest []string) {
	b.t.Helper()
	id := me(b.t, b.c)
	var all sync.WaitGroup
	for w := range 32 {
		all.Go(func() {
			for i := w; i < n; i += 32 {
				if _, err := b.c.Send(b.t.Context(), id, fmt.Sprint(i, " ", text)); err != nil {
					b.t.Error(err)
				}
			}
		})
	}
	all.Wait()
	return b.newest()
}

func (b *backedUp) newest() (texts []string) {
	b.t.Helper()
	for _, m := range history(b.t, b.c, me(b.t, b.c)) {
		texts = append(texts, m.Text)
	}
	return texts
}

func (b *backedUp) note(text string) client.Message {
	b.t.Helper()
	m, err := b.c.Send(b.t.Context(), me(b.t, b.c), text)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// backup adds to the file and returns how long it is then.
func (b *backedUp) backup() int {
	b.t.Helper()
	if err := b.c.Backup(b.t.Context(), b.file); err != nil {
		b.t.Fatal(err)
	}
	return len(b.content())
}

func (b *backedUp) content() []byte {
	b.t.Helper()
	content, err := os.ReadFile(b.file)
	if err != nil {
		b.t.Fatal(err)
	}
	return content
}

// restored returns the notes in a backup.
func restoredNotes(t *testing.T, content []byte, pass string) (notes []string, out client.Restored, err error) {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err = client.Restore(t.Context(), client.Config{Store: s, Passphrase: []byte(pass), KDF: weak}, bytes.NewReader(content))
	s.Close()
	if err != nil {
		return nil, out, err
	}
	c, err := openWith(t, dir, func(c *client.Config) { c.Passphrase = []byte(pass) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, m := range history(t, c, me(t, c)) {
		notes = append(notes, m.Text)
	}
	return notes, out, nil
}

func (b *backedUp) want(what string, want ...string) {
	b.t.Helper()
	got, out, err := restoredNotes(b.t, b.content(), "pw")
	if err != nil || !slices.Equal(got, want) || out.Damaged {
		b.t.Errorf("%s: %q, %+v, %v; want %q", what, got, out, err, want)
	}
}

// What is new is appended, in steps of size; what is older is not written again.
func TestBackupGrows(t *testing.T) {
	b := newBackedUp(t)
	b.fill(600, strings.Repeat("x", 1000))
	first := b.backup()
	before := b.content()
	m := b.note("new")
	second := b.backup()
	if !bytes.HasPrefix(b.content(), before) {
		t.Error("what stood in the backup was written again")
	}
	if grew := second - first; grew <= 0 || grew > first/2 {
		t.Errorf("one note made %d bytes of %d, want few more", second, first)
	}
	if _, err := b.c.Edit(t.Context(), me(t, b.c), m.ID, "newer"); err != nil {
		t.Fatal(err)
	}
	b.backup()
	got, _, err := restoredNotes(t, b.content(), "pw")
	if want := b.newest(); err != nil || len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("restored are %d notes, %v; want those that were written", len(got), err)
	}
}

// An interrupted addition loses nothing but itself, wherever it was interrupted or
// damaged, and the next one repairs it.
func TestBackupTail(t *testing.T) {
	t.Parallel()
	b := newBackedUp(t)
	b.note("one")
	first := b.backup()
	b.note("two")
	whole := b.backup()
	content := b.content()
	b.want("whole", "one", "two")
	for _, cut := range []int{first + 1, first + 24, (first + whole) / 2, whole - 1} {
		got, out, err := restoredNotes(t, content[:cut], "pw")
		if err != nil || !out.Damaged || !slices.Equal(got, []string{"one"}) {
			t.Errorf("cut at %d of %d: %q, %+v, %v; want the first note, and that the end is damaged", cut, whole, got, out, err)
		}
		got, out, err = restoredNotes(t, flip(content, cut-1), "pw")
		if err != nil || !out.Damaged || !slices.Equal(got, []string{"one"}) {
			t.Errorf("changed at %d of %d: %q, %+v, %v; want the first note", cut, whole, got, out, err)
		}
	}
	// The second addition does not stand for the first, nor twice.
	tail := content[first:]
	for what, moved := range map[string][]byte{"twice": slices.Concat(content, tail), "longer": append(slices.Clone(content), 0)} {
		got, out, err := restoredNotes(t, moved, "pw")
		if err != nil || !out.Damaged || !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("%s: %q, %+v, %v; want both notes, and damage", what, got, out, err)
		}
	}
	if err := os.WriteFile(b.file, content[:whole-1], 0o600); err != nil {
		t.Fatal(err)
	}
	b.note("three")
	b.backup()
	b.want("repaired", "one", "two", "three")
}

// What was deleted, the kit once it is written down, and a passphrase that was
// changed do not stay behind in a backup.
func TestBackupForgets(t *testing.T) {
	ctx := t.Context()
	b := newBackedUp(t)
	m := b.note("a secret")
	b.note("no secret")
	first := b.backup()
	if err := b.c.Delete(ctx, me(t, b.c), []client.MessageID{m.ID}, false); err != nil {
		t.Fatal(err)
	}
	if got := b.backup(); got != first {
		t.Errorf("after a deletion the backup has %d bytes, want it written anew with %d", got, first)
	}
	b.want("deleted", "no secret")
	if err := b.c.ChangePassphrase(ctx, []byte("another")); err != nil {
		t.Fatal(err)
	}
	b.backup()
	if _, _, err := restoredNotes(t, b.content(), "pw"); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Errorf("the old passphrase: %v, want ErrWrongPassphrase", err)
	}
	if _, _, err := restoredNotes(t, b.content(), "another"); err != nil {
		t.Errorf("the new passphrase: %v", err)
	}
	if err := b.c.ForgetKit(ctx); err != nil {
		t.Fatal(err)
	}
	b.backup()
	if _, _, err := restoredNotes(t, b.content(), "another"); !errors.Is(err, client.ErrNeedKit) {
		t.Errorf("without the kit: %v, want ErrNeedKit", err)
	}
}

// Any other file, another profile's backup too, stays as it is.
func TestBackupSparesFiles(t *testing.T) {
	b, other := newBackedUp(t), newBackedUp(t)
	other.backup()
	empty := filepath.Join(t.TempDir(), "empty")
	letter := filepath.Join(t.TempDir(), "letter")
	for name, content := range map[string]string{empty: "", letter: "Dear Bob"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{empty, letter, other.file} {
		before, _ := os.ReadFile(name)
		if err := b.c.Backup(t.Context(), name); !errors.Is(err, client.ErrFileExists) {
			t.Errorf("Backup = %v, want ErrFileExists", err)
		}
		if after, _ := os.ReadFile(name); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", name)
		}
	}
}

// A restore that was interrupted begins again, and nothing of the first is left.
func TestRestoreAgain(t *testing.T) {
	b := newBackedUp(t)
	want := b.fill(1500, "note")
	b.backup()
	dir := t.TempDir()
	for _, left := range []int{1, 1, 0} { // transactions until the disk fails, after that one
		s, err := sqlite.Create(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		failing := &crashStore{Store: s, err: errDead, after: true, left: left}
		_, err = client.Restore(context.Background(), client.Config{Store: failing, Passphrase: []byte("pw"), KDF: weak}, bytes.NewReader(b.content()))
		s.Close()
		if want := left > 0; errors.Is(err, errDead) != want {
			t.Fatalf("Restore = %v, want a failure: %v", err, want)
		}
	}
	got, err := openWith(t, dir, func(c *client.Config) { c.Passphrase = []byte("pw") })
	if err != nil {
		t.Fatal(err)
	}
	again := &backedUp{t: t, c: got}
	if have := again.newest(); !slices.Equal(have, want) {
		t.Errorf("the notes are %q, want %q", have, want)
	}
}
