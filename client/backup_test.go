package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// kitOf returns the words' seed.
func kitOf(t *testing.T, c *client.Client) *[32]byte {
	t.Helper()
	words, err := c.RecoveryKit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seed, err := identity.ParseKit(strings.Join(words, " "))
	if err != nil {
		t.Fatal(err)
	}
	return &seed
}

func openWith(t *testing.T, dir string, change func(*client.Config)) (*client.Client, error) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := client.Config{Store: s, KDF: weak, Listen: loopback(t).String() + ":0", Logger: testLogger(t, dir[len(dir)-5:])}
	change(&cfg)
	c, err := client.Open(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// A forgotten passphrase is no loss: the kit opens the profile, and sets another.
func TestKitAndPassphrase(t *testing.T) {
	a, dir := newClient(t, "Alice")
	kit := kitOf(t, a)
	if err := a.ForgetKit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.RecoveryKit(t.Context()); !errors.Is(err, client.ErrKitGone) {
		t.Errorf("RecoveryKit after ForgetKit = %v, want ErrKitGone", err)
	}
	a.Close()
	if _, err := openWith(t, dir, func(c *client.Config) { c.Kit = &[32]byte{1} }); !errors.Is(err, client.ErrWrongKit) {
		t.Errorf("another kit: %v, want ErrWrongKit", err)
	}
	b, err := openWith(t, dir, func(c *client.Config) { c.Kit = kit })
	if err != nil {
		t.Fatal(err)
	}
	if err := b.ChangePassphrase(t.Context(), []byte("another")); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := openWith(t, dir, func(c *client.Config) { c.Passphrase = []byte("pw") }); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Errorf("the old passphrase: %v, want ErrWrongPassphrase", err)
	}
	for what, change := range map[string]func(*client.Config){
		"the new passphrase": func(c *client.Config) { c.Passphrase = []byte("another") },
		"the kit":            func(c *client.Config) { c.Kit = kit },
	} {
		c, err := openWith(t, dir, change)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		c.Close()
	}
}

// A profile whose key a keyring holds opens with that, and with the kit when the
// keyring is gone.
func TestKeyring(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ring := &[32]byte{7}
	cfg := client.Config{Store: s, KeyringKey: ring, KDF: weak, Listen: loopback(t).String() + ":0"}
	if err := client.Create(t.Context(), cfg, "Alice"); err != nil {
		t.Fatal(err)
	}
	c, err := client.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	kit := kitOf(t, c)
	c.Close()
	if _, err := openWith(t, dir, func(c *client.Config) { c.KeyringKey = &[32]byte{8} }); !errors.Is(err, client.ErrKeyring) {
		t.Errorf("another keyring: %v, want ErrKeyring", err)
	}
	if _, err := openWith(t, dir, func(c *client.Config) { c.Passphrase = nil }); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Errorf("an empty passphrase: %v, want ErrWrongPassphrase", err)
	}
	if _, err = openWith(t, dir, func(c *client.Config) { c.Kit = kit }); err != nil {
		t.Errorf("the kit: %v", err)
	}
}

func restore(t *testing.T, backup string, change func(*client.Config)) (string, error) {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := os.Open(backup)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cfg := client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak}
	change(&cfg)
	_, err = client.Restore(t.Context(), cfg, f)
	return dir, err
}

