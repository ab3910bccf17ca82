package present

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// What a person does with the contact of the open conversation.

// typingEvery is how often a contact is told that we still write, and typingFor
// how long that holds (spec §8.10).
const (
	typingEvery = 3 * time.Second
	typingFor   = 6 * time.Second
	// draftAfter is how long a draft rests before it is stored.
	draftAfter = 2 * time.Second
)

// contactCall runs a call of the client for the open conversation's contact.
func (w *Window) contactCall(doing string, call func(ctx context.Context, api client.API, id identity.PeerID) error) {
	if w.chat == nil {
		return
	}
	api, id := w.api, w.chat.id
	w.do(func(ctx context.Context) func() {
		err := call(ctx, api, id)
		return func() {
			if err != nil {
				w.say(problem(doing, err))
			}
			w.refresh()
		}
	})
}

// Accept makes a stranger a contact, or ends blocking.
func (w *Window) Accept() {
	w.contactCall(tr.T("The request could not be accepted"), func(ctx context.Context, api client.API, id identity.PeerID) error {
		return api.SetTrust(ctx, id, client.Trusted)
	})
}

// Block disconnects a contact; it learns nothing.
func (w *Window) Block() {
	w.contactCall(tr.T("The contact could not be blocked"), func(ctx context.Context, api client.API, id identity.PeerID) error {
		return api.SetTrust(ctx, id, client.Rejected)
	})
}

// Change sets something of the open conversation's contact.
func (w *Window) Change(s client.ContactSettings) {
	w.contactCall(tr.T("The setting could not be stored"), func(ctx context.Context, api client.API, id identity.PeerID) error {
		_, err := api.SetContact(ctx, id, s)
		return err
	})
}

// Rename gives the contact another name here; an empty one is the contact's own.
func (w *Window) Rename(nick string) {
	nick = strings.TrimSpace(nick)
	w.Change(client.ContactSettings{Nick: &nick})
}

// SetTimer makes new messages of the open conversation disappear, on both sides:
// i is the place of the time in TimerNames.
func (w *Window) SetTimer(i int) {
	if w.chat != nil && i >= 0 && i < len(spans) && spans[i].d != w.contacts[w.chat.id].Timer {
		w.Change(client.ContactSettings{Timer: &spans[i].d})
	}
}

// Archive puts the open conversation away, or takes it back, and closes it.
func (w *Window) Archive(on bool) {
	w.Change(client.ContactSettings{Archived: &on})
	if on {
		w.closeChat()
		w.redraw()
	}
}

// MarkUnread closes the open conversation and marks it as not looked at.
func (w *Window) MarkUnread() {
	w.contactCall(tr.T("The conversation could not be marked"), func(ctx context.Context, api client.API, id identity.PeerID) error {
		return api.MarkRead(ctx, id, true)
	})
	w.closeChat()
	w.redraw()
}

// DeleteHistory removes all messages of the open conversation here. For a moment
// they can be had back.
func (w *Window) DeleteHistory() {
	if w.chat == nil {
		return
	}
	api, c := w.api, w.chat
	c.emptied = true
	w.soon(tr.T("All messages of this conversation were deleted here."), func(ctx context.Context) error {
		return api.DeleteHistory(ctx, c.id)
	}, func() { c.emptied = false })
}

// DeleteContact removes the open conversation's contact with everything. For a
// moment it can be had back.
func (w *Window) DeleteContact() {
	if w.chat == nil || w.contacts[w.chat.id].Self {
		return
	}
	api, id := w.api, w.chat.id
	w.hiddenContacts[id] = true
	w.closeChat()
	w.soon(tr.T("The contact was deleted."), func(ctx context.Context) error {
		return api.DeleteContact(ctx, id)
	}, func() { delete(w.hiddenContacts, id) })
}

// closeChat shows no conversation.
func (w *Window) closeChat() {
	w.storeDraft()
	w.leaveCompose()
	w.chat = nil
	w.swaps++
}

