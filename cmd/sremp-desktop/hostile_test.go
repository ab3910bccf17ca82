//go:build gtk

package main

import (
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// TestHostileContent shows in a conversation what was written to do something
// else than to be read: it is literal text, and what stands beside it stays.
func TestHostileContent(t *testing.T) {
	s := newSeat(t, "hostile", "960x680")
	d := newDesktopBus(t, s)
	_, here := s.startAs("Lena")
	me, err := here.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	invite, err := here.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Her name is written with a Cyrillic letter, in two directions.
	olga := newFriend(t, "О<i>lga</i> אולגה")
	if _, err := olga.Add(t.Context(), invite.URI, ""); err != nil {
		t.Fatal(err)
	}
	row := s.until("her row", func(n node) bool { return strings.Contains(n.name, "О<i>lga</i> אולגה, ") })
	for _, m := range []struct{ said, shown string }{
		{`<b>bold</b> <a href="https://example.org">click</a> &amp; <span size="99999">big</span>`, ""},
		{"\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\a", "␛[31mred␛[0m ␛]0;title␇ bell␇"},
		{"invoice\u202efdp.exe", "invoicefdp.exe"},
		{"\u2067\u2067\u2067 never ended", "\u2067\u2067\u2067 never ended\u2069\u2069\u2069"},
		{"\u2069\u2069 ended before", " ended before"},
		{"%s %d %n %!v(MISSING) \\n \\u0041", ""},
		{"one\u2028two\u2029three", "one\ntwo\nthree"},
		{"sremp:abc javascript:alert(1) file:///etc/passwd", ""},
	} {
		if m.shown == "" {
			m.shown = m.said
		}
		if _, err := olga.Send(t.Context(), me.ID, m.said); err != nil {
			t.Fatalf("%q: %v", m.said, err)
		}
		if m.said[0] == '<' {
			// Nothing of the text is in the notice, and its title is no markup.
			d.notice("О<i>lga</i> אולגה", "New message")
			s.clickOn(row)
			s.focused("Message")
		}
		want := strings.TrimSpace(m.shown)
		s.until(want, func(n node) bool { return n.role == roleLabel && strings.TrimSpace(n.name) == want })
	}
	s.sees("О<i>lga</i> אולגה") // in the header
	s.shot("60-hostile")
	s.key("ctrl+q")
	s.wait()
}
