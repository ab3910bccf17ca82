package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/sremp/sremp/client"
)

// Sizes of the screen, in cells.
const (
	wideEnough = 72 // the list of contacts has room beside the chat
	listCells  = 26
	progress   = 12 // of a file's bar
)

var (
	styleHeader = lipgloss.NewStyle().Bold(true).Reverse(true)
	styleMine   = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("6"))
	styleTheirs = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("5"))
	styleFaint  = lipgloss.NewStyle().Faint(true)
	styleError  = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	styleChosen = lipgloss.NewStyle().Reverse(true)
	styleUnread = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("3"))
)

// listWidth is the room of the list beside the chat, 0 if there is none.
func (m *chatModel) listWidth() int {
	if m.width < wideEnough {
		return 0
	}
	return listCells
}

// chatWidth is the room of the messages.
func (m *chatModel) chatWidth() int {
	if w := m.listWidth(); w > 0 {
		return m.width - w - 3 // and a line between
	}
	return m.width
}

// room is how many lines of messages are shown.
func (m *chatModel) room() int { return max(1, m.height-3) }

// layOut breaks the messages into lines of the chat's width.
func (m *chatModel) layOut() {
	name := "them"
	if c := m.contact(m.with); c != nil {
		name = printable(c.Label())
	}
	width := max(8, m.chatWidth())
	m.lines = m.lines[:0:0]
	day := ""
	for _, x := range m.messages {
		if x.ID == m.focus {
			m.focusLine = len(m.lines)
		}
		if d := x.SentAt.Local().Format("Monday, 2 January 2006"); d != day {
			day = d
			m.lines = append(m.lines, styleFaint.Render(ansi.Truncate("— "+d+" —", width, "…")))
		}
		if x.Missing > 0 {
			m.lines = append(m.lines, styleError.Render(ansi.Truncate(fmt.Sprintf("%d messages are missing here", x.Missing), width, "…")))
		}
		if x.Quote != "" {
			quote, _, _ := strings.Cut(x.Quote, "\n")
			m.lines = append(m.lines, styleFaint.Render(ansi.Truncate("  ┌ "+printable(quote), width, "…")))
		}
		m.lines = append(m.lines, strings.Split(ansi.Wrap(m.messageLine(x, name), width, " "), "\n")...)
	}
	if end := max(0, len(m.lines)-m.room()); m.from > end {
		m.from = -1
	}
}

// messageLine is a message before it is broken into lines.
func (m *chatModel) messageLine(x client.Message, name string) string {
	text := indent(printable(x.Text))
	if x.File != nil {
		text = bar(*x.File) + describeFile(*x.File)
	}
	who, marks := styleTheirs.Render(name), ""
	if x.Mine {
		who, marks = styleMine.Render("you"), " "+styleFaint.Render(x.State.String())
	}
	if !x.EditedAt.IsZero() {
		marks += styleFaint.Render(" edited")
	}
	if !x.ExpiresAt.IsZero() {
		marks += styleFaint.Render(" ⏱")
	}
	for _, r := range []string{x.MyReaction, x.Reaction} {
		if r != "" {
			marks += " " + printable(r)
		}
	}
	if x.Mention {
		text = styleUnread.Render("@") + " " + text
	}
	return fmt.Sprintf("%s %s: %s%s", styleFaint.Render(x.SentAt.Local().Format("15:04")), who, text, marks)
}

// bar shows how far a file is, while it is on its way.
func bar(f client.File) string {
	if f.Size == 0 || f.State == client.FileDone || f.State == client.FileDeclined || f.State == client.FileWithdrawn {
		return ""
	}
	full := int(progress * float64(f.Done) / float64(f.Size))
	return "[" + strings.Repeat("█", full) + strings.Repeat("░", progress-full) + "] "
}

// badge is the path to a contact in one cell.
func badge(c client.Contact) string {
	if c.Self {
		return "✎"
	}
	return map[client.PathKind]string{
		client.PathDirect: "●", client.PathRelay: "◐", client.PathMailbox: "✉", client.PathNone: "○",
	}[c.Path.Kind]
}

// fit cuts or fills s to a number of cells.
func fit(s string, cells int) string {
	s = ansi.Truncate(s, cells, "…")
	return s + strings.Repeat(" ", max(0, cells-lipgloss.Width(s)))
}

// firstContact is the first one of the list that is shown.
func (m *chatModel) firstContact() int {
	for i, c := range m.contacts {
		if c.ID == m.with {
			return max(0, i-m.room()+1)
		}
	}
	return 0
}

