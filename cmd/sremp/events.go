package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// The objects of --json (docs/cli.md). Fields are only ever added.
type (
	messageJSON struct {
		Event       string           `json:"event"` // "message"
		ID          client.MessageID `json:"id"`
		Contact     identity.PeerID  `json:"contact"`
		ContactName string           `json:"contact_name"`
		From        identity.PeerID  `json:"from"`
		Mine        bool             `json:"mine"`
		Text        string           `json:"text"`
		SentAt      jsonTime         `json:"sent_at"`
		State       string           `json:"state,omitempty"` // of own messages
	}
	pathJSON struct {
		Event       string          `json:"event"` // "path"
		Contact     identity.PeerID `json:"contact"`
		ContactName string          `json:"contact_name"`
		Path        client.PathKind `json:"path"`
		Remote      string          `json:"remote"`
		RTT         float64         `json:"rtt_ms"`
		Reason      string          `json:"reason"`
	}
	deliveryJSON struct {
		Event       string               `json:"event"` // "delivery"
		ID          client.MessageID     `json:"id"`
		Contact     identity.PeerID      `json:"contact"`
		ContactName string               `json:"contact_name"`
		State       client.DeliveryState `json:"state"`
	}
	contactJSON struct {
		Event       string          `json:"event"` // "contact"
		Contact     identity.PeerID `json:"contact"`
		ContactName string          `json:"contact_name"`
		Name        string          `json:"name"`
		Nick        string          `json:"nick"`
		Trust       string          `json:"trust"`
		Unread      int             `json:"unread"`
		Path        client.PathKind `json:"path"`
		FirstSeen   jsonTime        `json:"first_seen"`
		LastSeen    jsonTime        `json:"last_seen"`
	}
	serverJSON struct {
		Event     string              `json:"event"` // "server"
		Address   identity.ServerAddr `json:"address"`
		Connected bool                `json:"connected"`
		Problem   string              `json:"problem"`
	}
	whoamiJSON struct {
		Event   string          `json:"event"` // "whoami"
		ID      identity.PeerID `json:"id"`
		Name    string          `json:"name"`
		Created jsonTime        `json:"created"`
		Servers []serverJSON    `json:"servers"`
	}
)

// jsonTime is RFC 3339 in UTC, null if there was no such moment.
type jsonTime time.Time

func (t jsonTime) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return time.Time(t).UTC().MarshalJSON()
}

// A printer writes events as lines, for people or for programs. It knows the
// contacts' names.
type printer struct {
	w     io.Writer
	json  bool
	who   string // whose events these are, where there are several
	names map[identity.PeerID]string
}

// newPrinter learns the names from api.
func newPrinter(ctx context.Context, api client.API, w io.Writer, asJSON bool) (*printer, error) {
	p := &printer{w: w, json: asJSON, names: map[identity.PeerID]string{}}
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
	}
	return nil
}

func (p *printer) message(m client.Message) error {
	if p.json {
		state := ""
		if m.Mine {
			state = m.State.String()
		}
		return p.object(messageJSON{
			"message", m.ID, m.Contact, p.name(m.Contact), m.From, m.Mine, m.Text, jsonTime(m.SentAt), state,
		})
	}
	who := p.name(m.Contact)
	if m.Mine {
		who = "to " + who
	}
	at := m.SentAt.Local().Format("2006-01-02 15:04:05")
	if m.Mine {
		return p.line("%s  %s: %s  [%s]", at, who, indent(printable(m.Text)), m.State)
	}
	return p.line("%s  %s: %s", at, who, indent(printable(m.Text)))
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
			"path", path.Contact, p.name(path.Contact), path.Kind, path.Remote, millis(path.RTT), path.Reason,
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
			jsonTime(c.FirstSeen), jsonTime(c.LastSeen),
		})
	}
	line := c.Label()
	if c.Nick != "" && c.Name != "" {
		line += " (" + c.Name + ")"
	}
	if c.Unread > 0 {
		line += fmt.Sprintf(", %d unread", c.Unread)
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
	return serverJSON{"server", s.Address, s.Connected, s.Problem}
}

func describeServer(s client.Server) string {
	switch {
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
	if p.Reason != "" {
		b.WriteString(" (" + printable(p.Reason) + ")")
	}
	return b.String()
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
