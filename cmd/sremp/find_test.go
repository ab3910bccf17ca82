package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

func TestPrintDirectory(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	l, _, err := identity.NewLocal("Adа", now) // the last letter is Cyrillic
	if err != nil {
		t.Fatal(err)
	}
	p := client.ListedPerson{ID: l.PeerID(), Name: "Adа", Note: "hi", Seen: now, Suspect: true}
	for asJSON, want := range map[bool][]string{
		false: {"! " + l.PeerID().String(), "Adа", "seen 2026-01-01", "hi\n"},
		true:  {`"id":"` + l.PeerID().String() + `"`, `"online":false`, `"seen":"2026-01-01T12:00:00Z"`, `"suspect":true`},
	} {
		var out strings.Builder
		if err := printDirectory(&out, []client.ListedPerson{p}, asJSON); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("got %q, want %q in it", out.String(), w)
			}
		}
	}
}

// find, list, register and servers as processes: alone, beside a running client
// of the profile, and with a server that is away. The statuses are fixed.
func TestDirectoryCommands(t *testing.T) {
	t.Parallel() // it mostly waits
	server, addr := startServer(t, filepath.Join(t.TempDir(), "s"), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	as := func(u *user, want int, args ...string) string {
		t.Helper()
		out, errs, status := sremp(t, append([]string{"--profile", u.dir}, args...)...)
		if status != want {
			t.Fatalf("sremp %q: status %d, want %d\n%s", args, status, want, errs)
		}
		return out
	}
	people := func(args ...string) (all []client.ListedPerson) {
		t.Helper()
		for line := range strings.Lines(as(bob, 0, append(args, "--json")...)) {
			var p client.ListedPerson
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all = append(all, p)
		}
		return all
	}
	if got := people("list"); len(got) != 0 {
		t.Errorf("before: %+v", got)
	}
	as(ann, 0, "register", "--listed", "--note", "engines") // alone
	check := func(online bool, note string) {
		t.Helper()
		for _, args := range [][]string{
			{"list"}, {"list", "--server", addr.String()}, {"find", "an"}, {"find", "nn", "--anywhere"}, {"find", "AN", "--server", addr.String()},
		} {
			got := people(args...)
			if len(got) != 1 || got[0].ID != ann.id || got[0].Name != "Ann" || got[0].Online != online || got[0].Note != note {
				t.Errorf("%q: got %+v, want Ann, online %v, %q", args, got, online, note)
			}
		}
	}
	check(false, "engines")
	ann.listen(t)
	as(ann, 0, "register", "--listed", "--note", "now") // by the running client
	check(true, "now")
	if got := people("find", "nn"); len(got) != 0 {
		t.Errorf("no name begins so: %+v", got)
	}
	as(ann, 0, "register", "--unlisted")
	if got := people("list"); len(got) != 0 {
		t.Errorf("taken off, and yet there: %+v", got)
	}
	within(t, "the server", func() (bool, string) {
		out := as(ann, 0, "servers")
		return out == addr.String()+"  connected\n", out
	})
	if out := as(ann, 0, "servers", "--announced"); out != "" {
		t.Errorf("nobody gave the server an address to announce: got %q", out)
	}
	inv := strings.TrimSpace(as(bob, 0, "invite"))
	if out := as(newUser(t, "Eve"), 0, "servers", "--invite", inv); out != addr.String()+"  not used\n" {
		t.Errorf("an invite's servers: got %q", out)
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"find"}, exitUsage},
		{[]string{"list", "--limit", "0"}, exitUsage},
		{[]string{"list", "--server", "nonsense"}, exitUsage},
		{[]string{"register"}, exitUsage},
		{[]string{"register", "--listed", "--unlisted"}, exitUsage},
		{[]string{"register", "--listed", "--note", "two\nlines"}, exitUsage},
		{[]string{"register", "--listed", "--picture", filepath.Join(ann.dir, "none.png")}, exitOther},
		{[]string{"servers", "--announced", "--domain", "example.org"}, exitUsage},
		{[]string{"servers", "--invite", "nonsense"}, 6},
		{[]string{"servers", "add", "nonsense"}, exitUsage},
	} {
		as(ann, c.want, c.args...)
	}
	wrong := addr
	wrong.ID[0] ^= 1
	for identity.CheckEd25519(wrong.ID) != nil || wrong.ID == addr.ID {
		wrong.ID[0]++
	}
	as(ann, 16, "list", "--server", wrong.String())
	nobody := newUser(t, "Nobody")
	as(nobody, 5, "find", "ann")
	as(nobody, 5, "register", "--listed")
	server.end(t, syscall.SIGTERM)
	as(bob, 5, "list")
}
