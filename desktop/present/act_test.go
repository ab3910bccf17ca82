package present

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// talk opens Bob's conversation with n messages of Bob and one of ours after.
func talk(u *ui, n int) {
	u.api.set(func(f *fakeAPI) {
		for i := 1; i <= n; i++ {
			f.history[bob] = append(f.history[bob], incoming(bob, i, fmt.Sprint("their ", i), time.Now()))
		}
		f.history[bob] = append(f.history[bob], client.Message{
			ID: client.MessageID{0xee}, Contact: bob, Mine: true, Text: "mine", SentAt: time.Now(), Seq: int64(n + 1),
		})
	})
	u.Select(bob)
	u.run(3 * callTime)
}

// key returns the key of the row with a text.
func (u *ui) key(text string) string {
	u.t.Helper()
	for _, r := range u.last().Chat.Rows {
		if r.Text == text {
			return r.Key
		}
	}
	u.t.Fatalf("no row says %q", text)
	return ""
}

func TestReply(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 2)
		u.Reply(u.key("their 1"))
		if k := u.last().Chat.Compose; k != (Compose{Mode: ComposeReply, Author: "Bob", Text: "their 1"}) {
			t.Errorf("over the entry: %+v", k)
		}
		u.Send("yes")
		if k := u.last().Chat.Compose; k.Mode != ComposeNew {
			t.Errorf("after sending: %+v", k)
		}
		u.run(3 * callTime)
		rows := u.last().Chat.Rows
		if r := rows[len(rows)-1]; r.Text != "yes" || r.QuoteAuthor != "Bob" {
			t.Errorf("got %+v, want an answer to Bob", r)
		}
		u.JumpQuote(rows[len(rows)-1].Key)
		if c := u.last().Chat; c.Jump != u.key("their 1") {
			t.Errorf("jumps to %q", c.Jump)
		}
	})
}

func TestEdit(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 1)
		u.SetDraft("half")
		u.Edit(u.key("their 1"))
		if k := u.last().Chat.Compose; k.Mode != ComposeNew {
			t.Fatal("another's message can be edited")
		}
		u.EditLast()
		if c := u.last().Chat; c.Compose.Mode != ComposeEdit || c.Draft != "mine" {
			t.Fatalf("%+v, draft %q; want the text to edit", c.Compose, c.Draft)
		}
		u.SetDraft("mine, bett") // not a draft to keep
		u.Send("mine, better")
		if got := u.last().Chat.Draft; got != "half" {
			t.Errorf("draft after: %q, want the one of before", got)
		}
		u.run(3 * callTime)
		rows := u.last().Chat.Rows
		if r := rows[len(rows)-1]; r.Text != "mine, better" || !r.Edited || len(u.api.sent) != 0 {
			t.Errorf("got %+v, sent %q", r, u.api.sent)
		}
		u.EditLast()
		u.CancelCompose()
		if c := u.last().Chat; c.Compose.Mode != ComposeNew || c.Draft != "half" {
			t.Errorf("cancelled: %+v, draft %q", c.Compose, c.Draft)
		}
	})
}

func TestReactTwiceTakesBack(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 1)
		key := u.key("their 1")
		for _, want := range []string{"👍", "", "👍", "🎉"} {
			emoji := "👍"
			if want == "🎉" {
				emoji = want
			}
			u.React(key, emoji)
			u.run(2 * callTime)
			if got := u.last().Chat.Rows[1].Reaction; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func TestDeleteAndUndo(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 2)
		u.DeleteMessage(u.key("their 1"), true)
		if len(texts(u.last().Chat.Rows)) != 3 {
			t.Error("another's message was deleted for both")
		}
		u.DeleteMessage(u.key("their 1"), false)
		if v := u.last(); !v.Toast.Undo || len(texts(v.Chat.Rows)) != 2 {
			t.Fatalf("%q, toast %+v", texts(v.Chat.Rows), v.Toast)
		}
		u.Undo()
		if v := u.last(); v.Toast.Undo || len(texts(v.Chat.Rows)) != 3 {
			t.Errorf("after undo: %q, toast %+v", texts(v.Chat.Rows), v.Toast)
		}
		u.run(2 * undoTime)
		if n := u.api.calls["delete"]; n != 0 {
			t.Errorf("%d deletions after undo", n)
		}
		u.DeleteMessage(u.key("their 1"), false)
		u.DeleteMessage(u.key("mine"), true) // does the one before
		u.run(2 * undoTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"their 2"}) || u.api.calls["delete"] != 2 {
			t.Errorf("got %q after %d deletions", got, u.api.calls["delete"])
		}
		if u.last().Toast.Undo {
			t.Error("what is gone can be undone")
		}
	})
}

