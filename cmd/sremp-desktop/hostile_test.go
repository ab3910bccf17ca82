//go:build gtk

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// TestHostileContent shows in a conversation what was written to do something
// else than to be read: it is literal text, and what stands beside it stays.
func TestHostileContent(t *testing.T) {
	s := newSeat(t, "hostile", "960x680")
	d := newDesktopBus(t, s)
	_, here := s.startAs("Lena")
	// Her name is written with a Cyrillic letter, in two directions.
	olga, lena := invited(t, here, "О<i>lga</i> אולגה")
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
		if _, err := olga.Send(t.Context(), lena.ID, m.said); err != nil {
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

// TestHostileNames shows a stranger with a contact's name, and files whose names
// are traps.
func TestHostileNames(t *testing.T) {
	s := newSeat(t, "names", "960x680")
	_, here := s.startAs("Lena")
	me, err := here.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	olga, other := newFriend(t, "Olga"), newFriend(t, "Оlga") // the other's begins with a Cyrillic letter
	for _, c := range []*client.Client{olga, other} {
		invite, err := here.Invite(t.Context(), client.InviteOptions{Ask: c == other})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Add(t.Context(), invite.URI, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(t.Context(), me.ID, "It is me."); err != nil {
			t.Fatal(err)
		}
	}
	short := func(c *client.Client) string {
		t.Helper()
		who, err := c.WhoAmI(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return who.ID.Short()
	}
	// Each is told from the other, and neither is in the other's place.
	s.clickOn(s.until("Olga with her id", func(n node) bool {
		return n.role == roleRow && strings.Contains(n.name, "Olga\u2069 ("+short(olga)+"), ")
	}))
	s.focused("Message")
	s.seesPart("told apart by what stands in brackets")
	s.shot("61-same-name")
	s.press("Requests (1)")
	s.clickOn(s.until("the other with its id", func(n node) bool {
		return n.role == roleRow && strings.Contains(n.name, "Оlga\u2069 ("+short(other)+"), ")
	}))
	s.seesPart("A stranger wants to write to you")
	s.shot("62-same-name-stranger")
	s.press("All")
	s.clickOn(s.until("Olga", func(n node) bool { return n.role == roleRow && strings.Contains(n.name, short(olga)) }))
	s.focused("Message")

	dir := t.TempDir()
	for _, f := range []struct{ name, shown string }{
		{"evil\u202egpj.exe", "gpj.exe"},
		{"<b>bold<b>.txt", "bold"},
		{"\x1b[31mred\x1b[0m.txt", "[31mred"},
		{"..evil.sh", "evil.sh"},
		{strings.Repeat("long ", 45) + ".txt", "long long"},
		{"$(reboot)`reboot`;&.desktop", "(reboot)"},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, []byte("MZ"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := olga.SendFile(t.Context(), me.ID, client.FileDraft{Path: path}); err != nil {
			t.Fatalf("%q: %v", f.name, err)
		}
		n := s.until(fmt.Sprintf("the file with %q", f.shown), func(n node) bool {
			return n.role == roleLabel && strings.Contains(n.name, f.shown)
		})
		if strings.ContainsAny(n.name, "\u202e\x1b/<>\n") {
			t.Errorf("%q is shown as %q", f.name, n.name)
		}
	}
	s.shot("63-hostile-files")
	s.fits("hostile files", 960)
	s.key("ctrl+q")
	s.wait()
}

// TestDisappeared looks for a text that has disappeared: in the conversation, in
// an answer to it, in the list, in the search.
func TestDisappeared(t *testing.T) {
	s := newSeat(t, "gone", "960x680")
	_, here := s.startAs("Lena")
	olga, lena := invited(t, here, "Olga")
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.focused("Message")
	timer := vanishAfter
	if _, err := olga.SetContact(t.Context(), lena.ID, client.ContactSettings{Timer: &timer}); err != nil {
		t.Fatal(err)
	}
	if _, err := olga.Send(t.Context(), lena.ID, "The rendezvous is at the lighthouse"); err != nil {
		t.Fatal(err)
	}
	said := has(t, here, s.idOf(here, "Olga"), "the text", func(m client.Message) bool { return strings.Contains(m.Text, "lighthouse") })
	never := time.Duration(0)
	if _, err := here.SetContact(t.Context(), said.Contact, client.ContactSettings{Timer: &never}); err != nil {
		t.Fatal(err)
	}
	if _, err := here.SendDraft(t.Context(), said.Contact, client.Draft{Text: "I will be there", ReplyTo: said.ID}); err != nil {
		t.Fatal(err)
	}
	s.seesPart("I will be there")
	s.shot("64-before-it-disappears")
	gone := func() (bool, string) {
		shown, err := s.look()
		if err != nil {
			return false, err.Error()
		}
		i := slices.IndexFunc(shown, func(n node) bool { return strings.Contains(n.name, "lighthouse") })
		if i >= 0 {
			return false, shown[i].String()
		}
		return slices.ContainsFunc(shown, func(n node) bool { return strings.Contains(n.name, "I will be there") }), "nothing is shown"
	}
	within(t, "the text is shown still", gone)
	s.shot("65-disappeared")
	s.key("ctrl+f")
	s.focused("Search all messages")
	s.write("lighthouse")
	s.sees("Nothing was found.")
	s.key("Escape")
	within(t, "the text is shown again", gone)
	s.key("ctrl+q")
	s.wait()
}

// vanishAfter gives the test time to answer the text before it is gone.
const vanishAfter = 20 * time.Second

// idOf returns a contact's id, once there is such a contact.
func (s *seat) idOf(api client.API, name string) (id identity.PeerID) {
	s.t.Helper()
	within(s.t, "no contact "+name, func() (bool, string) {
		all, err := api.Contacts(s.t.Context())
		i := slices.IndexFunc(all, func(c client.Contact) bool { return c.Name == name })
		if i >= 0 {
			id = all[i].ID
		}
		return i >= 0, fmt.Sprint(err)
	})
	return id
}
