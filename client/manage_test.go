package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// A notice keeps the notifications of one client.
type notice struct {
	mu        sync.Mutex
	shown     []client.NotificationEvent
	withdrawn []client.WithdrawEvent
}

func watch(t *testing.T, c client.API) *notice {
	t.Helper()
	events, err := c.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := &notice{}
	go func() { // ends with the test's context
		for e := range events {
			n.mu.Lock()
			switch e := e.(type) {
			case client.NotificationEvent:
				n.shown = append(n.shown, e)
			case client.WithdrawEvent:
				n.withdrawn = append(n.withdrawn, e)
			}
			n.mu.Unlock()
		}
	}()
	return n
}

// last returns the newest notification as a text.
func (n *notice) last() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.shown) == 0 {
		return ""
	}
	e := n.shown[len(n.shown)-1]
	return fmt.Sprintf("%s|%s|%s", e.Kind, e.Title, e.Body)
}

func (n *notice) wait(t *testing.T, want string) {
	t.Helper()
	eventually(t, "notification", func() (bool, string) { return n.last() == want, n.last() + ", want " + want })
}

// A notification says no more than was allowed, at each level.
func TestNotificationLevels(t *testing.T) {
	a, b, aID, bID := pair(t)
	n := watch(t, a)
	for _, x := range []struct{ show, message, mention, reaction string }{
		{client.ShowNone, "message|SREMP|New message", "mention|SREMP|You were mentioned", "reaction|SREMP|New reaction"},
		{client.ShowSender, "message|Bob|New message", "mention|Bob|mentioned you", "reaction|Bob|reacted to your message"},
		{client.ShowFull, "message|Bob|the secret plan", "mention|Bob|look, @Alice", "reaction|Bob|👍 my own words"},
	} {
		s, err := a.Settings(t.Context())
		if err == nil {
			err = s.Set("notifications.show", x.show)
		}
		if err == nil {
			err = a.SetSettings(t.Context(), s)
		}
		if err != nil {
			t.Fatal(err)
		}
		send(t, b, aID, "the secret plan")
		n.wait(t, x.message)
		send(t, b, aID, "look, @Alice")
		n.wait(t, x.mention)
		m, err := a.Send(t.Context(), bID, "my own words")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "reaction", func() (bool, string) {
			_, err := b.React(t.Context(), aID, m.ID, "👍")
			return err == nil, fmt.Sprint(err)
		})
		n.wait(t, x.reaction)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.shown {
		if s := e.Title + e.Body; strings.Contains(s, bID.String()[:8]) || e.Contact != bID {
			t.Errorf("notification %+v", e)
		}
	}
}

// A muted conversation is silent but for mentions, and for those only while
// that is wanted; what is read or deleted is withdrawn.
func TestMutedAndWithdrawn(t *testing.T) {
	t.Parallel()
	a, b, aID, bID := pair(t)
	n := watch(t, a)
	yes := true
	if _, err := a.SetContact(t.Context(), bID, client.ContactSettings{Muted: &yes}); err != nil {
		t.Fatal(err)
	}
	send(t, b, aID, "one")
	send(t, b, aID, "hey @alice")
	n.wait(t, "mention|Bob|mentioned you")
	cs, err := a.Contacts(t.Context())
	if err != nil || cs[0].Unread < 2 || cs[0].Mentions != 1 {
		t.Errorf("unread %d, mentions %d, %v; want 2 or more, 1", cs[0].Unread, cs[0].Mentions, err)
	}
	if err := a.MarkRead(t.Context(), bID, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "withdrawal", func() (bool, string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.withdrawn) > 0 && n.withdrawn[0].Contact == bID && n.withdrawn[0].IDs == nil, fmt.Sprint(n.withdrawn)
	})
	if cs, err = a.Contacts(t.Context()); err != nil || cs[0].Unread != 0 || cs[0].Mentions != 0 {
		t.Errorf("after reading: unread %d, mentions %d, %v", cs[0].Unread, cs[0].Mentions, err)
	}
	m, err := b.SendDraft(t.Context(), aID, client.Draft{Text: "@Alice, gone in a moment", Timer: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message disappears from notifications", func() (bool, string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.ContainsFunc(n.withdrawn, func(w client.WithdrawEvent) bool { return slices.Contains(w.IDs, m.ID) }), fmt.Sprint(n.withdrawn)
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.shown {
		if e.Kind == client.NotifyMessage {
			t.Errorf("a muted conversation notified: %+v", e)
		}
	}
}

// A stranger knocks once, also if it goes on after its words were looked at, and
// they stay out of notifications at any level.
func TestRequestNotifiesOnce(t *testing.T) {
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Mallory")
	s := client.DefaultSettings()
	s.Notifications.Show = client.ShowFull
	if err := a.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	n := watch(t, a)
	inv, err := a.Invite(t.Context(), client.InviteOptions{Ask: true})
	if err != nil {
		t.Fatal(err)
	}
	add(t, b, inv.URI)
	send(t, b, me(t, a), "buy now")
	waitTexts(t, a, me(t, b), "<buy now")
	send(t, b, me(t, a), "cheap, @Alice")
	send(t, b, me(t, a), "really")
	waitTexts(t, a, me(t, b), "<buy now", "<cheap, @Alice", "<really")
	n.wait(t, "request|New request|Somebody who says to be Mallory wants to write to you")
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.shown) != 1 {
		t.Errorf("%d notifications of one stranger: %+v", len(n.shown), n.shown)
	}
}

