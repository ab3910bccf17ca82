package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
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
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	invite := ann.run(t, "invite")

	cmd := exec.Command("script", "-qec", fmt.Sprintf("sremp --profile '%s' chat", ann.dir), "/dev/null")
	cmd.Env = append(cmd.Environ(), "TERM=xterm")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var shown screen
	cmd.Stdout, cmd.Stderr = &shown, &shown
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }() // Ctrl-C is how it ends
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})

	shown.shows(t, "waiting for somebody")
	bob.run(t, "add", invite)
	bob.run(t, "send", "Ann", "Are you there?", "--wait", "delivered")
	shown.shows(t, "Are you there?")
	if _, err := keys.Write([]byte("Here I am.\r")); err != nil {
		t.Fatal(err)
	}
	bob.listen(t)
	within(t, "Ann's answer", func() (bool, string) {
		got := bob.texts(t, ann, false)
		return slices.Contains(got, "Here I am."), fmt.Sprint(got)
	})
	if _, err := keys.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	<-ended
}
