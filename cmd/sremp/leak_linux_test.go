package main

import (
	"fmt"
	"os"
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

// residentBytes returns the bytes that a process has in memory.
func residentBytes(t *testing.T, c *child) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
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
