package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// expect runs the command and checks its status, and that it says one sentence
// with want in it.
func expect(t *testing.T, status int, want string, args ...string) {
	t.Helper()
	_, errs, got := sremp(t, args...)
	checkFailure(t, fmt.Sprintf("%q", args), got, status, errs, want)
}

func checkFailure(t *testing.T, what string, got, status int, errs, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	last := lines[len(lines)-1]
	if got != status || !strings.HasPrefix(last, "sremp: ") || !strings.Contains(last, want) {
		t.Errorf("%s: status %d, %q, want %d and %q", what, got, errs, status, want)
	}
}

func TestUsageErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	for _, args := range [][]string{
		{"nonsense"},
		{"--nonsense"},
		{"init", "stray"},
		{"--profile", dir, "init"},
		{"--profile", dir, "init", "--name", strings.Repeat("x", 41)},
		{"--profile", dir, "init", "--name", "Ann", "--server", "chat.example.org:4433"},
		{"send", "Bob"},
		{"send", "Bob", ""},
		{"send", "Bob", "\xff"},
		{"send", "Bob", "hi", "--wait", "read"},
		{"server", "--dir", dir, "--listen", "4433"},
		{"server", "--dir", dir, "--public", "chat.example.org"},
		{"demo", "--network", "token-ring"},
	} {
		expect(t, exitUsage, "", args...)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a command that was used wrongly made a directory")
	}
}

func TestProfileErrors(t *testing.T) {
	t.Parallel() // it mostly waits
	ann := newUser(t, "Ann")
	expect(t, 18, "choose another directory", "--profile", ann.dir, "init", "--name", "Ann")
	expect(t, 13, "init --name", "--profile", t.TempDir(), "whoami")
	expect(t, 14, "sremp contacts", "--profile", ann.dir, "send", "Nobody", "hello")

	t.Run("wrong passphrase", func(t *testing.T) {
		wrong := filepath.Join(t.TempDir(), "passphrase")
		if err := os.WriteFile(wrong, []byte("wrong\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, 3, "try again", "--profile", ann.dir, "--passphrase-file", wrong, "whoami")
		ann.run(t, "whoami") // nothing was changed
	})

	t.Run("in use", func(t *testing.T) {
		lock, err := os.OpenFile(filepath.Join(ann.dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		expect(t, 12, "stop that one first", "--profile", ann.dir, "whoami")
	})

	t.Run("damaged", func(t *testing.T) {
		path := filepath.Join(ann.dir, "client.db")
		db, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(db), 8192) {
			db[i] ^= 0x55
		}
		if err := os.WriteFile(path, db, 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, 4, "restore it from a backup", "--profile", ann.dir, "whoami")
		if after, err := os.ReadFile(path); err != nil || string(after) != string(db) {
			t.Error("the damaged file was changed")
		}
	})
}

func TestInviteErrors(t *testing.T) {
	t.Parallel() // it mostly waits
	ann, bob := newUser(t, "Ann"), newUser(t, "Bob")
	invite := bob.run(t, "invite", "--ttl", "1h")
	expect(t, 6, "ask for it again", "--profile", ann.dir, "add", invite[:len(invite)-1])
	expect(t, 6, "ask for it again", "--profile", ann.dir, "add", "hello")
	expect(t, 7, "ask for a new one", "--profile", ann.dir, "--clock-offset", "2h", "add", invite)
	expect(t, 19, "your own", "--profile", bob.dir, "add", invite)
	ann.run(t, "add", invite) // none of it used the invite up
}

// deadServer is the address of a server that has ended.
func deadServer(t *testing.T) identity.ServerAddr {
	t.Helper()
	server, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	server.end(t, syscall.SIGKILL)
	return addr
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel() // it mostly waits
	ann, bob := newUser(t, "Ann", deadServer(t)), newUser(t, "Bob")
	invite := bob.run(t, "invite")
	add := command(t, "--profile", ann.dir, "add", invite)
	if err := add.Run(); err != nil {
		t.Errorf("add: %v, want the contact stored all the same", err)
	}
	expect(t, 5, "check the address and the network", "--profile", ann.dir,
		"send", "Bob", "hello", "--wait", "held", "--timeout", "8s")
	if got := ann.run(t, "history", "Bob"); !strings.Contains(got, "hello") {
		t.Errorf("the history is %q, want the message in it", got)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.run(t, "add", bob.run(t, "invite"))
	expect(t, 15, "stays in the outbox", "--profile", ann.dir, "send", "Bob", "hello", "--wait", "delivered", "--timeout", "3s")
}

func TestClockOff(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann := newUser(t, "Ann", addr)
	for _, offset := range []string{"3h", "-3h"} {
		expect(t, 11, "set it right", "--profile", ann.dir, "--clock-offset", offset, "invite")
	}
	ann.run(t, "invite") // nothing was lost
}

func TestServerErrors(t *testing.T) {
	dir := t.TempDir()
	_, addr := startServer(t, dir, "127.0.0.1:0")
	expect(t, 10, "--listen", "server", "--dir", t.TempDir(), "--listen", addr.HostPort())
	expect(t, 12, "--dir", "server", "--dir", dir, "--listen", "127.0.0.1:0")

	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, serverKeyFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, 4, "restore it from a backup", "server", "--dir", damaged, "--listen", "127.0.0.1:0")
}

func TestServerKeepsItsKey(t *testing.T) {
	dir := t.TempDir()
	first, a := startServer(t, dir, "127.0.0.1:0")
	first.end(t, syscall.SIGTERM)
	if got := first.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("SIGTERM ended it with status %d, want 0", got)
	}
	if info, err := os.Stat(filepath.Join(dir, serverKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v, want mode 0600", info, err)
	}
	if _, b := startServer(t, dir, "127.0.0.1:0"); a.ID != b.ID {
		t.Errorf("got key %s after %s, want the same", b.ID, a.ID)
	}
}

// The disk is a small tmpfs in a mount namespace, which ends with the script.
const fullDisk = `
set -e
mount -t tmpfs -o size=4m tmpfs "$DISK"
cp -r "$PROFILE"/. "$DISK"
dd if=/dev/zero of="$DISK/filler" bs=4k 2>/dev/null || true
status=0
"$SREMP" --profile "$DISK" send Bob "$TEXT" || status=$?
rm "$DISK/filler"
"$SREMP" --profile "$DISK" send Bob after >/dev/null
"$SREMP" --profile "$DISK" history Bob
exit $status
`

func TestFullDisk(t *testing.T) {
	t.Parallel() // it mostly waits
	ann, bob := newUser(t, "Ann"), newUser(t, "Bob")
	ann.run(t, "add", bob.run(t, "invite"))
	ann.run(t, "send", "Bob", "before")

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "sremp")
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", fullDisk)
	cmd.Env = append(os.Environ(), "DISK="+t.TempDir(), "PROFILE="+ann.dir, "SREMP="+link, "TEXT="+strings.Repeat("x", 60_000))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Skipf("NO FULL DISK TESTED: this machine gives us no mount namespace: %v", err)
	}
	_ = cmd.Wait() // its status is looked at below
	checkFailure(t, "send on a full disk", cmd.ProcessState.ExitCode(), 9, errs.String(), "free some space")
	if got := out.String(); !strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("the history is %q, want what was there before and what came after", got)
	}
}

