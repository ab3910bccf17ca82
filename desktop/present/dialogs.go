package present

import (
	"context"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
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

// InviteWords makes an invite that 8 words find, too, and shows them: for the
// telephone. It takes the place of the one that is shown, which stays valid.
func (w *Window) InviteWords() {
	if w.dialog.InviteWords == "" {
		w.inviteAgain(client.InviteOptions{Words: true, Ask: w.dialog.Asks}, tr.T("The words could not be made"))
	}
}

// InviteAsking makes an invite for a place that many can read: who uses it is a
// request. It takes the place of the one that is shown, which stays valid.
func (w *Window) InviteAsking() {
	if !w.dialog.Asks {
		w.inviteAgain(client.InviteOptions{Ask: true}, tr.T("The invite could not be made"))
	}
}

// inviteAgain shows another invite in the open dialog.
func (w *Window) inviteAgain(o client.InviteOptions, failed string) {
	if w.dialog.Kind != InviteDialog || w.dialog.Busy {
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		inv, err := api.Invite(ctx, o)
		if err != nil {
			return w.unanswered(failed, err)
		}
		qr, _ := NewQR(strings.ToUpper(inv.URI))
		return func() {
			w.dialog.Link, w.dialog.QR, w.dialog.InviteWords, w.dialog.Asks = inv.URI, qr, inv.Words, o.Ask
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

// fetch is ask without waiting: the dialog can be used meanwhile.
func (w *Window) fetch(f func(ctx context.Context, api client.API) func()) {
	api, kind, asked := w.api, w.dialog.Kind, w.asked
	w.do(func(ctx context.Context) func() {
		answer := f(ctx, api)
		return func() {
			if w.dialog.Kind == kind && w.asked == asked {
				answer()
			}
		}
	})
}

func (w *Window) unanswered(doing string, err error) func() {
	return func() { w.dialog.Problem = problem(doing, err) }
}