// Names and keys change while a conversation goes on; the contact sees both.
func TestRenameAndRotate(t *testing.T) {
	a, b, aID, bID := pair(t)
	n := watch(t, b)
	if m, err := a.SetName(t.Context(), "Alicia"); err != nil || m.Name != "Alicia" {
		t.Fatalf("SetName = %+v, %v", m, err)
	}
	eventually(t, "name", func() (bool, string) {
		cs, err := b.Contacts(t.Context())
		return err == nil && cs[0].Name == "Alicia" && cs[0].FormerName == "Alice", fmt.Sprintf("%+v, %v", cs, err)
	})
	cs, err := b.Contacts(t.Context())
	if err != nil || !cs[0].KeysChanged.IsZero() {
		t.Errorf("a new name is shown as new keys: %v, %v", cs[0].KeysChanged, err)
	}
	if err := a.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "keys", func() (bool, string) {
		cs, err := b.Contacts(t.Context())
		return err == nil && !cs[0].KeysChanged.IsZero(), fmt.Sprintf("%+v, %v", cs, err)
	})
	n.wait(t, "keys|Alicia|has new keys")
	send(t, b, aID, "still you?")
	waitLast(t, a, bID, "<still you?")
	send(t, a, bID, "still me")
	waitLast(t, b, aID, "<still me")
	waitLast(t, a, bID, ">delivered still me")
	if _, err := a.SetName(t.Context(), " "); !errors.Is(err, client.ErrBadName) {
		t.Errorf("a blank name: %v, want ErrBadName", err)
	}
}

// waitLast waits for the newest message of a conversation.
func waitLast(t *testing.T, c *client.Client, with identity.PeerID, want string) {
	t.Helper()
	eventually(t, "last message", func() (bool, string) {
		got := texts(t, c, with)
		return len(got) > 0 && got[len(got)-1] == want, fmt.Sprintf("%q, want %q", got, want)
	})
}

// A contact that is deleted is gone with all that it said, from the disk too;
// with another invite it comes again, as somebody new.
func TestDeleteContact(t *testing.T) {
	t.Parallel()
	a, aDir := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	add(t, b, invite(t, a))
	aID, bID := me(t, a), me(t, b)
	send(t, b, aID, "remember me")
	waitTexts(t, a, bID, "<remember me")
	if err := a.DeleteContact(t.Context(), bID); err != nil {
		t.Fatal(err)
	}
	if cs, err := a.Contacts(t.Context()); err != nil || len(cs) != 0 {
		t.Errorf("contacts = %+v, %v; want none", cs, err)
	}
	if _, err := a.Send(t.Context(), bID, "x"); !errors.Is(err, client.ErrUnknownContact) {
		t.Errorf("Send = %v, want ErrUnknownContact", err)
	}
	if got, err := a.Search(t.Context(), client.SearchQuery{Text: "remember"}); err != nil || len(got) != 0 {
		t.Errorf("Search = %v, %v", got, err)
	}
	send(t, b, aID, "are you there?") // nobody hears it, and nothing breaks
	a.Close()
	a = open(t, aDir)
	if cs, err := a.Contacts(t.Context()); err != nil || len(cs) != 0 {
		t.Errorf("contacts after a restart = %+v, %v; want none", cs, err)
	}
	if err := b.DeleteContact(t.Context(), aID); err != nil {
		t.Fatal(err)
	}
	add(t, b, invite(t, a))
	send(t, b, aID, "me again")
	waitTexts(t, a, bID, "<me again")
	send(t, a, bID, "welcome back")
	waitTexts(t, b, aID, ">delivered me again", "<welcome back")
}

