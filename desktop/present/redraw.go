package present

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

func (w *Window) redraw() {
	w.config.Draw(w.view())
	w.countUnread()
}

// view makes a View that shares nothing with the window.
func (w *Window) view() View {
	now := w.now()
	w.countNames()
	v := View{
		Stage: w.stage, Busy: w.busy, Problem: w.problem,
		AskPassphrase: !w.config.Profile.HasPassphrase(), Warned: w.warned, KeyringOpens: w.keyringOpens(),
		Me:       Line(w.me.Name),
		Network:  network(w.me.Servers),
		Contacts: w.contactRows(now),
		Filter:   w.filter,
		Search:   w.searchView(now),
		Dialog:   w.dialog,
		Toast:    w.toast,
		Offers:   w.offers(),
		TextSize: 100,
	}
	if a := w.settings.Appearance; a.Text > 0 {
		v.TextSize = int(a.Text)
		v.Dark = map[string]Darkness{client.SchemeLight: Light, client.SchemeDark: Dark}[a.Scheme]
	}
	if w.dialog.Kind == ServersDialog {
		v.Dialog.Servers = serverRows(w.me.Servers)
	}
	switch w.dialog.Kind {
	case VerifyDialog, ConnectionDialog, RenameDialog:
		c := w.contacts[w.about]
		v.Dialog.Initials, v.Dialog.Colour, v.Dialog.Picture = Initials(w.name(c)), Colour(c.ID), w.faceOf(c)
	}
	if w.dialog.Kind == ConnectionDialog {
		v.Dialog.Lines = w.connectionLines(w.about, true)
	}
	if w.dialog.Kind.isForm() {
		w.drawForm(&v.Dialog)
	}
	for _, c := range w.contacts {
		switch {
		case w.hiddenContacts[c.ID] || c.Self:
		case c.Trust == client.TrustUnknown:
			v.Requests++
		case c.Archived:
			v.Archived++
		}
	}
	if w.chat != nil {
		v.Chat = w.chatView(now)
	}
	return v
}

// offers are short: what is done already is not among them.
func (w *Window) offers() []Offer {
	o := []Offer{InviteOffer, AddOffer}
	if len(w.me.Servers) == 0 {
		o = append(o, ServerOffer)
	}
	if w.keys.KitHere {
		o = append(o, KitOffer)
	}
	return o
}

func (w *Window) contactRows(now time.Time) []Contact {
	var selected identity.PeerID
	if w.chat != nil {
		selected = w.chat.id
	}
	rows := make([]Contact, 0, len(w.contacts))
	for _, c := range w.contacts {
		if !w.inFilter(c) {
			continue
		}
		label := w.label(c)
		r := Contact{
			ID: c.ID, Label: label, Initials: Initials(w.name(c)), Colour: Colour(c.ID), Picture: w.faceOf(c),
			Last: Preview(c.LastText), When: listTime(c.LastAt, now),
			Unread: c.Unread, Mentions: c.Mentions, Badge: badge(c.Path, now), Selected: c.ID == selected,
			Verified: !c.Verified.IsZero(), Pinned: c.Pinned, Muted: c.Muted, Self: c.Self,
		}
		if c.Self {
			r.Badge = Badge{Text: tr.T("on this computer")}
		}
		if d := w.drafts[c.ID]; c.ID != selected && (d != "" || c.Draft != "") {
			if d == "" {
				d = c.Draft
			}
			r.Draft, r.Last = true, Preview(d)
		}
		if _, r.Typing = w.typing[c.ID]; r.Typing {
			r.Last = tr.T("writes…")
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Contact) int {
		return cmp.Or(
			first(b.Pinned)-first(a.Pinned),
			newest(w.contacts[b.ID]).Compare(newest(w.contacts[a.ID])),
			cmp.Compare(a.Label, b.Label),
			a.ID.Compare(b.ID),
		)
	})
	return rows
}

