//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/shell"
	"github.com/sremp/sremp/desktop/tr"
)

// desk gives what the presenter says beyond the window to the shell.
type desk struct{ shell *shell.Shell }

// Notify implements [present.Desk].
func (d desk) Notify(n present.Notice) {
	s := shell.Notice{Tag: n.Tag, Title: n.Title, Body: n.Body, Open: tr.T("Open")}
	if n.Picture != nil {
		s.Pixels, s.Width, s.Height = n.Picture.RGB()
	}
	if n.Answer {
		s.Reply = tr.T("Answer")
	}
	d.shell.Notify(s)
}

// Withdraw implements [present.Desk].
func (d desk) Withdraw(tag string) { d.shell.Withdraw(tag) }

// SetUnread implements [present.Desk].
func (d desk) SetUnread(n int) { d.shell.SetUnread(n) }

// backgroundTag is of the notice that the program goes on.
const backgroundTag = "background"

// listen does what other programs ask for.
func (w *window) listen(p *present.Window) {
	w.shell.Listen(shell.Events{
		Raise: func(token string) { post(func() { w.raise(token) }) },
		Link: func(link, token string) {
			post(func() {
				w.raise(token)
				p.OpenLink(link)
			})
		},
		Opened: func(tag, token string) {
			post(func() {
				w.raise(token)
				p.OpenNotice(tag)
			})
		},
		Reply: func(tag, token string) {
			post(func() {
				w.raise(token)
				p.OpenNotice(tag)
			})
		},
		Replied: func(tag, text string) { post(func() { p.AnswerNotice(tag, text) }) },
		Quit:    func() { post(w.app.Quit) },
	})
	w.shell.Tray(shell.Words{Show: tr.T("Show SREMP"), Quit: tr.T("Quit"), Unread: unreadWords})
}

func unreadWords(n int) string {
	if n == 0 {
		return tr.T("Nothing new")
	}
	return tr.N("%d unread message", "%d unread messages", n, n)
}

// raise brings the window to the front. The token is of who asked for it.
func (w *window) raise(token string) {
	if token != "" {
		w.SetStartupID(token)
	}
	w.Present()
}

// closeWindow hides the window, if the program is to go on, and says so once.
func (w *window) closeWindow() (handled bool) {
	w.remember()
	if !w.state.Background || w.stage != present.Main {
		return false
	}
	w.SetVisible(false)
	if !w.told {
		w.told = true
		w.shell.Notify(shell.Notice{
			Tag: backgroundTag, Title: "SREMP", Open: tr.T("Open"),
			Body: tr.T("Goes on in the background, so that messages come. Start it again to see the window; Ctrl+Q ends it."),
		})
	}
	return true
}

// remember stores how the window stands.
func (w *window) remember() {
	w.state.Width, w.state.Height = w.DefaultSize()
	w.state.Maximized = w.IsMaximized()
	w.state.Pane = w.main.Position()
	if w.stage == present.Main {
		w.state.Last = w.last
	}
	// A profile in which nothing can be written has worse to tell.
	_ = w.state.Save(w.dir)
}

// firstState is of a window that was never open.
func firstState() shell.State {
	return shell.State{Width: startWidth, Height: startHeight, Pane: sidebarWidth, Last: -1, Background: true}
}

// programMenu is the menu of what is not about a conversation.
func (w *window) programMenu() *gtk.MenuButton {
	popover := gtk.NewPopover()
	autostart := newMenuSwitch(tr.T("Start with the session"), tr.T("In the background, when you log in"), func(on bool) {
		if err := shell.SetAutostart(w.dir, on); err != nil {
			w.sayToast(tr.T("That could not be done"))
		}
	})
	background := newMenuSwitch(tr.T("Go on in the background"), tr.T("Closing the window does not end the program: messages come"), func(on bool) {
		w.state.Background = on
		w.remember()
	})
	popover.SetChild(box(gtk.OrientationVertical, 2, autostart, background,
		menuItem(tr.T("Keyboard shortcuts"), func() {
			popover.Popdown()
			w.showShortcuts()
		}),
		menuItem(tr.T("Quit"), w.app.Quit)))
	popover.ConnectClosed(func() {
		if w.stage == present.Main && w.dialog == present.NoDialog {
			w.grab() // else nothing has the keyboard
		}
	})
	popover.ConnectMap(func() {
		autostart.draw(shell.Autostart(w.dir))
		background.draw(w.state.Background)
	})
	b := gtk.NewMenuButton()
	b.SetIconName("open-menu-symbolic")
	b.SetTooltipText(tr.T("The program (F10)"))
	spoken(&b.Widget, tr.T("The program"))
	b.SetPopover(popover)
	b.SetObjectProperty("primary", true)
	return b
}
