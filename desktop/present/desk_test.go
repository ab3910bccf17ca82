package present

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A fakeDesk keeps what it is told.
type fakeDesk struct {
	notices   []Notice
	withdrawn []string
	unread    []int
}

func (d *fakeDesk) Notify(n Notice)     { d.notices = append(d.notices, n) }
func (d *fakeDesk) Withdraw(tag string) { d.withdrawn = append(d.withdrawn, tag) }
func (d *fakeDesk) SetUnread(n int)     { d.unread = append(d.unread, n) }

func TestNotices(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		text := client.NotificationEvent{Kind: client.NotifyMessage, Title: "Bob\u202e", Body: "a\x1b[31m <b>x</b>", Contact: bob}
		u.api.emit(text)
		u.run(callTime)
		if want := []Notice{{Tag: bob.String(), Title: "Bob", Body: "a␛[31m <b>x</b>", Answer: true}}; !slices.Equal(u.desk.notices, want) {
			t.Fatalf("got %+v, want %+v", u.desk.notices, want)
		}

		// What one sees already is not announced; behind another window it is.
		u.Select(bob)
		u.SetActive(true)
		u.run(2 * callTime)
		u.api.emit(text)
		u.run(callTime)
		if len(u.desk.notices) != 1 {
			t.Errorf("got %d notices, want none of the open conversation", len(u.desk.notices))
		}
		u.SetActive(false)
		u.api.emit(text, client.WithdrawEvent{Contact: bob})
		u.run(callTime)
		if len(u.desk.notices) != 2 || !slices.Equal(u.desk.withdrawn, []string{bob.String()}) {
			t.Errorf("got %d notices, withdrawn %q; want 2 and Bob's", len(u.desk.notices), u.desk.withdrawn)
		}
		u.api.emit(client.NotificationEvent{
			Kind: client.NotifyRequest, Title: "New request", Body: "Somebody who says to be Eve wants to write to you", Contact: carol,
		}, client.NotificationEvent{Kind: client.NotifyCopy, Title: "Another copy", Body: "Stop it."})
		u.run(callTime)
		request, profile := u.desk.notices[2], u.desk.notices[3]
		if request.Answer || request.Body != "Somebody who says to be \u2068Eve\u2069 wants to write to you" {
			t.Errorf("got %+v, want a request that cannot be answered at once", request)
		}
		if profile.Tag != profileTag || profile.Answer {
			t.Errorf("got %+v, want a notice of no conversation", profile)
		}

		// Two with one name are told apart.
		u.api.change(carol, func(c *client.Contact) { c.Name, c.Nick = "Bob", "" })
		u.api.change(bob, func(c *client.Contact) { c.Name, c.Nick = "Bob", "" })
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: bob}}, client.ContactEvent{Contact: client.Contact{ID: carol}})
		u.run(3 * callTime)
		text.Title = "Bob"
		u.api.emit(text)
		u.run(callTime)
		if got, want := u.desk.notices[len(u.desk.notices)-1].Title, "\u2068Bob\u2069 ("+bob.Short()+")"; got != want {
			t.Errorf("got the title %q, want %q", got, want)
		}
	})
}

func TestOpenNotice(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenServers()
		u.OpenNotice(carol.String())
		u.run(2 * callTime)
		if v := u.last(); v.Chat.ID != carol || v.Dialog.Kind != NoDialog {
			t.Errorf("got the conversation with %v and dialog %v, want Carol's and none", v.Chat.ID, v.Dialog.Kind)
		}
		u.OpenNotice(profileTag)
		u.OpenNotice("nonsense")
		if v := u.last(); v.Chat.ID != carol {
			t.Error("a notice about no conversation opened another")
		}
		u.api.change(bob, func(c *client.Contact) { c.Trust = client.TrustUnknown })
		u.api.emit(client.ContactEvent{Contact: u.api.contacts[0]})
		u.run(2 * callTime)
		u.OpenNotice(bob.String())
		u.run(2 * callTime)
		if v := u.last(); v.Filter != Requests || v.Chat.ID != bob || !v.Chat.Request {
			t.Errorf("got list %v, want the requests with this one", v.Filter)
		}
	})
}

