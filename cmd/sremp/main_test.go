package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/identity"
)

// The test's binary is the command as well, when its name is sremp.
func TestMain(m *testing.M) {
	if os.Getenv(askVariable) == "" {
		os.Setenv(passphraseVariable, "correct horse")
	}
	// Most of their time the tests wait for processes: more of them stand side by side than
	// there are cores. -parallel has the last word.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"sremp": func() {
		os.Exit(start(identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1})) // with the defaults a race detector would need seconds for each
	}, rawCommand: func() {
		if err := serveRaw(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}})
}

// askVariable makes the command of a test have no passphrase in its environment.
const askVariable = "SREMP_TEST_ASK"

// command returns the command as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"sremp"}, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// sremp runs the command to its end.
func sremp(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs the command, which must succeed, and returns what it printed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, status := sremp(t, args...)
	if status != 0 {
		t.Fatalf("sremp %q: status %d\n%s", args, status, errs)
	}
	return strings.TrimSpace(out)
}

// A child is a process that runs until it is stopped or killed.
type child struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
	ended  chan struct{}
}

func spawn(t *testing.T, args ...string) *child {
	t.Helper()
	return spawnBy(t, (*exec.Cmd).Start, args...)
}

// spawnBy is spawn by another way to start.
func spawnBy(t *testing.T, start func(*exec.Cmd) error, args ...string) *child {
	t.Helper()
	c := &child{cmd: command(t, args...), ended: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdout, c.cmd.Stdout = r, w
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = log
	if err := start(c.cmd); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		_ = c.cmd.Wait() // how it ended is told by its ProcessState
		close(c.ended)
	}()
	t.Cleanup(func() {
		c.end(t, syscall.SIGKILL)
		r.Close()
		if b, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("sremp %q wrote:\n%s", args, b)
		}
		log.Close()
	})
	return c
}

// end sends a signal and waits for the end.
func (c *child) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	_ = c.cmd.Process.Signal(sig) // it may have ended before
	select {
	case <-c.ended:
	case <-time.After(time.Minute):
		_ = c.cmd.Process.Kill()
		t.Errorf("%q did not end at signal %v", c.cmd.Args, sig)
		<-c.ended
	}
}

// startServer returns the server and its address; listen may end in :0.
func startServer(t *testing.T, dir, listen string) (*child, identity.ServerAddr) {
	t.Helper()
	return startServerCommand(t, "server", "--dir", dir, "--listen", listen)
}

// startServerCommand runs a command that serves, and returns its address.
func startServerCommand(t *testing.T, args ...string) (*child, identity.ServerAddr) {
	t.Helper()
	c := spawn(t, args...)
	line, err := bufio.NewReader(c.stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(line, "address: ")
	if err != nil || !ok {
		t.Fatalf("the server printed %q, %v, want its address", line, err)
	}
	a, err := identity.ParseServerAddr(strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

// A user is a profile and, between listen and the end, its running client.
type user struct {
	dir  string
	id   identity.PeerID
	proc *child
	api  *rpc.Client
}

func newUser(t *testing.T, name string, servers ...identity.ServerAddr) *user {
	t.Helper()
	u := &user{dir: filepath.Join(t.TempDir(), name)}
	args := []string{"--profile", u.dir, "init", "--name", name}
	for _, s := range servers {
		args = append(args, "--server", s.String())
	}
	var err error
	if u.id, err = identity.ParsePeerID(must(t, args...)); err != nil {
		t.Fatal(err)
	}
	return u
}

// run runs a command on the profile.
func (u *user) run(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, append([]string{"--profile", u.dir}, args...)...)
}

// listen starts the client and connects to it. It leaves the network of this
// machine alone.
func (u *user) listen(t *testing.T) {
	t.Helper()
	u.listenBy(t, (*exec.Cmd).Start, "--no-port-mapping", "--no-lan")
}

func (u *user) listenBy(t *testing.T, start func(*exec.Cmd) error, args ...string) {
	t.Helper()
	u.proc = spawnBy(t, start, append([]string{"--profile", u.dir, "--downloads", u.downloads(), "listen", "--json"}, args...)...)
	go io.Copy(io.Discard, u.proc.stdout) // ends with the process
	within(t, "the client's socket", func() (bool, string) {
		var err error
		u.api, err = rpc.Dial(t.Context(), filepath.Join(u.dir, socketFile))
		return err == nil, "not there"
	})
	t.Cleanup(func() { u.api.Close() })
}

func (u *user) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	u.proc.end(t, sig)
	u.api.Close()
}

// meet makes the two contacts of each other, both being online.
func meet(t *testing.T, a, b *user) {
	t.Helper()
	inv, err := a.api.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.api.Add(t.Context(), inv.URI, ""); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ u, with *user }{{a, b}, {b, a}} {
		within(t, "a direct path", func() (bool, string) {
			p, err := x.u.api.Path(t.Context(), x.with.id)
			return err == nil && p.Kind == client.PathDirect, describePath(p)
		})
	}
}

// within asks until cond holds. The limit is there for tests that fail.
func within(t *testing.T, what string, cond func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		ok, got := cond()
		if ok {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s: still %s", what, got)
		}
	}
}

// texts returns the texts of a conversation, mine or the other's.
func (u *user) texts(t *testing.T, with *user, mine bool) []string {
	t.Helper()
	all, err := newest(t.Context(), u.api, client.Contact{ID: with.id}, 0)
	if err != nil && !errors.Is(err, client.ErrUnknownContact) {
		t.Fatal(err)
	}
	var out []string
	for _, m := range all {
		if m.Mine == mine {
			out = append(out, m.Text)
		}
	}
	return out
}
