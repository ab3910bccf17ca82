package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a person does with notes, the kit and a backup, all without a server.
func TestNotesKitBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	profile := filepath.Join(dir, "ann")
	do := func(want int, args ...string) string {
		t.Helper()
		out, errs, got := sremp(t, append([]string{"--profile", profile}, args...)...)
		if got != want {
			t.Fatalf("%q: status %d, %s, want %d", args, got, errs, want)
		}
		return out
	}
	do(0, "init", "--name", "Ann")
	id, _, _ := strings.Cut(do(0, "send", "me", "buy milk"), " ")
	do(0, "edit", "me", id, "buy oat milk")
	do(0, "react", "me", id, "+1")
	do(20, "react", "me", strings.Repeat("0", 32), "+1")
	do(exitUsage, "edit", "me", "nonsense", "x")
	if out := do(0, "search", "OAT"); !strings.Contains(out, "(edited)") || !strings.Contains(out, "buy oat milk") {
		t.Errorf("search printed %q", out)
	}
	do(0, "set", "me", "--nick", "Notes", "--pin", "--mute", "--draft", "and bread")
	var c struct {
		Nick, Draft   string
		Pinned, Muted bool
	}
	if err := json.Unmarshal([]byte(do(0, "contacts", "--json")), &c); err != nil || !c.Pinned || !c.Muted || c.Nick != "Notes" || c.Draft != "and bread" {
		t.Errorf("contacts: %+v, %v, want it pinned and muted, with a nick and a draft", c, err)
	}
	do(0, "set", "me", "--archive")
	if shown, all := do(0, "contacts"), do(0, "contacts", "--all"); shown != "" || !strings.Contains(all, "Notes") {
		t.Errorf("archived: contacts printed %q, with --all %q", shown, all)
	}
	do(0, "set", "me", "--archive=false")
	do(exitUsage, "set", "me", "--disappear", "soon")
	var m struct{ Text string }
	if err := json.Unmarshal([]byte(do(0, "export")), &m); err != nil || m.Text != "buy oat milk" {
		t.Errorf("export: %+v, %v", m, err)
	}
	if out := do(0, "export", "--format", "html", "me"); !strings.Contains(out, "buy oat milk") {
		t.Errorf("export printed %q", out)
	}

	kit := filepath.Join(dir, "kit")
	if err := os.WriteFile(kit, []byte(do(0, "kit")), 0o600); err != nil {
		t.Fatal(err)
	}
	do(0, "kit", "--forget")
	do(23, "kit")
	backup := filepath.Join(dir, "backup")
	do(0, "backup", backup)
	do(0, "backup", backup)
	do(18, "backup", kit)
	next := filepath.Join(dir, "next")
	if err := os.WriteFile(next, []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(0, "passphrase", "--new-file", next, "--kit", kit)
	do(3, "whoami")
	do(0, "--passphrase-file", next, "delete", "me", id)

	profile = filepath.Join(dir, "new")
	do(23, "restore", backup)
	if _, errs, status := sremp(t, "--profile", profile, "restore", backup, "--kit", kit); status != 0 || !strings.Contains(errs, "later is not in the backup") {
		t.Errorf("restore: status %d, %q, want what is not in the backup said", status, errs)
	}
	if out := do(0, "history", "me"); !strings.Contains(out, "buy oat milk") {
		t.Errorf("the restored history is %q", out)
	}
	do(0, "delete", "me", "--all")
	if out := do(0, "history", "me"); out != "" {
		t.Errorf("the deleted history is %q", out)
	}
}
