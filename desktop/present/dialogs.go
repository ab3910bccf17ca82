package present

import (
	"context"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// OpenInvite makes an invite and shows it.
func (w *Window) OpenInvite() {
	if !w.openDialog(InviteDialog) {
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		inv, err := api.Invite(ctx, client.InviteOptions{})
		if err != nil {
			return w.unanswered(tr.T("The invite could not be made"), err)
		}
		// Without a code the link is still there to copy.
		qr, _ := NewQR(strings.ToUpper(inv.URI))
		return func() {
			until := inv.Expires.In(w.config.Zone)
			w.dialog.Link, w.dialog.QR = inv.URI, qr
			w.dialog.Expires = tr.T("Works once, until %s.", tr.Date(until, tr.Mark("Monday, 2 January, 15:04")))
		}
	})
	w.redraw()
}

// OpenAdd asks for an invite.
func (w *Window) OpenAdd() {
	if w.openDialog(AddDialog) {
		w.dialog.Busy = false
		w.redraw()
	}
}

// Add joins by an invite and opens the conversation with the new contact.
func (w *Window) Add(uri, nick string) {
	uri, nick = strings.TrimSpace(uri), strings.TrimSpace(nick)
	if w.dialog.Kind != AddDialog || w.dialog.Busy {
		return
	}
	if uri == "" {
		w.dialog.Problem = tr.T("Paste the link that you were given.")
		w.redraw()
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		c, err := api.Add(ctx, uri, nick)
		if err != nil {
			return w.unanswered(tr.T("The contact could not be added"), err)
		}
		return func() {
			w.contacts[c.ID] = c
			w.dialog = Dialog{}
			w.say(tr.T("%s was added. Say hello!", Isolate(c.Label())))
			if w.chat == nil || w.chat.id != c.ID {
				w.openChat(c.ID)
			}
			w.refresh()
		}
	})
	w.redraw()
}

// OpenServers shows the servers in use.
func (w *Window) OpenServers() {
	if w.openDialog(ServersDialog) {
		w.dialog.Busy = false
		w.redraw()
	}
}

// AddServer makes the profile use a server.
func (w *Window) AddServer(address string) {
	if w.dialog.Kind != ServersDialog || w.dialog.Busy {
		return
	}
	a, err := identity.ParseServerAddr(address)
	if err != nil {
		w.dialog.Problem = tr.T("This is not a server's address. It looks like sremp://KEY@HOST:PORT; its operator gives it to you.")
		w.redraw()
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.AddServer(ctx, a); err != nil {
			return w.unanswered(tr.T("The server could not be added"), err)
		}
		servers, err := api.Servers(ctx)
		if err != nil {
			return w.unanswered(tr.T("The servers could not be listed"), err)
		}
		return func() {
			w.me.Servers = servers
			w.dialog.Clears++
		}
	})
	w.redraw()
}

// CloseDialog closes the dialog. What was begun goes on: an invite that was made
// stays valid.
func (w *Window) CloseDialog() {
	w.dialog = Dialog{}
	w.redraw()
}

// openDialog opens a dialog, busy, and reports whether there is a client for it.
func (w *Window) openDialog(k DialogKind) bool {
	if w.stage != Main {
		return false
	}
	w.asked++
	w.dialog = Dialog{Kind: k, Busy: true}
	return true
}

// ask lets the open dialog wait for an answer. The answer of a dialog that was
// closed meanwhile is not shown.
func (w *Window) ask(f func(ctx context.Context, api client.API) func()) {
	api, kind, asked := w.api, w.dialog.Kind, w.asked
	w.dialog.Busy, w.dialog.Problem = true, ""
	w.do(func(ctx context.Context) func() {
		answer := f(ctx, api)
		return func() {
			if w.dialog.Kind != kind || w.asked != asked {
				return
			}
			w.dialog.Busy = false
			answer()
		}
	})
}

func (w *Window) unanswered(doing string, err error) func() {
	return func() { w.dialog.Problem = problem(doing, err) }
}
