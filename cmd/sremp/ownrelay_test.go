package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A client that is its own relay needs nobody else's: its contact leaves mail
// there, and finds it there again after a restart.
func TestOwnRelay(t *testing.T) {
	t.Parallel() // it mostly waits
	ann, bob := newUser(t, "Ann"), newUser(t, "Bob")
	ann.listenBy(t, (*exec.Cmd).Start, "--no-port-mapping", "--no-lan", "--relay", "127.0.0.1:0")
	var relay string
	within(t, "Ann's own relay", func() (bool, string) {
		servers, err := ann.api.Servers(t.Context())
		if err != nil || len(servers) != 1 {
			return false, fmt.Sprint(servers, err)
		}
		relay = servers[0].Address.HostPort()
		return servers[0].Connected, servers[0].Problem
	})
	if !strings.HasPrefix(relay, "127.0.0.1:") {
		t.Errorf("the relay is at %s", relay)
	}
	bob.run(t, "add", ann.run(t, "invite"))
	if got := bob.run(t, "send", "Ann", "to your own relay", "--wait", "held"); !strings.Contains(got, "held") && !strings.Contains(got, "delivered") {
		t.Errorf("send printed %q", got)
	}
	within(t, "Bob's message", func() (bool, string) {
		got := ann.texts(t, bob, false)
		return slices.Contains(got, "to your own relay"), fmt.Sprint(got)
	})
	ann.end(t, syscall.SIGTERM)
	ann.listenBy(t, (*exec.Cmd).Start, "--no-port-mapping", "--no-lan", "--relay", relay)
	within(t, "the same relay again", func() (bool, string) {
		servers, err := ann.api.Servers(t.Context())
		if err != nil || len(servers) != 1 {
			return false, fmt.Sprint(servers, err)
		}
		return servers[0].Connected && servers[0].Address.HostPort() == relay, fmt.Sprint(servers)
	})
	ann.end(t, syscall.SIGTERM)
}
