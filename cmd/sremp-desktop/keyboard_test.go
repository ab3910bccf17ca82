//go:build gtk

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// goTo presses a key until the keyboard is at an element whose name begins so.
func (s *seat) goTo(key, name string) {
	s.t.Helper()
	before := ""
	var way []string
	for range 20 {
		n := s.until("the keyboard elsewhere than before", func(n node) bool {
			return n.states&(1<<stateFocused) != 0 && n.path != before
		})
		if strings.HasPrefix(n.name, name) {
			return
		}
		before = n.path
		way = append(way, n.name)
		s.key(key)
	}
	s.t.Fatalf("%s: %s never comes to %q, but to %q", s.name, key, name, way)
}

// at waits until the keyboard is at an element whose name begins so.
func (s *seat) at(name string) {
	s.t.Helper()
	s.until(fmt.Sprintf("the keyboard at %q", name), func(n node) bool {
		return n.states&(1<<stateFocused) != 0 && strings.HasPrefix(n.name, name)
	})
}

// TestJourneyKeyboard is J10: two desktops, and no mouse. Create, invite, open a
// conversation from the list, read, write, answer, react, search, disappear.
func TestJourneyKeyboard(t *testing.T) {
	server := serverIn(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	_, hers := ann.startAs("Ann")
	ann.use(server.addr.String())
	bob.startAs("Ben")
	bob.use(server.addr.String())
	bob.add(ann.invite())
	bob.says("Have you seen the comet?")
	ann.seesPart("1 unread message")

	// The list leads to the conversation: the arrows choose, Enter opens.
	ann.key("F6")
	ann.at("Ben, ")
	ann.key("Down")
	ann.at("Note to self, ")
	ann.key("Up")
	ann.at("Ben, ")
	ann.key("Return")
	ann.focused("Message")
	ann.sees("Have you seen the comet?")

	// An answer and a reaction, from the menu of the message.
	ann.key("shift+Tab", "Return")
	ann.focused("Answer")
	ann.key("Return")
	ann.seesPart("Answer to Ben: Have you seen")
	ann.says("Over the roofs, at six.")
	bob.seesPart("Over the roofs, at six.")
	bob.key("shift+Tab", "Return")
	bob.focused("Answer")
	bob.goTo("Tab", "React with 👍")
	bob.key("Return")
	ann.seesPart("reaction 👍")
	bob.focused("Message")

	// From one conversation to the next and back.
	ann.key("alt+Down")
	ann.says("Buy a telescope")
	ann.sees("Buy a telescope")
	ann.key("ctrl+f")
	ann.focused("Search all messages")
	ann.write("comet")
	ann.seesPart("Ben: Have you seen the comet?")
	ann.key("Return")
	ann.at("Ben, ")
	ann.key("Return")
	ann.seesPart("Have you seen the comet?")
	ann.seesPart("Path: direct")
	ann.key("Escape")
	ann.key("F6")
	ann.goTo("F6", "Message")

	// Messages disappear.
	ann.key("ctrl+m")
	ann.goTo("Tab", "Messages disappear after")
	ann.key("space", "Down", "Return")
	ann.key("Escape")
	ann.seesPart("Messages disappear after ")
	contacts, err := hers.Contacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	timed := false
	for _, c := range contacts {
		timed = timed || c.Name == "Ben" && c.Timer > 0
	}
	if !timed {
		t.Errorf("no timer is set: %+v", contacts)
	}
	ann.shot("76-keyboard")
	for _, s := range []*seat{ann, bob} {
		s.key("ctrl+q")
		s.wait()
	}
}

// TestListByKeyboard goes through the list of conversations, and finds it as one
// left it.
func TestListByKeyboard(t *testing.T) {
	s := newSeat(t, "keys", "960x680")
	_, here := s.startAs("Lena")
	for _, name := range []string{"Olga", "Nina"} {
		invite, err := here.Invite(t.Context(), client.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newFriend(t, name).Add(t.Context(), invite.URI, ""); err != nil {
			t.Fatal(err)
		}
		s.seesPart(name + ", ")
	}
	for _, open := range [][]string{
		{"F6", "Olga, "},            // from wherever the keyboard is
		{"ctrl+f", "Tab", "Olga, "}, // Tab from the search
	} {
		keys, name := open[:len(open)-1], open[len(open)-1]
		s.key(keys...)
		s.goTo("Down", name)
		s.key("Return")
		s.focused("Message")
		s.until("Olga's conversation", func(n node) bool { return n.role == roleLabel && n.name == "Olga" })
	}
	s.key("F6")
	s.at("Olga, ") // the open one, not the first
	s.key("F6")
	s.focused("Message")
	s.key("ctrl+Page_Up")
	s.key("ctrl+q")
	s.wait()
}
