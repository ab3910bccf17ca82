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
	"strings"
	"syscall"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
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
	s := &realServer{t: t, cmd: exec.Command(buildCommand(t), "server", "--dir", dir, "--listen", listen, "--websocket", "none")}
	var stderr bytes.Buffer
	s.cmd.Stderr = &stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
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

// invite returns a link, by the keyboard.
func (s *seat) invite() string {
	s.t.Helper()
	s.key("ctrl+i")
	link := s.until("an invite", func(n node) bool { return strings.HasPrefix(strings.ToLower(n.name), "sremp:") }).name
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

// TestJourneyServerDies is J1: two desktops meet through a server, which is
// killed while they chat, and returns.
func TestJourneyServerDies(t *testing.T) {
	dir := t.TempDir()
	server := serverIn(t, dir, "127.0.0.1:0")
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	ann.startAs("Ann")
	ann.use(server.addr.String())
	bob.startAs("Ben")
	bob.use(server.addr.String())
	bob.add(ann.invite())
	bob.says("Hello Ann")
	bob.seesPart("Hello Ann (Delivered")
	bob.seesPart("Path: direct")
	ann.seesPart("1 unread message")
	ann.clickOn(ann.until("Ben in the list", func(n node) bool { return strings.HasPrefix(n.name, "Ben, ") }))
	ann.focused("Message")

	server.kill()
	ann.says("The server is gone.")
	ann.seesPart("The server is gone. (Delivered")
	bob.seesPart("The server is gone.")
	bob.seesPart("Server not connected")
	bob.shot("70-server-dead")
	serverIn(t, dir, server.addr.HostPort())
	bob.sees("Server connected")
	bob.says("It is back.")
	bob.seesPart("It is back. (Delivered")
	ann.seesPart("It is back.")
	ann.shot("71-server-back")
	for _, s := range []*seat{ann, bob} {
		s.key("ctrl+q")
		s.wait()
	}
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
// is restarted in between.
func TestJourneyNeverTogether(t *testing.T) {
	dir := t.TempDir()
	server := serverIn(t, dir, "127.0.0.1:0")
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	bobs, _ := bob.startAs("Ben")
	bob.use(server.addr.String())
	link := bob.invite()
	bob.key("ctrl+q")
	bob.wait()

	anns, here := ann.startAs("Ann")
	ann.use(server.addr.String())
	ann.add(link)
	for _, text := range []string{"One", "Two", "Three"} {
		ann.says(text)
	}
	ann.seesPart("Three (Held")
	path := filepath.Join(t.TempDir(), "photo.png")
	writePicture(t, path)
	contacts, err := here.Contacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contacts {
		if c.Name == "Ben" {
			if _, err := here.SendFile(t.Context(), c.ID, client.FileDraft{Path: path}); err != nil {
				t.Fatal(err)
			}
		}
	}
	ann.seesPart("photo.png")
	ann.shot("72-held")
	ann.key("ctrl+q")
	ann.wait()
	server.kill()
	serverIn(t, dir, server.addr.HostPort())

	bob.start(noPassphrase, "--profile", bobs)
	bob.seesPart("Ann, ")
	bob.clickOn(bob.until("Ann in the list", func(n node) bool { return strings.HasPrefix(n.name, "Ann, ") }))
	for _, text := range []string{": One", ": Two", ": Three"} {
		bob.seesPart(text)
	}
	bob.shot("73-returned")
	bob.key("ctrl+q")
	bob.wait()
	ann.start(noPassphrase, "--profile", anns)
	ann.seesPart("Three (Delivered")
	ann.shot("74-delivered")
	ann.key("ctrl+q")
	ann.wait()
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
	liar := serverIn(t, t.TempDir(), server.addr.HostPort()) // another key
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
}
