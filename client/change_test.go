package client_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// pair returns two contacts who have exchanged a message each way.
func pair(t *testing.T) (a, b *client.Client, aID, bID identity.PeerID) {
	t.Helper()
	a, _ = newClient(t, "Alice")
	b, _ = newClient(t, "Bob")
	aID, bID = me(t, a), me(t, b)
	add(t, b, invite(t, a))
	send(t, b, aID, "hello")
	waitTexts(t, a, bID, "<hello")
	send(t, a, bID, "welcome")
	waitTexts(t, b, aID, ">delivered hello", "<welcome")
	waitTexts(t, a, bID, "<hello", ">delivered welcome")
	return a, b, aID, bID
}

func history(t *testing.T, c *client.Client, with identity.PeerID) []client.Message {
	t.Helper()
	h, err := c.History(t.Context(), with, client.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// waitMessage waits until the newest message is as ok wants it.
func waitMessage(t *testing.T, c *client.Client, with identity.PeerID, what string, ok func(client.Message) bool) {
	t.Helper()
	eventually(t, what, func() (bool, string) {
		h := history(t, c, with)
		if len(h) == 0 {
			return false, "empty"
		}
		return ok(h[len(h)-1]), fmt.Sprintf("%+v", h[len(h)-1])
	})
}

func TestRepliesEditsReactions(t *testing.T) {
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	hello := history(t, a, bID)[0]
	m, err := a.SendDraft(ctx, bID, client.Draft{Text: "a reply, @bob", ReplyTo: hello.ID})
	if err != nil || m.Quote != "hello" {
		t.Fatalf("SendDraft = %+v, %v; want the quote", m, err)
	}
	waitMessage(t, b, aID, "reply", func(m client.Message) bool {
		return m.ReplyTo == hello.ID && m.Quote == "hello" && m.Mention
	})
	if _, err := a.Edit(ctx, bID, m.ID, "a better reply"); err != nil {
		t.Fatal(err)
	}
	waitMessage(t, b, aID, "edit", func(m client.Message) bool {
		return m.Text == "a better reply" && !m.EditedAt.IsZero() && m.ReplyTo == hello.ID
	})
	if _, err := b.React(ctx, aID, m.ID, "👍"); err != nil {
		t.Fatal(err)
	}
	waitMessage(t, a, bID, "reaction", func(m client.Message) bool { return m.Reaction == "👍" && m.MyReaction == "" })
	if _, err := b.React(ctx, aID, m.ID, ""); err != nil {
		t.Fatal(err)
	}
	waitMessage(t, a, bID, "reaction taken back", func(m client.Message) bool { return m.Reaction == "" })

	for what, got := range map[string]error{
		"edit of the other's":            second(b.Edit(ctx, aID, m.ID, "forged")),
		"delete of the other's for both": b.Delete(ctx, aID, []client.MessageID{m.ID}, true),
	} {
		if !errors.Is(got, client.ErrNotMine) {
			t.Errorf("%s: got %v, want ErrNotMine", what, got)
		}
	}
	for what, got := range map[string]error{
		"edit":   second(a.Edit(ctx, bID, client.MessageID{9}, "x")),
		"react":  second(a.React(ctx, bID, client.MessageID{9}, "x")),
		"reply":  second(a.SendDraft(ctx, bID, client.Draft{Text: "x", ReplyTo: client.MessageID{9}})),
		"delete": a.Delete(ctx, bID, []client.MessageID{{9}}, false),
	} {
		if !errors.Is(got, client.ErrNoMessage) {
			t.Errorf("%s of no message: got %v, want ErrNoMessage", what, got)
		}
	}
	if _, err := b.React(ctx, aID, m.ID, "a\u202eb"); !errors.Is(err, client.ErrBadText) {
		t.Errorf("reaction that turns text around: %v, want ErrBadText", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A deleted message is gone on both sides: from lists, quotes, search and disk.
func TestDelete(t *testing.T) {
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	const word = "unforgettable"
	m, err := a.Send(ctx, bID, word)
	if err != nil {
		t.Fatal(err)
	}
	waitMessage(t, b, aID, "text", func(m client.Message) bool { return m.Text == word })
	if _, err := b.SendDraft(ctx, aID, client.Draft{Text: "what?", ReplyTo: m.ID}); err != nil {
		t.Fatal(err)
	}
	waitMessage(t, a, bID, "reply", func(m client.Message) bool { return m.Quote == word })
	if err := a.Delete(ctx, bID, []client.MessageID{m.ID}, true); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		c    *client.Client
		with identity.PeerID
	}{{a, bID}, {b, aID}} {
		eventually(t, "deletion", func() (bool, string) {
			found, err := x.c.Search(ctx, client.SearchQuery{Text: word})
			if err != nil {
				return false, err.Error()
			}
			h := history(t, x.c, x.with)
			last := h[len(h)-1]
			return len(found) == 0 && last.Text == "what?" && last.Quote == "" && len(h) == 3, fmt.Sprint(found, h)
		})
		cs, err := x.c.Contacts(ctx)
		if err != nil || cs[0].LastText != "what?" {
			t.Errorf("last text = %q, %v; want the newest that is left", cs[0].LastText, err)
		}
	}
	if err := b.DeleteHistory(ctx, aID); err != nil {
		t.Fatal(err)
	}
	if h := history(t, b, aID); len(h) != 0 {
		t.Errorf("%d messages after the history was deleted, want none", len(h))
	}
	send(t, a, bID, "again")
	waitTexts(t, b, aID, "<again")
}

// Disappearing messages go on both sides, also while a client is closed.
func TestDisappearing(t *testing.T) {
	t.Parallel()
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	second := time.Second
	if _, err := a.SetContact(ctx, bID, client.ContactSettings{Timer: &second}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the timer at the other side", func() (bool, string) {
		cs, err := b.Contacts(ctx)
		return err == nil && cs[0].Timer == second, fmt.Sprint(cs)
	})
	if _, err := a.SendDraft(ctx, bID, client.Draft{Text: "stays", Timer: -1}); err != nil {
		t.Fatal(err)
	}
	m, err := b.Send(ctx, aID, "goes")
	if err != nil || m.ExpiresAt.Sub(m.SentAt) != second {
		t.Fatalf("Send = %+v, %v; want it to disappear after a second", m, err)
	}
	for _, x := range []struct {
		c    *client.Client
		with identity.PeerID
		want string
	}{{a, bID, "<hello >delivered welcome >delivered stays"}, {b, aID, ">delivered hello <welcome <stays"}} {
		eventually(t, "disappearance", func() (bool, string) {
			got := strings.Join(texts(t, x.c, x.with), " ")
			return got == x.want, got
		})
	}
	for _, d := range []time.Duration{-1, time.Millisecond, 400 * 24 * time.Hour} {
		if _, err := a.SetContact(ctx, bID, client.ContactSettings{Timer: &d}); !errors.Is(err, client.ErrBadTimer) {
			t.Errorf("timer of %v: %v, want ErrBadTimer", d, err)
		}
	}
}

// What was read is told only by who shares it, and so is typing.
func TestReceiptsAreOptIn(t *testing.T) {
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	events, err := b.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetTyping(ctx, bID, true); err != nil {
		t.Fatal(err)
	}
	history(t, a, bID) // read, and not told
	send(t, a, bID, "marker")
	waitMessage(t, b, aID, "marker", func(m client.Message) bool { return m.Text == "marker" })
	yes := true
	if _, err := a.SetContact(ctx, bID, client.ContactSettings{ShareRead: &yes, ShareTyping: &yes}); err != nil {
		t.Fatal(err)
	}
	if got := history(t, b, aID)[0]; got.State != client.Delivered {
		t.Errorf("state = %v before anything is shared, want delivered", got.State)
	}
	history(t, a, bID)
	if err := a.SetTyping(ctx, bID, true); err != nil {
		t.Fatal(err)
	}
	var typing, read, early bool
	for e := range events {
		switch e := e.(type) {
		case client.TypingEvent:
			typing = e.On && e.Contact == aID
		case client.DeliveryEvent:
			read = read || e.State == client.Read
		case client.MessageEvent:
			early = early || typing || read
		}
		if typing && read {
			break
		}
	}
	if early {
		t.Error("typing or reading was told before it was shared")
	}
	if got := history(t, b, aID)[0]; got.State != client.Read {
		t.Errorf("state = %v, want read", got.State)
	}
}

func TestNoteToSelf(t *testing.T) {
	a, dir := newClient(t, "Alice")
	id := me(t, a)
	m, err := a.Send(t.Context(), id, "buy milk")
	if err != nil || m.State != client.Delivered {
		t.Fatalf("Send = %+v, %v; want it delivered", m, err)
	}
	if _, err := a.Edit(t.Context(), id, m.ID, "buy oat milk"); err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Errorf("Flush = %v: a note waits for nobody", err)
	}
	a.Close()
	a = open(t, dir)
	if got := texts(t, a, id); !slices.Equal(got, []string{">delivered buy oat milk"}) {
		t.Errorf("notes = %q", got)
	}
	cs, err := a.Contacts(t.Context())
	if err != nil || len(cs) != 1 || !cs[0].Self {
		t.Errorf("contacts = %+v, %v; want ourselves", cs, err)
	}
	if err := a.SetTrust(t.Context(), id, client.Rejected); err == nil {
		t.Error("one can block oneself")
	}
}

// Search finds parts of words in any case, in all conversations or one.
func TestSearch(t *testing.T) {
	a, _, _, bID := pair(t)
	ctx := t.Context()
	for _, text := range []string{"The Quick Brown Fox", "übermäßig", "last"} {
		send(t, a, bID, text)
	}
	if _, err := a.Send(ctx, me(t, a), "quicksilver"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		q    client.SearchQuery
		want int
	}{
		{client.SearchQuery{Text: "qUICK"}, 2}, {client.SearchQuery{Text: "quick", With: bID}, 1},
		{client.SearchQuery{Text: "ck br"}, 1}, {client.SearchQuery{Text: "ÜBERMÄ"}, 1},
		{client.SearchQuery{Text: "nowhere"}, 0}, {client.SearchQuery{Text: "quick", Limit: 1}, 1},
	} {
		got, err := a.Search(ctx, tt.q)
		if err != nil || len(got) != tt.want {
			t.Errorf("Search(%+v) = %d messages, %v; want %d", tt.q, len(got), err, tt.want)
		}
	}
	if _, err := a.Search(ctx, client.SearchQuery{}); !errors.Is(err, client.ErrBadText) {
		t.Errorf("empty search: %v, want ErrBadText", err)
	}
}

// Profiles of every released format open with all they have, and their messages
// can be found by their ids and by their texts.
func TestOldFormats(t *testing.T) {
	for fixture, want := range map[string][]string{
		"schema1": {"<hello", ">delivered welcome", ">queued waits"},
		"schema2": {">delivered hello", "<welcome", ">held kept for you"},
	} {
		t.Run(fixture, func(t *testing.T) { oldFormat(t, fixture, want) })
	}
}

func oldFormat(t *testing.T, fixture string, want []string) {
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join("testdata", fixture, "client.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "client.db"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time after it was brought up to date
		s, err := sqlite.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Open(t.Context(), client.Config{Store: s, Passphrase: []byte("pw"), Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		cs, err := c.Contacts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		friend := cs[slices.IndexFunc(cs, func(c client.Contact) bool { return !c.Self })]
		h := history(t, c, friend.ID)
		if got := lines(h); !slices.Equal(got, want) {
			t.Errorf("history = %q, want %q", got, want)
		}
		if _, err := c.React(t.Context(), friend.ID, h[0].ID, "+1"); err != nil {
			t.Errorf("React to an old message = %v", err)
		}
		if got, err := c.Search(t.Context(), client.SearchQuery{Text: "WELC"}); err != nil || len(got) != 1 {
			t.Errorf("Search = %v, %v, want one", got, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Exports hold every message, in order, and nothing that a browser would run.
func TestExport(t *testing.T) {
	a, _ := newClient(t, "Alice")
	ctx := t.Context()
	for _, text := range []string{"one", "<script>alert(1)</script>", "three"} {
		if _, err := a.Send(ctx, me(t, a), text); err != nil {
			t.Fatal(err)
		}
	}
	cs, err := a.Contacts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var lines, page strings.Builder
	if err := errors.Join(client.ExportJSON(ctx, a, &lines, cs), client.ExportHTML(ctx, a, &page, cs)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(lines.String(), "\n"); got != 3 || !strings.Contains(lines.String(), `"text":"three"`) {
		t.Errorf("%d lines of JSON, want 3: %s", got, lines.String())
	}
	if s := page.String(); strings.Contains(s, "<script") || !strings.Contains(s, "&lt;script&gt;") ||
		strings.Index(s, "one") > strings.Index(s, "three") {
		t.Errorf("the page is %s", s)
	}
}