func TestDeleteAllHistory(t *testing.T) {
	a, b, aID, bID := pair(t)
	send(t, a, bID, "to be forgotten")
	send(t, a, aID, "a note")
	waitLast(t, b, aID, "<to be forgotten")
	if err := a.DeleteAllHistory(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []identity.PeerID{aID, bID} {
		if got := texts(t, a, id); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
	}
}

// Erase leaves nothing to open, and nothing at the servers.
func TestErase(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, dir := newClient(t, "Alice")
	useServer(t, a, s)
	uri := invite(t, a)
	if err := a.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.WhoAmI(t.Context()); !errors.Is(err, client.ErrClosed) {
		t.Errorf("WhoAmI = %v, want ErrClosed", err)
	}
	if _, err := sqlite.Open(t.Context(), dir); !errors.Is(err, client.ErrNoProfile) {
		t.Errorf("Open = %v, want ErrNoProfile", err)
	}
	b, _ := newClient(t, "Bob")
	useServer(t, b, s)
	add(t, b, uri)
	aInvite, err := identity.ParseInvite(uri)
	if err != nil {
		t.Fatal(err)
	}
	send(t, b, aInvite.Peer, "anybody?")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := b.Flush(ctx); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("a message to who is gone: %v, want that nobody takes it", err)
	}
}

// Who lost the key and the kit has another identity; the old one introduces it,
// and the contact decides.
func TestSuccessor(t *testing.T) {
	a, b, aID, bID := pair(t)
	heir, _ := newClient(t, "Alice again")
	n := watch(t, b)
	uri := invite(t, heir)
	if err := a.Introduce(t.Context(), bID, uri); err != nil {
		t.Fatal(err)
	}
	n.wait(t, "successor|Alice|says to have a new identity; ask in another way before you believe it")
	cs, err := b.Contacts(t.Context())
	if err != nil || len(cs) != 1 || cs[0].Successor != uri {
		t.Fatalf("contacts = %+v, %v; want one with a successor", cs, err)
	}
	add(t, b, cs[0].Successor)
	send(t, b, me(t, heir), "is it you?")
	waitTexts(t, heir, bID, "<is it you?")
	if err := a.Introduce(t.Context(), bID, "sremp:nonsense"); !errors.Is(err, client.ErrBadInvite) {
		t.Errorf("nonsense: %v, want ErrBadInvite", err)
	}
	if err := a.Introduce(t.Context(), bID, invite(t, a)); !errors.Is(err, client.ErrOwnInvite) {
		t.Errorf("an invite of the same identity: %v, want ErrOwnInvite", err)
	}
	_ = aID
}

// 8 words on the phone are enough, though the inviter has gone since.
func TestInviteWords(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, aDir := newClient(t, "Alice")
	useServer(t, a, s)
	inv, err := a.Invite(t.Context(), client.InviteOptions{Words: true})
	if err != nil || len(strings.Fields(inv.Words)) != 8 {
		t.Fatalf("Invite = %+v, %v; want 8 words", inv, err)
	}
	aID := me(t, a)
	a.Close()
	b, _ := newClient(t, "Bob")
	if _, err := b.Add(t.Context(), inv.Words, ""); !errors.Is(err, client.ErrNoWords) {
		t.Errorf("without a server: %v, want ErrNoWords", err)
	}
	useServer(t, b, s)
	wrong := identity.NewInviteCode().Words()
	if _, err := b.Add(t.Context(), wrong, ""); !errors.Is(err, client.ErrNoWords) {
		t.Errorf("other words: %v, want ErrNoWords", err)
	}
	c, err := b.Add(t.Context(), strings.ToUpper(inv.Words), "")
	if err != nil || c.ID != aID {
		t.Fatalf("Add = %+v, %v", c, err)
	}
	send(t, b, aID, "got your words")
	a = open(t, aDir)
	waitTexts(t, a, me(t, b), "<got your words")
	// Used is used: the words lead nowhere any more.
	third, _ := newClient(t, "Carol")
	useServer(t, third, s)
	eventually(t, "the words are gone", func() (bool, string) {
		_, err := third.Add(t.Context(), inv.Words, "")
		return errors.Is(err, client.ErrNoWords), fmt.Sprint(err)
	})
	alone, _ := newClient(t, "Alone")
	if _, err := alone.Invite(t.Context(), client.InviteOptions{Words: true}); !errors.Is(err, client.ErrNoRelay) {
		t.Errorf("words without a relay: %v, want ErrNoRelay", err)
	}
}
