//go:build gtk

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sremp/sremp/client/rpc"
)

// Numbers of AT-SPI (at-spi2-core, atspi-constants.h).
const (
	stateFocusable = 11

	roleFiller  = 20
	rolePanel   = 39
	roleUnknown = 67
	roleInvalid = 0
)

// audit keeps what a screen reader sees, and has every element that the keyboard
// can reach say what it is and does.
func (s *seat) audit(page string) {
	s.t.Helper()
	shown, err := s.look()
	if err != nil {
		s.t.Fatal(err)
	}
	var tree strings.Builder
	reached := 0
	for _, n := range shown {
		fmt.Fprintln(&tree, n)
		if n.states&(1<<stateFocusable) == 0 {
			continue
		}
		reached++
		// GTK gives the name of the widget's type to what has none.
		if name := strings.TrimSpace(n.name); name == "" || strings.HasPrefix(name, "Gtk") {
			s.t.Errorf("%s: an element of role %d has the name %q", page, n.role, n.name)
		}
		switch n.role {
		case roleInvalid, roleUnknown, roleFiller, rolePanel:
			s.t.Errorf("%s: %q has the role %d, which says nothing of what it does", page, n.name, n.role)
		}
	}
	if reached == 0 {
		s.t.Errorf("%s: the keyboard reaches nothing", page)
	}
	if err := os.WriteFile(filepath.Join(s.shots, "spoken-"+page+".txt"), []byte(tree.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// around goes from element to element with a key until the keyboard comes to one
// that it has been at, and returns the names on the way. It must be one of the
// first two: else the keyboard is trapped in a part of the page.
func (s *seat) around(page, key string) []string {
	s.t.Helper()
	before := ""
	where := func() node {
		return s.until("the keyboard elsewhere than before", func(n node) bool {
			return n.states&(1<<stateFocused) != 0 && n.path != before
		})
	}
	var way []string
	seen := map[string]int{}
	for range 60 {
		n := where()
		if at, ok := seen[n.path]; ok {
			if at > 1 {
				s.t.Errorf("%s: the keyboard goes around in %q with %s", page, way[at:], key)
			}
			return way
		}
		seen[n.path], before = len(way), n.path
		way = append(way, n.name)
		s.key(key)
	}
	s.t.Errorf("%s: the keyboard never comes back with %s: %q", page, key, way)
	return way
}

// TestSpoken opens one page after the other, and looks at each as a screen reader
// does.
func TestSpoken(t *testing.T) {
	s := newSeat(t, "spoken", "960x680")
	profile := filepath.Join(t.TempDir(), "lena")
	s.start(noPassphrase, "--profile", profile)
	s.focused("Your name")
	s.audit("welcome")
	s.write("Lena")
	s.key("Return")
	s.seesPart("Nobody is here yet.")
	s.audit("empty")
	here, err := rpc.Dial(t.Context(), filepath.Join(profile, socketFile))
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	olga, lena := invited(t, here, "Olga")
	if _, err := olga.Send(t.Context(), lena.ID, "Hello"); err != nil {
		t.Fatal(err)
	}
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.focused("Message")
	s.audit("conversation")
	way := s.around("conversation", "Tab")
	for _, name := range []string{"Send a file", "Message"} {
		found := false
		for _, w := range way {
			found = found || strings.HasPrefix(w, name)
		}
		if !found {
			t.Errorf("the keyboard never came to %q: %q", name, way)
		}
	}
	s.clickOn(s.until("the entry", func(n node) bool { return n.name == "Message" }))
	s.focused("Message")

	for _, page := range []struct{ name, keys, sees string }{
		{"invite", "ctrl+i", "Copy link"},
		{"add", "ctrl+n", "Add a contact"},
		{"servers", "ctrl+shift+s", "Server address"},
		{"settings", "ctrl+comma", "Settings"},
	} {
		s.key(page.keys)
		s.seesPart(page.sees)
		s.audit(page.name)
		s.around(page.name, "Tab")
		s.key("Escape")
		s.until("the dialog gone", func(n node) bool { return n.name == "Message" && n.states&(1<<stateFocused) != 0 })
	}
	s.clickOn(s.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: ") }))
	s.sees("Examine this network")
	s.audit("connection")
	s.around("connection", "Tab")
	s.key("Escape")
	s.focused("Message")
	s.key("shift+Tab")
	s.key("Return")
	s.focused("Answer")
	s.audit("message-menu")
	s.key("Escape")
	s.key("ctrl+m")
	s.seesPart("Compare words")
	s.audit("conversation-menu")
	s.press("Compare words…")
	s.press("They are the same") // it can be pressed once the words are there
	s.seesPart("Verified on ")
	s.audit("verified")
	s.press("Take the mark away")
	s.sees("They are the same")
	s.audit("verify")
	s.around("verify", "Tab")
	s.key("Escape")
	s.focused("Message")
	s.key("ctrl+m")
	s.press("Rename…")
	s.focused("Name")
	s.audit("rename")
	s.around("rename", "Tab")
	s.key("Escape")
	s.focused("Message")
	s.key("F10")
	s.sees("Start with the session")
	s.audit("program-menu")
	s.key("Escape")
	s.focused("Message")
	s.key("ctrl+f")
	s.focused("Search all messages")
	s.write("hello")
	s.seesPart("Olga: Hello")
	s.audit("search")
	s.key("Escape")
	s.key("ctrl+q")
	s.wait()
}
