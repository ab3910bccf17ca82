package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sremp/sremp/internal/natlab"
	"github.com/sremp/sremp/internal/sim/history"
)

// A soak is a few real programs, on networks with real NATs where there is a
// laboratory and on loopback where there is none.
type soak struct {
	t       *testing.T
	rng     *rand.Rand
	begun   time.Time
	binary  string // of the next start of a program
	history history.History
	people  []*soaker
	address string // of the server
	server  *program
	restart func() *program // starts the server
	texts   int
	clocks  string // directory of the files that say how wrong everybody's clock is
	logs    string // directory for what the programs say on standard error
	verbose bool   // they log there
}

// A program is a running process.
type program struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended and all that it said was read
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) kill(sig syscall.Signal) {
	p.cmd.Process.Signal(sig)
	<-p.done
}

type soaker struct {
	s      *soak
	name   string
	dir    string
	disk   string         // a filesystem of its own, "" if there is none
	router *natlab.Router // nil on loopback
	at     interface{ Start(*exec.Cmd) error }
	listen *program
	filled bool // the disk was full since listen began
}

func (s *soak) now() time.Duration { return time.Since(s.begun) }

func (s *soak) note(who, format string, args ...any) {
	s.history.Add(history.Event{At: s.now(), Kind: history.Note, Who: who, Text: fmt.Sprintf(format, args...)})
}

// step makes somebody's clock wrong by so many seconds from now on.
func (s *soak) step(who string, seconds int) {
	name := filepath.Join(s.clocks, who)
	err := errors.Join(os.WriteFile(name+".new", fmt.Append(nil, seconds), 0o600), os.Rename(name+".new", name))
	if err != nil {
		s.t.Error(err)
	}
	s.history.Add(history.Event{At: s.now(), Kind: history.Clock, Who: who, After: time.Duration(seconds) * time.Second})
}