func TestDeletionFails(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 1)
		u.DeleteMessage(u.key("mine"), true)
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrDiskFull })
		u.run(2 * undoTime)
		if v := u.last(); len(texts(v.Chat.Rows)) != 2 || !strings.HasPrefix(v.Toast.Text, "The disk is full") {
			t.Errorf("%q, toast %q", texts(v.Chat.Rows), v.Toast.Text)
		}
	})
}

func TestDeleteConversationAndContact(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 2)
		u.DeleteHistory()
		if rows := u.last().Chat.Rows; len(rows) != 0 {
			t.Errorf("shows %q", texts(rows))
		}
		u.Undo()
		if rows := u.last().Chat.Rows; len(texts(rows)) != 3 {
			t.Errorf("after undo: %q", texts(rows))
		}
		u.DeleteContact()
		if v := u.last(); v.Chat.Open || len(people(v.Contacts)) != 1 {
			t.Errorf("chat %v, contacts %+v", v.Chat.Open, v.Contacts)
		}
		u.run(2 * undoTime)
		if len(u.api.contacts) != 1 || u.last().Toast.Undo {
			t.Errorf("%d contacts", len(u.api.contacts))
		}
	})
}

func TestRemovedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 2)
		u.Reply(u.key("their 1"))
		u.api.emit(client.RemovalEvent{Contact: bob, IDs: []client.MessageID{{0xff, 1}}})
		u.run(callTime)
		if c := u.last().Chat; c.Compose.Mode != ComposeNew || len(texts(c.Rows)) != 2 {
			t.Errorf("%q, %+v", texts(c.Rows), c.Compose)
		}
		u.api.emit(client.RemovalEvent{Contact: bob})
		u.run(callTime)
		if rows := u.last().Chat.Rows; len(rows) != 0 {
			t.Errorf("shows %q", texts(rows))
		}
		u.api.emit(client.ContactGoneEvent{Contact: bob})
		u.run(callTime)
		if v := u.last(); v.Chat.Open {
			t.Error("the conversation of a deleted contact is open")
		}
	})
}

func TestRequest(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		eve := identity.PeerID{6}
		u.api.set(func(f *fakeAPI) {
			f.contacts = append(f.contacts, client.Contact{ID: eve, Name: "Eve", Trust: client.TrustUnknown, Unread: 1})
			offer := incoming(eve, 1, "", time.Now())
			offer.File = &client.File{Name: "trap.pdf", Size: 5, State: client.FileOffered}
			f.history[eve] = []client.Message{offer}
		})
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: eve, Name: "Eve"}})
		u.run(2 * callTime)
		if v := u.last(); v.Requests != 1 || len(people(v.Contacts)) != 2 {
			t.Fatalf("%d requests, list %+v", v.Requests, v.Contacts)
		}
		u.SetFilter(Requests)
		if v := u.last(); len(v.Contacts) != 1 || v.Contacts[0].ID != eve {
			t.Fatalf("requests: %+v", v.Contacts)
		}
		u.Select(eve)
		u.run(2 * callTime)
		if c := u.last().Chat; !c.Request || c.Notice == "" {
			t.Errorf("got %+v", c)
		}
		file := func() FileView {
			rows := u.last().Chat.Rows
			return rows[len(rows)-1].File
		}
		if f := file(); f.Name != "trap.pdf" || f.Accept || f.Cancel {
			t.Errorf("a stranger's file is %+v, want nothing that can be done with it", f)
		}
		u.Send("hello")
		u.run(2 * callTime)
		if len(u.api.sent) != 0 {
			t.Error("a stranger gets an answer before it was accepted")
		}
		u.Accept()
		u.run(3 * callTime)
		if f := file(); !f.Accept || !f.Cancel {
			t.Errorf("a contact's file is %+v, want that it can be accepted and declined", f)
		}
		if v := u.last(); v.Chat.Request || v.Requests != 0 {
			t.Errorf("accepted: %+v", v.Chat)
		}
		u.Block()
		u.run(3 * callTime)
		if c := u.last().Chat; !c.Blocked {
			t.Errorf("blocked: %+v", c)
		}
	})
}

