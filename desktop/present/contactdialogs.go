package present

import (
	"context"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// Dialogs about the open conversation's contact.

// openContactDialog opens a dialog about the open conversation's contact.
func (w *Window) openContactDialog(k DialogKind) (c client.Contact, ok bool) {
	if w.chat == nil || !w.openDialog(k) {
		return c, false
	}
	c = w.contacts[w.chat.id]
	w.dialog.Busy, w.dialog.Name = false, w.label(c)
	w.about = c.ID
	return c, true
}

// OpenVerify shows the words that both sides compare.
func (w *Window) OpenVerify() {
	c, ok := w.openContactDialog(VerifyDialog)
	if !ok || c.Self {
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		v, err := api.Verification(ctx, c.ID)
		if err != nil {
			return w.unanswered(tr.T("The words could not be made"), err)
		}
		return func() { w.verification(v) }
	})
	w.redraw()
}

func (w *Window) verification(v client.Verification) {
	w.dialog.Words, w.dialog.Verified = v.Words, ""
	if !v.Verified.IsZero() {
		w.dialog.Verified = tr.T("Verified on %s.", tr.Date(v.Verified.In(w.config.Zone), tr.Mark("2 January 2006")))
	}
	w.dialog.QR, _ = NewQR(v.Code) // without it the words are there
}

// Verify marks the contact as verified: same says that the words were compared
// and are the same. Otherwise proof is what the contact reads out, or its code;
// an empty one takes the mark away.
func (w *Window) Verify(same bool, proof string) {
	if w.dialog.Kind != VerifyDialog || w.dialog.Busy {
		return
	}
	proof = strings.TrimSpace(proof)
	if same {
		proof = strings.Join(w.dialog.Words[:], " ")
	}
	id := w.about
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.Verify(ctx, id, proof); err != nil {
			return w.unanswered(tr.T("The contact could not be marked"), err)
		}
		v, err := api.Verification(ctx, id)
		if err != nil {
			return w.unanswered(tr.T("The words could not be made"), err)
		}
		return func() {
			w.verification(v)
			w.refresh()
		}
	})
	w.redraw()
}

// OpenRename asks for another name of the contact.
func (w *Window) OpenRename() {
	if c, ok := w.openContactDialog(RenameDialog); ok {
		w.dialog.Nick = Line(c.Nick)
		w.dialog.Name = Line(c.Name)
		w.redraw()
	}
}

// SetNick answers OpenRename and closes it.
func (w *Window) SetNick(nick string) {
	if w.dialog.Kind == RenameDialog && w.chat != nil && w.chat.id == w.about {
		w.dialog = Dialog{}
		w.Rename(nick)
		w.redraw()
	}
}

// connectionLines words all that is known of the path to a contact, with the
// other side's address or without.
func (w *Window) connectionLines(id identity.PeerID, address bool) []Fact {
	c := w.contacts[id]
	if !address {
		c.Path.Remote = ""
	}
	now := w.now()
	b := badge(c.Path, now)
	tip, reason, _ := strings.Cut(b.Tip, "\n")
	facts := []Fact{{tr.T("Now"), b.Text}, {tr.T("That means"), tip}}
	if reason != "" {
		facts = append(facts, Fact{tr.T("Why"), reason})
	}
	if !c.Path.Since.IsZero() {
		facts = append(facts, Fact{tr.T("Since"), listTime(c.Path.Since, now)})
	}
	if !c.LastSeen.IsZero() {
		facts = append(facts, Fact{tr.T("Last heard of"), tr.Date(c.LastSeen.In(now.Location()), tr.Mark("Monday, 2 January, 15:04"))})
	}
	given := tr.T("Your address is given to this contact, for direct connections.")
	if c.RelayOnly {
		given = tr.T("Your address is hidden from this contact: only relays are used.")
	}
	return append(facts, Fact{tr.T("Your address"), given}, Fact{tr.T("Servers"), network(w.me.Servers)})
}
