package present

import (
	"errors"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A change that was begun is not lost: not by Escape, not by an answer to another
// message, not by looking at another conversation.
func TestChangeIsKept(t *testing.T) {
	begun := func(t *testing.T, u *ui, want string) {
		t.Helper()
		if c := u.last().Chat; c.Compose != (Compose{Mode: ComposeEdit, Author: "You", Text: "mine"}) || c.Draft != want {
			t.Errorf("%+v, draft %q; want %q to be edited", c.Compose, c.Draft, want)
		}
	}
	undo := func(t *testing.T, u *ui) {
		t.Helper()
		if v := u.last().Toast; !v.Undo || v.Text != "The change was dropped." {
			t.Errorf("got %+v, want a way back", v)
		}
		u.Undo()
		if v := u.last().Toast; v.Undo || v.Text != "The change is back." {
			t.Errorf("got %+v", v)
		}
	}
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 2)
		u.SetDraft("half")
		u.EditLast()
		u.CancelCompose()
		if v := u.last().Toast; v.Undo {
			t.Errorf("nothing was changed, and there is %+v", v)
		}
		u.EditLast()
		u.SetDraft("mine, better")
		u.CancelCompose()
		if got := u.last().Chat.Draft; got != "half" {
			t.Errorf("draft after: %q, want the one of before", got)
		}
		undo(t, u)
		begun(t, u, "mine, better")

		u.Reply(u.key("their 1"))
		undo(t, u)
		begun(t, u, "mine, better")

		// An empty text is one, too.
		u.SetDraft("")
		u.CancelCompose()
		undo(t, u)
		begun(t, u, "")

		u.SetDraft("mine, much better")
		u.Select(carol)
		u.run(3 * callTime)
		if v := u.last(); v.Chat.Compose.Mode != ComposeNew || v.Chat.Draft != "" {
			t.Errorf("at another's: %+v, draft %q", v.Chat.Compose, v.Chat.Draft)
		}
		for _, c := range u.last().Contacts {
			if c.ID == bob && (!c.Draft || c.Last != "half") {
				t.Errorf("in the list: %+v, want the draft", c)
			}
		}
		u.Select(bob)
		u.run(3 * callTime)
		begun(t, u, "mine, much better")
		u.Send("mine, much better")
		u.run(3 * callTime)
		if v := u.last(); v.Chat.Draft != "half" || v.Toast.Undo {
			t.Errorf("draft after: %q, %+v", v.Chat.Draft, v.Toast)
		}
		u.Select(carol)
		u.Select(bob)
		u.run(3 * callTime)
		if k := u.last().Chat.Compose; k.Mode != ComposeNew {
			t.Errorf("after it was sent: %+v", k)
		}

		// To whom one answers is kept as well.
		u.Reply(u.key("their 1"))
		u.Select(carol)
		u.Select(bob)
		u.run(3 * callTime)
		if k := u.last().Chat.Compose; k != (Compose{Mode: ComposeReply, Author: "Bob", Text: "their 1"}) {
			t.Errorf("over the entry: %+v", k)
		}
		u.api.emit(client.RemovalEvent{Contact: bob, IDs: []client.MessageID{u.Window.row(u.key("their 1")).ID}})
		u.run(3 * callTime)
		if k := u.last().Chat.Compose; k.Mode != ComposeNew {
			t.Errorf("after what it answers is gone: %+v", k)
		}
	})
}

// A change that cannot be stored comes back to the entry.
func TestChangeFails(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 1)
		u.EditLast()
		u.SetDraft("mine, better")
		u.api.set(func(f *fakeAPI) { f.fail = errors.New("the disk is full") })
		u.Send("mine, better")
		u.run(3 * callTime)
		if c := u.last().Chat; c.Compose.Mode != ComposeEdit || c.Draft != "mine, better" {
			t.Errorf("%+v, draft %q; want the change", c.Compose, c.Draft)
		}
	})
}

// A file is not edited: Up goes to the text before it.
func TestFileIsNotChanged(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 1)
		u.api.emit(client.MessageEvent{Message: client.Message{
			ID: client.MessageID{0xef}, Contact: bob, Mine: true, Text: "photo.png", File: &client.File{Name: "photo.png"}, Seq: 9,
		}})
		u.run(3 * callTime)
		rows := u.last().Chat.Rows
		u.Edit(rows[len(rows)-1].Key)
		if k := u.last().Chat.Compose; k.Mode != ComposeNew {
			t.Errorf("a file is edited: %+v", k)
		}
		u.EditLast()
		if got := u.last().Chat.Draft; got != "mine" {
			t.Errorf("got %q to edit, want the text", got)
		}
	})
}

// Neither a lock nor the end loses what was begun: a change becomes a draft.
func TestUnfinishedIsKept(t *testing.T) {
	for name, end := range map[string]func(u *ui){
		"lock": func(u *ui) {
			u.Lock()
			u.run(5 * callTime)
		},
		"end": func(u *ui) { u.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, u *ui) {
				u.api.set(func(f *fakeAPI) { f.keys = client.Keys{Passphrase: true} })
				talk(u, 2)
				u.SetDraft("half")
				u.EditLast()
				u.SetDraft("mine, better")
				u.Select(carol)
				u.run(3 * callTime)
				u.SetDraft("for Carol")
				end(u)
				for id, want := range map[identity.PeerID]string{bob: "half\nmine, better", carol: "for Carol"} {
					if got := u.api.change(id, func(*client.Contact) {}).Draft; got != want {
						t.Errorf("the draft is %q, want %q", got, want)
					}
				}
			})
		})
	}
}
