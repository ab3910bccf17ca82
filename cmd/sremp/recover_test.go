package main

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A forgotten passphrase: the kit opens the profile where it is, and all of it is
// there; the old passphrase opens it no more.
func TestRecover(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	ann.run(t, "send", "me", "before it was forgotten")
	kit := ann.run(t, "kit")
	ann.run(t, "kit", "--forget")
	next := filepath.Join(t.TempDir(), "next")
	if err := os.WriteFile(next, []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	recover := func(words string) (string, int) {
		cmd := command(t, "--profile", ann.dir, "recover", "--new-file", next)
		cmd.Stdin = strings.NewReader(words)
		out, _ := cmd.CombinedOutput() // the status says it
		return string(out), cmd.ProcessState.ExitCode()
	}
	other := newUser(t, "Bob").run(t, "kit")
	for words, want := range map[string]int{"": exitUsage, "one two three": exitUsage, strings.ToUpper(kit[:40]): exitUsage, other: 3} {
		if out, status := recover(words); status != want {
			t.Errorf("recover with %.20q: status %d, %s, want %d", words, status, out, want)
		}
	}
	ann.run(t, "whoami") // none of that changed anything
	if out, status := recover(kit); status != 0 || !strings.Contains(out, "open again") {
		t.Fatalf("recover: status %d, %s", status, out)
	}
	expect(t, 3, "try again", "--profile", ann.dir, "whoami")
	if got := must(t, "--profile", ann.dir, "--passphrase-file", next, "history", "me"); !strings.Contains(got, "before it was forgotten") {
		t.Errorf("the history is %q, want what was there before", got)
	}
	if got := must(t, "--profile", ann.dir, "--passphrase-file", next, "whoami"); !strings.Contains(got, ann.id.String()) {
		t.Errorf("it is %q, want still %s", got, ann.id)
	}
}

// onTerminal starts a command as a person does, without a passphrase in its
// environment and without a desktop.
func onTerminal(t *testing.T, args ...string) (*terminal, *exec.Cmd) {
	t.Helper()
	cmd := command(t, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, passphraseVariable+"=") && !strings.HasPrefix(v, "DBUS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, askVariable+"=1", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent")
	return startTerminal(t, 100, 30, cmd), cmd
}

// On a terminal the words and the passphrase are asked for, and an empty
// passphrase is taken after a warning only.
func TestRecoverOnTerminal(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ann")
	x, _ := onTerminal(t, "--profile", dir, "init", "--name", "Ann")
	x.shows(t, "New passphrase")
	x.press("\r")
	x.shows(t, "The same again")
	x.press("\r")
	x.shows(t, "Without a passphrase, whoever gets at this computer")
	x.press("n\r")
	x.shows(t, "New passphrase")
	x.press("\r")
	x.shows(t, "The same again")
	x.press("\r")
	x.shows(t, "Go on without?")
	x.press("y\r")
	within(t, "a profile", func() (bool, string) {
		cmd := command(t, "--profile", dir, "whoami")
		cmd.Env = append(os.Environ(), askVariable+"=1", passphraseVariable+"=")
		out, err := cmd.CombinedOutput()
		return err == nil, string(out)
	})
	cmd := command(t, "--profile", dir, "kit")
	cmd.Env = append(os.Environ(), askVariable+"=1", passphraseVariable+"=")
	kit, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	x, _ = onTerminal(t, "--profile", dir, "recover")
	x.shows(t, "24 words")
	for line := range strings.Lines(string(kit)) {
		x.press(strings.TrimSpace(line) + "\r")
	}
	for _, prompt := range []string{"New passphrase", "The same again"} {
		x.shows(t, prompt)
		x.press("a better one\r")
	}
	x.shows(t, "open again")
}

// shows waits until the screen shows a text.
func (x *terminal) shows(t *testing.T, want string) {
	t.Helper()
	within(t, want, func() (bool, string) {
		x.shown.mu.Lock()
		defer x.shown.mu.Unlock()
		got := x.shown.b.String()
		return strings.Contains(got, want), got
	})
}

// A database of a newer version is left as it is.
func TestNewerProfile(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	path := filepath.Join(ann.dir, "client.db")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	set := func(v string) {
		t.Helper()
		if _, err := db.Exec("PRAGMA user_version = " + v); err != nil {
			t.Fatal(err)
		}
	}
	set("99")
	for _, command := range [][]string{{"whoami"}, {"send", "me", "hello"}, {"listen"}} {
		expect(t, 17, "install that version", append([]string{"--profile", ann.dir}, command...)...)
	}
	set(string(rune('0' + version)))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ann.run(t, "whoami")
}

// What is read-only is in a mount namespace, which ends with the script: root may
// write anywhere else.
const readOnly = `
set -e
mount -t tmpfs -o size=16m tmpfs "$DISK"
cp -r "$PROFILE"/. "$DISK"
mount -o remount,ro "$DISK"
status=0
"$SREMP" --profile "$DISK" send me lost || status=$?
"$SREMP" --profile "$DISK/new" init --name Eve 2>/dev/null && exit 1
mount -o remount,rw "$DISK"
"$SREMP" --profile "$DISK" send me after >/dev/null
"$SREMP" --profile "$DISK" history me
exit $status
`

func TestReadOnly(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	ann.run(t, "send", "me", "before")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "sremp")
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", readOnly)
	cmd.Env = append(os.Environ(), "DISK="+t.TempDir(), "PROFILE="+ann.dir, "SREMP="+link)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Skipf("NOTHING READ-ONLY TESTED: this machine gives us no mount namespace: %v", err)
	}
	_ = cmd.Wait() // its status is looked at below
	first, _, _ := strings.Cut(errs.String(), "\n")
	checkFailure(t, "send on a read-only disk", cmd.ProcessState.ExitCode(), 27, first, "make its directory and its files writable")
	if got := out.String(); !strings.Contains(got, "before") || !strings.Contains(got, "after") || strings.Contains(got, "lost") {
		t.Errorf("the history is %q, want what was there before and what came after", got)
	}
}

// What was found stands among what was said around it, every message once.
func TestSearchContext(t *testing.T) {
	t.Parallel()
	ann := newUser(t, "Ann")
	for _, text := range []string{"one", "two", "a needle", "four", "five", "six", "seven", "needles", "nine"} {
		ann.run(t, "send", "me", text)
	}
	for around, want := range map[string]string{
		"1": "  two|> a needle|  four|--|  seven|> needles|  nine|",
		"3": "  one|  two|> a needle|  four|  five|  six|  seven|> needles|  nine|",
	} {
		out, _, _ := sremp(t, "--profile", ann.dir, "search", "NEEDLE", "--context", around)
		var got strings.Builder
		for line := range strings.Lines(out) {
			line = strings.TrimSuffix(line, "\n")
			if _, text, ok := strings.Cut(line, "Ann: "); ok {
				text, _, _ = strings.Cut(text, "  [")
				line = line[:2] + text
			}
			got.WriteString(line + "|")
		}
		if got.String() != want {
			t.Errorf("--context %s: %q, want %q", around, got.String(), want)
		}
	}
	if got := ann.run(t, "search", "needle", "--context", "1", "--json"); strings.Count(got, `"event":"context"`) != 4 || strings.Count(got, `"event":"message"`) != 2 {
		t.Errorf("--json printed %s", got)
	}
	expect(t, exitUsage, "--context", "--profile", ann.dir, "search", "x", "--context", "-1")
}
