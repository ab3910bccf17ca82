package present

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

func TestFirstStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake(), attach: client.ErrNoProfile}
		u := newUI(t, p)
		if got := u.last().Stage; got != Starting {
			t.Errorf("at once: stage %v, want Starting", got)
		}
		u.run(0)
		if v := u.last(); v.Stage != Welcome || !v.AskPassphrase || v.Busy {
			t.Fatalf("without a profile: %+v", v)
		}
		u.Create("  ", "secret")
		if u.last().Problem == "" {
			t.Error("no problem shown for an empty name")
		}
		u.Create(" Alice ", "secret")
		if v := u.last(); !v.Busy || v.Problem != "" {
			t.Errorf("while it is made: %+v", v)
		}
		u.Create("Twice", "secret") // a second press of Enter
		u.run(5 * callTime)
		if v := u.last(); v.Stage != Main || v.Me != "Alice" || len(people(v.Contacts)) != 2 {
			t.Errorf("afterwards: %+v", v)
		}
		if p.name != "Alice" || p.phrase != "secret" {
			t.Errorf("created %q with %q, want Alice with secret", p.name, p.phrase)
		}
	})
}

func TestOneQuestionWithPassphraseGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUI(t, &fakeProfile{api: newFake(), attach: client.ErrNoProfile, hasPassphrase: true})
		u.run(0)
		if u.last().AskPassphrase {
			t.Error("asks for a passphrase that was given")
		}
		u.Create("Alice", "")
		u.run(5 * callTime)
		if got := u.last().Stage; got != Main {
			t.Errorf("stage %v, want Main", got)
		}
	})
}

func TestUnlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake(), attach: ErrLocked, open: client.ErrWrongPassphrase}
		u := newUI(t, p)
		u.run(0)
		if got := u.last().Stage; got != Locked {
			t.Fatalf("stage %v, want Locked", got)
		}
		u.Unlock("wrong")
		u.run(2 * callTime)
		if v := u.last(); v.Stage != Locked || v.Busy || !strings.HasPrefix(v.Problem, "Wrong passphrase") {
			t.Errorf("after a wrong passphrase: %+v", v)
		}
		p.open = nil
		u.Unlock("right")
		if u.last().Problem != "" {
			t.Error("the old problem is still shown during the next try")
		}
		u.run(5 * callTime)
		if got := u.last().Stage; got != Main {
			t.Errorf("stage %v, want Main", got)
		}
	})
}

func TestGivenPassphraseIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUI(t, &fakeProfile{api: newFake(), attach: client.ErrWrongPassphrase, hasPassphrase: true})
		u.run(0)
		if v := u.last(); v.Stage != Locked || v.Problem == "" {
			t.Errorf("got stage %v, problem %q; want Locked and the reason", v.Stage, v.Problem)
		}
	})
}

func TestContactList(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		now := time.Now()
		u.api.set(func(f *fakeAPI) {
			f.contacts = []client.Contact{
				{ID: bob, Name: "Bob", Trust: client.Trusted, LastText: "older", LastAt: now.Add(-time.Hour)},
				{ID: carol, Name: "Carol", Trust: client.Trusted, Nick: "C.", LastText: "two\nlines", LastAt: now, Unread: 2},
			}
		})
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: bob, Name: "Bob", Trust: client.Trusted}})
		u.run(3 * callTime)
		rows := u.last().Contacts
		if len(people(rows)) != 2 || rows[0].ID != carol {
			t.Fatalf("got %+v, want Carol first: her message is newer", rows)
		}
		want := Contact{ID: carol, Label: "C.", Initials: "C", Colour: Colour(carol), Last: "two lines",
			When: clock(now.UTC()), Unread: 2, Badge: badge(client.Path{}, now)}
		if rows[0] != want {
			t.Errorf("got  %+v\nwant %+v", rows[0], want)
		}
		if got, want := rows[0].Spoken(), "C., offline, 2 unread messages, "+want.When+": two lines"; got != want {
			t.Errorf("spoken: got %q, want %q", got, want)
		}
	})
}

func TestPathEventChangesBadgesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.api.emit(client.PathEvent{Path: client.Path{Contact: bob, Kind: client.PathDirect, RTT: 24 * time.Millisecond, Reason: "the hole was punched"}})
		u.run(0)
		v := u.last()
		if got, want := v.Chat.Badge.Text, "direct 24 ms"; got != want {
			t.Errorf("header: got %q, want %q", got, want)
		}
		if !strings.Contains(v.Chat.Badge.Tip, "The hole was punched.") {
			t.Errorf("tip: got %q, want the reason in it", v.Chat.Badge.Tip)
		}
		i := slices.IndexFunc(v.Contacts, func(c Contact) bool { return c.ID == bob })
		if got := v.Contacts[i].Badge.Kind; got != client.PathDirect {
			t.Errorf("list: got %v, want direct", got)
		}
	})
}

