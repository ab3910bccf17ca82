package present

import (
	"context"
	"slices"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// What a person does with messages of the open conversation. A row is named by
// its key, as in Retry.

// undoTime is how long something that is lost can be had back.
const undoTime = 6 * time.Second

// find returns the message of a row; nil if there is none, or it is not stored yet.
func (c *chat) find(key string) *message {
	for i := range c.messages {
		if c.messages[i].key == key {
			return &c.messages[i]
		}
	}
	return nil
}

func (w *Window) row(key string) *message {
	if w.chat == nil {
		return nil
	}
	return w.chat.find(key)
}

// React sets our reaction to a message; the one that is set already is taken
// back.
func (w *Window) React(key, emoji string) {
	m := w.row(key)
	if m == nil {
		return
	}
	if m.MyReaction == emoji {
		emoji = ""
	}
	api, id, with := w.api, m.ID, w.chat.id
	w.do(func(ctx context.Context) func() {
		m, err := api.React(ctx, with, id, emoji)
		return func() {
			if err != nil {
				w.say(problem(tr.T("The reaction could not be stored"), err))
				return
			}
			w.changed(m)
		}
	})
}

// changed takes in a message of which something is different.
func (w *Window) changed(m client.Message) {
	if w.chat == nil || w.chat.id != m.Contact {
		return
	}
	if o := w.chat.byID(m.ID); o != nil {
		m.State = max(m.State, o.State)
		o.Message = m
	}
	w.chat.requote(m.ID, m.Text)
}

// DeleteMessage removes a message here, or with everywhere at the contact as
// well. For a moment it can be had back.
func (w *Window) DeleteMessage(key string, everywhere bool) {
	m := w.row(key)
	if m == nil || everywhere && !m.Mine {
		return
	}
	api, id, with := w.api, m.ID, w.chat.id
	w.hide(with, id, true)
	text := tr.T("The message was deleted here.")
	if everywhere {
		text = tr.T("The message was deleted for both.")
	}
	w.soon(text, func(ctx context.Context) error {
		return api.Delete(ctx, with, []client.MessageID{id}, everywhere)
	}, func() { w.hide(with, id, false) })
}

// hide leaves a message out of what is drawn.
func (w *Window) hide(with identity.PeerID, id client.MessageID, hidden bool) {
	if hidden {
		w.hidden[id] = true
	} else {
		delete(w.hidden, id)
	}
}

// soon does something after undoTime, unless Undo is asked for. Whatever else
// waits is done first: there is one way back, to the last step.
func (w *Window) soon(text string, do func(ctx context.Context) error, undo func()) {
	w.flush()
	w.pending = &pending{do: do, undo: undo, back: tr.T("Nothing was deleted.")}
	w.say(text)
	w.toast.Undo = true
	p := w.pending
	w.do(func(ctx context.Context) func() {
		select {
		case <-ctx.Done():
		case <-time.After(undoTime):
		}
		return func() {
			if w.pending == p {
				w.flush()
			}
		}
	})
	w.redraw()
}

// A pending step can be undone.
type pending struct {
	do   func(ctx context.Context) error
	undo func()
	back string // what Undo says
}

// flush does the step that waits. If it fails, nothing was lost.
func (w *Window) flush() {
	p := w.pending
	if p == nil {
		return
	}
	w.pending, w.toast.Undo = nil, false
	w.do(func(ctx context.Context) func() {
		err := p.do(ctx)
		return func() {
			if err != nil {
				p.undo()
				w.say(problem(tr.T("That could not be done"), err))
			}
		}
	})
}

// Undo takes the last step back.
func (w *Window) Undo() {
	p := w.pending
	if p == nil {
		return
	}
	w.pending = nil
	p.undo()
	w.say(p.back)
	w.redraw()
}

// removed takes messages out that are gone.
func (w *Window) removed(e client.RemovalEvent) {
	isGone := func(id client.MessageID) bool { return len(e.IDs) == 0 || slices.Contains(e.IDs, id) }
	for _, id := range e.IDs {
		delete(w.hidden, id)
	}
	w.search.hits = slices.DeleteFunc(w.search.hits, func(m client.Message) bool { return m.Contact == e.Contact && isGone(m.ID) })
	if c := w.chat; c != nil && c.id == e.Contact {
		c.remove(e.IDs)
		if c.compose.mode != ComposeNew && isGone(c.compose.id) {
			c.compose = compose{}
			w.swaps++
		}
	}
	if isGone(w.composing[e.Contact].id) {
		delete(w.composing, e.Contact)
	}
	w.refresh()
}

// remove drops messages, all of them if there are no ids.
func (c *chat) remove(ids []client.MessageID) {
	if len(ids) == 0 {
		c.messages, c.earlier, c.later = nil, false, false
		return
	}
	c.messages = slices.DeleteFunc(c.messages, func(m message) bool { return slices.Contains(ids, m.ID) })
	for _, id := range ids {
		c.requote(id, "")
	}
}

// requote changes what answers show of the message that they answer: nothing is
// left of one that is gone.
func (c *chat) requote(id client.MessageID, text string) {
	for i := range c.messages {
		if m := &c.messages[i]; m.ReplyTo == id {
			m.Quote = text
		}
	}
}