// A lost computer: contacts heal by themselves, verified stays verified, what
// waited for it arrives, and the lost computer receives nothing new.
func TestRestore(t *testing.T) {
	t.Parallel()
	a, adir := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	aID, bID := me(t, a), me(t, b)
	ctx := t.Context()
	add(t, b, invite(t, a))
	send(t, b, aID, "hello")
	waitTexts(t, a, bID, "<hello")
	send(t, a, bID, "welcome")
	waitTexts(t, a, bID, "<hello", ">delivered welcome")
	file := filepath.Join(t.TempDir(), "backup")
	if err := a.Backup(ctx, file); err != nil {
		t.Fatal(err)
	}
	v, err := a.Verification(ctx, bID)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(ctx, bID, v.Code); err != nil {
		t.Fatal(err)
	}
	kit := kitOf(t, a)
	if err := a.ForgetKit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Backup(ctx, file); err != nil { // what is new since the first
		t.Fatal(err)
	}
	send(t, b, aID, "after the backup")
	waitTexts(t, a, bID, "<hello", ">delivered welcome", "<after the backup")
	waitMessage(t, b, aID, "acknowledgement", func(m client.Message) bool { return m.State == client.Delivered })
	a.Close()
	waited, err := b.SendDraft(ctx, aID, client.Draft{Text: "waits"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.React(ctx, aID, waited.ID, "?"); err != nil {
		t.Fatal(err)
	}

	if _, err := restore(t, file, func(c *client.Config) {}); !errors.Is(err, client.ErrNeedKit) {
		t.Errorf("without the kit: %v, want ErrNeedKit", err)
	}
	dir, err := restore(t, file, func(c *client.Config) { c.Kit = kit })
	if err != nil {
		t.Fatal(err)
	}
	a2 := open(t, dir)
	if got := me(t, a2); got != aID {
		t.Fatalf("restored as %v, want %v", got, aID)
	}
	cs, err := a2.Contacts(ctx)
	if err != nil || len(cs) != 1 || cs[0].Verified.IsZero() {
		t.Errorf("contacts = %+v, %v; want Bob, verified", cs, err)
	}
	send(t, a2, bID, "new computer")
	eventually(t, "healing", func() (bool, string) {
		at, bt := texts(t, a2, bID), texts(t, b, aID)
		return slices.Contains(at, "<waits") && slices.Contains(at, ">delivered new computer") &&
			slices.Contains(bt, "<new computer") && slices.Contains(bt, ">delivered waits"), fmt.Sprint(at, bt)
	})
	h := history(t, a2, bID)
	if i := slices.IndexFunc(h, func(m client.Message) bool { return m.Text == "waits" }); h[i].Missing != 1 {
		t.Errorf("the gap is said to be of %d messages, want 1", h[i].Missing)
	}
	cs, err = b.Contacts(ctx)
	if err != nil || len(cs) != 1 || cs[0].KeysChanged.IsZero() {
		t.Errorf("Bob's contacts = %+v, %v; want one whose keys changed", cs, err)
	}
	a2.Close()

	lost := open(t, adir)
	send(t, b, aID, "for the new one only")
	send(t, lost, bID, "from the thief")
	eventually(t, "an attempt", func() (bool, string) {
		p, err := lost.Path(ctx, bID)
		return err == nil && p.Kind == client.PathNone && p.Reason != "not tried yet", fmt.Sprint(p, err)
	})
	for _, x := range []struct {
		c    *client.Client
		with identity.PeerID
		text string
	}{{lost, bID, "<for the new one only"}, {b, aID, "<from the thief"}} {
		if slices.Contains(texts(t, x.c, x.with), x.text) {
			t.Errorf("%q arrived", x.text)
		}
	}
	eventually(t, "the lost computer learns that it is left behind", func() (bool, string) {
		k, err := lost.Keys(ctx)
		return err == nil && !k.LeftBehind.IsZero(), fmt.Sprint(k, err)
	})
	lost.Close()
	a2 = open(t, dir)
	if k, err := a2.Keys(ctx); err != nil || !k.LeftBehind.IsZero() {
		t.Errorf("the new computer's keys are %+v, %v; it is not left behind", k, err)
	}
	eventually(t, "the last message", func() (bool, string) {
		at := texts(t, a2, bID)
		return slices.Contains(at, "<for the new one only"), fmt.Sprint(at)
	})
}

// A backup holds no outbox: who was about to be met when it was made is met all the
// same.
func TestRestoredWhileMeeting(t *testing.T) {
	t.Parallel()
	a, _ := newClient(t, "Alice")
	b, bdir := newClient(t, "Bob")
	aID, bID := me(t, a), me(t, b)
	uri := invite(t, b)
	b.Close()
	add(t, a, uri)
	kit := kitOf(t, a)
	file := filepath.Join(t.TempDir(), "backup")
	if err := a.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	a.Close()
	dir, err := restore(t, file, func(c *client.Config) { c.Kit = kit })
	if err != nil {
		t.Fatal(err)
	}
	b = open(t, bdir)
	a = open(t, dir)
	eventually(t, "Bob knows Alice", func() (bool, string) {
		cs, err := b.Contacts(t.Context())
		return slices.ContainsFunc(cs, func(c client.Contact) bool { return c.ID == aID }), fmt.Sprint(cs, err)
	})
	send(t, a, bID, "hello")
	delivered(t, a, b, aID, bID, "hello")
}

// A backup that was cut, changed or is none is refused, at every chunk; its size
// does not follow what is in it.
func TestBackupDamaged(t *testing.T) {
	t.Parallel()
	a, _ := newClient(t, "Alice")
	size := func() int64 {
		file := filepath.Join(t.TempDir(), "backup")
		if err := a.Backup(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if _, err := a.Send(t.Context(), me(t, a), strings.Repeat("x", 1000)); err != nil {
		t.Fatal(err)
	}
	if after := size(); after != before {
		t.Errorf("a note of 1000 bytes made a backup of %d bytes out of one of %d", after, before)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if err := a.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{
		"empty": nil, "no backup": []byte("hello"), "cut": whole[:len(whole)-1], "without its end": whole[:len(whole)-65576],
		"changed": flip(whole, len(whole)/2), "its end": flip(whole, len(whole)-1),
	} {
		dir := t.TempDir()
		s, err := sqlite.Create(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Restore(t.Context(), client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak}, bytes.NewReader(b))
		if !errors.Is(err, client.ErrBadBackup) {
			t.Errorf("%s: %v, want ErrBadBackup", what, err)
		}
		if h, err := s.Header(t.Context()); err != nil || h != nil {
			t.Errorf("%s: a profile was made, %v", what, err)
		}
		s.Close()
	}
	if _, err := restore(t, file, func(c *client.Config) { c.Passphrase = []byte("guess") }); !errors.Is(err, client.ErrWrongPassphrase) {
		t.Errorf("another passphrase: %v, want ErrWrongPassphrase", err)
	}
}

func flip(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 1
	return b
}

// Somebody restored writes to a contact who is away: the message that begins the
// new session names its sender, and the relay must not read that.
func TestRestoredSenderIsHidden(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, _ := newClient(t, "Alice Hidden")
	b, bDir := newClient(t, "Bob")
	useServer(t, a, s)
	useServer(t, b, s)
	aID, bID := me(t, a), me(t, b)
	add(t, b, invite(t, a))
	send(t, b, aID, "hello")
	waitTexts(t, a, bID, "<hello")
	send(t, a, bID, "welcome")
	waitTexts(t, a, bID, "<hello", ">delivered welcome")
	file := filepath.Join(t.TempDir(), "backup")
	if err := a.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	b.Close()
	a.Close()
	dir, err := restore(t, file, func(*client.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	a2 := open(t, dir)
	send(t, a2, bID, "again")
	waitTexts(t, a2, bID, "<hello", ">delivered welcome", ">held again")
	for _, name := range []string{s.path, s.path + "-wal"} {
		stored, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stored, aID[:]) || bytes.Contains(stored, []byte("Alice Hidden")) {
			t.Errorf("%s names the sender", filepath.Base(name))
		}
	}
	b = open(t, bDir)
	waitTexts(t, b, aID, ">delivered hello", "<welcome", "<again")
}
