package present

import (
	"context"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// A compose is the mode of the entry. The draft of a new message waits elsewhere
// while a message is edited.
type compose struct {
	mode ComposeMode
	id   client.MessageID
	was  string // with ComposeEdit: the message's text
	text string // with ComposeEdit: what became of it in the entry
}

// changed reports whether something is lost with it.
func (k compose) changed() bool { return k.mode == ComposeEdit && k.text != k.was }

// Reply makes the next text answer a message.
func (w *Window) Reply(key string) { w.startCompose(key, ComposeReply) }

// Edit puts the text of a message of ours into the entry, to be replaced.
func (w *Window) Edit(key string) {
	if m := w.row(key); m != nil && m.changeable() {
		w.startCompose(key, ComposeEdit)
	}
}

// EditLast edits the newest message of ours, if there is one on the page.
func (w *Window) EditLast() {
	if w.chat == nil {
		return
	}
	for i := len(w.chat.messages) - 1; i >= 0; i-- {
		if w.chat.messages[i].changeable() {
			w.Edit(w.chat.messages[i].key)
			return
		}
	}
}

// changeable reports whether the message is a text of ours; a file stays what it is.
func (m *message) changeable() bool { return m.Mine && m.File == nil }

func (w *Window) startCompose(key string, mode ComposeMode) {
	m := w.row(key)
	if m == nil {
		return
	}
	w.stopCompose()
	w.setCompose(compose{mode: mode, id: m.ID, was: m.Text, text: m.Text})
}

// setCompose changes the mode of the entry, which gets the keyboard.
func (w *Window) setCompose(k compose) {
	w.chat.compose = k
	w.swaps++
	w.redraw()
}

// CancelCompose makes the entry's text a new message again.
func (w *Window) CancelCompose() {
	if w.chat == nil || w.chat.compose.mode == ComposeNew {
		return
	}
	w.stopCompose()
	w.setCompose(compose{})
}

// stopCompose ends answering and editing. A change that was begun can be had back
// for a moment.
func (w *Window) stopCompose() {
	k, id := w.chat.compose, w.chat.id
	w.chat.compose = compose{}
	if !k.changed() {
		return
	}
	w.soon(tr.T("The change was dropped."), func(context.Context) error { return nil },
		func() { w.resumeCompose(id, k) })
	w.pending.back = tr.T("The change is back.")
}

// resumeCompose goes on with what was begun in a conversation: now, or when it is
// opened.
func (w *Window) resumeCompose(id identity.PeerID, k compose) {
	if w.chat != nil && w.chat.id == id {
		w.setCompose(k)
		return
	}
	w.composing[id] = k
}

// leaveCompose remembers what was begun in the open conversation.
func (w *Window) leaveCompose() {
	switch {
	case w.chat == nil:
	case w.chat.compose.mode == ComposeNew:
		delete(w.composing, w.chat.id)
	default:
		w.composing[w.chat.id] = w.chat.compose
	}
}

// sendEdit stores an edited text. One that cannot be stored stays in the entry.
func (w *Window) sendEdit(text string) {
	c, k := w.chat, w.chat.compose
	c.compose = compose{}
	w.swaps++
	api := w.api
	w.do(func(ctx context.Context) func() {
		m, err := api.Edit(ctx, c.id, k.id, text)
		return func() {
			if err != nil {
				w.say(problem(tr.T("The message could not be changed"), err))
				if k.text = text; w.api == api && (w.chat == nil || w.chat.id != c.id || w.chat.compose.mode == ComposeNew) {
					w.resumeCompose(c.id, k)
				}
				return
			}
			w.changed(m)
		}
	})
	w.redraw()
}
