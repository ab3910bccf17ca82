package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
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

// Both sides send at full speed: each message arrives exactly once, in order.
func TestFlood(t *testing.T) {
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
		flows.Go(func() {
			for i := range n {
				if _, err := x.from.api.Send(t.Context(), x.to.id, strconv.Itoa(i)); err != nil {
					t.Errorf("sending message %d: %v", i, err)
					return
				}
			}
		})
		flows.Go(func() {
			next := 0
			for next < n {
				select {
				case e, open := <-events:
					if !open {
						t.Errorf("the events ended after %d messages", next)
						return
					}
					m, ok := e.(client.MessageEvent)
					if !ok || m.Message.Mine {
						continue
					}
					if got, want := m.Message.Text, strconv.Itoa(next); got != want {
						t.Errorf("got message %s, want %s", got, want)
						return
					}
					next++
				case <-time.After(2 * time.Minute): // for a test that fails
					t.Errorf("no message after %d for two minutes", next)
					return
				}
			}
		})
	}
	flows.Wait()
	took := time.Since(began)
	for _, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
		got := x.to.texts(t, x.from, false)
		if len(got) != n {
			t.Errorf("%d messages in the history, want %d", len(got), n)
		}
		for i, text := range got {
			if text != strconv.Itoa(i) {
				t.Errorf("message %d in the history is %q", i, text)
				break
			}
		}
	}
	t.Logf("%d messages each way in %s: %.0f a second in all; peak memory %s and %s",
		n, took.Round(time.Millisecond), float64(2*n)/took.Seconds(), peakMemory(t, ann), peakMemory(t, bob))
}

// peakMemory is the largest resident size of a running client.
func peakMemory(t *testing.T, u *user) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", u.proc.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}
