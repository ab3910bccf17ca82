package present

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

func (w *Window) redraw() { w.config.Draw(w.view()) }

// view makes a View that shares nothing with the window.
func (w *Window) view() View {
	now := w.now()
	v := View{
		Stage: w.stage, Busy: w.busy, Problem: w.problem,
		AskPassphrase: !w.config.Profile.HasPassphrase(),
		Me:            Line(w.me.Name),
		Network:       network(w.me.Servers),
		Contacts:      w.contactRows(now),
		Dialog:        w.dialog,
		Toast:         w.toast,
	}
	if w.dialog.Kind == ServersDialog {
		v.Dialog.Servers = serverRows(w.me.Servers)
	}
	if w.chat != nil {
		v.Chat = w.chatView(now)
	}
	return v
}

func (w *Window) contactRows(now time.Time) []Contact {
	var selected identity.PeerID
	if w.chat != nil {
		selected = w.chat.id
	}
	rows := make([]Contact, 0, len(w.contacts))
	for _, c := range w.contacts {
		label := Line(c.Label())
		rows = append(rows, Contact{
			ID: c.ID, Label: label, Initials: Initials(label), Colour: Colour(c.ID),
			Last: Preview(c.LastText), When: listTime(c.LastAt, now),
			Unread: c.Unread, Badge: badge(c.Path, now), Selected: c.ID == selected,
		})
	}
	slices.SortFunc(rows, func(a, b Contact) int {
		return cmp.Or(
			newest(w.contacts[b.ID]).Compare(newest(w.contacts[a.ID])),
			cmp.Compare(a.Label, b.Label),
			a.ID.Compare(b.ID),
		)
	})
	return rows
}

// newest is when something last happened with a contact.
func newest(c client.Contact) time.Time {
	if c.LastAt.After(c.FirstSeen) {
		return c.LastAt
	}
	return c.FirstSeen
}

func (w *Window) chatView(now time.Time) Chat {
	c := w.contacts[w.chat.id]
	label := Line(c.Label())
	return Chat{
		Open: true, ID: w.chat.id, Label: label, Initials: Initials(label), Colour: Colour(w.chat.id),
		Badge:   badge(c.Path, now),
		Rows:    w.chat.rows(w.outbox.to(w.chat.id), label, now),
		Loading: w.chat.loading, Earlier: w.chat.earlier,
		Draft: w.drafts[w.chat.id], Drafts: w.swaps,
	}
}

// network words the state of all servers.
func network(servers []client.Server) string {
	up, why := 0, ""
	for _, s := range servers {
		if s.Connected {
			up++
		} else if why == "" {
			why = Line(s.Problem)
		}
	}
	switch {
	case len(servers) == 0:
		return "No server"
	case up == len(servers) && up == 1:
		return "Server connected"
	case up == len(servers):
		return fmt.Sprintf("%d servers connected", up)
	case up > 0:
		return fmt.Sprintf("%d of %d servers connected", up, len(servers))
	case why != "":
		return "Server not connected: " + why
	}
	return "Connecting to the server"
}

func serverRows(servers []client.Server) []Server {
	rows := make([]Server, 0, len(servers))
	for _, s := range servers {
		r := Server{Address: s.Address.String(), Connected: s.Connected, Status: "Connected"}
		if !s.Connected {
			r.Status = strings.TrimSuffix(sentence(s.Problem), ".")
			if r.Status == "" {
				r.Status = "Connecting"
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// plural counts a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
