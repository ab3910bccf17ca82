package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A printer writes events as lines, for people or for programs. It knows the
// contacts' names.
type printer struct {
	w     io.Writer
	json  bool
	who   string // whose events these are, where there are several
	names map[identity.PeerID]string
	files map[client.MessageID]printedFile
}

// newPrinter learns the names from api.
func newPrinter(ctx context.Context, api client.API, w io.Writer, asJSON bool) (*printer, error) {
	p := &printer{w: w, json: asJSON, names: map[identity.PeerID]string{}, files: map[client.MessageID]printedFile{}}
	contacts, err := api.Contacts(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range contacts {
		p.names[c.ID] = c.Label()
	}
	return p, nil
}

func (p *printer) name(id identity.PeerID) string {
	if n, ok := p.names[id]; ok {
		return n
	}
	return id.Short()
}

func (p *printer) object(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if p.who != "" {
		who, err := json.Marshal(p.who)
		if err != nil {
			return err
		}
		b = slices.Concat([]byte(`{"who":`), who, []byte(","), b[1:])
	}
	_, err = p.w.Write(append(b, '\n'))
	return err
}

func (p *printer) line(format string, args ...any) error {
	_, err := fmt.Fprintf(p.w, format+"\n", args...)
	return err
}

// event prints any event. Kinds that a person has no use for print nothing.
func (p *printer) event(e client.Event) error {
	switch e := e.(type) {
	case client.MessageEvent:
		return p.message(e.Message)
	case client.ChangeEvent:
		return p.change(e.Message)
	case client.RemovalEvent:
		return p.removal(e)
	case client.TypingEvent:
		return p.typing(e)
	case client.FileEvent:
		return p.file(e.File)
	case client.DeliveryEvent:
		return p.delivery(e)
	case client.PathEvent:
		return p.path(e.Path)
	case client.ContactEvent:
		old, known := p.names[e.Contact.ID]
		if !p.json && known && old == e.Contact.Label() {
			return nil // seen again, or the like
		}
		return p.contact(e.Contact)
	case client.ServerEvent:
		return p.server(e.Server)
	case client.LockEvent:
		if p.json {
			return p.object(lockJSON{"lock", e.Locked})
		}
		return p.line("%s", map[bool]string{true: "locked", false: "unlocked"}[e.Locked])
	case client.ContactGoneEvent:
		if p.json {
			return p.object(contactGoneJSON{"contact_gone", e.Contact, p.name(e.Contact)})
		}
		return p.line("%s was deleted", p.name(e.Contact))
	}
	if p.json {
		return p.forPrograms(e)
	}
	return nil
}

// forPrograms prints events that say nothing new to a person who reads the
// others.
func (p *printer) forPrograms(e client.Event) error {
	switch e := e.(type) {
	case client.NotificationEvent:
		return p.object(notificationJSON{"notification", e.Kind, e.Title, e.Body, e.Contact, p.name(e.Contact), e.Message})
	case client.WithdrawEvent:
		return p.object(withdrawJSON{"withdraw", e.Contact, p.name(e.Contact), e.IDs})
	}
	return nil
}

func (p *printer) message(m client.Message) error {
	if p.json {
		return p.messageObject("message", m)
	}
	who := p.name(m.Contact)
	if m.Mine {
		who = "to " + who
	}
	if !m.EditedAt.IsZero() {
		who += " (edited)"
	}
	if m.Quote != "" {
		line, _, _ := strings.Cut(m.Quote, "\n")
		who += ", to “" + printable(line) + "”"
	}
	if m.File != nil {
		m.Text = "[" + m.ID.String()[:8] + "] " + describeFile(*m.File)
	}
	at := m.SentAt.Local().Format("2006-01-02 15:04:05")
	if m.Mine {
		return p.line("%s  %s: %s  [%s]", at, who, indent(printable(m.Text)), m.State)
	}
	return p.line("%s  %s: %s", at, who, indent(printable(m.Text)))
}

// messageObject prints a message as an event of a kind.
func (p *printer) messageObject(event string, m client.Message) error {
	state := ""
	if m.Mine {
		state = m.State.String()
	}
	var file *fileJSON
	if m.File != nil {
		x := p.fileObject(*m.File)
		file = &x
	}
	return p.object(messageJSON{
		event, m.ID, m.Contact, p.name(m.Contact), m.From, m.Mine, m.Text, jsonTime(m.SentAt), state,
		m.ReplyTo, m.Quote, jsonTime(m.EditedAt), jsonTime(m.ExpiresAt), m.MyReaction, m.Reaction, m.Mention, file,
	})
}

func (p *printer) change(m client.Message) error {
	if p.json {
		return p.messageObject("change", m)
	}
	line := fmt.Sprintf("message %s of %s is now: %s", m.ID, p.name(m.Contact), indent(printable(m.Text)))
	if m.Reaction != "" {
		line += "  " + printable(m.Reaction)
	}
	return p.line("%s", line)
}

func (p *printer) removal(e client.RemovalEvent) error {
	if p.json {
		return p.object(removalJSON{"removal", e.Contact, p.name(e.Contact), e.IDs})
	}
	if e.IDs == nil {
		return p.line("the conversation with %s was deleted", p.name(e.Contact))
	}
	return p.line("%d messages with %s are gone", len(e.IDs), p.name(e.Contact))
}

// typing is for programs: lines that come and go are nothing for a person.
func (p *printer) typing(e client.TypingEvent) error {
	if !p.json {
		return nil
	}
	return p.object(typingJSON{"typing", e.Contact, p.name(e.Contact), e.On})
}

func (p *printer) delivery(e client.DeliveryEvent) error {
	if p.json {
		return p.object(deliveryJSON{"delivery", e.ID, e.Contact, p.name(e.Contact), e.State})
	}
	return p.line("message %s to %s: %s", e.ID, p.name(e.Contact), e.State)
}

func (p *printer) path(path client.Path) error {
	if p.json {
		return p.object(pathJSON{
			"path", path.Contact, p.name(path.Contact), path.Kind, path.Remote, millis(path.RTT), path.Sent, path.Lost, path.Reason, path.Why,
		})
	}
	return p.line("path to %s: %s", p.name(path.Contact), describePath(path))
}

// contact also takes note of the name.
func (p *printer) contact(c client.Contact) error {
	p.names[c.ID] = c.Label()
	if p.json {
		return p.object(contactJSON{
			"contact", c.ID, c.Label(), c.Name, c.Nick, c.Trust.String(), c.Unread, c.Path.Kind,
			jsonTime(c.FirstSeen), jsonTime(c.LastSeen), c.Self, jsonTime(c.Verified), jsonTime(c.KeysChanged),
			c.Timer.Seconds(), c.Pinned, c.Muted, c.Archived, c.ShareRead, c.ShareTyping,
			c.RelayOnly, c.Mentions, c.Draft, c.LastText, c.FormerName, c.Successor,
		})
	}
	line := c.Label()
	if c.Nick != "" && c.Name != "" {
		line += " (" + c.Name + ")"
	}
	switch {
	case c.Self:
		line += ", your notes"
	case c.Trust == client.TrustUnknown:
		line += ", a request"
	case c.Trust == client.Rejected:
		line += ", blocked"
	case !c.Verified.IsZero():
		line += ", verified"
	}
	if c.FormerName != "" {
		line += ", before “" + c.FormerName + "”"
	}
	if c.Unread > 0 {
		line += fmt.Sprintf(", %d unread", c.Unread)
	}
	if c.Mentions > 0 {
		line += fmt.Sprintf(" (%d to you)", c.Mentions)
	}
	for _, x := range []struct {
		on   bool
		what string
	}{
		{c.Pinned, "pinned"}, {c.Muted, "muted"}, {c.Archived, "archived"}, {c.RelayOnly, "relay only"},
		{c.Timer > 0, "disappearing after " + c.Timer.String()}, {c.Draft != "", "draft"},
		{c.Successor != "", "SAYS TO HAVE A NEW IDENTITY: ask in another way, then sremp add " + c.Successor},
	} {
		if x.on {
			line += ", " + x.what
		}
	}
	return p.line("%s  %s  %s", c.ID, printable(line), describePath(c.Path))
}

func (p *printer) server(s client.Server) error {
	if p.json {
		return p.object(toServerJSON(s))
	}
	return p.line("server %s", describeServer(s))
}

func toServerJSON(s client.Server) serverJSON {
	return serverJSON{"server", s.Address, s.Connected, s.Problem, s.Tunnel}
}

func describeServer(s client.Server) string {
	switch {
	case s.Connected && s.Tunnel:
		return s.Address.String() + ": connected over WebSocket, as UDP is blocked here"
	case s.Connected:
		return s.Address.String() + ": connected"
	case s.Problem != "":
		return s.Address.String() + ": " + s.Problem
	}
	return s.Address.String() + ": not connected"
}

// describePath is one line without the contact's name.
func describePath(p client.Path) string {
	var b strings.Builder
	b.WriteString(p.Kind.String())
	if p.Remote != "" {
		b.WriteString(" " + p.Remote)
	}
	if p.RTT > 0 {
		b.WriteString(", " + strconv.FormatFloat(millis(p.RTT), 'f', -1, 64) + " ms")
	}
	if p.Sent > 0 {
		fmt.Fprintf(&b, ", %s %% lost of %d", strconv.FormatFloat(lossPercent(p), 'f', -1, 64), p.Sent)
	}
	if p.Reason != "" {
		b.WriteString(" (" + printable(p.Reason) + ")")
	}
	return b.String()
}

// lossPercent rounds to tenths.
func lossPercent(p client.Path) float64 {
	return math.Round(1000*float64(p.Lost)/float64(max(p.Sent, 1))) / 10
}

// millis rounds to hundredths: finer is noise.
func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000
}

// printable replaces what could drive a terminal: a stranger chose the text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// indent keeps the lines of one message apart from those of the next.
func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") }