func TestPathOfUnknownContact(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.emit(client.PathEvent{Path: client.Path{Contact: identity.PeerID{77}, Kind: client.PathDirect}})
		u.run(0)
		if n := len(people(u.last().Contacts)); n != 2 {
			t.Errorf("got %d contacts, want 2", n)
		}
	})
}

func TestBurstIsListedOnceOrTwice(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) { f.calls["contacts"] = 0 })
		for i := range 1000 {
			u.api.emit(client.MessageEvent{Message: incoming(bob, i+1, "x", time.Now())})
		}
		u.run(10 * callTime)
		u.api.mu.Lock()
		defer u.api.mu.Unlock()
		if n := u.api.calls["contacts"]; n < 1 || n > 2 {
			t.Errorf("1000 messages listed the contacts %d times, want 1 or 2", n)
		}
	})
}

func TestViewsAreValues(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.Send("hi")
		before := u.last()
		rows := slices.Clone(before.Chat.Rows)
		contacts := slices.Clone(before.Contacts)
		u.run(2 * callTime)
		u.api.emit(client.DeliveryEvent{ID: client.MessageID{1}, Contact: bob, State: client.Read},
			client.PathEvent{Path: client.Path{Contact: bob, Kind: client.PathRelay}})
		u.run(callTime)
		if !slices.Equal(before.Chat.Rows, rows) || !slices.Equal(before.Contacts, contacts) {
			t.Error("a View that was handed out changed")
		}
		if slices.Equal(u.last().Chat.Rows, rows) {
			t.Error("the tick did not change; the test shows nothing")
		}
	})
}

func TestClosedWindowDrawsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.Send("hi")
		u.OpenInvite()
		n := len(u.views)
		u.close()
		u.run(5 * callTime)
		if len(u.views) != n {
			t.Error("drew after the window was closed")
		}
	})
}

func TestEventsEndEarly(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.api.set(func(f *fakeAPI) {
			f.history[bob] = []client.Message{incoming(bob, 1, "while nobody looked", time.Now())}
			close(f.sub)
		})
		u.run(firstRetry + 5*callTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"while nobody looked"}) {
			t.Errorf("got %q, want what was missed", got)
		}
	})
}

func TestClientThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newFake()
		api.fail = errors.New("the disk caught fire")
		u := newUI(t, &fakeProfile{api: api})
		u.run(3 * time.Minute)
		v := u.last()
		if v.Toast.Seq != 1 || !strings.Contains(v.Toast.Text, "disk caught fire") {
			t.Errorf("got toast %+v, want one with the reason", v.Toast)
		}
		api.set(func(f *fakeAPI) { f.fail = nil })
		u.run(lastRetry + 5*callTime)
		if n := len(people(u.last().Contacts)); n != 2 {
			t.Errorf("after it answers again: %d contacts, want 2", n)
		}
	})
}

func TestClosedClientIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake()}
		u := newUI(t, p)
		u.run(5 * callTime)
		u.Select(bob)
		p.attach = ErrLocked
		u.api.set(func(f *fakeAPI) { f.closed = true; close(f.sub) })
		u.run(firstRetry + callTime)
		if v := u.last(); v.Stage != Locked || v.Chat.Open || len(v.Contacts) != 0 {
			t.Errorf("got %+v, want the passphrase asked and nothing of the old client", v)
		}
	})
}

func TestMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newFake()
		api.history[bob] = []client.Message{incoming(bob, 1, "hi", time.Now())}
		u := newUI(t, &fakeProfile{api: api})
		u.run(5 * callTime)
		u.Select(bob)
		u.run(2 * callTime)
		if got := u.last().Chat.Rows[0].Text; got != "Today" {
			t.Fatalf("heading %q, want Today", got)
		}
		time.Sleep(24 * time.Hour)
		u.run(0)
		if got := u.last().Chat.Rows[0].Text; got != "Yesterday" {
			t.Errorf("next day: heading %q, want Yesterday", got)
		}
	})
}

func TestServerEvents(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		if got := u.last().Network; got != "No server" {
			t.Errorf("got %q, want No server", got)
		}
		a := identity.ServerAddr{Host: "relay.example", Port: 1}
		u.api.emit(client.ServerEvent{Server: client.Server{Address: a, Problem: "no answer"}})
		u.run(0)
		if got := u.last().Network; got != "Server not connected: no answer" {
			t.Errorf("got %q", got)
		}
		u.api.emit(client.ServerEvent{Server: client.Server{Address: a, Connected: true}})
		u.run(0)
		if got := u.last().Network; got != "Server connected" {
			t.Errorf("got %q, want Server connected", got)
		}
	})
}
