package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Settings stand in one file for all profiles; a running client has them at once.
func TestSettings(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	file := filepath.Join(t.TempDir(), "config.toml")
	do := func(want int, args ...string) (string, string) {
		t.Helper()
		out, errs, got := sremp(t, append([]string{"--profile", ann.dir, "--config-file", file}, args...)...)
		if got != want {
			t.Fatalf("%q: status %d, want %d: %s", args, got, want, errs)
		}
		return strings.TrimSpace(out), errs
	}
	if out, _ := do(0, "settings", "get", "notifications.show"); out != "sender" {
		t.Errorf("show = %q, want sender", out)
	}
	do(0, "settings", "set", "notifications.show", "none")
	if out, _ := do(0, "settings"); !strings.Contains(out, "notifications.show = none") || !strings.Contains(out, "lock.after = never") {
		t.Errorf("settings printed %q", out)
	}
	if _, errs := do(exitUsage, "settings", "set", "notifications.show", "loud"); !strings.Contains(errs, "none, sender or full") {
		t.Errorf("a bad value: %q", errs)
	}
	if _, errs := do(exitUsage, "settings", "get", "nonsense"); !strings.Contains(errs, "no setting nonsense") {
		t.Errorf("a bad key: %q", errs)
	}
	if err := os.WriteFile(file, []byte("[lok]\nafter = \"1h\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := do(0, "settings"); !strings.Contains(errs, "lok.after is no setting") {
		t.Errorf("an unknown key: %q", errs)
	}
	if err := os.WriteFile(file, []byte("[lock]\nafter = 1h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := do(exitOther, "whoami"); !strings.Contains(errs, "line 2") {
		t.Errorf("a file that is no TOML: %q", errs)
	}
}

// Named profiles live below the data directory, one instance each.
// A picture is set from a file and taken back; what is none is refused.
func TestPicture(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"me.png": b.Bytes(), "text.png": []byte("hello")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		{0, "see your picture", []string{filepath.Join(dir, "me.png")}},
		{24, "no picture that can be read", []string{filepath.Join(dir, "text.png")}},
		{24, "no such file", []string{filepath.Join(dir, "absent.png")}},
		{exitUsage, "a file or --none", nil},
		{exitUsage, "a file or --none", []string{"x", "--none"}},
		{0, "no picture of you", []string{"--none"}},
	} {
		_, errs, got := sremp(t, append([]string{"--profile", ann.dir, "picture"}, c.args...)...)
		if got != c.status || !strings.Contains(errs, c.says) {
			t.Errorf("picture %q: status %d, %q; want %d and %q", c.args, got, errs, c.status, c.says)
		}
	}
}

func TestNamedProfiles(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := command(t, args...)
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+data, "XDG_CONFIG_HOME="+data)
		out, err := cmd.Output()
		return string(out), err
	}
	for _, args := range [][]string{{"init", "--name", "Ann"}, {"--profile", "work", "init", "--name", "Ann at work"}} {
		if _, err := run(args...); err != nil {
			t.Fatal(err)
		}
	}
	want := "default  " + filepath.Join(data, "sremp") + "\nwork  " + filepath.Join(data, "sremp/profiles/work") + "\n"
	if out, err := run("profiles"); err != nil || out != want {
		t.Errorf("profiles printed %q, %v, want %q", out, err, want)
	}
	if out, err := run("--profile", "work", "whoami"); err != nil || !strings.Contains(out, "Ann at work") {
		t.Errorf("whoami printed %q, %v", out, err)
	}
	if _, err := run("--profile", "no.name", "whoami"); err.(*exec.ExitError).ExitCode() != exitUsage {
		t.Errorf("a bad name: %v", err)
	}
}

// A running client is locked and unlocked by another command; while it is locked
// nothing works and nothing is lost.
func TestLockedClient(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	ann.listen(t)
	ann.run(t, "send", "me", "a note")
	ann.run(t, "lock")
	if _, errs, status := sremp(t, "--profile", ann.dir, "history", "me"); status != 26 || !strings.Contains(errs, "locked") {
		t.Errorf("history while locked: status %d, %q, want 26", status, errs)
	}
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("not it\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := sremp(t, "--profile", ann.dir, "--passphrase-file", wrong, "unlock"); status != 3 {
		t.Errorf("another passphrase: status %d, %q, want 3", status, errs)
	}
	ann.run(t, "unlock")
	if got := ann.run(t, "history", "me"); !strings.Contains(got, "a note") {
		t.Errorf("after unlocking: %q", got)
	}
	ann.run(t, "settings", "set", "lock.after", "10s")
	within(t, "the client locks itself", func() (bool, string) {
		locked, err := ann.api.Locked(t.Context())
		time.Sleep(100 * time.Millisecond)
		return err == nil && locked, "not locked"
	})
	kit := filepath.Join(t.TempDir(), "kit")
	if _, errs, status := sremp(t, "--profile", ann.dir, "kit"); status != 26 {
		t.Errorf("the kit of a locked profile: status %d, %q", status, errs)
	}
	ann.run(t, "unlock")
	if err := os.WriteFile(kit, []byte(ann.run(t, "kit")), 0o600); err != nil {
		t.Fatal(err)
	}
	ann.run(t, "lock")
	ann.run(t, "unlock", "--kit", kit)
	ann.end(t, syscall.SIGTERM)
}

// The desktop's keyring opens the profile; when it is gone, a clear sentence
// says so, and the kit works.
func TestKeyring(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"dbus-run-session", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("%s is not installed: the keyring's own tests have to do", program)
			return
		}
	}
	home := t.TempDir()
	profile, kit := filepath.Join(home, "ann"), filepath.Join(home, "kit")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "sremp")
	if err := os.Symlink(exe, bin); err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, passphraseVariable+"=") && !strings.HasPrefix(v, "DBUS_") {
			env = append(env, v)
		}
	}
	env = append(env, askVariable+"=1", "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_RUNTIME_DIR="+home)
	// First start asks for nothing but the name; the second opens by itself.
	script := `set -e
echo login | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
"$0" --profile "$1" init --name Ann
"$0" --profile "$1" send me 'a note' >/dev/null
"$0" --profile "$1" kit >"$2"
"$0" --profile "$1" keyring`
	cmd := exec.Command("dbus-run-session", "--", "sh", "-c", script, bin, profile, kit)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "keyring keeps the key") || !strings.Contains(string(out), "the desktop's keyring\nthe recovery kit") ||
		strings.Contains(string(out), "the passphrase\n") {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(args ...string) (string, int) {
		cmd := command(t, append([]string{"--profile", profile}, args...)...)
		cmd.Env = append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent")
		out, _ := cmd.CombinedOutput() // the status says it
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := run("whoami"); status != 25 || !strings.Contains(out, "keyring cannot be used") {
		t.Errorf("without the keyring: status %d, %s, want 25", status, out)
	}
	next := filepath.Join(home, "next")
	if err := os.WriteFile(next, []byte("a passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := run("passphrase", "--kit", kit, "--new-file", next); status != 0 {
		t.Fatalf("the kit: status %d, %s", status, out)
	}
	if out, status := run("--passphrase-file", next, "history", "me"); status != 0 || !strings.Contains(out, "a note") {
		t.Errorf("with the new passphrase: status %d, %s", status, out)
	}
}
