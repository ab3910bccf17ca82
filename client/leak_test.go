package client_test

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// What a client began has ended when Close returns: it is embedded in programs
// that go on.
func TestCloseLeavesNothing(t *testing.T) {
	before := ours()
	s := startServer(t)
	dir := t.TempDir()
	a := openProfile(t.Context(), filepath.Join(dir, "a"), "Ann")
	b := openProfile(t.Context(), filepath.Join(dir, "b"), "Bob")
	useServer(t, a, s)
	useServer(t, b, s)
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	for _, c := range []*client.Client{a, b} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
	s.stop()
	// A goroutine that has done all it does may still stand for an instant.
	eventually(t, "the end of all goroutines", func() (bool, string) {
		left := ours()
		maps.DeleteFunc(left, func(id, _ string) bool { return before[id] != "" })
		return len(left) == 0, strings.Join(slices.Collect(maps.Values(left)), "\n\n")
	})
}

// ours returns the stacks of goroutines of this module that no test runs, by
// their numbers.
func ours() map[string]string {
	b, stacks := make([]byte, 4<<20), map[string]string{}
	for _, stack := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(stack, "github.com/sremp/sremp/") && !strings.Contains(stack, "_test.") {
			id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
			stacks[id] = stack
		}
	}
	return stacks
}
