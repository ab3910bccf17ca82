//go:build gtk

package main

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
)

// A realServer is sremp server, which can be killed and started again.
type realServer struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr identity.ServerAddr
}

// serverIn starts a server with the key in a directory.
func serverIn(t *testing.T, dir, listen string) *realServer {
	t.Helper()
	return serverAt(t, (*exec.Cmd).Start, dir, listen)
}

// serverAt is serverIn, started by run.
func serverAt(t *testing.T, run func(*exec.Cmd) error, dir, listen string) *realServer {
	t.Helper()
	s := &realServer{t: t, cmd: exec.Command(buildCommand(t), "server", "--dir", dir, "--listen", listen, "--websocket", "none")}
	var stderr bytes.Buffer
	s.cmd.Stderr = &stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run(s.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	if err != nil {
		s.cmd.Wait()
		t.Fatalf("sremp server: %v\n%s", err, stderr.String())
	}
	go io.Copy(io.Discard, r)
	if s.addr, err = identity.ParseServerAddr(strings.TrimPrefix(strings.TrimSpace(line), addressPrefix)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *realServer) kill() {
	if s.cmd.ProcessState == nil {
		s.cmd.Process.Signal(syscall.SIGKILL)
		s.cmd.Wait()
	}
}

// use adds a server by the keyboard.
func (s *seat) use(address string) {
	s.t.Helper()
	s.key("ctrl+shift+s")
	s.focused("Server address")
	s.write(address)
	s.key("Return")
	s.sees("Server connected")
	s.key("Escape")
}

func isInvite(n node) bool { return strings.HasPrefix(strings.ToLower(n.name), "sremp:") }

// invite returns a link, by the keyboard.
func (s *seat) invite() string {
	s.t.Helper()
	s.key("ctrl+i")
	link := s.until("an invite", isInvite).name
	s.key("Escape")
	return link
}

// add uses a link, by the keyboard.
func (s *seat) add(link string) {
	s.t.Helper()
	s.key("ctrl+n")
	s.focused("Link")
	s.write(link)
	s.key("Return")
	s.focused("Message")
}

// says sends a message by the keyboard.
func (s *seat) says(text string) {
	s.t.Helper()
	s.focused("Message")
	s.write(text)
	s.key("Return")
}

// An arena is where two desktops and a server are.
type arena struct {
	server func(*exec.Cmd) error
	listen string // the server
	seats  [2]func(*exec.Cmd) error
	direct string // what a badge says of the direct path, a regular expression
}

// TestJourneyOwnServer is J1: two networks with a NAT each, and one server, which
// is killed while they chat, and returns. The times are printed.
func TestJourneyOwnServer(t *testing.T) {
	at := twoNetworks(t)
	dir := t.TempDir()
	server := serverAt(t, at.server, dir, at.listen)
	// One command gives the address with the key in it, as text and as a code.
	out, err := exec.Command(buildCommand(t), "server", "status", "--dir", dir, "--qr").CombinedOutput()
	if err != nil || !strings.Contains(string(out), server.addr.ID.String()) || !strings.Contains(string(out), "█") {
		t.Errorf("the server's status is %v\n%s\nwant its key and a QR code", err, out)
	}
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	ann.run, bob.run = at.seats[0], at.seats[1]
	_, hers := ann.startAs("Ann")
	ann.use(server.addr.String())
	ann.key("ctrl+shift+s")
	ann.seesPart(server.addr.String())
	ann.shot("70-server-used")
	ann.key("Escape")
	_, his := bob.startAs("Ben")
	code := filepath.Join(t.TempDir(), "server.png")
	writeCode(t, code, server.addr.String())
	bob.key("ctrl+shift+s")
	bob.focused("Server address")
	bob.press("From a picture…")
	bob.choose("A picture with a QR code", code)
	bob.until("the address in the entry", func(n node) bool {
		want := server.addr.String()
		return n.role == roleEntry && n.name == "Server address" && bob.textOf(n, len(want)) == want
	})
	bob.press("Use it")
	bob.sees("Server connected")
	bob.key("Escape")

	// A contact, and the first message.
	link := ann.invite()
	bob.key("ctrl+n")
	bob.focused("Link")
	bob.write(link)
	began := time.Now()
	bob.key("Return")
	ann.seesPart("Ben, ")
	t.Logf("figure: desktop.j1.contact %.2f s AGAINST 5 s", time.Since(began).Seconds())
	bob.focused("Message")
	bob.write("Hello Ann")
	began = time.Now()
	bob.key("Return")
	ann.seesPart("1 unread message")
	t.Logf("figure: desktop.j1.first_message %.2f s AGAINST 1 s", time.Since(began).Seconds())
	bob.seesPart("Hello Ann (Delivered")
	ann.clickOn(ann.until("Ben in the list", func(n node) bool { return strings.HasPrefix(n.name, "Ben, ") }))
	ann.focused("Message")
	direct := regexp.MustCompile("^Path: " + at.direct + " (<1|[0-9]+) ms")
	for _, s := range []*seat{ann, bob} {
		s.until("a direct path with its round-trip time", func(n node) bool { return direct.MatchString(n.name) })
	}
	bob.shot("70-direct")

	server.kill()
	ann.says("The server is gone.")
	ann.seesPart("The server is gone. (Delivered")
	bob.seesPart("The server is gone.")
	bob.seesPart("Server not connected")
	bob.shot("70-server-dead")
	serverAt(t, at.server, dir, server.addr.HostPort())
	bob.sees("Server connected")
	bob.says("It is back.")
	bob.seesPart("It is back. (Delivered")
	ann.seesPart("It is back.")
	ann.shot("71-server-back")
	want := []string{"Hello Ann", "The server is gone.", "It is back."}
	for _, api := range []*rpc.Client{hers, his} {
		if got := texts(t, api); !slices.Equal(got, want) {
			t.Errorf("the conversation is %q, want %q", got, want)
		}
	}
	for _, s := range []*seat{ann, bob} {
		s.key("ctrl+q")
		s.wait()
	}
}

// texts returns what was written in the conversation with somebody else.
func texts(t *testing.T, api *rpc.Client) (all []string) {
	t.Helper()
	contacts, err := api.Contacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contacts {
		if c.Self {
			continue
		}
		h, err := api.History(t.Context(), c.ID, client.HistoryQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range h {
			all = append(all, m.Text)
		}
	}
	return all
}

// TestJourneyLAN is J2: no server, one network. They meet by a link, a file goes
// over, one is cut off and returns.
func TestJourneyLAN(t *testing.T) {
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	dir := t.TempDir()
	for _, p := range []struct {
		*seat
		name string
	}{{ann, "Ann"}, {bob, "Ben"}} {
		p.start(noPassphrase, "--profile", filepath.Join(dir, p.name), "--listen", "127.0.0.1:0")
		p.focused("Your name")
		p.write(p.name)
		p.key("Return")
		p.seesPart("Nobody is here yet.")
		p.sees("No server")
	}
	bob.add(ann.invite())
	bob.says("Nobody but us.")
	bob.seesPart("Path: direct, LAN")
	ann.seesPart("1 unread message")
	ann.clickOn(ann.until("Ben in the list", func(n node) bool { return strings.HasPrefix(n.name, "Ben, ") }))
	ann.focused("Message")
	ann.seesPart("Path: direct, LAN")

	// A file, by the keyboard.
	path := filepath.Join(t.TempDir(), "film.mkv")
	film := make([]byte, 40<<20)
	rand.NewChaCha8([32]byte{1}).Read(film)
	if err := os.WriteFile(path, film, 0o600); err != nil {
		t.Fatal(err)
	}
	ann.key("ctrl+o")
	ann.choose("Send a file", path)
	bob.sees("film.mkv")
	bob.shot("77-lan-consent")
	bob.press("Accept")
	bob.sees("Show folder")
	ann.seesPart("film.mkv")
	bob.shot("78-lan-file")
	arrived := ""
	if err := filepath.WalkDir(bob.home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "film.mkv" {
			arrived = path
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(arrived); err != nil || !bytes.Equal(got, film) {
		t.Errorf("%q has %d bytes, %v; want what was sent", arrived, len(got), err)
	}

	// Cut off: what is written waits, and nobody says that it arrived.
	bob.program.cmd.Process.Kill()
	<-bob.program.done
	ann.seesPart("Path: offline")
	ann.says("Are you there?")
	ann.seesPart("Are you there? (Queued: stored on this computer, will be sent)")
	ann.shot("79-lan-cut")
	bob.start(noPassphrase, "--profile", filepath.Join(dir, "Ben"), "--listen", "127.0.0.1:0")
	bob.seesPart("Are you there?")
	ann.seesPart("Are you there? (Delivered")
	ann.seesPart("Path: direct, LAN")
	for _, s := range []*seat{ann, bob} {
		s.key("ctrl+q")
		s.wait()
	}
}

// TestJourneyNeverTogether is J3: they are never online together, and the relay
// is restarted in between. He posted an invite that anybody may use to ask; three
// messages and a photo wait for him.
func TestJourneyNeverTogether(t *testing.T) {
	dir := t.TempDir()
	server := serverIn(t, dir, "127.0.0.1:0")
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	bobs, _ := bob.startAs("Ben")
	bob.use(server.addr.String())
	bob.key("ctrl+i")
	forOne := bob.until("an invite", isInvite).name
	bob.press("To post…")
	bob.seesPart("Post this where the people are")
	posted := bob.until("an invite to post", func(n node) bool { return isInvite(n) && n.name != forOne }).name
	bob.shot("71-to-post")
	bob.key("Escape")
	bob.key("ctrl+q")
	bob.wait()

	anns, _ := ann.startAs("Ann")
	ann.use(server.addr.String())
	ann.add(posted)
	sent := []string{"One", "Two", "Three"}
	for _, text := range sent {
		ann.says(text)
	}
	ann.seesPart("Three (Held")
	path := filepath.Join(t.TempDir(), "photo.png")
	writePicture(t, path)
	ann.key("ctrl+o")
	ann.choose("Send a file", path)
	ann.until("the photo held", func(n node) bool {
		return strings.Contains(n.name, "photo.png") && strings.Contains(n.name, "(Held")
	})
	ann.shot("72-held")
	ann.key("ctrl+q")
	ann.wait()
	server.kill()
	serverIn(t, dir, server.addr.HostPort())

	// A request, with the messages in order and their times.
	bob.start(noPassphrase, "--profile", bobs)
	bob.press("Requests (1)")
	bob.clickOn(bob.until("Ann's request", func(n node) bool { return strings.HasPrefix(n.name, "Ann, ") }))
	bob.seesPart("A stranger wants to write to you")
	above := 0
	for _, text := range sent {
		timed := regexp.MustCompile(`^Ann, .*[0-9]{2}:[0-9]{2}.*: ` + text)
		bob.until(text+" with its time", func(n node) bool { return timed.MatchString(n.name) })
		_, y, _, _ := bob.extents(bob.until(text, func(n node) bool { return n.role == roleLabel && n.name == text }))
		if y <= above {
			t.Errorf("%q is at %d, the one before at %d", text, y, above)
		}
		above = y
	}
	bob.shot("73-request")
	bob.press("Accept")
	bob.focused("Message")
	bob.sees("Preview of photo.png")
	bob.press("Accept") // the photo: files of strangers wait for that
	bob.seesPart("waits for a connection")
	bob.shot("73-returned")
	bob.key("ctrl+q")
	bob.wait()

	// She sees that all was delivered. The photo itself comes after its preview: no
	// mailbox takes a stranger's files before he is wanted.
	ann.start(noPassphrase, "--profile", anns)
	for _, text := range append(sent, "photo.png") {
		delivered := regexp.MustCompile(`^You, .*: ` + text + `.*\(Delivered`)
		ann.until(text+" delivered", func(n node) bool { return delivered.MatchString(n.name) })
	}
	ann.seesPart("more with a relay")
	ann.shot("74-delivered")
	ann.key("ctrl+q")
	ann.wait()
	bob.start(noPassphrase, "--profile", bobs)
	bob.sees("Show folder")
	bob.shot("74-photo")
	bob.key("ctrl+q")
	bob.wait()
}

// TestJourneyLyingServer is J4: somebody else answers at the server's address.
// That is said, nothing is sent, and a chat that is direct goes on.
func TestJourneyLyingServer(t *testing.T) {
	server := serverIn(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	ann.startAs("Ann")
	ann.use(server.addr.String())
	bobs, _ := bob.startAs("Ben")
	bob.use(server.addr.String())
	ann.add(bob.invite())
	ann.says("Hello Ben")
	ann.seesPart("Hello Ben (Delivered")
	ann.key("ctrl+m")
	ann.press("Compare words…")
	ann.sees("Is this really Ben?")
	ann.press("They are the same")
	ann.seesPart("Verified on ")
	ann.key("Escape")
	verified := func() {
		t.Helper()
		ann.until("Ben, verified", func(n node) bool {
			return strings.HasPrefix(n.name, "Ben, ") && strings.Contains(n.name, ", verified")
		})
	}
	verified()
	server.kill()
	bob.key("ctrl+q")
	bob.wait()
	lies := t.TempDir()
	liar := serverIn(t, lies, server.addr.HostPort()) // another key
	ann.seesPart("another key than its address says")
	ann.says("This must not go there.")
	ann.seesPart("This must not go there. (Queued")
	ann.key("ctrl+shift+s")
	ann.seesPart("The server proved another key than its address says")
	ann.shot("75-lying-server")
	ann.key("Escape")
	verified()

	// It lies to him as well, and the two find each other without it. What waited
	// arrives then, and not before.
	bob.start(noPassphrase, "--profile", bobs)
	bob.seesPart("another key than its address says")
	bob.seesPart("This must not go there.")
	ann.seesPart("This must not go there. (Delivered")
	verified()
	liar.kill()
	bob.key("ctrl+q")
	bob.wait()
	ann.key("ctrl+q")
	ann.wait()
	store, err := relaysqlite.Open(t.Context(), filepath.Join(lies, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if got, err := store.Totals(t.Context()); err != nil || got != (relay.Totals{}) {
		t.Errorf("the one with another key has %+v, %v; want nothing", got, err)
	}
}
