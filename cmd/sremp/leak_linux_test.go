package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sremp/sremp/internal/leak"
)

// Clients that come and go, commands on a running client, and a contact that is
// killed and back: with no round do server and client have one more descriptor open,
// or, but for the race detector's own, much more memory. A pool of the database may
// grow by a connection meanwhile.
func TestProcessesLeaveNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	server, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	round := func() {
		t.Helper()
		bob.end(t, syscall.SIGKILL) // says goodbye to nobody
		bob.run(t, "send", "Ann", "hello", "--wait", "delivered")
		ann.run(t, "contacts")
		ann.run(t, "history", "Bob")
		if _, _, status := sremp(t, "--profile", ann.dir, "send", "Nobody", "hello"); status == 0 {
			t.Error("a message to nobody was sent")
		}
		bob.listen(t)
		within(t, "a path again", func() (bool, string) {
			p, err := bob.api.Path(t.Context(), ann.id)
			return err == nil && p.Kind != 0, describePath(p)
		})
	}
	round()
	at := []*child{server, ann.proc}
	var files, memory [2]int
	for i, c := range at {
		files[i], memory[i] = leak.Of(c.cmd.Process.Pid), residentBytes(t, c)
	}
	const rounds = 4
	for range rounds {
		round()
	}
	for i, c := range at {
		within(t, "fewer descriptors more than one a round", func() (bool, string) {
			now := leak.Of(c.cmd.Process.Pid)
			return now > 0 && now < files[i]+rounds, fmt.Sprintf("%q has %d, before %d", c.cmd.Args, now, files[i])
		})
		if now := residentBytes(t, c); !raceDetector && now > memory[i]+rounds*4<<20 {
			t.Errorf("%q has %d bytes in memory after %d rounds, %d before", c.cmd.Args, now, rounds, memory[i])
		}
	}
}

// The chat on a terminal, which is a client with a screen: the same while a contact
// comes and goes and is answered.
func TestChatLeavesNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	bob.run(t, "add", ann.run(t, "invite"))
	chat := startChat(t, "--profile", ann.dir, "chat")
	const rounds = 4
	pid, files, memory := 0, 0, 0
	for i := range 1 + rounds {
		question, answer := fmt.Sprintf("question %d?", i), fmt.Sprintf("answer %d!", i)
		bob.run(t, "send", "Ann", question, "--wait", "delivered")
		chat.shown.shows(t, question)
		if _, err := chat.keys.Write([]byte(answer + "\r")); err != nil {
			t.Fatal(err)
		}
		bob.listen(t)
		within(t, "Ann's answer", func() (bool, string) {
			got := bob.texts(t, ann, false)
			return slices.Contains(got, answer), fmt.Sprint(got)
		})
		bob.end(t, syscall.SIGKILL)
		if i == 0 {
			pid = running(t, "sremp", "--profile", ann.dir, "chat")
			files, memory = leak.Of(pid), residentOf(t, pid)
		}
	}
	within(t, "fewer descriptors more than one a round", func() (bool, string) {
		now := leak.Of(pid)
		return now > 0 && now < files+rounds, fmt.Sprintf("%d, before %d", now, files)
	})
	if now := residentOf(t, pid); !raceDetector && now > memory+rounds*4<<20 {
		t.Errorf("%d bytes in memory after %d rounds, %d before", now, rounds, memory)
	}
	if _, err := chat.keys.Write([]byte(keyCtrlC)); err != nil {
		t.Fatal(err)
	}
	<-chat.ended
}

// running returns the process of a command.
func running(t *testing.T, args ...string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil || string(b) != strings.Join(args, "\x00")+"\x00" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	t.Fatalf("%q does not run", args)
	return 0
}

// residentBytes returns the bytes that a process has in memory.
func residentBytes(t *testing.T, c *child) int {
	t.Helper()
	return residentOf(t, c.cmd.Process.Pid)
}

func residentOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