// Step opens the conversation that stands below the open one in the list, or above
// it with a negative step; without an open one the first or the last.
func (w *Window) Step(step int) {
	if w.stage != Main || w.dialog.Kind != NoDialog {
		return
	}
	rows := w.contactRows(w.now())
	i := slices.IndexFunc(rows, func(c Contact) bool { return c.Selected })
	switch {
	case i >= 0:
		i += step
	case step < 0:
		i = len(rows) - 1
	default:
		i = 0
	}
	if i >= 0 && i < len(rows) {
		w.Select(rows[i].ID)
	}
}

// SetFilter chooses what the contact list shows.
func (w *Window) SetFilter(f Filter) {
	w.filter = f
	w.redraw()
}

// inFilter reports whether the contact list shows a contact now.
func (w *Window) inFilter(c client.Contact) bool {
	switch {
	case w.hiddenContacts[c.ID]:
		return false
	case w.filter == Requests:
		return c.Trust == client.TrustUnknown && !c.Self
	case w.filter == Archive:
		return c.Archived
	}
	return c.Self || c.Trust != client.TrustUnknown && !c.Archived
}

// SetDraft remembers what stands in the entry of the open conversation. A draft is
// stored when it rests; and tells the contact that we write, if it may know.
func (w *Window) SetDraft(text string) {
	c := w.chat
	switch {
	case c == nil:
		return
	case c.compose.mode == ComposeEdit:
		c.compose.text = text
		return
	case text == "":
		delete(w.drafts, c.id)
	default:
		w.drafts[c.id] = text
	}
	c.draftDirty = true
	c.draftCount++
	count := c.draftCount
	w.wg.Go(func() {
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(draftAfter):
		}
		w.config.Post(func() {
			if w.ctx.Err() == nil && w.chat == c && c.draftCount == count {
				w.storeDraft()
			}
		})
	})
	w.setTyping(text != "")
}

// storeDraft gives the client the draft of the open conversation.
func (w *Window) storeDraft() {
	c := w.chat
	if c == nil || !c.draftDirty || w.api == nil {
		return
	}
	c.draftDirty = false
	api, text := w.api, w.drafts[c.id]
	w.do(func(ctx context.Context) func() {
		_, err := api.SetContact(ctx, c.id, client.ContactSettings{Draft: &text})
		return func() {
			if err != nil {
				w.say(problem(tr.T("The draft could not be stored"), err))
			}
		}
	})
}

// setTyping tells the contact that we write, not too often.
func (w *Window) setTyping(on bool) {
	if w.contacts[w.chat.id].ShareTyping {
		w.chat.typing = on
		w.tellTyping(w.chat)
	}
}

// tellTyping tells it in order: one call at a time.
func (w *Window) tellTyping(c *chat) {
	if on := c.typing; c.typingBusy || on == c.typingTold && (!on || time.Since(c.typingAt) < typingEvery) {
		return
	}
	c.typingBusy, c.typingTold, c.typingAt = true, c.typing, time.Now()
	api, on := w.api, c.typing
	w.do(func(ctx context.Context) func() {
		_ = api.SetTyping(ctx, c.id, on) // it is told again while one writes
		return func() {
			c.typingBusy = false
			if c.typing != c.typingTold {
				w.tellTyping(c)
			}
		}
	})
}

// typing takes in that a contact writes.
func (w *Window) peerTyping(e client.TypingEvent) {
	if !e.On {
		delete(w.typing, e.Contact)
		return
	}
	until := time.Now().Add(typingFor)
	w.typing[e.Contact] = until
	w.do(func(ctx context.Context) func() {
		select {
		case <-ctx.Done():
		case <-time.After(typingFor):
		}
		return func() {
			if !w.typing[e.Contact].After(until) {
				delete(w.typing, e.Contact)
			}
		}
	})
}