// start runs the binary at somebody's place; each line that it prints goes to line.
func (s *soak) start(who string, at interface{ Start(*exec.Cmd) error }, line func(string), args ...string) *program {
	cmd := exec.Command(s.binary, args...)
	cmd.Env = append(os.Environ(), "SREMP_PASSPHRASE=soak", stepVariable+"="+filepath.Join(s.clocks, who))
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := os.OpenFile(s.log(who), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprintf(log, "=== %.3fs %q\n", s.now().Seconds(), args)
	cmd.Stderr = log
	if s.verbose {
		cmd.Args = append(cmd.Args, "--verbose")
	}
	if at != nil {
		err = at.Start(cmd)
	} else {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	p := &program{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for in := bufio.NewScanner(out); in.Scan(); {
			line(in.Text())
		}
		io.Copy(io.Discard, out)
		cmd.Wait()
	}()
	return p
}

// run runs a command of a person's to its end.
func (u *soaker) run(args ...string) (string, error) {
	var out bytes.Buffer
	var mu sync.Mutex
	p := u.s.start(u.name, u.at, func(l string) { mu.Lock(); out.WriteString(l + "\n"); mu.Unlock() }, append([]string{"--profile", u.dir}, args...)...)
	stop := time.AfterFunc(2*time.Minute, func() { p.cmd.Process.Kill() })
	defer stop.Stop()
	<-p.done
	if !p.cmd.ProcessState.Success() {
		return out.String(), errors.New(p.cmd.ProcessState.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// said is what a line of --json may have.
type said struct {
	Event   string `json:"event"`
	ID      string `json:"id"`
	Contact string `json:"contact_name"`
	Mine    bool   `json:"mine"`
	Text    string `json:"text"`
	State   string `json:"state"`
}

var soakStates = []string{"queued", "held", "delivered", "read"}

// log is the file for what somebody's programs say on standard error.
func (s *soak) log(who string) string { return filepath.Join(s.logs, who+".log") }

// inUse is how a client ends that finds a command in its profile.
const inUse = 12

// tend starts again what ended by itself, as a service manager does. A client may
// end because its disk is full, with nothing lost, or because a command that began
// while there was no client has the profile still. Nothing else may.
func (s *soak) tend() {
	for _, u := range s.people {
		if !u.listen.ended() {
			continue
		}
		s.note(u.name, "ended by itself: %v", u.listen.cmd.ProcessState)
		if !u.filled && u.listen.cmd.ProcessState.ExitCode() != inUse {
			s.t.Errorf("%s's client ended by itself: %v", u.name, u.listen.cmd.ProcessState)
		}
		u.up()
	}
	if s.server.ended() {
		s.t.Errorf("the server ended by itself: %v", s.server.cmd.ProcessState)
		s.server = s.restart()
	}
}

// panics fails the test if a program did not end as programs do.
func (s *soak) panics() {
	logs, err := filepath.Glob(s.log("*"))
	if err != nil || len(logs) != 1+len(s.people) {
		s.t.Errorf("%d logs, %v", len(logs), err)
	}
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			s.t.Error(err)
		}
		for _, word := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
			if i := bytes.Index(b, []byte(word)); i >= 0 {
				s.t.Errorf("%s:\n%s", filepath.Base(name), b[i:min(len(b), i+4096)])
			}
		}
	}
}

// up starts a person's client.
func (u *soaker) up() {
	u.filled = false
	u.s.history.Add(history.Event{At: u.s.now(), Kind: history.Stopped, Who: u.name})
	u.listen = u.s.start(u.name, u.at, func(line string) {
		var x said
		if json.Unmarshal([]byte(line), &x) != nil {
			return
		}
		e := history.Event{At: u.s.now(), Who: u.name, Peer: x.Contact, ID: x.ID, Text: x.Text}
		switch {
		case x.Text == "hello": // of the beginning
		case x.Event == "message" && !x.Mine:
			e.Kind, e.Missing = history.Shown, 1 // the program does not say what is missing: order is not judged
			u.s.history.Add(e)
		case x.Event == "delivery":
			e.Kind, e.State = history.Ticked, history.State(slices.Index(soakStates, x.State))
			u.s.history.Add(e)
		}
	}, "--profile", u.dir, "listen", "--json", "--no-lan", "--no-port-mapping")
}

func (u *soaker) down(sig syscall.Signal) {
	u.s.history.Add(history.Event{At: u.s.now(), Kind: history.Stopped, Who: u.name})
	u.listen.kill(sig)
	u.s.note(u.name, "%v", sig)
}

func (u *soaker) send(to *soaker) {
	u.s.texts++
	text := fmt.Sprintf("soak %d of %s", u.s.texts, u.name)
	// Unsure until it is answered: it may be shown before that.
	u.s.history.Add(history.Event{At: u.s.now(), Kind: history.Unsure, Who: u.name, Peer: to.name, Text: text})
	at := u.s.now()
	out, err := u.run("send", to.name, text, "--json")
	var x said
	if err != nil || json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &x) != nil || x.ID == "" {
		u.s.note(u.name, "did not send: %v %s", err, out)
		return
	}
	u.s.history.Add(history.Event{At: at, Kind: history.Accepted, Who: u.name, Peer: to.name, ID: x.ID, Text: text})
}

// states returns what a person's conversation with another shows.
func (u *soaker) states(with *soaker) (all []said) {
	out, err := u.run("history", with.name, "--json", "--limit", "0")
	if err != nil {
		u.s.note(u.name, "no history: %v", err)
		return nil
	}
	for line := range strings.Lines(out) {
		var x said
		if json.Unmarshal([]byte(line), &x) == nil && x.ID != "" {
			all = append(all, x)
		}
	}
	return all
}

// fill fills the disk of a person until the returned function is called.
func (u *soaker) fill() (empty func()) {
	u.filled = true
	name := filepath.Join(u.disk, "full")
	f, err := os.Create(name)
	if err == nil {
		for b := make([]byte, 64<<10); err == nil; {
			_, err = f.Write(b)
		}
		f.Close()
	}
	u.s.history.Add(history.Event{At: u.s.now(), Kind: history.Stopped, Who: u.name})
	u.s.note(u.name, "the disk is full: %v", err)
	return func() {
		os.Remove(name)
		u.s.history.Add(history.Event{At: u.s.now(), Kind: history.Stopped, Who: u.name})
	}
}

// TestSoak runs the program of the checkout SREMP_SOAK_OLD, from the middle on of
// SREMP_SOAK_NEW, for SREMP_SOAK_SECONDS: kills and restarts of each, changes of
// networks, full disks, clocks that step by up to three hours. What they tell is
// held against the same laws. Without seconds it does nothing. What they log goes
// to the directory SREMP_SOAK_LOGS, if it is set.
func TestSoak(t *testing.T) {
	seconds := number(t, "SREMP_SOAK_SECONDS", 0)
	if seconds == 0 {
		return
	}
	s := &soak{t: t, rng: source(uint64(number(t, "SREMP_SIM_FIRST", 1)), "soak"), clocks: t.TempDir(), logs: os.Getenv("SREMP_SOAK_LOGS")}
	if s.verbose = s.logs != ""; !s.verbose {
		s.logs = t.TempDir()
	}
	var binaries [2]string
	for i, name := range []string{"SREMP_SOAK_OLD", "SREMP_SOAK_NEW"} {
		var err error
		if binaries[i], err = buildStepped(os.Getenv(name), t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	s.begun, s.binary = time.Now(), binaries[0]
	s.build()
	end := s.begun.Add(time.Duration(seconds) * time.Second)
	upgrade := s.begun.Add(time.Duration(seconds) * time.Second / 2)
	kills, changes, fills, steps := 0, 0, 0, 0
	for time.Now().Before(end) {
		s.tend()
		if s.binary != binaries[1] && time.Now().After(upgrade) {
			s.binary = binaries[1]
			s.note("", "from now on the new binary")
			s.server.kill(syscall.SIGTERM)
			s.server = s.restart()
			for _, u := range s.people {
				u.down(syscall.SIGTERM)
				u.up()
			}
		}
		u := s.people[s.rng.IntN(len(s.people))]
		to := s.people[(slices.Index(s.people, u)+1+s.rng.IntN(len(s.people)-1))%len(s.people)]
		switch n := s.rng.IntN(22); {
		case n < 12:
			u.send(to)
		case n < 15:
			kills++
			u.down(syscall.SIGKILL)
			if s.rng.IntN(2) == 0 {
				to.send(u)
			}
			u.up()
		case n < 16:
			kills++
			s.note("server", "killed")
			s.server.kill(syscall.SIGKILL)
			u.send(to)
			s.server = s.restart()
		case n < 18 && u.router != nil:
			changes++
			kinds := []natlab.Kind{natlab.FullCone, natlab.Port, natlab.Sym}
			err := errors.Join(u.router.Become(kinds[s.rng.IntN(len(kinds))]), u.router.Rebind())
			s.note(u.name, "another NAT: %v", err)
		case n < 19 && u.disk != "":
			fills++
			empty := u.fill()
			u.send(to)
			empty()
		case n < 21:
			steps++
			who := [...]string{u.name, u.name, "server"}[s.rng.IntN(3)]
			s.step(who, [...]int{0, 1}[s.rng.IntN(2)]*(s.rng.IntN(6*3600)-3*3600))
		default:
			time.Sleep(time.Duration(s.rng.IntN(1000)) * time.Millisecond)
		}
	}
	s.finish()
	s.panics()
	messages := 0
	for _, e := range s.history.Events() {
		if e.Kind == history.Accepted {
			messages++
		}
	}
	broken := history.Check(s.history.Events())
	fmt.Printf("figure: proof.soak.broken_laws %d of_%d messages AGAINST %d kills, %d changes of a NAT, %d full disks, %d steps of a clock and an upgrade in %d s\n",
		len(broken), messages, kills, changes, fills, steps, seconds)
	if len(broken) > 0 {
		s.history.Write(os.Stdout)
	}
	for _, b := range broken {
		t.Error(b)
	}
}

// build makes the networks and starts the programs.
func (s *soak) build() {
	t, dir := s.t, s.t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var server interface{ Start(*exec.Cmd) error }
	listen := "127.0.0.1:24453"
	var w *natlab.World
	if !natlab.NeedsEnter() {
		var err error
		if w, err = natlab.NewWorld(natlab.Conditions{Delay: 10 * time.Millisecond}); err != nil {
			s.note("", "on loopback: %v", err)
			w = nil
		}
	}
	if w != nil {
		t.Cleanup(w.Close)
		host, err := w.Public(1)
		check(err)
		server, listen = host, host.Addr.String()+":4433"
	} else {
		fmt.Println("NO NAT LABORATORY HERE: the programs run on loopback")
	}
	s.restart = func() *program {
		told := make(chan string, 1)
		p := s.start("server", server, func(line string) {
			if a, ok := strings.CutPrefix(line, "address: "); ok {
				told <- a
			}
		}, "server", "--dir", filepath.Join(dir, "server"), "--listen", listen)
		select {
		case s.address = <-told:
		case <-time.After(2 * time.Minute):
			t.Fatal("the server does not start")
		}
		return p
	}
	s.server = s.restart()
	t.Cleanup(func() { s.server.kill(syscall.SIGKILL) })
	for _, name := range []string{"Ann", "Bob", "Cyd"} {
		u := &soaker{s: s, name: name, disk: filepath.Join(dir, name)}
		check(os.Mkdir(u.disk, 0o700))
		if err := unix.Mount("soak", u.disk, "tmpfs", 0, "size=64m"); err != nil {
			s.note(name, "no disk of its own: %v", err)
			u.disk = ""
		} else {
			t.Cleanup(func() { unix.Unmount(u.disk, unix.MNT_DETACH) })
		}
		u.dir = filepath.Join(dir, name, "profile")
		if w != nil {
			r, err := w.Router(natlab.RouterOptions{Kind: natlab.Port})
			check(err)
			home, err := r.Home()
			check(err)
			u.router, u.at = r, home
		}
		_, err := u.run("init", "--name", name, "--server", s.address)
		check(err)
		s.people = append(s.people, u)
		u.up()
		t.Cleanup(func() { u.listen.kill(syscall.SIGKILL) })
	}
	for i, u := range s.people {
		for _, v := range s.people[:i] {
			uri, err := u.run("invite")
			check(err)
			lines := strings.Split(uri, "\n")
			_, err = v.run("add", lines[slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "sremp:") })])
			check(err)
			s.until("the contact", func() string {
				if _, err := u.run("send", v.name, "hello", "--wait", "delivered", "--timeout", "1m"); err != nil {
					return err.Error()
				}
				return ""
			})
		}
	}
}