func TestAnswerNotice(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.AnswerNotice(bob.String(), "  ")
		u.AnswerNotice("nonsense", "x")
		u.AnswerNotice(bob.String(), "at once")
		u.run(3 * callTime)
		if want := []string{"at once"}; !slices.Equal(u.api.sent, want) || u.api.calls["markread"] != 1 {
			t.Errorf("sent %q, marked as read %d times; want %q and once", u.api.sent, u.api.calls["markread"], want)
		}
		// What cannot be sent is not lost.
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrDiskFull })
		u.AnswerNotice(bob.String(), "later")
		u.run(3 * callTime)
		u.api.set(func(f *fakeAPI) { f.fail = nil })
		u.Select(bob)
		u.run(2 * callTime)
		if got := u.last().Chat.Draft; got != "later" {
			t.Errorf("the draft is %q, want what was not sent", got)
		}
	})
}

func TestUnreadOnTheDesk(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		set := func(bobs, carols client.Contact, want int) {
			t.Helper()
			u.api.set(func(f *fakeAPI) { f.contacts = []client.Contact{bobs, carols} })
			u.api.emit(client.ContactEvent{Contact: bobs})
			u.run(3 * callTime)
			if got := u.desk.unread[len(u.desk.unread)-1]; got != want {
				t.Errorf("the desk was told %d, want %d", got, want)
			}
		}
		b := client.Contact{ID: bob, Trust: client.Trusted, Unread: 3, Mentions: 1}
		c := client.Contact{ID: carol, Trust: client.TrustUnknown, Unread: 5}
		set(b, c, 4)
		b.Muted = true
		set(b, c, 2)
		set(client.Contact{ID: bob, Trust: client.Trusted}, client.Contact{ID: carol, Trust: client.Rejected, Unread: 2}, 0)
		if got := slices.Compact(slices.Clone(u.desk.unread)); len(got) != len(u.desk.unread) {
			t.Errorf("the desk was told the same twice: %v", u.desk.unread)
		}
	})
}

// TestLinkAddsNobody opens a link that was clicked somewhere.
func TestLinkAddsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake(), attach: ErrLocked}
		u := newUI(t, p)
		u.run(callTime)
		u.OpenLink(" sremp:abc234\n")
		if v := u.last(); v.Dialog.Kind != NoDialog {
			t.Error("a locked profile opened a dialog")
		}
		u.Unlock("x")
		u.run(6 * callTime)
		if d := u.last().Dialog; d.Kind != AddDialog || u.field("link").Text != "sremp:abc234" || d.Busy {
			t.Errorf("got %+v, want the link in the field, waiting for the person", d)
		}
		u.OpenLink("SREMP://key@host:1")
		if d := u.last().Dialog; d.Kind != ServersDialog || u.field("address").Text != "SREMP://key@host:1" {
			t.Errorf("got %+v, want the servers", d)
		}
		u.run(5 * callTime)
		if u.api.calls["add"]+u.api.calls["addserver"] != 0 {
			t.Error("a link was followed without a question")
		}
	})
}

func TestReopen(t *testing.T) {
	for _, reopen := range []func(identity.PeerID) bool{nil, func(id identity.PeerID) bool { return Hint(id) == Hint(carol) }} {
		synctest.Test(t, func(t *testing.T) {
			u := newUI(t, &fakeProfile{api: newFake(), hasPassphrase: true, reopen: reopen})
			u.run(6 * callTime)
			if v := u.last(); v.Chat.Open != (reopen != nil) || v.Chat.Open && v.Chat.ID != carol {
				t.Errorf("to be opened again: %v; got %v, %s", reopen != nil, v.Chat.Open, v.Chat.Label)
			}
		})
	}
	if Hint(bob) == Hint(carol) {
		t.Error("two contacts of the tests have one hint: the test above proves nothing")
	}
}
