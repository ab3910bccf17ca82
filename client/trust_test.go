package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

func TestVerification(t *testing.T) {
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	va, err := a.Verification(ctx, bID)
	if err != nil {
		t.Fatal(err)
	}
	vb, err := b.Verification(ctx, aID)
	if err != nil || vb.Words != va.Words || vb.Code != va.Code {
		t.Fatalf("the two sides see %v and %v, %v; want the same", va, vb, err)
	}
	words := strings.Join(va.Words[:], " ")
	if err := a.Verify(ctx, bID, "zoo "+words); !errors.Is(err, client.ErrNotSame) {
		t.Errorf("other words: %v, want ErrNotSame", err)
	}
	verified := func() time.Time {
		cs, err := a.Contacts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return cs[0].Verified
	}
	if !verified().IsZero() {
		t.Error("verified by other words")
	}
	for _, proof := range []string{strings.ToUpper(words), vb.Code} {
		if err := a.Verify(ctx, bID, proof); err != nil || verified().IsZero() {
			t.Errorf("Verify = %v, at %v", err, verified())
		}
		if err := a.Verify(ctx, bID, ""); err != nil || !verified().IsZero() {
			t.Errorf("taken back: %v, at %v", err, verified())
		}
	}
}

// A request shows its messages, and learns nothing until it is accepted.
func TestRequest(t *testing.T) {
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	ctx := t.Context()
	inv, err := a.Invite(ctx, client.InviteOptions{Ask: true})
	if err != nil {
		t.Fatal(err)
	}
	add(t, b, inv.URI)
	send(t, b, me(t, a), "may I?")
	waitTexts(t, a, me(t, b), "<may I?")
	cs, err := a.Contacts(ctx)
	if err != nil || cs[0].Trust != client.TrustUnknown {
		t.Fatalf("contacts = %+v, %v; want a request", cs, err)
	}
	if _, err := a.Send(ctx, me(t, b), "too early"); !errors.Is(err, client.ErrRequest) {
		t.Errorf("Send to a request = %v, want ErrRequest", err)
	}
	send(t, b, me(t, a), "please")
	waitTexts(t, a, me(t, b), "<may I?", "<please")
	if got := texts(t, b, me(t, a)); fmt.Sprint(got) != "[>queued may I? >queued please]" {
		t.Errorf("the stranger sees %q, want nothing delivered", got)
	}
	if err := a.SetTrust(ctx, me(t, b), client.Trusted); err != nil {
		t.Fatal(err)
	}
	waitTexts(t, b, me(t, a), ">delivered may I?", ">delivered please")
	send(t, a, me(t, b), "of course")
	waitTexts(t, b, me(t, a), ">delivered may I?", ">delivered please", "<of course")
}

// Somebody blocked is disconnected and learns nothing; unblocked, all is well.
func TestBlock(t *testing.T) {
	t.Parallel()
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	if err := a.SetTrust(ctx, bID, client.Rejected); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the connection", func() (bool, string) {
		p, err := b.Path(ctx, aID)
		return err == nil && p.Kind == client.PathNone, fmt.Sprint(p, err)
	})
	send(t, b, aID, "hello?")
	if _, err := a.Send(ctx, bID, "no"); !errors.Is(err, client.ErrUnknownContact) {
		t.Errorf("Send to somebody blocked = %v, want ErrUnknownContact", err)
	}
	if got := texts(t, b, aID); got[len(got)-1] != ">queued hello?" {
		t.Errorf("the last message is %q, want it queued", got[len(got)-1])
	}
	if got := texts(t, a, bID); len(got) != 2 {
		t.Errorf("history = %q, want nothing new", got)
	}
	if err := a.SetTrust(ctx, bID, client.Trusted); err != nil {
		t.Fatal(err)
	}
	waitTexts(t, a, bID, "<hello", ">delivered welcome", "<hello?")
	send(t, a, bID, "sorry")
	waitTexts(t, b, aID, ">delivered hello", "<welcome", ">delivered hello?", "<sorry")
}

// A contact that is relay only is reached through a relay of ours, although a
// direct path is there, and gets no address of ours; taken back, it is direct.
func TestRelayOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	ctx := t.Context()
	for _, c := range []*client.Client{a, b} {
		if err := c.AddServer(ctx, s.addr); err != nil {
			t.Fatal(err)
		}
	}
	aID, bID := me(t, a), me(t, b)
	add(t, b, invite(t, a))
	path := func(want client.PathKind) {
		t.Helper()
		eventually(t, "path "+want.String(), func() (bool, string) {
			pa, err1 := a.Path(ctx, bID)
			pb, err2 := b.Path(ctx, aID)
			return err1 == nil && err2 == nil && pa.Kind == want && pb.Kind == want, fmt.Sprint(pa, pb, err1, err2)
		})
	}
	path(client.PathDirect)
	yes, no := true, false
	if c, err := a.SetContact(ctx, bID, client.ContactSettings{RelayOnly: &yes}); err != nil || !c.RelayOnly {
		t.Fatalf("SetContact = %+v, %v", c, err)
	}
	path(client.PathRelay)
	send(t, a, bID, "hidden")
	waitTexts(t, b, aID, "<hidden")
	path(client.PathRelay)
	if _, err := a.SetContact(ctx, bID, client.ContactSettings{RelayOnly: &no}); err != nil {
		t.Fatal(err)
	}
	path(client.PathDirect)
}

// Keys that are a month old are replaced when the profile is opened: the contact
// sees that they changed, what it verified stays so, and the chat goes on.
func TestKeysRotate(t *testing.T) {
	a, dir := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	ctx := t.Context()
	aID, bID := me(t, a), me(t, b)
	add(t, b, invite(t, a))
	send(t, b, aID, "hello")
	waitTexts(t, b, aID, ">delivered hello")
	v, err := b.Verification(ctx, aID)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(ctx, aID, v.Code); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a, err = openWith(t, dir, func(c *client.Config) {
		c.Passphrase = []byte("pw")
		c.Now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, a, bID, "a month later")
	waitTexts(t, b, aID, ">delivered hello", "<a month later")
	eventually(t, "the new record", func() (bool, string) {
		cs, err := b.Contacts(ctx)
		return err == nil && !cs[0].KeysChanged.IsZero() && !cs[0].Verified.IsZero(), fmt.Sprint(cs, err)
	})
	send(t, b, aID, "well")
	eventually(t, "the answer", func() (bool, string) {
		got := texts(t, a, bID)
		return got[len(got)-1] == "<well", fmt.Sprint(got)
	})
}
