package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// chatScreen is the chat on a whole terminal.
func (a *app) chatScreen(ctx context.Context, s *session, with client.Contact) error {
	listening, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.Subscribe(listening)
	if err != nil {
		return err
	}
	p := tea.NewProgram(newChatModel(ctx, s, with.ID), tea.WithContext(ctx), tea.WithoutSignalHandler(),
		tea.WithInput(a.stdin), tea.WithOutput(a.stdout), tea.WithAltScreen(), tea.WithMouseCellMotion())
	go func() { // ends with the subscription; Send does nothing once the program has ended
		for e := range events {
			p.Send(eventMsg{e})
		}
		if listening.Err() == nil {
			p.Send(failedMsg{errLostClient})
			p.Quit()
		}
	}()
	last, err := p.Run()
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	m := last.(chatModel)
	if keep := m.keepDraft(); keep != nil {
		keep()
	}
	if errors.Is(m.problem, errLostClient) {
		return m.problem
	}
	return a.leave(ctx, s)
}

// Messages of the chat's loop.
type (
	eventMsg    struct{ event client.Event }
	contactsMsg []client.Contact
	historyMsg  struct {
		with     identity.PeerID
		messages []client.Message
		older    bool // it continues what is shown, at its beginning
		gap      bool // newer ones were left out
	}
	foundMsg struct {
		text     string
		messages []client.Message
	}
	failedMsg struct{ err error }
)

// A chatMode is what the keys do.
type chatMode uint8

const (
	modeWrite  chatMode = iota
	modeSearch          // typing what to search for
	modeFound           // choosing among what was found
	modeList            // the list of contacts, where it has no room beside the chat
)

// typingLasts is how long a notice that somebody writes holds (spec §8.10).
const typingLasts = 6 * time.Second

// chatModel is the state of the screen. Only bubbletea's loop touches it; calls
// to the client run as its commands.
type chatModel struct {
	ctx context.Context
	api client.API

	contacts []client.Contact // in the order of the list
	with     identity.PeerID
	messages []client.Message // with that contact, oldest first
	all      bool             // no older ones are left
	gap      bool             // newer ones than these are not loaded
	loading  bool             // older ones are on their way
	problem  error            // of the last call that failed
	typing   map[identity.PeerID]time.Time

	mode   chatMode
	query  lineInput
	found  []client.Message
	chosen int // of found

	width, height int
	lines         []string         // the messages, laid out
	from          int              // first line that is shown; -1: the end
	focus         client.MessageID // to be shown in the middle once its surroundings are here
	focusLine     int              // where it is in lines
	input         lineInput
}

func newChatModel(ctx context.Context, api client.API, with identity.PeerID) chatModel {
	return chatModel{
		ctx: ctx, api: api, with: with, width: 80, height: 24, from: -1, typing: map[identity.PeerID]time.Time{},
	}
}

// Init implements [tea.Model].
func (m chatModel) Init() tea.Cmd { return tea.Batch(m.loadContacts, m.loadHistory(m.with, 0)) }

func (m chatModel) loadContacts() tea.Msg {
	contacts, err := m.api.Contacts(m.ctx)
	if err != nil {
		return failedMsg{err}
	}
	return contactsMsg(contacts)
}

// loadHistory loads the newest messages, or those before a position.
func (m chatModel) loadHistory(with identity.PeerID, before int64) tea.Cmd {
	return func() tea.Msg {
		messages, err := m.api.History(m.ctx, with, client.HistoryQuery{Limit: chatHistory, Before: before})
		if err != nil {
			return failedMsg{err}
		}
		return historyMsg{with: with, messages: messages, older: before > 0}
	}
}

// loadAround loads the messages from a little before a position on.
func (m chatModel) loadAround(with identity.PeerID, seq int64) tea.Cmd {
	return func() tea.Msg {
		messages, err := m.api.History(m.ctx, with, client.HistoryQuery{
			Forward: true, After: max(0, seq-chatHistory/2), Limit: 10 * chatHistory,
		})
		if err != nil {
			return failedMsg{err}
		}
		return historyMsg{with: with, messages: messages, gap: len(messages) == 10*chatHistory}
	}
}