func TestPinnedArchivedDraft(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		on := true
		u.Select(carol)
		u.run(2 * callTime)
		u.Change(client.ContactSettings{Pinned: &on})
		u.SetDraft("unfinished")
		u.Select(bob)
		u.run(3 * callTime)
		v := u.last()
		if c := v.Contacts[0]; c.ID != carol || !c.Pinned || !c.Draft || c.Last != "unfinished" {
			t.Errorf("first: %+v", c)
		}
		if d := u.api.change(carol, func(*client.Contact) {}).Draft; d != "unfinished" {
			t.Errorf("stored draft %q", d)
		}
		u.Archive(true)
		u.run(3 * callTime)
		if v := u.last(); v.Archived != 1 || len(people(v.Contacts)) != 1 || v.Chat.Open {
			t.Errorf("archived %d, list %+v", v.Archived, v.Contacts)
		}
		u.SetFilter(Archive)
		if v := u.last(); len(v.Contacts) != 1 || v.Contacts[0].ID != bob {
			t.Errorf("archive: %+v", v.Contacts)
		}
	})
}

func TestTyping(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.SetDraft("a")
		u.run(callTime)
		if len(u.api.typed) != 0 {
			t.Error("a contact is told that we write, which is not shared with it")
		}
		u.api.change(bob, func(c *client.Contact) { c.ShareTyping = true })
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: bob}})
		u.run(2 * callTime)
		for _, s := range []string{"ab", "abc", ""} {
			u.SetDraft(s)
		}
		u.run(2 * callTime)
		if !slices.Equal(u.api.typed, []bool{true, false}) {
			t.Errorf("told %v, want that it began and ended", u.api.typed)
		}
		u.api.emit(client.TypingEvent{Contact: bob, On: true})
		u.run(callTime)
		if v := u.last(); !v.Chat.Typing || v.Contacts[0].Last != "writes…" {
			t.Errorf("typing %v, %+v", v.Chat.Typing, v.Contacts[0])
		}
		u.run(2 * typingFor)
		if u.last().Chat.Typing {
			t.Error("it writes for ever")
		}
	})
}

func TestSearch(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) {
			for n := 1; n <= 4*pageSize; n++ {
				text := fmt.Sprint("message ", n)
				if n == 40 {
					text = "where the <b>Treasure</b> is"
				}
				f.history[carol] = append(f.history[carol], incoming(carol, n, text, time.Now()))
			}
		})
		u.OpenSearch()
		for _, s := range []string{"t", "tr", "treasure"} {
			u.SetSearch(s)
		}
		if s := u.last().Search; !s.Open || !s.Busy {
			t.Errorf("at once: %+v", s)
		}
		u.run(2 * callTime)
		s := u.last().Search
		if len(s.Hits) != 1 || u.api.calls["search"] != 1 {
			t.Fatalf("%d hits after %d searches", len(s.Hits), u.api.calls["search"])
		}
		if h := s.Hits[0]; h.Before != "where the <b>" || h.Match != "Treasure" || h.After != "</b> is" || h.Label != "Carol" {
			t.Errorf("hit %+v", h)
		}
		u.OpenHit(s.Hits[0].Key)
		u.run(3 * callTime)
		c := u.last().Chat
		if c.ID != carol || c.Jump == "" || !c.Later || c.Earlier {
			t.Fatalf("chat %v, jump %q, later %v, earlier %v", c.ID, c.Jump, c.Later, c.Earlier)
		}
		u.api.emit(client.MessageEvent{Message: incoming(carol, 4*pageSize+1, "new", time.Now())})
		u.run(callTime)
		if got := texts(u.last().Chat.Rows); slices.Contains(got, "new") {
			t.Error("a new message stands behind a gap")
		}
		u.Later()
		u.Later()
		u.run(2 * callTime)
		if got := texts(u.last().Chat.Rows); len(got) != 40+pageSize/2+pageSize || got[len(got)-1] != fmt.Sprint("message ", 40+pageSize/2+pageSize) {
			t.Errorf("%d messages, the last %q", len(got), got[len(got)-1])
		}
		u.Newest()
		u.run(2 * callTime)
		if c := u.last().Chat; c.Later || len(texts(c.Rows)) != pageSize {
			t.Errorf("newest: later %v, %d rows", c.Later, len(c.Rows))
		}
		u.CloseSearch()
		if u.last().Search.Open {
			t.Error("the search is still open")
		}
	})
}

