//go:build gtk

package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// newFriend is a client without a face.
func newFriend(t *testing.T, name string) *client.Client {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := client.Config{Store: s, KDF: identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}, Listen: "127.0.0.1:0"}
	if err := client.Create(t.Context(), cfg, name); err != nil {
		t.Fatal(err)
	}
	c, err := client.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// invited makes a person whom the user of here has invited, and returns the user
// as that person's contact.
func invited(t *testing.T, here *rpc.Client, name string) (friend *client.Client, host client.Contact) {
	t.Helper()
	invite, err := here.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	friend = newFriend(t, name)
	if host, err = friend.Add(t.Context(), invite.URI, ""); err != nil {
		t.Fatal(err)
	}
	return friend, host
}

// has waits until a conversation of a client has a message.
func has(t *testing.T, c client.API, with identity.PeerID, what string, is func(client.Message) bool) client.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		h, err := c.History(ctx, with, client.HistoryQuery{})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(h, is); i >= 0 {
			return h[i]
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %+v", what, h)
		case <-time.After(lookEvery):
		}
	}
}

// press activates an element as a screen reader does.
func (s *seat) press(name string) {
	s.t.Helper()
	n := s.until(name, func(n node) bool {
		return n.name == name && n.role != roleLabel && n.states&(1<<stateSensitive) != 0
	})
	r := s.program.reader
	v, err := call(r.bus, r.dest, n.path, "org.a11y.atspi.Action", "DoAction",
		glib.NewVariantTuple([]*glib.Variant{glib.NewVariantInt32(0)}))
	if err != nil || !v.ChildValue(0).Boolean() {
		s.t.Fatalf("%s: pressing %q: %v", s.name, name, err)
	}
}

// TestBeyondTexts goes through what one does with messages and contacts: answer,
// react, change, delete and have it back, search, compare words, and a stranger
// who knocks.
func TestBeyondTexts(t *testing.T) {
	s := newSeat(t, "beyond", "960x680")
	_, here := s.startAs("Lena")
	me, err := here.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	olga := newFriend(t, "Olga")
	inv, err := olga.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.key("ctrl+n")
	s.focused("Link")
	s.write(inv.URI)
	s.key("Return")
	s.focused("Message")
	s.write("Hello Olga")
	s.key("Return")
	has(t, olga, me.ID, "the first message", func(m client.Message) bool { return m.Text == "Hello Olga" })
	if _, err := olga.Send(t.Context(), me.ID, "What is the plan for Treasure Island?"); err != nil {
		t.Fatal(err)
	}
	s.seesPart("What is the plan for Treasure Island?")

	// Answer with the keyboard: from the entry to the last message, Enter.
	s.key("shift+Tab")
	s.key("Return")
	s.focused("Answer")
	s.shot("30-message-menu")
	s.key("Return")
	s.seesPart("Answer to Olga: What is the plan")
	s.focused("Message")
	s.write("We sail at dawm.")
	s.key("Return")
	answer := has(t, olga, me.ID, "the answer", func(m client.Message) bool { return m.Text == "We sail at dawm." })
	if answer.ReplyTo == (client.MessageID{}) || !strings.HasPrefix(answer.Quote, "What is the plan") {
		t.Errorf("Olga got %+v, want an answer", answer)
	}

	// The typing error, mended: Up brings the last message back.
	s.key("Up")
	s.seesPart("Change: We sail at dawm.")
	s.key("BackSpace", "BackSpace")
	s.write("n.")
	s.key("Return")
	has(t, olga, me.ID, "the change", func(m client.Message) bool { return m.Text == "We sail at dawn." && !m.EditedAt.IsZero() })
	if _, err := olga.React(t.Context(), me.ID, answer.ID, "🎉"); err != nil {
		t.Fatal(err)
	}
	s.seesPart("We sail at dawn., edited, reaction 🎉")

	// A reaction, by the mouse.
	s.rightClickOn(s.until("Olga's message", func(n node) bool {
		return n.role == roleLabel && n.name == "What is the plan for Treasure Island?"
	}))
	s.press("React with 👍")
	s.seesPart("your reaction 👍")
	has(t, olga, me.ID, "the reaction", func(m client.Message) bool { return m.Reaction == "👍" })
	s.shot("31-answer-reaction")

	// What is deleted can be had back for a moment.
	s.rightClickOn(s.until("the first message", func(n node) bool { return n.role == roleLabel && n.name == "Hello Olga" }))
	s.press("Delete for both")
	s.seesPart("The message was deleted for both.")
	s.shot("32-undo")
	s.press("Undo")
	s.seesPart("Nothing was deleted.")
	s.seesPart("Hello Olga")

	// Search, and the words.
	s.key("ctrl+f")
	s.focused("Search all messages")
	s.write("treasure")
	s.sees("Messages found")
	s.seesPart("Olga: What is the plan for Treasure Island?")
	s.shot("33-search")
	s.key("Escape")
	s.key("ctrl+m")
	s.press("Compare words…")
	s.sees("Is this really Olga?")
	v, err := olga.Verification(t.Context(), me.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range v.Words {
		s.sees(w)
	}
	s.shot("34-verify")
	s.press("They are the same")
	s.seesPart("Verified on ")
	s.key("Escape")
	s.clickOn(s.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: direct") }))
	s.seesPart("Packets go straight to the other computer")
	s.shot("35-connection")
	s.key("Escape")

	// A stranger.
	ask, err := here.Invite(t.Context(), client.InviteOptions{Ask: true})
	if err != nil {
		t.Fatal(err)
	}
	eve := newFriend(t, "Eve")
	if _, err := eve.Add(t.Context(), ask.URI, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := eve.Send(t.Context(), me.ID, "Buy my <b>wares</b>!"); err != nil {
		t.Fatal(err)
	}
	s.press("Requests (1)")
	s.clickOn(s.until("Eve", func(n node) bool { return strings.HasPrefix(n.name, "Eve, ") }))
	s.seesPart("A stranger wants to write to you")
	s.shot("36-request")
	s.press("Block")
	s.seesPart("You have blocked this contact.")
	s.key("ctrl+q")
	s.wait()
}