func (m chatModel) send(text string) tea.Cmd {
	to := client.Contact{ID: m.with}
	return func() tea.Msg {
		if err := sendLine(m.ctx, m.api, to, text); err != nil {
			return failedMsg{err}
		}
		return nil // the message comes back as an event
	}
}

func (m chatModel) search(text string) tea.Cmd {
	return func() tea.Msg {
		found, err := m.api.Search(m.ctx, client.SearchQuery{Text: text})
		if err != nil {
			return failedMsg{err}
		}
		return foundMsg{text, found}
	}
}

// read tells the client that what is on the screen was read.
func (m chatModel) read() tea.Cmd {
	with := m.with
	return func() tea.Msg {
		if err := m.api.MarkRead(m.ctx, with, false); err != nil {
			return failedMsg{err}
		}
		return nil
	}
}

// keepDraft leaves what was typed with the contact; nil if that is there already.
func (m chatModel) keepDraft() tea.Cmd {
	text, with := string(m.input.text), m.with
	if c := m.contact(with); c == nil || c.Draft == text {
		return nil
	}
	return func() tea.Msg {
		if _, err := m.api.SetContact(m.ctx, with, client.ContactSettings{Draft: &text}); err != nil {
			return failedMsg{err}
		}
		return nil
	}
}

// Update implements [tea.Model].
func (m chatModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		// A serial line or a pipe's pseudo-terminal does not know its size.
		if msg.Width > 0 && msg.Height > 0 {
			m.width, m.height = msg.Width, msg.Height
		}
	case tea.KeyMsg:
		return m.key(msg)
	case tea.MouseMsg:
		return m.mouse(msg)
	case contactsMsg:
		m.contacts = msg
		m.sort()
		if c := m.contact(m.with); c != nil && len(m.input.text) == 0 {
			m.input.set(c.Draft)
		}
	case historyMsg:
		m.history(msg)
	case foundMsg:
		m.found, m.chosen, m.mode = msg.messages, 0, modeFound
	case failedMsg:
		m.problem, m.loading = msg.err, false
	case eventMsg:
		cmd = m.event(msg.event)
	}
	m.layOut()
	return m, cmd
}

// history takes a page. An older one leaves what is shown where it is.
func (m *chatModel) history(h historyMsg) {
	m.loading = false
	if h.with != m.with {
		return
	}
	if !h.older {
		m.gap = h.gap
		for _, x := range h.messages {
			m.put(x)
		}
		if m.focus != (client.MessageID{}) {
			m.layOut()
			m.from, m.focus = max(0, m.focusLine-m.room()/2), client.MessageID{}
		}
		return
	}
	m.all = len(h.messages) < chatHistory
	before := len(m.lines)
	m.messages = append(h.messages, m.messages...)
	m.layOut()
	if m.from >= 0 {
		m.from += len(m.lines) - before
	}
}

// open changes to another conversation.
func (m *chatModel) open(with identity.PeerID) tea.Cmd {
	if with == m.with {
		return nil
	}
	return tea.Batch(m.turn(with), m.loadHistory(with, 0))
}

// turn makes another conversation the one that is shown, with nothing of it yet.
func (m *chatModel) turn(with identity.PeerID) tea.Cmd {
	draft := m.keepDraft()
	if c := m.contact(m.with); c != nil {
		c.Draft = string(m.input.text)
	}
	m.with, m.messages, m.all, m.gap, m.from, m.problem = with, nil, false, false, -1, nil
	m.input = lineInput{}
	if c := m.contact(with); c != nil {
		m.input.set(c.Draft)
		c.Unread, c.Mentions = 0, 0
	}
	return draft
}

// step opens the contact n places further in the list.
func (m *chatModel) step(n int) tea.Cmd {
	for i, c := range m.contacts {
		if c.ID == m.with {
			k := len(m.contacts)
			return m.open(m.contacts[((i+n)%k+k)%k].ID)
		}
	}
	if len(m.contacts) > 0 {
		return m.open(m.contacts[0].ID)
	}
	return nil
}

