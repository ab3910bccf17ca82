package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sremp/sremp/client"
)

// A screen collects what a pseudo-terminal shows.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

func (s *screen) shows(t *testing.T, want string) {
	t.Helper()
	within(t, fmt.Sprintf("%q on the screen", want), func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.b.String(), want), s.b.String()
	})
}

// The inviter opens the chat before the other has used the invite, waits, and
// then chats; on a terminal, by script(1) of util-linux.
func TestChatOnTerminal(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	invite := ann.run(t, "invite")

	chat := startChat(t, "--profile", ann.dir, "chat")

	chat.shown.shows(t, "waiting for somebody")
	bob.run(t, "add", invite)
	bob.run(t, "send", "Ann", "Are you there?", "--wait", "delivered")
	chat.shown.shows(t, "Are you there?")
	if _, err := chat.keys.Write([]byte("Here I am.\r")); err != nil {
		t.Fatal(err)
	}
	bob.listen(t)
	within(t, "Ann's answer", func() (bool, string) {
		got := bob.texts(t, ann, false)
		return slices.Contains(got, "Here I am."), fmt.Sprint(got)
	})
	if _, err := chat.keys.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	<-chat.ended
}

// Keys, as a terminal sends them.
const (
	keyCtrlC    = "\x03"
	keyCtrlF    = "\x06"
	keyCtrlL    = "\x0c"
	keyPageUp   = "\x1b[5~"
	keyPageDown = "\x1b[6~"
	wheelUp     = "\x1b[<64;50;5M"
	clickFirst  = "\x1b[<0;3;2M" // the first line of the list
)

// The chat in a real terminal: list with unread counts and path badges,
// scrollback, search, mouse, drafts, narrow and wide.
func TestChatScreen(t *testing.T) {
	t.Parallel() // it mostly waits
	ann, bob := newUser(t, "Ann"), newUser(t, "Bob")
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	for i := range 120 {
		if _, err := ann.api.Send(t.Context(), ann.id, fmt.Sprintf("note number %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bob.api.Send(t.Context(), ann.id, "are you there, @Ann?"); err != nil {
		t.Fatal(err)
	}
	within(t, "Bob's message", func() (bool, string) {
		got := ann.texts(t, bob, false)
		return len(got) == 1, fmt.Sprint(got)
	})
	if err := ann.api.MarkRead(t.Context(), bob.id, true); err != nil {
		t.Fatal(err)
	}

	x := startTerminal(t, 100, 20, command(t, "--profile", ann.dir, "chat", ann.id.String()))
	x.shown.shows(t, "note number 119")
	x.shown.shows(t, "● Bob")     // a direct path
	x.shown.shows(t, "(1) ✎ Ann") // one unread, in one's notes
	// Older ones than were loaded at first. A key that is pressed while they are
	// being loaded goes no further than what is there, so it is pressed again.
	for _, n := range []int{96, 80, 72, 60, 40} {
		x.pressUntil(t, keyPageUp, fmt.Sprintf("note number %d", n))
	}
	x.pressUntil(t, wheelUp, "note number 35")
	x.press(strings.Repeat(keyPageDown, 10))
	x.shown.shows(t, "note number 119")
	x.press(keyCtrlF)
	x.shown.shows(t, "search all conversations")
	x.press("NUMBER 7\r")
	x.shown.shows(t, "11 found")
	x.press("\x1b[B\x1b[B\r") // down, down, show it
	x.shown.shows(t, "note number 77")

	x.press(clickFirst)
	x.shown.shows(t, "are you there, @Ann?")
	x.press("half a thou")
	x.shown.shows(t, "half a thou")
	x.press("\t") // to the notes, and back: the draft is there
	x.shown.shows(t, "✎ Ann")
	x.press("\t")
	x.shown.shows(t, "half a thou")
	x.press("ght\r")
	within(t, "Ann's message at Bob's", func() (bool, string) {
		got := bob.texts(t, ann, false)
		return slices.Contains(got, "half a thought"), fmt.Sprint(got)
	})

	x.shown.clear()
	x.resize(40, 12)
	x.shown.shows(t, "half a thought")
	x.press(keyCtrlL) // there is no room for the list beside the chat
	x.shown.shows(t, "● Bob")
	x.resize(10, 3) // and hardly for anything
	x.press("\r")
	x.resize(120, 40)
	x.shown.shows(t, "half a thought")
	x.press(keyCtrlC)
}

// What is typed before the screen stands is not lost, nor is its Enter; and nothing
// asks the terminal for its colours, in the answer to which it would be.
func TestChatTypedAhead(t *testing.T) {
	t.Parallel() // it mostly waits
	ann := newUser(t, "Ann")
	ann.listen(t)
	if _, err := ann.api.Send(t.Context(), ann.id, "a note"); err != nil { // without which she is no contact of hers
		t.Fatal(err)
	}
	x := startTerminal(t, 100, 20, command(t, "--profile", ann.dir, "chat", ann.id.String()))
	if _, err := x.keys.WriteString("typed ahead\r"); err != nil {
		t.Fatal(err)
	}
	within(t, "what was typed", func() (bool, string) {
		got := ann.texts(t, ann, true)
		return slices.Contains(got, "typed ahead"), fmt.Sprint(got)
	})
	x.shown.shows(t, "\x1b[?1049h") // the screen
	x.shown.mu.Lock()
	defer x.shown.mu.Unlock()
	if got := x.shown.b.String(); strings.Contains(got, "\x1b]") {
		t.Errorf("the terminal was asked: %q", got)
	}
}

// A file in the chat: how far it is stands beside it, and it comes when one says so.
func TestChatFile(t *testing.T) {
	t.Parallel() // it mostly waits
	ann, bob := newUser(t, "Ann"), newUser(t, "Bob")
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	film := writeFile(t, "film.bin", 30_000_000) // more than comes unasked
	x := startTerminal(t, 160, 20, command(t, "--profile", bob.dir, "chat", "Ann"))
	x.shown.shows(t, "Enter sends")
	ann.run(t, "send", "Bob", "--file", film)
	x.shown.shows(t, strings.Repeat("░", progress)+"] file film.bin, 30 MB, offered")
	x.press("/accept\r")
	x.shown.shows(t, "file film.bin, 30 MB, received: ")
	sameFile(t, bob.waitFile(t, client.FileDone), film, bob)

	half := client.File{Name: "film.bin", Size: 30_000_000, Done: 15_000_000, State: client.FileMoving}
	want := "[" + strings.Repeat("█", progress/2) + strings.Repeat("░", progress/2) + "] file film.bin, 30 MB, moving, 50 %"
	if got := bar(half) + describeFile(half); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