func first(pinned bool) int {
	if pinned {
		return 1
	}
	return 0
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
	label := w.label(c)
	v := Chat{
		Open: true, ID: w.chat.id, Label: label, Initials: Initials(w.name(c)), Colour: Colour(w.chat.id), Picture: w.faceOf(c),
		Badge:   badge(c.Path, now),
		Rows:    w.chat.rows(w.outbox.to(w.chat.id), label, w.hidden, now),
		Loading: w.chat.loading, Earlier: w.chat.earlier, Later: w.chat.later,
		Draft: w.drafts[w.chat.id], Drafts: w.swaps,
		Self: c.Self, Verified: !c.Verified.IsZero(),
		Request: c.Trust == client.TrustUnknown && !c.Self, Blocked: c.Trust == client.Rejected,
		Notice: w.notice(c), Timer: span(c.Timer), Jump: w.chat.jump, Jumps: w.jumps,
		Settings: ChatSettings{
			Pinned: c.Pinned, Muted: c.Muted, Archived: c.Archived,
			ShareRead: c.ShareRead, ShareTyping: c.ShareTyping, RelayOnly: c.RelayOnly,
		},
	}
	if c.Self {
		v.Badge = Badge{Text: tr.T("on this computer"), Tip: tr.T("What you write here stays on this computer and in your backups.")}
	}
	if v.Request {
		// Nothing is answered before: a file that is taken or refused would be.
		for i := range v.Rows {
			f := &v.Rows[i].File
			f.Accept, f.Cancel, f.Question = false, false, false
		}
	}
	_, v.Typing = w.typing[c.ID]
	if k := w.chat.compose; k.mode != ComposeNew {
		v.Compose.Mode, v.Compose.Text, v.Compose.Author = k.mode, Preview(k.was), you()
		if m := w.chat.byID(k.id); m != nil {
			if v.Compose.Text = Preview(m.Text); !m.Mine {
				v.Compose.Author = label
			}
		}
		if k.mode == ComposeEdit {
			v.Draft = k.text
		}
	}
	return v
}

// notice says what one must know of a contact before one writes on.
func (w *Window) notice(c client.Contact) string {
	said := notice(c)
	if c.Self || !w.hasTwin(c) {
		return said
	}
	return strings.TrimSpace(said + "\n" + tr.T("Somebody else is called so, too, or nearly so. The two are told apart by what stands in brackets."))
}

func notice(c client.Contact) string {
	switch {
	case c.Trust == client.Rejected:
		return tr.T("You have blocked this contact. It cannot reach you, and is not told.")
	case c.Trust == client.TrustUnknown && !c.Self:
		return tr.T("A stranger wants to write to you, and calls itself so. It learns nothing of you before you accept, not even that its messages came.")
	case c.Successor != "":
		return tr.T("This contact says that it has a new identity. Ask by another way whether that is true, before you believe it.")
	case !c.KeysChanged.IsZero() && c.Verified.IsZero():
		return tr.T("The keys of this contact have changed since you know it. Compare the words to be sure who it is.")
	case c.FormerName != "":
		return tr.T("This contact called itself %s before.", Isolate(c.FormerName))
	}
	return ""
}

// network words the state of all servers.
func network(servers []client.Server) string {
	up, why := 0, ""
	for _, s := range servers {
		if s.Connected {
			up++
		} else if why == "" {
			why = Line(tr.Text(s.Problem))
		}
	}
	switch {
	case len(servers) == 0:
		return tr.T("No server")
	case up == len(servers) && up == 1:
		return tr.T("Server connected")
	case up == len(servers):
		return tr.N("%d server connected", "%d servers connected", up, up)
	case up > 0:
		return tr.T("%d of %d servers connected", up, len(servers))
	case why != "":
		return tr.T("Server not connected: %s", why)
	}
	return tr.T("Connecting to the server")
}

func serverRows(servers []client.Server) []Server {
	rows := make([]Server, 0, len(servers))
	for _, s := range servers {
		r := Server{Address: s.Address.String(), Connected: s.Connected, Status: tr.T("Connected")}
		if !s.Connected {
			r.Status = strings.TrimSuffix(sentence(tr.Text(s.Problem)), ".")
			if r.Status == "" {
				r.Status = tr.T("Connecting")
			}
		}
		rows = append(rows, r)
	}
	return rows
}
