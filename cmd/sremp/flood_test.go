package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

// floodSize is how many messages go each way: 10 000, or what SREMP_FLOOD says.
func floodSize(t *testing.T) int {
	if s := os.Getenv("SREMP_FLOOD"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 300
	}
	return 10_000
}

// floodSenders is how many commands of one side are under way at a time. A
// command ends when its message is stored, so that one alone would measure how
// long the disk takes, not how much the client carries.
const floodSenders = 32

// Both sides send at full speed: each message arrives exactly once, and in the
// order in which its sender's history has it.
func TestFlood(t *testing.T) {
	t.Parallel() // it mostly waits
	n := floodSize(t)
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)

	began := time.Now()
	var flows sync.WaitGroup
	for _, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
		events, err := x.to.api.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var next atomic.Int64
		for range floodSenders {
			flows.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					if _, err := x.from.api.Send(t.Context(), x.to.id, strconv.Itoa(int(i))); err != nil {
						t.Errorf("sending message %d: %v", i, err)
						return
					}
				}
			})
		}
		flows.Go(func() {
			seen := make(map[string]bool, n)
			for len(seen) < n {
				select {
				case e, open := <-events:
					if !open {
						t.Errorf("the events ended after %d messages", len(seen))
						return
					}
					m, ok := e.(client.MessageEvent)
					if !ok || m.Message.Mine {
						continue
					}
					if seen[m.Message.Text] {
						t.Errorf("message %s came twice", m.Message.Text)
						return
					}
					seen[m.Message.Text] = true
				case <-time.After(2 * time.Minute): // for a test that fails
					t.Errorf("no message after %d for two minutes", len(seen))
					return
				}
			}
		})
	}
	flows.Wait()
	took := time.Since(began)
	for _, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
		sent, got := x.from.texts(t, x.to, true), x.to.texts(t, x.from, false)
		if len(sent) != n {
			t.Errorf("%d messages in the sender's history, want %d", len(sent), n)
		}
		if !slices.Equal(got, sent) {
			t.Errorf("the receiver's history of %d messages differs from the sender's", len(got))
		}
	}
	t.Logf("%d messages each way in %s", n, took.Round(time.Millisecond))
	t.Logf("figure: chat.messages_per_second %.0f msg/s both ways together, each stored on both sides, over direct QUIC on loopback", float64(2*n)/took.Seconds())
	t.Logf("figure: chat.peak_memory %.1f MiB resident, the larger of two clients", max(peakMemory(t, ann), peakMemory(t, bob)))
}

// peakMemory is the largest resident size of a running client, in MiB.
func peakMemory(t *testing.T, u *user) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", u.proc.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	t.Fatal("no VmHWM in /proc")
	return 0
}