// scroll moves what is shown by some lines, and loads more at its beginning.
func (m *chatModel) scroll(n int) tea.Cmd {
	room := m.room()
	end := max(0, len(m.lines)-room)
	from := m.from
	if from < 0 {
		from = end
	}
	from += n
	if from <= 0 && n < 0 && !m.all && !m.loading && len(m.messages) > 0 {
		m.loading, m.from = true, 0
		return m.loadHistory(m.with, m.messages[0].Seq)
	}
	if m.from = max(0, from); m.from >= end {
		if m.from = -1; m.gap {
			m.messages, m.all, m.gap = nil, false, false
			return m.loadHistory(m.with, 0)
		}
	}
	return nil
}

func (m *chatModel) event(e client.Event) tea.Cmd {
	switch e := e.(type) {
	case client.MessageEvent:
		if e.Message.Contact == m.with {
			m.put(e.Message)
			delete(m.typing, m.with)
			if !e.Message.Mine && m.from < 0 {
				return m.read()
			}
		} else if c := m.contact(e.Message.Contact); c != nil && !e.Message.Mine {
			if c.Unread++; e.Message.Mention {
				c.Mentions++
			}
		}
		if c := m.contact(e.Message.Contact); c != nil {
			c.LastAt = e.Message.SentAt
			m.sort()
		}
	case client.ChangeEvent:
		for i := range m.messages {
			if m.messages[i].ID == e.Message.ID {
				m.messages[i] = e.Message
			}
		}
	case client.RemovalEvent:
		if e.Contact == m.with {
			m.messages = slices.DeleteFunc(m.messages, func(x client.Message) bool { return e.IDs == nil || slices.Contains(e.IDs, x.ID) })
		}
		m.found = slices.DeleteFunc(m.found, func(x client.Message) bool {
			return x.Contact == e.Contact && (e.IDs == nil || slices.Contains(e.IDs, x.ID))
		})
		m.chosen = max(0, min(m.chosen, len(m.found)-1))
	case client.DeliveryEvent:
		for i := range m.messages {
			if m.messages[i].ID == e.ID {
				m.messages[i].State = max(m.messages[i].State, e.State)
			}
		}
	case client.FileEvent:
		for i := range m.messages {
			if m.messages[i].ID == e.File.ID {
				m.messages[i].File = &e.File
			}
		}
	case client.PathEvent:
		if c := m.contact(e.Path.Contact); c != nil {
			c.Path = e.Path
		}
	case client.TypingEvent:
		if delete(m.typing, e.Contact); e.On {
			m.typing[e.Contact] = time.Now().Add(typingLasts)
		}
	case client.ContactGoneEvent:
		m.contacts = slices.DeleteFunc(m.contacts, func(c client.Contact) bool { return c.ID == e.Contact })
		if e.Contact == m.with {
			return m.step(1)
		}
	case client.ContactEvent:
		if c := m.contact(e.Contact.ID); c != nil {
			*c = e.Contact
		} else {
			m.contacts = append(m.contacts, e.Contact)
		}
		m.sort()
	case client.LockEvent:
		if e.Locked {
			m.messages, m.found, m.problem = nil, nil, client.ErrLocked
			return nil
		}
		m.problem = nil
		return tea.Batch(m.loadContacts, m.loadHistory(m.with, 0))
	}
	return nil
}

// put adds a message once, in its place: history and events overlap.
func (m *chatModel) put(x client.Message) {
	at := len(m.messages)
	for i := len(m.messages) - 1; i >= 0; i-- {
		if m.messages[i].ID == x.ID {
			m.messages[i].State = max(m.messages[i].State, x.State)
			return
		}
		if m.messages[i].Seq > x.Seq {
			at = i
		}
	}
	m.messages = slices.Insert(m.messages, at, x)
}

func (m *chatModel) contact(id identity.PeerID) *client.Contact {
	for i := range m.contacts {
		if m.contacts[i].ID == id {
			return &m.contacts[i]
		}
	}
	return nil
}

// sort orders the list: pinned first, then who wrote last; archived ones only
// while they have something unread.
func (m *chatModel) sort() {
	m.contacts = slices.DeleteFunc(m.contacts, func(c client.Contact) bool {
		return c.ID != m.with && (c.Archived && c.Unread == 0 || c.Trust == client.Rejected)
	})
	slices.SortStableFunc(m.contacts, func(a, b client.Contact) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.LastAt.Compare(a.LastAt),
			cmp.Compare(strings.ToLower(a.Label()), strings.ToLower(b.Label())))
	})
}
