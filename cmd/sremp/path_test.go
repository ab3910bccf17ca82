package main

import (
	"bufio"
	"encoding/json"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

// Who watches a path sees its round trip and loss, measured, and every change
// with its reason: the relay because one side wants it, the way back, the end.
func TestPathWatch(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)

	watch := func(u *user, who string) (next func(what string, want func(pathLine) bool) pathLine) {
		c := spawn(t, "--profile", u.dir, "path", who, "--watch", "--json")
		lines := make(chan pathLine)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(c.stdout); s.Scan(); {
				var l pathLine
				if err := json.Unmarshal(s.Bytes(), &l); err != nil {
					t.Errorf("%q: %v", s.Text(), err)
				}
				lines <- l
			}
		}()
		t.Cleanup(func() {
			c.end(t, syscall.SIGINT)
			for range lines {
			}
		})
		return func(what string, want func(pathLine) bool) (last pathLine) {
			t.Helper()
			limit := time.After(time.Minute)
			for {
				select {
				case l, ok := <-lines:
					if !ok {
						t.Fatalf("%s: the watch ended after %+v", what, last)
					}
					if last = l; want(l) {
						return l
					}
				case <-limit:
					t.Fatalf("%s: last line %+v", what, last)
				}
			}
		}
	}
	annSees, bobSees := watch(ann, "Bob"), watch(bob, "Ann")
	is := func(kind client.PathKind, why client.Why) func(pathLine) bool {
		return func(l pathLine) bool { return l.Path == kind && l.Why == why }
	}
	l := annSees("the direct path", is(client.PathDirect, "direct"))
	if l.RTT <= 0 || l.Sent == 0 || l.Lost > l.Sent || l.Reason == "" || l.Remote == "" {
		t.Errorf("got %+v, want a round trip, packets, a reason and an address", l)
	}
	bob.run(t, "set", "Ann", "--relay-only")
	if l := bobSees("the relay, for Bob", is(client.PathRelay, "relay-only")); l.Reason != "only the relay may be used" {
		t.Errorf("got the reason %q", l.Reason)
	}
	if l := annSees("the relay, for Ann", is(client.PathRelay, "peer-relay-only")); l.Remote != addr.HostPort() {
		t.Errorf("got the address %q, want the relay's, %s", l.Remote, addr.HostPort())
	}
	bob.run(t, "set", "Ann", "--relay-only=false")
	bobSees("direct again, for Bob", is(client.PathDirect, "direct"))
	annSees("direct again, for Ann", is(client.PathDirect, "direct"))
	// For people the same stands in one line, as soon as something was sent.
	line := regexp.MustCompile(`^path to Bob: direct \S+, [0-9.]+ ms, [0-9.]+ % lost of [0-9]+ \(.+\)$`)
	within(t, "the line for people", func() (bool, string) {
		got := ann.run(t, "path", "Bob")
		return line.MatchString(got), got
	})
	bob.end(t, syscall.SIGTERM)
	annSees("the mailbox", func(l pathLine) bool { return l.Path == client.PathMailbox && l.Why != "" && l.Reason != "" })
}

// A pathLine is what a script reads.
type pathLine struct {
	Path   client.PathKind `json:"path"`
	Remote string          `json:"remote"`
	RTT    float64         `json:"rtt_ms"`
	Sent   uint64          `json:"sent"`
	Lost   uint64          `json:"lost"`
	Reason string          `json:"reason"`
	Why    client.Why      `json:"why"`
}
