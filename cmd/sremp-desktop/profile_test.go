package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/identity"
)

func newProfile(t *testing.T, dir string) *profile {
	p := &profile{
		dir: dir, name: dir, ring: noKeyring{}, listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler),
		kdf: identity.KDFParams{Time: 1, MemoryKiB: 8 << 10, Threads: 1},
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// noKeyring is what a machine without one has.
type noKeyring struct{}

func (noKeyring) Load(context.Context) (key [32]byte, ok bool, err error) {
	return key, false, client.ErrKeyring
}
func (noKeyring) Store(context.Context, [32]byte) error { return client.ErrKeyring }
func (noKeyring) Remove(context.Context) error          { return client.ErrKeyring }

func with(passphrase string) client.Unlock { return client.Unlock{Passphrase: &passphrase} }

func TestProfile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	p := newProfile(t, dir)
	if _, err := p.Attach(t.Context()); !errors.Is(err, client.ErrNoProfile) {
		t.Fatalf("got %v, want ErrNoProfile", err)
	}
	api, err := p.Create(t.Context(), "Alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	me, err := api.WhoAmI(t.Context())
	if err != nil || me.Name != "Alice" {
		t.Fatalf("got %q, %v; want Alice", me.Name, err)
	}

	// A second start uses the client of the first, without a passphrase.
	second := newProfile(t, dir)
	api, err = second.Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := api.WhoAmI(t.Context()); err != nil || again.ID != me.ID {
		t.Fatalf("through the socket: got %v, %v; want %v", again.ID, err, me.ID)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}

	third := newProfile(t, dir)
	if _, err := third.Attach(t.Context()); !errors.Is(err, present.ErrLocked) {
		t.Fatalf("without a passphrase: got %v, want ErrLocked", err)
	}
	if _, err := third.Unlock(t.Context(), with("wrong")); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Fatalf("with a wrong one: got %v, want ErrWrongPassphrase", err)
	}
	if _, err := third.Unlock(t.Context(), with("secret")); err != nil {
		t.Fatalf("with the right one after a wrong one: %v", err)
	}
}

func TestProfileWithoutPassphraseOpensAtOnce(t *testing.T) {
	dir := t.TempDir()
	p := newProfile(t, dir)
	if _, err := p.Create(t.Context(), "Alice", ""); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := newProfile(t, dir).Attach(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestGivenPassphraseIsWrong(t *testing.T) {
	dir := t.TempDir()
	p := newProfile(t, dir)
	if _, err := p.Create(t.Context(), "Alice", "secret"); err != nil {
		t.Fatal(err)
	}
	p.Close()
	given := newProfile(t, dir)
	given.given, given.passphrase = true, "other"
	if _, err := given.Attach(t.Context()); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Errorf("got %v, want ErrWrongPassphrase: the window says that the file is wrong", err)
	}
}

func TestFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(file, []byte("from file\r\nmore"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(passphraseVariable, "from environment")
	for _, tt := range []struct {
		args       []string
		passphrase string
		status     int
		err        string
	}{
		{args: []string{"--profile", "p"}, passphrase: "from environment"},
		{args: []string{"--passphrase-file", file}, passphrase: "from file"},
		{args: []string{"--passphrase-file", file + "x"}, status: exitOther, err: "reading the passphrase"},
		{args: []string{"--colour"}, status: exitUsage, err: "colour"},
		{args: []string{"--background", "sremp:abc"}, passphrase: "from environment"},
		{args: []string{"SREMP://key@host:1"}, passphrase: "from environment"},
		{args: []string{"sremp:abc", "sremp:def"}, status: exitUsage, err: `unexpected argument "sremp:def"`},
		{args: []string{"https://example.org"}, status: exitUsage, err: "unexpected argument"},
		{args: []string{"extra"}, status: exitUsage, err: `unexpected argument "extra"`},
	} {
		p, status, err := fromFlags(tt.args, io.Discard, io.Discard)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || status != tt.status {
				t.Errorf("%q: got status %d, %v; want %d, something with %q", tt.args, status, err, tt.status, tt.err)
			}
			continue
		}
		if err != nil || !p.given || p.passphrase != tt.passphrase {
			t.Errorf("%q: got %+v, %v; want passphrase %q", tt.args, p, err, tt.passphrase)
		}
	}
	var help bytes.Buffer
	if p, _, err := fromFlags([]string{"--help"}, &help, io.Discard); p != nil || err != nil || !strings.Contains(help.String(), "-passphrase-file") {
		t.Errorf("--help: got %v, %v, %q", p, err, help.String())
	}
}

// A backup is restored on a computer without a profile; a wrong passphrase leaves
// nothing behind that is in the way of the next try.
func TestRestoreBackup(t *testing.T) {
	dir := t.TempDir()
	old := newProfile(t, filepath.Join(dir, "old"))
	api, err := old.Create(t.Context(), "Alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup")
	if err := api.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	kit, err := api.RecoveryKit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := api.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	p := newProfile(t, filepath.Join(dir, "new"))
	if _, _, err := p.Restore(t.Context(), filepath.Join(dir, "none"), "", "secret"); !errors.Is(err, client.ErrNoFile) {
		t.Errorf("no file: got %v, want ErrNoFile", err)
	}
	if _, _, err := p.Restore(t.Context(), backup, "", "wrong"); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Fatalf("got %v, want ErrWrongPassphrase", err)
	}
	restored, out, err := p.Restore(t.Context(), backup, strings.Join(kit, " "), "another")
	if err != nil {
		t.Fatalf("after a wrong passphrase: %v", err)
	}
	if out.Made.IsZero() {
		t.Error("it is not said of when the backup is")
	}
	if me, err := restored.WhoAmI(t.Context()); err != nil || me.ID != before.ID || me.Name != "Alice" {
		t.Errorf("got %+v, %v; want the identity of before", me, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unlock(t.Context(), with("another")); err != nil {
		t.Errorf("with the new passphrase: %v", err)
	}
}

func TestPastedPictureIsKept(t *testing.T) {
	p := newProfile(t, t.TempDir())
	path, err := p.Keep([]byte("png"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "png" || !strings.HasPrefix(path, p.dir) {
		t.Errorf("%s: %q, %v", path, b, err)
	}
}
