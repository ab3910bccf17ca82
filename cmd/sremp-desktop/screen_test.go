//go:build gtk

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"github.com/sremp/sremp/client/rpc"
)

const (
	// patience is how long a test waits for something to be shown. It is far
	// above what a loaded machine takes; nothing is measured by it.
	patience = 2 * time.Minute
	// lookEvery is how often the screen is looked at meanwhile.
	lookEvery = 200 * time.Millisecond
)

// runAsMain makes the test binary behave as the program: no second linking.
const runAsMain = "SREMP_TEST_MAIN"

func TestMain(m *testing.M) {
	if path := os.Getenv(clipboardVariable); path != "" {
		holdClipboard(path)
	}
	if os.Getenv(runAsMain) != "" {
		if what := os.Getenv(watchVariable); what != "" {
			watchMyself(what)
		}
		main()
	}
	status := m.Run()
	if command.dir != "" {
		os.RemoveAll(command.dir)
	}
	os.Exit(status)
}

// command is the program sremp, which is built once.
var command struct {
	once sync.Once
	dir  string
	err  error
}

// buildCommand builds sremp and returns its path.
func buildCommand(t *testing.T) string {
	t.Helper()
	command.once.Do(func() {
		if command.dir, command.err = os.MkdirTemp("", "sremp-desktop-test-*"); command.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", filepath.Join(command.dir, companionName), "../sremp").CombinedOutput()
		if err != nil {
			command.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if command.err != nil {
		t.Fatal(command.err)
	}
	return filepath.Join(command.dir, companionName)
}

// within waits until ok says yes; said is for when it never does.
func within(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	said := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(lookEvery) {
		var yes bool
		if yes, said = ok(); yes {
			return
		}
	}
	t.Fatalf("%s: %s", what, said)
}

// artifacts is where screenshots are kept.
func artifacts(t *testing.T) string {
	dir := os.Getenv("SREMP_ARTIFACTS")
	if dir == "" {
		return t.ArtifactDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A seat is a screen with a keyboard and a session bus of its own, on which one
// program runs at a time.
type seat struct {
	t       *testing.T
	name    string
	env     []string
	bus     string
	shots   string
	home    string
	program *program
	// run starts a program where the seat is; nil: here.
	run func(*exec.Cmd) error
}

func newSeat(t *testing.T, name, size string, env ...string) *seat {
	t.Helper()
	s := &seat{t: t, name: name, shots: artifacts(t)}
	home := t.TempDir()
	s.home = home
	display := s.helper(exec.Command("Xvfb", "-displayfd", "1", "-screen", "0", size+"x24", "-nolisten", "tcp"))
	s.env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AT_SPI_BUS_ADDRESS=") || strings.HasPrefix(v, "NO_AT_BRIDGE=") ||
			strings.HasPrefix(v, passphraseVariable+"=") || strings.HasPrefix(v, "WAYLAND_DISPLAY=")
	})
	s.env = append(s.env, "DISPLAY=:"+display, "GDK_BACKEND=x11", "GSK_RENDERER=cairo", "HOME="+home,
		"XDG_RUNTIME_DIR="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home,
		"LC_ALL=C.UTF-8", "GSETTINGS_BACKEND=memory")
	s.env = append(s.env, env...)
	daemon := exec.Command("dbus-daemon", "--config-file="+busConfig(t), "--nofork", "--print-address=1")
	daemon.Env = s.env
	s.bus = s.helper(daemon)
	s.env = append(s.env, "DBUS_SESSION_BUS_ADDRESS="+s.bus)
	return s
}

// accessibilityService is the one service that a seat's bus starts by itself.
const accessibilityService = "/usr/share/dbus-1/services/org.a11y.Bus.service"

// busConfig describes a session bus that starts nothing but the accessibility
// bus: what else this machine has installed, a keyring say, makes no difference.
// Its socket is a file, which programs in other network namespaces reach as well.
func busConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	service, err := os.ReadFile(accessibilityService)
	if err != nil {
		t.Fatalf("%v; make test installs what the desktop's tests need", err)
	}
	path := filepath.Join(dir, "session.conf")
	for name, text := range map[string]string{
		filepath.Join(dir, filepath.Base(accessibilityService)): string(service),
		path: `<busconfig>
  <type>session</type>
  <listen>unix:dir=/tmp</listen>
  <servicedir>` + dir + `</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// helper starts a program that prints one line about itself, and ends with the
// test.
func (s *seat) helper(cmd *exec.Cmd) (line string) {
	s.t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("%v; make test installs what the desktop's tests need", err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatalf("%s said nothing: %v", cmd.Path, err)
	}
	return strings.TrimSpace(line)
}

// A program is a running desktop.
type program struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer // read after done
	done   chan struct{}
	err    error // set before done
	reader *reader
}

// start starts the desktop on this seat and gives it the keyboard.
func (s *seat) start(env []string, args ...string) {
	s.t.Helper()
	s.launch(env, args...)
	// Without a window manager nobody gives a window the keyboard.
	s.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", "^SREMP$", "windowfocus", "--sync")
}

// launch starts the desktop on this seat.
func (s *seat) launch(env []string, args ...string) {
	s.t.Helper()
	p := &program{cmd: exec.Command(os.Args[0], args...), done: make(chan struct{})}
	p.cmd.Env = append(append(s.env, runAsMain+"=1"), env...)
	p.cmd.Stderr = &p.stderr
	run := p.cmd.Start
	if s.run != nil {
		run = func() error { return s.run(p.cmd) }
	}
	if err := run(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	s.program = p
	s.t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(patience):
			p.cmd.Process.Kill()
			<-p.done
		}
		if s.t.Failed() {
			s.t.Logf("%s wrote:\n%s", s.name, p.stderr.String())
		}
	})
}

// startAs goes through a first start with a passphrase that is given, and returns
// the profile's directory and its client, to which the window listens as well.
func (s *seat) startAs(name string) (profile string, api *rpc.Client) {
	s.t.Helper()
	profile = filepath.Join(s.t.TempDir(), strings.ToLower(name))
	s.start(noPassphrase, "--profile", profile)
	s.focused("Your name")
	s.write(name)
	s.key("Return")
	s.seesPart("Nobody is here yet.")
	return profile, s.client(profile)
}

// startAgain starts the desktop on a profile that there is.
func (s *seat) startAgain(profile string) *rpc.Client {
	s.t.Helper()
	s.start(noPassphrase, "--profile", profile)
	s.sees("Contacts")
	return s.client(profile)
}

// client returns the client of a profile, to which the window listens as well.
func (s *seat) client(profile string) *rpc.Client {
	s.t.Helper()
	api, err := rpc.Dial(s.t.Context(), filepath.Join(profile, socketFile))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { api.Close() })
	return api
}

// noPassphrase gives an empty one beforehand: nothing is asked.
var noPassphrase = []string{passphraseVariable + "="}

// awaitName waits until somebody owns a name on the seat's session bus.
func (s *seat) awaitName(name string) {
	s.t.Helper()
	bus, err := connectBus(s.bus)
	if err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(lookEvery) {
		v, err := call(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
			glib.NewVariantTuple([]*glib.Variant{glib.NewVariantString(name)}))
		if err != nil {
			s.t.Fatal(err)
		}
		if v.ChildValue(0).Boolean() {
			return
		}
	}
	s.t.Fatalf("%s: nobody is %s", s.name, name)
}

// wait waits until the program has ended by itself.
func (s *seat) wait() {
	s.t.Helper()
	select {
	case <-s.program.done:
	case <-time.After(patience):
		s.t.Fatalf("%s: the program does not end", s.name)
	}
	if s.program.err != nil {
		s.t.Fatalf("%s: %v\n%s", s.name, s.program.err, s.program.stderr.String())
	}
	if strings.Contains(s.program.stderr.String(), "CRITICAL") {
		s.t.Errorf("%s: GTK complains:\n%s", s.name, s.program.stderr.String())
	}
}

func (s *seat) tool(name string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %s %v: %v\n%s", s.name, name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// key presses keys by their X names, like ctrl+i.
func (s *seat) key(keys ...string) {
	s.t.Helper()
	s.tool("xdotool", append([]string{"key", "--delay", "40"}, keys...)...)
}

// write types a text as a person does.
func (s *seat) write(text string) {
	s.t.Helper()
	s.tool("xdotool", "type", "--delay", "8", "--", text)
}

// click clicks with the left button, at pixels of the screen.
func (s *seat) click(x, y int) {
	s.t.Helper()
	s.tool("xdotool", "mousemove", fmt.Sprint(x), fmt.Sprint(y), "click", "1")
	s.tool("xdotool", "mousemove", "500", "450") // away, so that no tooltip covers the picture
}

// shot keeps a picture of the screen.
func (s *seat) shot(name string) {
	s.t.Helper()
	s.tool("import", "-silent", "-window", "root", filepath.Join(s.shots, name+".png"))
}

// startServer builds and starts sremp server and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(buildCommand(t), "server", "--dir", t.TempDir(), "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	if err != nil {
		cmd.Wait()
		t.Fatalf("sremp server: %v\n%s", err, stderr.String())
	}
	go io.Copy(io.Discard, r)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "address: ")
	if !ok {
		t.Fatalf("sremp server printed %q, want its address", line)
	}
	return address
}
