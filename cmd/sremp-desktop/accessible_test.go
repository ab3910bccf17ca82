//go:build gtk

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// round goes around a page with Tab and back with Shift-Tab, and has every control
// that can be used there be reached, both ways. Rows of lists and messages are
// reached by arrows.
func (s *seat) round(page string) {
	s.t.Helper()
	shown, err := s.look()
	if err != nil {
		s.t.Fatal(err)
	}
	controls := map[string]bool{}
	for i, n := range shown {
		const usable = 1<<stateFocusable | 1<<stateSensitive
		if slices.Contains(roleControls, n.role) && n.states&usable == usable && !slices.Contains(windowButtons, n.name) && s.inFront(shown[i:]) {
			controls[n.name] = true
		}
	}
	if len(controls) == 0 {
		s.t.Errorf("%s: there is nothing to reach", page)
	}
	for _, key := range []string{"Tab", "shift+Tab"} {
		way := s.around(page, key)
		for name := range controls {
			if !slices.Contains(way, name) {
				s.t.Errorf("%s: %s never comes to %q, but to %q", page, key, name, way)
			}
		}
	}
}

// roleControls are AT-SPI's numbers of what can be used: switches, choices,
// passphrases, buttons, texts, toggles.
var roleControls = []uint32{7, 11, 40, 43, 44, roleEntry, 62, 79}

// windowButtons are drawn by GTK for the window manager; the keyboard has other
// ways to them.
var windowButtons = []string{"Minimize", "Maximize", "Close"}

// inFront reports whether a click on the middle of the first element would hit it
// or a part of it; the others are what follows it.
func (s *seat) inFront(all []node) bool {
	s.t.Helper()
	x, y, w, h, err := s.place(all[0])
	if err != nil || w <= 0 || h <= 0 {
		return false
	}
	hit := s.hit(x+w/2, y+h/2)
	for i, n := range all {
		if i > 0 && n.depth <= all[0].depth {
			return false
		}
		if n.path == hit {
			return true
		}
	}
	return false
}

// TestSpoken opens one page after the other, and looks at each as a screen reader
// does.
func TestSpoken(t *testing.T) {
	s := newSeat(t, "spoken", "960x680")
	profile := filepath.Join(t.TempDir(), "lena")
	s.start(noPassphrase, "--profile", profile)
	s.focused("Your name")
	s.audit("welcome")
	s.round("welcome")
	s.clickOn(s.entry("Your name"))
	s.focused("Your name")
	s.write("Lena")
	s.key("Return")
	s.seesPart("Nobody is here yet.")
	s.audit("empty")
	s.round("empty")
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
	s.round("conversation")
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
		s.round(page.name)
		s.key("Escape")
		s.until("the dialog gone", func(n node) bool { return n.name == "Message" && n.states&(1<<stateFocused) != 0 })
	}
	s.clickOn(s.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: ") }))
	s.sees("Examine this network")
	s.audit("connection")
	s.round("connection")
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
	s.round("verify")
	s.key("Escape")
	s.focused("Message")
	s.key("ctrl+m")
	s.press("Rename…")
	s.focused("Name")
	s.audit("rename")
	s.round("rename")
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
