package present

import (
	"context"
	"hash/fnv"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// A Desk is what the desktop shows besides the window. Its methods are called on
// the main loop and must not block.
type Desk interface {
	// Notify shows a notice, in the place of an earlier one of the same tag.
	Notify(n Notice)
	// Withdraw takes away the notice of a tag.
	Withdraw(tag string)
	// SetUnread says how many messages wait to be read.
	SetUnread(n int)
}

// A Notice is a notification. Its texts are literal and say no more than the
// person's settings allow. Its tag is not to be shown, nor told to others.
type Notice struct {
	Tag         string
	Title, Body string
	Answer      bool     // it can be answered
	Picture     *Picture // of whom the title names; nil: none
}

// profileTag is that of notices about no conversation.
const profileTag = "profile"

// notify takes in that there is something to be said, unless one sees it already.
func (w *Window) notify(e client.NotificationEvent) {
	if w.config.Desk == nil || w.active && w.chat != nil && w.chat.id == e.Contact {
		return
	}
	n := Notice{Tag: profileTag, Title: Line(tr.Text(e.Title)), Body: Preview(tr.Text(e.Body))}
	w.countNames()
	if c, ok := w.contacts[e.Contact]; ok && e.Title == c.Label() {
		n.Title = w.label(c) // no other looks like it
		n.Picture = w.faceOf(c)
	}
	if e.Contact != (identity.PeerID{}) {
		n.Tag = e.Contact.String()
		n.Answer = e.Kind == client.NotifyMessage || e.Kind == client.NotifyMention
	}
	// The client's sentence has the stranger's name in it.
	if rest, ok := strings.CutPrefix(e.Body, "Somebody who says to be "); ok && e.Kind == client.NotifyRequest {
		who := strings.TrimSuffix(rest, " wants to write to you")
		n.Body = tr.T("Somebody who says to be %s wants to write to you", Isolate(who))
	}
	w.config.Desk.Notify(n)
}

// withdraw takes in that a notice has no more reason.
func (w *Window) withdraw(contact identity.PeerID) {
	if w.config.Desk != nil {
		w.config.Desk.Withdraw(contact.String())
	}
}

// countUnread tells the desk how many messages wait: of all but muted
// conversations, and each request as one.
func (w *Window) countUnread() {
	if w.config.Desk == nil {
		return
	}
	n := 0
	for _, c := range w.contacts {
		switch {
		case c.Self || w.hiddenContacts[c.ID] || c.Trust == client.Rejected:
		case c.Trust == client.TrustUnknown:
			n += min(c.Unread, 1)
		case c.Muted:
			n += c.Mentions
		default:
			n += c.Unread
		}
	}
	if n != w.unread {
		w.unread = n
		w.config.Desk.SetUnread(n)
	}
}

// tagged returns the contact of a notice's tag.
func (w *Window) tagged(tag string) (c client.Contact, ok bool) {
	for id, c := range w.contacts {
		if id.String() == tag && !w.hiddenContacts[id] {
			return c, true
		}
	}
	return c, false
}

// OpenNotice opens what a notice is about. Dialogs give way.
func (w *Window) OpenNotice(tag string) {
	c, ok := w.tagged(tag)
	if !ok {
		return
	}
	w.dialog = Dialog{}
	switch {
	case c.Trust == client.TrustUnknown:
		w.filter = Requests
	case w.filter == Requests:
		w.filter = Inbox
	}
	if w.chat == nil || w.chat.id != c.ID {
		w.openChat(c.ID)
	} else {
		w.swaps++ // the entry gets the keyboard
	}
	w.redraw()
}

// AnswerNotice sends a text that was written in a notice. What was not sent is
// kept as the conversation's draft.
func (w *Window) AnswerNotice(tag, text string) {
	c, ok := w.tagged(tag)
	if !ok || strings.TrimSpace(text) == "" {
		return
	}
	api := w.api
	w.do(func(ctx context.Context) func() {
		m, err := api.SendDraft(ctx, c.ID, client.Draft{Text: text})
		if err == nil {
			_ = api.MarkRead(ctx, c.ID, false) // it stays unread, then
		}
		return func() {
			if err != nil {
				w.drafts[c.ID] = strings.TrimSpace(w.drafts[c.ID] + "\n" + text)
				w.swaps++
				w.say(problem(tr.T("The answer could not be sent"), err))
				return
			}
			w.message(m)
		}
	})
}

// OpenLink opens the dialog for a link of ours that was clicked somewhere, with
// the link in it. Nothing is done with it before the person says so. While the
// profile is locked it waits.
func (w *Window) OpenLink(link string) {
	link = strings.TrimSpace(link)
	if w.stage != Main {
		w.link = link
		return
	}
	if strings.HasPrefix(strings.ToLower(link), identity.ServerScheme) {
		w.OpenServers()
		w.put("address", Line(link))
	} else {
		w.OpenAdd()
		w.put("link", Line(link))
	}
	w.redraw()
}

// Hint is a byte of a hash of a contact: it finds one among a few, and proves
// nothing to who sees it.
func Hint(id identity.PeerID) byte {
	h := fnv.New64a()
	h.Write([]byte("SREMP desktop"))
	h.Write(id[:])
	return byte(h.Sum64() >> 32)
}

// begin is called when the contacts are known for the first time: it opens what
// was open when the program ended, and what it was started for.
func (w *Window) begin() {
	if w.config.Reopen != nil && w.chat == nil {
		var last *client.Contact
		for _, c := range w.contacts {
			if w.config.Reopen(c.ID) && w.inFilter(c) && (last == nil || newest(c).After(newest(*last))) {
				last = &c
			}
		}
		if last != nil {
			w.openChat(last.ID)
		}
	}
	if w.link != "" {
		link := w.link
		w.link = ""
		w.OpenLink(link)
	}
}
