package main

import (
	"context"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// chatAPI is what the screen uses of a client.
type chatAPI struct {
	client.API
	contacts []client.Contact
	history  map[identity.PeerID][]client.Message
	sent     []string
}

func (f *chatAPI) Contacts(context.Context) ([]client.Contact, error) { return f.contacts, nil }

func (f *chatAPI) History(_ context.Context, with identity.PeerID, _ client.HistoryQuery) ([]client.Message, error) {
	return f.history[with], nil
}

func (f *chatAPI) Send(_ context.Context, to identity.PeerID, text string) (client.Message, error) {
	f.sent = append(f.sent, to.Short()+": "+text)
	return client.Message{}, nil
}

// feed gives the model messages and runs the commands that it answers with.
func feed(m tea.Model, messages ...tea.Msg) tea.Model {
	for len(messages) > 0 {
		var cmd tea.Cmd
		m, cmd = m.Update(messages[0])
		messages = messages[1:]
		if cmd != nil {
			if msg := cmd(); msg != nil {
				messages = append([]tea.Msg{msg}, messages...)
			}
		}
	}
	return m
}

func typed(s string) (out []tea.Msg) {
	for _, r := range s {
		out = append(out, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	return append(out, tea.KeyMsg{Type: tea.KeyEnter})
}

func TestChatScreen(t *testing.T) {
	ann, bob, eve := testPeer(t, 1), testPeer(t, 2), testPeer(t, 3)
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	old := client.Message{ID: client.MessageID{1}, Contact: bob, From: bob, Text: "an old one", SentAt: at, Seq: 1}
	api := &chatAPI{
		contacts: []client.Contact{{ID: bob, Name: "Bob"}, {ID: eve, Name: "Eve"}},
		history:  map[identity.PeerID][]client.Message{bob: {old}},
	}
	var m tea.Model = newChatModel(t.Context(), api, bob)
	start := m.(chatModel)
	m = feed(m, tea.WindowSizeMsg{Width: 70, Height: 12}, start.loadContacts(), start.loadHistory(bob)())
	sees := func(want string, yes bool) {
		t.Helper()
		if got := m.View(); strings.Contains(got, want) != yes {
			t.Errorf("screen contains %q: %t, want %t\n%s", want, !yes, yes, got)
		}
	}
	sees("an old one", true)

	m = feed(m, typed("hello ✓")...)
	if got, want := strings.Join(api.sent, "|"), bob.Short()+": hello ✓"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	mine := client.Message{ID: client.MessageID{2}, Contact: bob, From: ann, Mine: true, Text: "hello ✓", SentAt: at, Seq: 2}
	m = feed(m,
		eventMsg{client.MessageEvent{Message: mine}},
		eventMsg{client.MessageEvent{Message: mine}}, // history and events overlap
		eventMsg{client.DeliveryEvent{ID: mine.ID, Contact: bob, State: client.Delivered}},
		eventMsg{client.DeliveryEvent{ID: mine.ID, Contact: bob, State: client.Held}}, // ticks never go back
		eventMsg{client.PathEvent{Path: client.Path{Contact: bob, Kind: client.PathDirect, Remote: "11.0.2.2:5", RTT: time.Millisecond}}},
		eventMsg{client.MessageEvent{Message: client.Message{ID: client.MessageID{3}, Contact: eve, From: eve, Text: "psst", Seq: 1}}},
	)
	sees("hello ✓ delivered", true)
	sees("direct 11.0.2.2:5, 1 ms", true)
	sees("Eve 1 new", true)
	sees("psst", false)
	if got := strings.Count(m.View(), "hello"); got != 1 {
		t.Errorf("the message is shown %d times, want once", got)
	}

	m = feed(m, failedMsg{client.ErrDiskFull})
	sees("the disk is full", true)

	api.history[eve] = []client.Message{{ID: client.MessageID{3}, Contact: eve, From: eve, Text: "psst", Seq: 1}}
	m = feed(m, tea.KeyMsg{Type: tea.KeyTab})
	sees("psst", true)
	sees("an old one", false)
}

func TestLineInput(t *testing.T) {
	var l lineInput
	key := func(k tea.KeyType) { l.key(tea.KeyMsg{Type: k}) }
	l.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("two wordz\n")})
	key(tea.KeyBackspace)
	key(tea.KeyBackspace)
	l.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("s")})
	key(tea.KeyHome)
	key(tea.KeyDelete)
	l.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("T")})
	key(tea.KeyEnd)
	key(tea.KeyLeft)
	if got := l.view(8); !strings.Contains(got, "d") || strings.Contains(got, "Two") {
		t.Errorf("a narrow view shows %q, want the end of the line", got)
	}
	key(tea.KeyRight)
	key(tea.KeyCtrlW)
	l.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("\x1blines")})
	if got, want := l.take(), "Two lines"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := l.take(); got != "" {
		t.Errorf("got %q, want an empty line after it was taken", got)
	}
}