// listLine is one contact in the list.
func (m *chatModel) listLine(c client.Contact, width int) string {
	mark := " "
	switch {
	case c.Trust == client.TrustUnknown:
		mark = "?"
	case c.Pinned:
		mark = "*"
	}
	count := ""
	if c.Unread > 0 {
		count = fmt.Sprintf(" %d", c.Unread)
		if c.Mentions > 0 {
			count = " @" + count[1:]
		}
	}
	if c.Muted {
		count += " ∅"
	}
	line := fit(badge(c)+mark+printable(c.Label()), max(1, width-lipgloss.Width(count))) + count
	switch {
	case c.ID == m.with:
		return styleChosen.Render(line)
	case c.Unread > 0 && !c.Muted:
		return styleUnread.Render(line)
	}
	return line
}

// list is the list of contacts, as many lines as there is room.
func (m *chatModel) list(width int) []string {
	out := make([]string, m.room())
	first := m.firstContact()
	for i := range out {
		if first+i < len(m.contacts) {
			out[i] = m.listLine(m.contacts[first+i], width)
		} else {
			out[i] = strings.Repeat(" ", width)
		}
	}
	return out
}

// firstFound is the first hit of a search that is shown.
func (m *chatModel) firstFound() int { return max(0, m.chosen-m.room()+1) }

// hits are what a search found.
func (m *chatModel) hits(width int) []string {
	out := make([]string, m.room())
	if len(m.found) == 0 {
		out[0] = "Nothing was found."
	}
	first := m.firstFound()
	for i := range out {
		if first+i >= len(m.found) {
			break
		}
		x := m.found[first+i]
		name := x.Contact.Short()
		if c := m.contact(x.Contact); c != nil {
			name = c.Label()
		}
		if x.Mine {
			name = "you to " + name
		}
		text := strings.Join(strings.Fields(printable(x.Text)), " ")
		line := fit(x.SentAt.Local().Format("2006-01-02 15:04 ")+printable(name)+": "+text, width)
		if first+i == m.chosen {
			line = styleChosen.Render(line)
		}
		out[i] = line
	}
	return out
}

// body is what stands between the title and the line to write in.
func (m *chatModel) body() []string {
	width, room := m.chatWidth(), m.room()
	if m.mode == modeFound {
		return m.hits(m.width)
	}
	if m.mode == modeList && m.listWidth() == 0 {
		return m.list(m.width)
	}
	from := m.from
	if from < 0 {
		from = max(0, len(m.lines)-room)
	}
	shown := m.lines[min(from, len(m.lines)):min(from+room, len(m.lines))]
	out := make([]string, room)
	var list []string
	if m.listWidth() > 0 {
		list = m.list(m.listWidth())
	}
	for i := range out {
		line := ""
		if i < len(shown) {
			line = shown[i]
		}
		if out[i] = ansi.Truncate(line, width, "…"); list != nil {
			out[i] = list[i] + styleFaint.Render(" │ ") + out[i]
		}
	}
	return out
}

// View implements [tea.Model].
func (m chatModel) View() string {
	title, unread := "SREMP", 0
	if c := m.contact(m.with); c != nil {
		title = badge(*c) + " " + printable(c.Label())
		if !c.Verified.IsZero() {
			title += " ✓"
		}
		if !c.Self {
			title += " · " + describePath(c.Path)
		}
		if c.Trust == client.TrustUnknown {
			title += " · a request: sremp trust"
		}
	}
	for _, c := range m.contacts {
		if c.ID != m.with {
			unread += c.Unread
		}
	}
	if unread > 0 {
		title = fmt.Sprintf("(%d) %s", unread, title)
	}
	line := lipgloss.NewStyle().MaxWidth(m.width).MaxHeight(1)
	out := append([]string{styleHeader.Render(fit(title, m.width))}, m.body()...)
	out = append(out, line.Render(m.status()))
	if m.mode == modeSearch {
		out = append(out, line.Render("/"+m.query.view(m.width-1)))
	} else {
		out = append(out, line.Render(m.input.view(m.width)))
	}
	return strings.Join(out, "\n")
}

// status is the line above the one to write in.
func (m *chatModel) status() string {
	switch {
	case m.problem != nil:
		return styleError.Render(sentence(m.problem))
	case m.mode == modeSearch:
		return styleFaint.Render("search all conversations: Enter; Esc leaves")
	case m.mode == modeFound:
		return styleFaint.Render(fmt.Sprintf("%d found; ↑ ↓ Enter shows one, Esc leaves", len(m.found)))
	case m.loading:
		return styleFaint.Render("loading…")
	case m.from >= 0:
		return styleFaint.Render("older messages; Page Down goes to the end")
	case time.Now().Before(m.typing[m.with]):
		return styleFaint.Render("writes…")
	}
	return styleFaint.Render("Tab next · Ctrl-F search · Ctrl-L contacts · PgUp older · Ctrl-C ends")
}