// Statuses are a promise to scripts.
func TestStatusesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if row := fmt.Sprintf("\n| %d |", s.status); !strings.Contains(string(doc), row) {
			t.Errorf("docs/cli.md has no row for status %d (%v)", s.status, s.err)
		}
	}
}

func TestListenEndsAtSIGTERM(t *testing.T) {
	t.Parallel() // it mostly waits
	ann := newUser(t, "Ann")
	ann.listen(t)
	began := time.Now()
	ann.end(t, syscall.SIGTERM)
	if got := ann.proc.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("status %d after %s, want 0", got, time.Since(began))
	}
	if _, err := os.Stat(filepath.Join(ann.dir, socketFile)); err == nil {
		t.Error("the socket's file is still there")
	}
}

func TestHelp(t *testing.T) {
	var names []string
	for _, c := range (&app{stdout: io.Discard, stderr: io.Discard}).command().Commands() {
		names = append(names, c.Name())
		if c.Short == "" || c.GroupID == "" && !slices.Contains([]string{"completion", "demo", "manual", "version"}, c.Name()) {
			t.Errorf("%s has no short help or group", c.Name())
		}
		var printed strings.Builder
		status := run(t.Context(), identity.DefaultKDF(), []string{c.Name(), "--help"}, strings.NewReader(""), &printed, io.Discard)
		if out := printed.String(); status != exitOK || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help printed %q", c.Name(), out)
		}
	}
	if out := must(t, "completion", "bash"); !strings.Contains(out, "complete") {
		t.Error("no completion for bash")
	}
	for _, want := range strings.Fields("add chat contacts demo history init invite listen path relay rendezvous send server whoami") {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+want+" ") {
			t.Errorf("there is no command %s", want)
		}
	}
}