func TestAround(t *testing.T) {
	long := strings.Repeat("ä", 200) + " Needle, " + strings.Repeat("ß", 200)
	before, match, after := around(long, "nEEDLE")
	if match != "Needle" || !strings.HasPrefix(before, "…ä") || !strings.HasSuffix(before, "ä ") || !strings.HasSuffix(after, "ß…") {
		t.Errorf("%q %q %q", before, match, after)
	}
	if b, m, a := around("short", "absent"); b != "" || m != "" || a != "short" {
		t.Errorf("%q %q %q", b, m, a)
	}
}

func TestUnreadLine(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.change(bob, func(c *client.Contact) { c.Unread = 2 })
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: bob}})
		u.run(2 * callTime)
		talk(u, 5)
		var got []string
		for _, r := range u.last().Chat.Rows {
			got = append(got, r.Text)
		}
		if want := []string{"Today", "their 1", "their 2", "their 3", "New messages", "their 4", "their 5", "mine"}; !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if c := u.last().Chat; c.Jump != "unread" {
			t.Errorf("jumps to %q", c.Jump)
		}
	})
}

// TestQuitDeletes ends the program while what was deleted could still be had back.
func TestQuitDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.history[bob] = []client.Message{incoming(bob, 1, "secret", time.Now())}
		u := newUI(t, &fakeProfile{api: f, hasPassphrase: true})
		u.run(5 * callTime)
		u.Select(bob)
		u.run(2 * callTime)
		u.DeleteMessage(u.last().Chat.Rows[1].Key, false)
		u.close() // as by a signal
		u.Window.Close()
		if got := len(f.history[bob]); got != 0 {
			t.Errorf("%d messages are left, want none: its deletion was said", got)
		}
	})
}

// Of a message that is gone nothing is left: not in answers, not among the hits of
// a search. One that was changed is shown so in answers to it.
func TestNothingIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 2)
		asked := u.Window.row(u.key("their 1")).Message
		u.api.emit(client.MessageEvent{Message: client.Message{
			ID: client.MessageID{0xef}, Contact: bob, Mine: true, Text: "an answer", ReplyTo: asked.ID, Quote: asked.Text, Seq: 9,
		}})
		quote := func() string {
			rows := u.last().Chat.Rows
			return rows[len(rows)-1].Quote
		}
		u.run(3 * callTime)
		if got := quote(); got != "their 1" {
			t.Fatalf("the answer shows %q", got)
		}
		asked.Text = "their first"
		u.api.emit(client.ChangeEvent{Message: asked})
		u.run(3 * callTime)
		if got := quote(); got != "their first" {
			t.Errorf("the answer shows %q, want what it was changed to", got)
		}
		u.SetSearch("their")
		u.run(searchAfter + 3*callTime)
		if n := len(u.last().Search.Hits); n == 0 {
			t.Fatal("nothing was found")
		}
		u.api.emit(client.RemovalEvent{Contact: bob, IDs: []client.MessageID{asked.ID}})
		u.run(3 * callTime)
		if got := quote(); got != "A message that is gone" {
			t.Errorf("the answer shows %q", got)
		}
		for _, h := range u.last().Search.Hits {
			if strings.HasPrefix(h.After, " 1") {
				t.Errorf("found still: %+v", h)
			}
		}
	})
}
