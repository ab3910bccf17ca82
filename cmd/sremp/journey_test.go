package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sremp/sremp/client"
)

// Journey J3: the two are never online together, and the server is restarted in
// between.
func TestNeverOnlineTogether(t *testing.T) {
	t.Parallel() // it mostly waits
	serverDir := t.TempDir()
	server, addr := startServer(t, serverDir, "127.0.0.1:0")
	bob := newUser(t, "Bob", addr)
	invite := bob.run(t, "invite")

	ann := newUser(t, "Ann", addr)
	ann.run(t, "add", invite)
	want := []string{"first", "second", "third"}
	for _, text := range want {
		if got := ann.run(t, "send", "Bob", text, "--wait", "held"); !strings.HasSuffix(got, " held") {
			t.Errorf("send printed %q, want held", got)
		}
	}

	server.end(t, syscall.SIGKILL)
	startServer(t, serverDir, addr.HostPort())
	for range 2 { // the recipient is restarted as well
		bob.listen(t)
		within(t, "Bob's mail", func() (bool, string) {
			got := bob.texts(t, ann, false)
			return slices.Equal(got, want), fmt.Sprintf("%q, want %q", got, want)
		})
		bob.end(t, syscall.SIGTERM)
	}
	if got := bob.run(t, "contacts"); !strings.Contains(got, "Ann") {
		t.Errorf("Bob's contacts are %q, want Ann by her name", got)
	}

	ann.listen(t)
	within(t, "delivery", func() (bool, string) {
		var last struct{ State string }
		lines := strings.Split(ann.run(t, "history", "Bob", "--json"), "\n")
		err := json.Unmarshal([]byte(lines[len(lines)-1]), &last)
		return err == nil && last.State == "delivered", last.State
	})
}

func TestServerKilledInADirectChat(t *testing.T) {
	t.Parallel() // it mostly waits
	server, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	server.end(t, syscall.SIGKILL)
	for range 3 {
		ann.run(t, "send", "Bob", "still here?", "--wait", "delivered")
		bob.run(t, "send", "Ann", "still here.", "--wait", "delivered")
	}
}

func TestServerKilledAfterHeld(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := t.TempDir()
	server, addr := startServer(t, dir, "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.run(t, "add", bob.run(t, "invite"))
	ann.run(t, "send", "Bob", "keep this", "--wait", "held")
	server.end(t, syscall.SIGKILL)
	startServer(t, dir, addr.HostPort())
	bob.listen(t)
	within(t, "the mail", func() (bool, string) {
		got := bob.texts(t, ann, false)
		return slices.Equal(got, []string{"keep this"}), fmt.Sprintf("%q", got)
	})
}

// killRounds is how often a client is killed, each side in turn.
const killRounds = 10

// Clients are killed in the middle of a flow. What Send accepted arrives exactly
// once and in order; what it was cut off in may be stored or not, like any call
// whose answer is lost, but never differently on the two sides.
func TestClientsKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	rounds := killRounds
	if testing.Short() {
		rounds = 2
	}
	accepted := map[*user][]string{}
	for round := range rounds {
		victim := []*user{ann, bob}[round%2]
		killAt := rand.IntN(40) // of both flows
		var mu sync.Mutex
		sent, kill := 0, make(chan struct{})
		var flows sync.WaitGroup
		for _, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
			flows.Go(func() {
				for i := range 30 {
					text := fmt.Sprintf("round %d, message %d", round, i)
					_, err := x.from.api.Send(t.Context(), x.to.id, text)
					mu.Lock()
					if err == nil {
						accepted[x.from] = append(accepted[x.from], text)
					}
					if sent++; sent == killAt+1 {
						close(kill)
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		<-kill
		victim.end(t, syscall.SIGKILL)
		flows.Wait()
		victim.listen(t)
	}
	for _, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
		want := x.from.texts(t, x.to, true)
		within(t, "all messages", func() (bool, string) {
			got := x.to.texts(t, x.from, false)
			return len(got) >= len(want), fmt.Sprintf("%d of %d", len(got), len(want))
		})
		if got := x.to.texts(t, x.from, false); !slices.Equal(got, want) {
			t.Errorf("%d messages sent, %d received, want the same ones in the same order", len(want), len(got))
		}
		rest := want
		for _, text := range accepted[x.from] {
			i := slices.Index(rest, text)
			if i < 0 {
				t.Errorf("%q was accepted and is lost, or out of order", text)
				continue
			}
			rest = rest[i+1:]
		}
	}
}

// A second command on the profile goes through the running client.
func TestCommandsUseTheRunningClient(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	bob.run(t, "add", ann.run(t, "invite"), "--as", "Annie")
	if got := bob.run(t, "send", "Annie", "hi", "--wait", "delivered"); !strings.HasSuffix(got, " delivered") {
		t.Errorf("send printed %q, want delivered", got)
	}
	within(t, "the direct path", func() (bool, string) {
		var p struct{ Path client.PathKind }
		err := json.Unmarshal([]byte(bob.run(t, "path", "Annie", "--json")), &p)
		return err == nil && p.Path == client.PathDirect, p.Path.String()
	})
}
