package packaging

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for one step of a process on a busy machine.
const patience = 3 * time.Minute

// A world is a directory with a server and profiles, in which programs of
// different versions run.
type world struct {
	*testing.T
	dir string
}

func (w world) env() []string {
	return append(os.Environ(), "SREMP_PASSPHRASE=before", "HOME="+w.dir, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=")
}

// do runs a command of a program to its end and returns what it printed.
func (w world) do(program, profile string, args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), program, append([]string{"--profile", filepath.Join(w.dir, profile)}, args...)...)
	cmd.Env = w.env()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		w.Fatalf("%q: %v\n%s", args, err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// A process is one that runs until it is stopped.
type process struct {
	w    world
	cmd  *exec.Cmd
	mu   sync.Mutex
	said strings.Builder
	more chan struct{} // capacity 1
	end  chan struct{}
}

func (w world) start(program string, args ...string) *process {
	w.Helper()
	p := &process{w: w, cmd: exec.Command(program, args...), more: make(chan struct{}, 1), end: make(chan struct{})}
	p.cmd.Env = w.env()
	r, pipe, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = pipe, pipe
	if err := p.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	pipe.Close()
	go func() {
		defer close(p.end)
		defer r.Close()
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			p.mu.Lock()
			p.said.WriteString(line)
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
			if err != nil {
				if err != io.EOF {
					w.Errorf("reading what %q says: %v", args, err)
				}
				_ = p.cmd.Wait() // how it ended is told by what it did
				return
			}
		}
	}()
	w.Cleanup(p.stop)
	return p
}

// stop ends the process in order.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended before
	select {
	case <-p.end:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.end
		p.w.Errorf("%q did not end", p.cmd.Args)
	}
}

// says waits until the process has said something, and returns all it said.
func (p *process) says(text string) string {
	p.w.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		said := p.said.String()
		p.mu.Unlock()
		if strings.Contains(said, text) {
			return said
		}
		select {
		case <-p.more:
		case <-p.end:
			p.w.Fatalf("%q ended without %q:\n%s", p.cmd.Args, text, said)
		case <-late:
			p.w.Fatalf("%q never said %q:\n%s", p.cmd.Args, text, said)
		}
	}
}

// listen runs a client until it is stopped.
func (w world) listen(program, profile string) *process {
	w.Helper()
	p := w.start(program, "--profile", filepath.Join(w.dir, profile), "listen", "--no-lan", "--no-port-mapping")
	p.says("connected")
	return p
}

// server runs the server in the world's directory and returns its address.
func (w world) server(program, listen string) (p *process, address string) {
	w.Helper()
	config := filepath.Join(w.dir, "server.conf")
	text := "listen = " + listen + "\nlimit.ttl = 400000h\nlimit.owner_ttl = 400000h\nwebsocket = none\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	p = w.start(program, "server", "--dir", filepath.Join(w.dir, "server"), "--config", config)
	_, address, _ = strings.Cut(p.says("stop with"), "address: ")
	address, _, _ = strings.Cut(address, "\n")
	return p, address
}

// What every version before left on disk is opened by this one: a server with mail
// waiting, and both who are in the conversation. The mail comes, and it goes on.
func TestVersionsBefore(t *testing.T) {
	if testing.Short() {
		t.Skip("its processes are not under the race detector")
	}
	all, err := filepath.Glob("testdata/versions/*.tar.gz")
	if err != nil || len(all) == 0 {
		t.Fatalf("no version before: %v", err)
	}
	now := program(t)
	for _, path := range all {
		version := strings.TrimSuffix(filepath.Base(path), ".tar.gz")
		t.Run(version, func(t *testing.T) {
			w := world{t, t.TempDir()}
			if out, err := exec.Command("tar", "-C", w.dir, "-xzf", path).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			w.server(now, "127.83.77.9:4433") // as its clients know it
			bob := w.listen(now, "bob")
			bob.says("mail of version " + version)
			ann := w.listen(now, "ann")
			w.do(now, "bob", "send", "Ann", "answer of today", "--wait", "delivered", "--timeout", "3m")
			ann.says("answer of today")
			if got := w.do(now, "ann", "history", "Bob"); !strings.Contains(got, "hello from version "+version) {
				t.Errorf("what was said before is gone:\n%s", got)
			}
		})
	}
}

// This version and the one before understand each other: each as the server, as
// who invites and as who is invited, directly and by mail. SREMP_OLD is the program
// of the version before (make package-test builds it from the repository's history).
func TestVersionBeforeTalks(t *testing.T) {
	if testing.Short() {
		t.Skip("its processes are not under the race detector")
	}
	now := program(t)
	old := os.Getenv("SREMP_OLD")
	alone := old == ""
	if alone {
		old = now // one case, so that the way of the test is kept working
	}
	for _, c := range []struct{ name, server, ann, bob string }{
		{"OldServer", old, now, now},
		{"OldWhoInvites", now, old, now},
		{"OldWhoIsInvited", now, now, old},
		{"OldServerAndOne", old, old, now},
	} {
		if alone && c.name != "OldServer" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := world{t, t.TempDir()}
			_, address := w.server(c.server, "127.0.0.1:0")
			w.do(c.ann, "ann", "init", "--name", "Ann", "--server", address)
			w.do(c.bob, "bob", "init", "--name", "Bob", "--server", address)
			ann := w.listen(c.ann, "ann")
			invite := w.do(c.ann, "ann", "invite")
			bob := w.listen(c.bob, "bob")
			w.do(c.bob, "bob", "add", strings.Fields(invite)[0])
			w.do(c.bob, "bob", "send", "Ann", "one", "--wait", "delivered", "--timeout", "3m")
			ann.says("one")
			w.do(c.ann, "ann", "send", "Bob", "two", "--wait", "delivered", "--timeout", "3m")
			bob.says("two")
			bob.stop()
			w.do(c.ann, "ann", "send", "Bob", "three", "--wait", "held", "--timeout", "3m")
			ann.stop()
			w.listen(c.bob, "bob").says("three") // from the mailbox
		})
	}
}
