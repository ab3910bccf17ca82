//go:build gtk

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// TestLongConversation shows the end of a conversation of several pages, follows
// what is new, and loads what is earlier while one scrolls up. The messages come
// from another program through the desktop's socket.
func TestLongConversation(t *testing.T) {
	const messages = 260
	s := newSeat(t, "long", "800x600")
	other := newSeat(t, "other", "800x600")
	_, there := other.startAs("Olga")
	_, here := s.startAs("Lena")
	invite, err := there.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	olga, err := here.Add(t.Context(), invite.URI, "Olga")
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		text := fmt.Sprintf("Message %d of many. %s", i+1, strings.Repeat("Words that wrap. ", i%7))
		if _, err := here.Send(t.Context(), olga.ID, text); err != nil {
			t.Fatal(err)
		}
	}
	last := fmt.Sprintf("Message %d of many.", messages)
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.inView(last)
	s.shot("20-long")
	// Where one was is where one comes back to.
	s.click(550, 300)
	s.tool("xdotool", "click", "--repeat", "12", "--delay", "20", "4")
	middle := ""
	s.until("a message in the middle", func(n node) bool {
		if n.role == roleLabel && strings.HasPrefix(n.name, "Message ") && s.isInView(n) {
			if _, y, _, h, err := s.place(n); err == nil && 200 < y && y+h < 420 {
				middle = n.name
			}
		}
		return middle != ""
	})
	s.clickOn(s.until("the notes", func(n node) bool { return strings.HasPrefix(n.name, "Note to self, ") }))
	s.until("the notes' header", func(n node) bool { return n.role == roleLabel && n.name == "Note to self" && s.isInView(n) })
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.inView(middle)
	s.focused("Message")
	s.write("One more.")
	s.key("Return")
	s.inView("One more.")
	s.click(550, 300)
	for range 40 {
		s.tool("xdotool", "click", "--repeat", "60", "--delay", "5", "4")
		if s.inViewNow("Message 1 of many.") {
			// As wide as a bubble gets on this screen; GTK has measured it wrongly before.
			wide := s.until("message 7", func(n node) bool { return n.role == roleLabel && strings.HasPrefix(n.name, "Message 7 ") })
			if x, _, w, h := s.extents(wide); h > 80 || x+w > 790 {
				t.Errorf("a wide text takes %d pixels to the right and %d down, want at most 790 and 80", x+w, h)
			}
			s.shot("21-scrolled-up")
			return
		}
	}
	s.shot("failed-scroll")
	t.Error("scrolling up never came to the first message")
}
