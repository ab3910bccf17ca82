package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The lines of README.md that lead to the first chat do, as they stand there: in
// their order, with nothing between them but what they print.
func TestReadme(t *testing.T) {
	t.Parallel() // it mostly waits
	lines := readmeLines(t)
	if len(lines) < 5 || len(lines) > 10 {
		t.Fatalf("got %d lines, want ten at most", len(lines))
	}
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	listen := free.LocalAddr().String()
	free.Close()

	dir := t.TempDir()
	words := []string{"chat.example.org:4433", listen} // of the README, and what stands for them
	profile, sides := "", map[string]*chatter{}
	for _, line := range lines {
		args := strings.Fields(strings.NewReplacer(words...).Replace(line))
		if line == "make build" {
			continue // the command of a test is the test itself
		}
		if args[0] != "bin/sremp" {
			t.Fatalf("%q is no command of ours", line)
		}
		args = args[1:]
		switch args[0] {
		case "server":
			args = append(args, "--dir", filepath.Join(dir, "server"))
			if args[1] == "run" {
				startServerCommand(t, args...)
				continue
			}
			out := must(t, append(args, "--listen", listen)...)
			address, _, _ := strings.Cut(strings.TrimPrefix(out, "address: "), "\n")
			words = append(words, "ADDRESS", address)
			continue
		case "init":
			profile = filepath.Join(dir, args[2])
		}
		args = append([]string{"--profile", profile}, args...)
		switch args[2] {
		case "invite":
			invite, _, _ := strings.Cut(must(t, args...), "\n")
			words = append(words, "INVITE", invite)
		case "chat":
			sides[filepath.Base(profile)] = startChat(t, append(args, "--no-lan", "--no-port-mapping")...)
		default:
			must(t, args...)
		}
	}
	ann, bob := sides["Ann"], sides["Bob"]
	if ann == nil || bob == nil {
		t.Fatalf("got chats of %d, want Ann's and Bob's", len(sides))
	}
	bob.say(t, "Are you there?")
	ann.shown.shows(t, "Are you there?")
	ann.say(t, "Here I am.")
	bob.shown.shows(t, "Here I am.")
}

// readmeLines returns the commands of the first block of shell in README.md.
func readmeLines(t *testing.T) (lines []string) {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(b), "```sh\n")
	block, _, end := strings.Cut(block, "```")
	if !ok || !end {
		t.Fatal("README.md has no block of shell")
	}
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(line, "#")
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// A chatter is a chat on a terminal of its own, by script(1) of util-linux.
type chatter struct {
	keys  io.Writer
	shown *screen
	ended <-chan struct{}
}

func startChat(t *testing.T, args ...string) *chatter {
	t.Helper()
	cmd := exec.Command("script", "-qec", "sremp '"+strings.Join(args, "' '")+"'", "/dev/null")
	cmd.Env = append(cmd.Environ(), "TERM=xterm")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	c := &chatter{keys: keys, shown: new(screen), ended: ended}
	cmd.Stdout, cmd.Stderr = c.shown, c.shown
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { cmd.Wait(); close(ended) }() // how it ends is told by its screen
	t.Cleanup(func() {
		keys.Write([]byte{3}) // Ctrl-C; it may have ended
		select {
		case <-ended:
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			<-ended
		}
	})
	return c
}

func (c *chatter) say(t *testing.T, text string) {
	t.Helper()
	c.shown.shows(t, "Enter sends") // before that keys are taken for the terminal's own answers
	if _, err := io.WriteString(c.keys, text+"\r"); err != nil {
		t.Fatal(err)
	}
}