// until waits until problem has none.
func (s *soak) until(what string, problem func() string) {
	s.t.Helper()
	last := ""
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if last = problem(); last == "" {
			return
		}
	}
	s.history.Write(os.Stdout)
	s.t.Fatalf("%s: still %s", what, last)
}

// finish waits until all is delivered, and writes down what everybody has.
func (s *soak) finish() {
	s.step("server", 0)
	for _, u := range s.people {
		s.step(u.name, 0)
	}
	s.history.Add(history.Event{At: s.now(), Kind: history.Healed})
	each := func(f func(u, v *soaker)) {
		for _, u := range s.people {
			for _, v := range s.people {
				if u != v {
					f(u, v)
				}
			}
		}
	}
	s.until("all is delivered", func() (problem string) {
		s.tend()
		each(func(u, v *soaker) {
			for _, x := range u.states(v) {
				if x.Mine && x.State != "delivered" && x.State != "read" {
					problem = fmt.Sprintf("%q of %s is %s", x.Text, u.name, x.State)
				}
			}
		})
		return problem
	})
	each(func(u, v *soaker) {
		for i, x := range u.states(v) {
			if x.Text == "hello" {
				continue // of the beginning
			}
			s.history.Add(history.Event{
				At: s.now(), Kind: history.Final, Who: u.name, Peer: v.name, ID: x.ID, Text: x.Text, Mine: x.Mine, Seq: int64(i),
				State: history.State(max(slices.Index(soakStates, x.State), 0)),
			})
		}
	})
	for _, u := range s.people {
		u.down(syscall.SIGTERM)
	}
}
