package present

import (
	"slices"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// drawnFace is the picture in a row, empty if there are initials.
func drawnFace(p *Picture) string {
	if p == nil {
		return ""
	}
	return string(p.JPEG)
}

// changes has the client change a contact, and say so.
func (u *ui) changes(id identity.PeerID, how func(*client.Contact)) {
	u.api.emit(client.ContactEvent{Contact: u.api.change(id, how)})
}

func (u *ui) faceOf(id identity.PeerID) string {
	u.t.Helper()
	for _, c := range u.last().Contacts {
		if c.ID == id {
			return drawnFace(c.Picture)
		}
	}
	u.t.Fatalf("no row of %v", id)
	return ""
}

// A picture is fetched once, stays until another is here, and goes when it is gone.
func TestFaces(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		if got := u.faceOf(bob); got != "" || u.api.calls["picture"] != 0 {
			t.Fatalf("without a picture: %q, %d calls", got, u.api.calls["picture"])
		}
		change := func(picture string) {
			u.changes(bob, func(c *client.Contact) { c.Picture = picture })
		}
		change("one")
		u.run(4 * callTime)
		u.Select(bob)
		u.run(4 * callTime)
		if got, chat := u.faceOf(bob), drawnFace(u.last().Chat.Picture); got != "jpeg one" || chat != got {
			t.Errorf("the row has %q, the header %q, want the first picture", got, chat)
		}
		shown := u.last().Chat.Picture
		u.changes(bob, func(c *client.Contact) { c.Muted = true })
		u.run(4 * callTime)
		if u.last().Chat.Picture != shown || u.api.calls["picture"] != 1 {
			t.Errorf("the same picture was fetched %d times", u.api.calls["picture"])
		}
		u.OpenConnection()
		if got := drawnFace(u.last().Dialog.Picture); got != "jpeg one" {
			t.Errorf("the connection page has %q", got)
		}
		u.CloseDialog()
		u.OpenVerify()
		u.run(2 * callTime)
		if d := u.last().Dialog; drawnFace(d.Picture) != "jpeg one" || d.Initials != "B" || d.Verified != "" {
			t.Errorf("the words are shown beside %+v", d)
		}
		u.CloseDialog()
		change("two")
		u.run(callTime / 2)
		if got := u.faceOf(bob); got != "jpeg one" {
			t.Errorf("while the second is on its way: %q, want the first", got)
		}
		u.run(4 * callTime)
		if got := u.faceOf(bob); got != "jpeg two" {
			t.Errorf("got %q, want the second", got)
		}
		change("")
		u.run(4 * callTime)
		if got := u.faceOf(bob) + drawnFace(u.last().Chat.Picture); got != "" {
			t.Errorf("taken back: %q is shown", got)
		}
		change("three")
		u.run(4 * callTime)
		u.api.emit(client.NotificationEvent{Kind: client.NotifyMessage, Title: "Bob", Contact: bob})
		u.api.emit(client.NotificationEvent{Kind: client.NotifyMessage, Title: "Carol", Contact: carol})
		u.run(callTime)
		u.api.emit(client.ContactGoneEvent{Contact: bob})
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: carol, Name: "Carol", Trust: client.Trusted}})
		u.run(0)
		if len(u.faces) != 0 {
			t.Errorf("pictures of who is gone are kept: %v", u.faces)
		}
	})
}

// A notice has the picture of whom it names, and of nobody else.
func TestNoticeHasPicture(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.changes(bob, func(c *client.Contact) { c.Picture = "one" })
		u.run(4 * callTime)
		u.api.emit(client.NotificationEvent{Kind: client.NotifyMessage, Title: "Bob", Contact: bob})
		u.api.emit(client.NotificationEvent{Kind: client.NotifyMessage, Title: "New message", Contact: bob})
		u.run(0)
		var got []string
		for _, n := range u.desk.notices {
			got = append(got, drawnFace(n.Picture))
		}
		if want := []string{"jpeg one", ""}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// One's own picture is chosen, dropped or removed in the settings.
func TestOwnFace(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenSettings()
		u.run(4 * callTime)
		if f := u.field("face"); f.Picture != nil || f.Initials != "A" || !f.Drop || u.has("noface") {
			t.Errorf("without a picture: %+v", f)
		}
		u.Act("chooseface", Value{}) // cancelled
		u.run(2 * callTime)
		for i, key := range []string{"chooseface", "face"} { // chosen, then another dropped
			path := []string{"/home/a.png", "/home/b.png"}[i]
			u.Act(key, Value{Text: path})
			u.run(5 * callTime)
			if got := drawnFace(u.field("face").Picture); got != "jpeg "+path || !strings.Contains(u.last().Toast.Text, "your picture") {
				t.Errorf("after %s: %q, %q", key, got, u.last().Toast.Text)
			}
		}
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrBadPicture })
		u.Act("face", Value{Text: "/etc/passwd"})
		u.run(2 * callTime)
		if d := u.last().Dialog; !strings.HasPrefix(d.Problem, "This is no picture") || u.field("face").Picture == nil {
			t.Errorf("what is no picture: %q, and the picture is %v", d.Problem, u.field("face").Picture)
		}
		u.api.set(func(f *fakeAPI) { f.fail = nil })
		u.Act("noface", Value{})
		u.run(5 * callTime)
		if f := u.field("face"); f.Picture != nil || u.has("noface") {
			t.Errorf("removed: %+v", f)
		}
		if want := []string{"/home/a.png", "/home/b.png", ""}; !slices.Equal(u.api.pictured, want) {
			t.Errorf("the client was given %q, want %q", u.api.pictured, want)
		}
		for _, c := range u.last().Contacts {
			if c.Self && c.Picture != nil {
				t.Error("the note to self has the picture that was removed")
			}
		}
	})
}
