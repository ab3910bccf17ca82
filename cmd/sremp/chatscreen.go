package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/charmbracelet/bubbles/viewport"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

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
	p := tea.NewProgram(newChatModel(ctx, s, with.ID), tea.WithContext(ctx),
		tea.WithInput(a.stdin), tea.WithOutput(a.stdout), tea.WithAltScreen())
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
	if m := last.(chatModel); errors.Is(m.problem, errLostClient) {
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
	}
	failedMsg struct{ err error }
)

// chatModel is the state of the screen. Only bubbletea's loop touches it; calls
// to the client run as its commands.
type chatModel struct {
	ctx context.Context
	api client.API

	contacts []client.Contact
	with     identity.PeerID
	messages []client.Message // with that contact, oldest first
	problem  error            // of the last call that failed

	width, height int
	view          viewport.Model
	input         lineInput
}

var (
	styleHeader = lipgloss.NewStyle().Bold(true).Reverse(true)
	styleMine   = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("6"))
	styleTheirs = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("5"))
	styleFaint  = lipgloss.NewStyle().Faint(true)
	styleError  = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
)

func newChatModel(ctx context.Context, api client.API, with identity.PeerID) chatModel {
	return chatModel{ctx: ctx, api: api, with: with, view: viewport.New(80, 20), width: 80, height: 23}
}

// Init implements [tea.Model].
func (m chatModel) Init() tea.Cmd {
	return tea.Batch(m.loadContacts, m.loadHistory(m.with))
}

func (m chatModel) loadContacts() tea.Msg {
	contacts, err := m.api.Contacts(m.ctx)
	if err != nil {
		return failedMsg{err}
	}
	return contactsMsg(contacts)
}

func (m chatModel) loadHistory(with identity.PeerID) tea.Cmd {
	return func() tea.Msg {
		messages, err := m.api.History(m.ctx, with, client.HistoryQuery{Limit: chatHistory})
		if err != nil {
			return failedMsg{err}
		}
		return historyMsg{with, messages}
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

// Update implements [tea.Model].
func (m chatModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		// A serial line or a pipe's pseudo-terminal does not know its size.
		if msg.Width > 0 && msg.Height > 0 {
			m.width, m.height = msg.Width, msg.Height
		}
		m.view.Width, m.view.Height = m.width, max(1, m.height-3)
	case tea.KeyMsg:
		return m.key(msg)
	case contactsMsg:
		m.contacts = msg
	case historyMsg:
		if msg.with == m.with {
			for _, x := range msg.messages {
				m.put(x)
			}
		}
	case failedMsg:
		m.problem = msg.err
	case eventMsg:
		m.event(msg.event)
	}
	m.draw()
	return m, nil
}

func (m chatModel) key(msg tea.KeyMsg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg.Type {
	case tea.KeyCtrlC, tea.KeyEsc:
		return m, tea.Quit
	case tea.KeyPgUp, tea.KeyPgDown:
		m.view, cmd = m.view.Update(msg)
		return m, cmd
	case tea.KeyTab:
		if next := m.next(); next != m.with {
			m.with, m.messages = next, nil
			cmd = m.loadHistory(next)
		}
	case tea.KeyEnter:
		text := strings.TrimSpace(m.input.take())
		if text == "" {
			return m, nil
		}
		m.problem = nil
		cmd = m.send(text)
	default:
		m.input.key(msg)
		return m, nil
	}
	m.draw()
	return m, cmd
}

// next is the contact after the present one.
func (m chatModel) next() identity.PeerID {
	for i, c := range m.contacts {
		if c.ID == m.with {
			return m.contacts[(i+1)%len(m.contacts)].ID
		}
	}
	return m.with
}

func (m *chatModel) event(e client.Event) {
	switch e := e.(type) {
	case client.MessageEvent:
		if e.Message.Contact == m.with {
			m.put(e.Message)
		} else if c := m.contact(e.Message.Contact); c != nil && !e.Message.Mine {
			c.Unread++
		}
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
	case client.ContactEvent:
		if c := m.contact(e.Contact.ID); c != nil {
			*c = e.Contact
		} else {
			m.contacts = append(m.contacts, e.Contact)
		}
	}
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
	m.messages = append(m.messages[:at], append([]client.Message{x}, m.messages[at:]...)...)
}

func (m *chatModel) contact(id identity.PeerID) *client.Contact {
	for i := range m.contacts {
		if m.contacts[i].ID == id {
			return &m.contacts[i]
		}
	}
	return nil
}

// draw lays the messages out; the view stays at the end if it was there.
func (m *chatModel) draw() {
	atBottom := m.view.AtBottom()
	name := "them"
	if c := m.contact(m.with); c != nil {
		name = printable(c.Label())
	}
	wrap := lipgloss.NewStyle().Width(max(1, m.width))
	var out []string
	for _, x := range m.messages {
		if x.File != nil {
			x.Text = describeFile(*x.File)
		}
		at := styleFaint.Render(x.SentAt.Local().Format("15:04"))
		line := fmt.Sprintf("%s %s: %s", at, styleTheirs.Render(name), indent(printable(x.Text)))
		if x.Mine {
			line = fmt.Sprintf("%s %s: %s %s", at, styleMine.Render("you"), indent(printable(x.Text)),
				styleFaint.Render(x.State.String()))
		}
		out = append(out, wrap.Render(line))
	}
	m.view.SetContent(strings.Join(out, "\n"))
	if atBottom {
		m.view.GotoBottom()
	}
}

// View implements [tea.Model].
func (m chatModel) View() string {
	title := "SREMP"
	if c := m.contact(m.with); c != nil {
		title = printable(c.Label()) + " · " + describePath(c.Path)
	}
	for _, c := range m.contacts {
		if c.Unread > 0 && c.ID != m.with {
			title += fmt.Sprintf(" · %s %d new (Tab)", printable(c.Label()), c.Unread)
		}
	}
	status := ""
	if m.problem != nil {
		status = styleError.Render(sentence(m.problem))
	}
	line := lipgloss.NewStyle().MaxWidth(m.width).MaxHeight(1)
	return styleHeader.Width(m.width).MaxHeight(1).Render(title) + "\n" + m.view.View() + "\n" +
		line.Render(status) + "\n" + m.input.view(m.width)
}
