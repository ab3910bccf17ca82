package transport_test

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/transport"
)

// What an endpoint began has ended when Close returns, connections included.
func TestCloseLeavesNothing(t *testing.T) {
	before := ours()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ann, a := endpoint("Ann")
	bob, b := endpoint("Bob")
	key := [32]byte{1}
	fromA, fromB := b.Gather(ctx, nil), a.Gather(ctx, nil)
	connected := make(chan error, 1)
	go func() {
		_, err := b.Connect(ctx, transport.Attempt{Peer: ann.PeerID(), ProbeKey: key, Remote: fromB})
		connected <- err
	}()
	if _, err := a.Connect(ctx, transport.Attempt{Peer: bob.PeerID(), ProbeKey: key, Remote: fromA}); err != nil {
		t.Fatal(err)
	}
	if err := <-connected; err != nil {
		t.Fatal(err)
	}
	for _, e := range []*transport.Endpoint{a, b} {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
	// A goroutine that has done all it does may still stand for an instant.
	for {
		left := ours()
		maps.DeleteFunc(left, func(id, _ string) bool { return before[id] != "" })
		if len(left) == 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("still there:\n%s", strings.Join(slices.Collect(maps.Values(left)), "\n\n"))
		}
	}
}

// ours returns the stacks of goroutines of this module and of QUIC that no test
// runs, by their numbers.
func ours() map[string]string {
	b, stacks := make([]byte, 4<<20), map[string]string{}
	for _, stack := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if (strings.Contains(stack, "github.com/sremp/sremp/") || strings.Contains(stack, "quic-go")) && !strings.Contains(stack, "_test.") {
			id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
			stacks[id] = stack
		}
	}
	return stacks
}
