package present

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// An outbox holds texts on their way into the client's outbox. They go one at a
// time, so that they are stored in the order in which they were typed.
type outbox struct {
	waiting []*outgoing
	count   int
}

type outgoing struct {
	to     identity.PeerID
	text   string
	reply  client.MessageID
	at     time.Time
	key    string // of its row
	failed bool
	busy   bool // its Send is under way
}

// to returns what waits for one contact.
func (o *outbox) to(id identity.PeerID) (found []*outgoing) {
	for _, g := range o.waiting {
		if g.to == id {
			found = append(found, g)
		}
	}
	return found
}

func (o *outbox) drop(g *outgoing) {
	o.waiting = slices.DeleteFunc(o.waiting, func(x *outgoing) bool { return x == g })
}

// stored takes a text out because the client reports it as a message, and
// returns the key of its row; empty if nothing like it is under way. The event
// may be quicker than the answer of Send.
func (o *outbox) stored(m client.Message) (key string) {
	for _, g := range o.waiting {
		if g.busy && g.to == m.Contact && g.text == m.Text {
			o.drop(g)
			return g.key
		}
	}
	return ""
}

// Send sends a text to the contact of the open conversation.
func (w *Window) Send(text string) {
	text = strings.TrimSpace(text)
	if w.chat == nil || text == "" || !w.writable() {
		return
	}
	if w.chat.compose.mode == ComposeEdit {
		w.sendEdit(text)
		return
	}
	reply := w.chat.compose.id
	w.chat.compose = compose{}
	w.Newest()
	c := w.chat
	w.outbox.count++
	w.outbox.waiting = append(w.outbox.waiting, &outgoing{
		to: c.id, text: text, reply: reply, at: w.now(), key: fmt.Sprintf("new %d", w.outbox.count),
	})
	delete(w.drafts, c.id)
	c.draftDirty, c.typing, c.typingTold = false, false, false // the client drops the draft and the notice with the message
	c.draftCount++
	c.unread = 0
	w.swaps++
	w.sendNext()
	w.redraw()
}

// writable reports whether the open conversation takes messages.
func (w *Window) writable() bool {
	c := w.contacts[w.chat.id]
	return c.Self || c.Trust == client.Trusted
}

// Retry sends a text again whose row says Failed.
func (w *Window) Retry(key string) {
	for _, g := range w.outbox.waiting {
		if g.key == key && g.failed {
			g.failed = false
			w.sendNext()
			w.redraw()
			return
		}
	}
}

// sendNext starts the next Send unless one is under way.
func (w *Window) sendNext() {
	var next *outgoing
	for _, g := range w.outbox.waiting {
		if g.busy {
			return
		}
		if next == nil && !g.failed {
			next = g
		}
	}
	if next == nil {
		return
	}
	next.busy = true
	api := w.api
	w.do(func(ctx context.Context) func() {
		m, err := api.SendDraft(ctx, next.to, client.Draft{Text: next.text, ReplyTo: next.reply})
		return func() {
			if w.api != api {
				return
			}
			next.busy = false
			if err != nil {
				next.failed = true
				w.say(problem(tr.T("The message could not be stored"), err))
			} else {
				w.outbox.drop(next)
				if w.chat != nil && w.chat.id == next.to {
					w.chat.add(m, next.key)
				}
			}
			w.sendNext()
		}
	})
}
