package client_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
)

// Nothing that was written, nobody's name and nobody's id is in the files.
func TestNothingPlainOnDisk(t *testing.T) {
	a, b := newPerson(t, "Alice-the-inviter"), newPerson(t, "Bob-the-joiner")
	a.open(nil)
	b.open(nil)
	if _, err := b.c.Add(t.Context(), invite(t, a.c), "nick-of-alice"); err != nil {
		t.Fatal(err)
	}
	send(t, b.c, a.id, "a text that nobody else reads")
	waitTexts(t, b.c, a.id, ">delivered a text that nobody else reads")
	setPicture(t, a.c, painted(t, red))
	waitPicture(t, b.c, a.id, a.c, "red")
	picture, err := b.c.Picture(t.Context(), a.id)
	if err != nil {
		t.Fatal(err)
	}
	own, err := a.c.Picture(t.Context(), a.id)
	if err != nil {
		t.Fatal(err)
	}
	needles := [][]byte{
		picture[len(picture)-40:], own[len(own)-40:], picture[:20],
		[]byte("Alice-the-inviter"), []byte("Bob-the-joiner"), []byte("nick-of-alice"), []byte("nobody else reads"),
		a.id[:], b.id[:], []byte(strings.ReplaceAll(a.id.String(), "-", "")[:20]), []byte("127.0.0.1"),
	}
	for _, p := range []*person{a, b} {
		// First as it is while the client runs, with its log, then after.
		for range 2 {
			files, err := os.ReadDir(p.dir)
			if err != nil || len(files) < 2 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, f := range files {
				content, err := os.ReadFile(filepath.Join(p.dir, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range needles {
					if bytes.Contains(content, n) {
						t.Errorf("%s holds %q", f.Name(), n)
					}
				}
				info, err := f.Info()
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %v, %v; want 0600", f.Name(), info.Mode(), err)
				}
			}
			p.c.Close()
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	create(t, dir, "Alice")
	openWith := func(pass string) error {
		t.Helper()
		s, err := sqlite.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Open(t.Context(), client.Config{Store: s, Passphrase: []byte(pass), Listen: "127.0.0.1:0"})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := openWith("PW"); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Errorf("wrong passphrase: %v, want ErrWrongPassphrase", err)
	}
	if err := openWith("pw"); err != nil {
		t.Errorf("after a wrong passphrase: %v", err)
	}
	db, err := sql.Open("sqlite3", filepath.Join(dir, "client.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// A row moved to another's place does not open there (spec §8.7).
	for _, swap := range []string{
		"UPDATE row SET seq = 9 WHERE kind = 1 AND seq = 1", "UPDATE row SET seq = 1 WHERE kind = 1 AND seq = 2",
	} {
		if r, err := db.Exec(swap); err != nil {
			t.Fatal(err)
		} else if n, err := r.RowsAffected(); n != 1 || err != nil {
			t.Fatalf("%d rows, %v: the settings are not where this test looks", n, err)
		}
	}
	if err := openWith("pw"); !errors.Is(err, client.ErrDamaged) {
		t.Errorf("rows swapped: %v, want ErrDamaged", err)
	}
	if _, err := db.Exec("UPDATE header SET body = x'00'"); err != nil {
		t.Fatal(err)
	}
	if err := openWith("pw"); !errors.Is(err, client.ErrDamaged) {
		t.Errorf("header cut: %v, want ErrDamaged", err)
	}
	s, err := sqlite.Create(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Open(t.Context(), client.Config{Store: s}); !errors.Is(err, client.ErrNoProfile) {
		t.Errorf("no profile: %v, want ErrNoProfile", err)
	}
}

func TestNamesAndTexts(t *testing.T) {
	s, err := sqlite.Create(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"", strings.Repeat("x", 41), "a\nb"} {
		if err := client.Create(t.Context(), client.Config{Store: s, KDF: weak}, name); !errors.Is(err, client.ErrBadName) {
			t.Errorf("name %q: %v, want ErrBadName", name, err)
		}
	}
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	uri := invite(t, a)
	for what, want := range map[string]error{
		"nonsense": client.ErrBadInvite, uri[:len(uri)-3]: client.ErrBadInvite, uri: client.ErrOwnInvite,
	} {
		if _, err := a.Add(t.Context(), what, ""); !errors.Is(err, want) {
			t.Errorf("Add(%.20q) = %v, want %v", what, err, want)
		}
	}
	if _, err := b.Send(t.Context(), me(t, a), "x"); !errors.Is(err, client.ErrUnknownContact) {
		t.Errorf("Send to a stranger = %v, want ErrUnknownContact", err)
	}
	add(t, b, uri)
	for text, want := range map[string]error{
		"": client.ErrBadText, "\xff": client.ErrBadText, strings.Repeat("a", 64<<10+1): client.ErrTooLong,
	} {
		if _, err := b.Send(t.Context(), me(t, a), text); !errors.Is(err, want) {
			t.Errorf("Send(%.5q) = %v, want %v", text, err, want)
		}
	}
	long := strings.Repeat("ä", 32<<10)
	send(t, b, me(t, a), long)
	waitTexts(t, a, me(t, b), "<"+long)
}

// An invite is one person's: the next one gets nothing, and learns nothing.
func TestInviteIsForOne(t *testing.T) {
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	m, _ := newClient(t, "Mallory")
	uri := invite(t, a)
	add(t, b, uri)
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	add(t, m, uri)
	send(t, m, me(t, a), "it is me")
	eventually(t, "an attempt of the second one", func() (bool, string) {
		p, err := m.Path(t.Context(), me(t, a))
		if err != nil {
			t.Fatal(err)
		}
		return p.Reason == client.ErrInviteUsed.Error(), p.Reason
	})
	cs, err := a.Contacts(t.Context())
	if err != nil || len(cs) != 1 || cs[0].Name != "Bob" {
		t.Errorf("contacts = %+v, %v; want Bob alone", cs, err)
	}
	if got := texts(t, m, me(t, a)); len(got) != 1 || got[0] != ">queued it is me" {
		t.Errorf("the second one's history = %q, want it queued", got)
	}
}
