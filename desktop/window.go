//go:build gtk

package desktop

import (
	"net/url"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/shell"
	"github.com/sremp/sremp/desktop/tr"
)

const (
	startWidth, startHeight = 960, 680
	// toastTime is how long a toast stays, in milliseconds.
	toastTime = 7000
)

// A window draws present.View.
type window struct {
	*gtk.ApplicationWindow
	app          *gtk.Application
	pages        pager
	start        *startPage
	sidebar      *sidebar
	conversation *conversation
	sheet        *sheet
	main         *gtk.Paned
	me, network  *gtk.Label
	bar          []*gtk.Button // shown on the main page only

	toast     *gtk.Revealer
	toastText *gtk.Label
	toastSeq  int // of the last drawn View
	toasts    int
	undo      *gtk.Button
	scheme    *scheme
	stage     present.Stage
	dialog    present.DialogKind
	searching bool

	shell     *shell.Shell
	dir       string // of the profile
	state     shell.State
	last      int  // present.Hint of the open conversation; -1: none
	told      bool // that the program goes on without its window
	shortcuts []shortcut
	keys      *gtk.ShortcutsWindow // nil until it was asked for
	undoing   *gio.SimpleAction
	latest    present.View
	waiting   bool // latest was not drawn
}

func newWindow(app *gtk.Application, o Options) *window {
	w := &window{
		ApplicationWindow: gtk.NewApplicationWindow(app), app: app,
		pages: newPager(), start: newStartPage(), sidebar: newSidebar(), conversation: newConversation(), sheet: newSheet(),
		me: label("SREMP", "title"), network: line("subtitle"),
		shell: o.Shell, dir: o.Dir, state: shell.LoadState(o.Dir, firstState()), last: -1,
	}
	w.SetTitle("SREMP")
	w.SetIconName(shell.AppID)
	w.SetDefaultSize(w.state.Width, w.state.Height)
	if w.state.Maximized {
		w.Maximize()
	}
	w.main = gtk.NewPaned(gtk.OrientationHorizontal)
	w.main.SetObjectProperty("accessible-role", gtk.AccessibleRoleSeparator) // with the keyboard, its bar
	spoken(&w.main.Widget, tr.T("Width of the list"))
	w.main.SetStartChild(w.sidebar)
	w.main.SetEndChild(w.conversation)
	w.main.SetResizeStartChild(false)
	w.main.SetShrinkStartChild(false)
	w.main.SetShrinkEndChild(false)
	w.main.SetPosition(w.state.Pane)
	w.pages.add("start", w.start)
	w.main.SetVExpand(true)
	w.pages.add("main", w.main)

	over := gtk.NewOverlay()
	over.SetChild(w.pages)
	over.AddOverlay(w.makeToast())
	over.AddOverlay(w.sheet)
	w.SetChild(over)
	return w
}

func (w *window) makeToast() *gtk.Revealer {
	w.toast, w.toastText = gtk.NewRevealer(), paragraph("")
	w.toastText.SetMaxWidthChars(60)
	w.toastText.SetHExpand(true)
	close := iconButton("window-close-symbolic", tr.T("Close the notice"), func() { w.toast.SetRevealChild(false) })
	close.AddCSSClass("flat")
	close.SetVAlign(gtk.AlignCenter)
	w.undo = gtk.NewButtonWithLabel(tr.T("Undo"))
	w.undo.SetTooltipText(tr.T("Take it back (Ctrl+Z)"))
	w.undo.SetVAlign(gtk.AlignCenter)
	card := box(gtk.OrientationHorizontal, 8, w.toastText, w.undo, close)
	card.AddCSSClass("toast")
	w.toast.SetChild(card)
	w.toast.SetTransitionType(gtk.RevealerTransitionTypeSlideUp)
	w.toast.SetHAlign(gtk.AlignCenter)
	w.toast.SetVAlign(gtk.AlignEnd)
	w.toast.SetCanTarget(false)
	// A notice that is over is not read to anybody either.
	w.toast.SetVisible(false)
	w.toast.NotifyProperty("child-revealed", func() {
		if !w.toast.RevealChild() {
			w.toast.SetVisible(false)
		}
	})
	return w.toast
}

// connect sends what a person does to the presenter.
func (w *window) connect(p *present.Window) {
	w.start.connect(p)
	w.sidebar.answer = w.conversation.composer.grab
	w.conversation.menu.ConnectClosed(w.conversation.composer.grab)
	w.sidebar.connect(p)
	w.conversation.connect(p)
	w.sheet.connect(p)

	invite := button(tr.T("Invite"), tr.T("Invite somebody (Ctrl+I)"), p.OpenInvite)
	invite.AddCSSClass("suggested-action")
	add := button(tr.T("Add"), tr.T("Add a contact by a link (Ctrl+N)"), p.OpenAdd)
	servers := iconButton("network-server-symbolic", tr.T("Servers (Ctrl+Shift+S)"), p.OpenServers)
	settings := iconButton("emblem-system-symbolic", tr.T("Settings (Ctrl+,)"), p.OpenSettings)
	w.bar = []*gtk.Button{invite, add, servers, settings}
	program := w.programMenu()
	bar := gtk.NewHeaderBar()
	w.me.SetXAlign(0.5)
	w.network.SetXAlign(0.5)
	title := box(gtk.OrientationVertical, 0, w.me, w.network)
	title.SetVAlign(gtk.AlignCenter)
	bar.SetTitleWidget(title)
	bar.PackStart(invite)
	bar.PackStart(add)
	bar.PackEnd(program)
	bar.PackEnd(settings)
	bar.PackEnd(servers)
	w.SetTitlebar(bar)

	w.undo.ConnectClicked(p.Undo)
	w.keyAction(actionRetry, p.Retry)
	for action, name := range fileActions {
		w.keyAction(name, func(key string) { p.ControlFile(key, action) })
	}
	w.keyAction(actionFolder, func(key string) {
		if dir := p.Folder(key); dir != "" {
			gtk.ShowURI(&w.Window, "file://"+(&url.URL{Path: dir}).EscapedPath(), gdk.CURRENT_TIME)
		}
	})
	w.action("search", "<Control>f", tr.T("Search all messages"), p.OpenSearch)
	w.action("invite", "<Control>i", tr.T("Invite somebody"), p.OpenInvite)
	w.action("add", "<Control>n", tr.T("Add a contact by a link"), p.OpenAdd)
	w.action("next", "<Alt>Down <Control>Page_Down", tr.T("The next conversation"), func() { p.Step(1) })
	w.action("previous", "<Alt>Up <Control>Page_Up", tr.T("The conversation before"), func() { p.Step(-1) })
	w.action("list", "F6", tr.T("To the list of conversations, and back"), func() {
		if !w.sidebar.search.Visible() || w.dialog != present.NoDialog {
			return
		}
		if w.sidebar.FocusChild() != nil && w.conversation.pages["chat"].Visible() {
			w.conversation.composer.grab()
			return
		}
		w.sidebar.grab()
	})
	w.action("servers", "<Control><Shift>s", tr.T("Servers"), p.OpenServers)
	w.action("attach", "<Control>o", tr.T("Send a file"), w.conversation.composer.choose)
	w.action("menu", "<Control>m", tr.T("The menu of this conversation"), func() {
		if w.conversation.pages["chat"].Visible() {
			w.conversation.header.menu.Popup()
		}
	})
	w.undoing = w.action("undo", "<Control>z", tr.T("Take back what was deleted or dropped"), p.Undo)
	w.action("settings", "<Control>comma", tr.T("Settings"), p.OpenSettings)
	w.action("lock", "<Control>l", tr.T("Lock"), p.Lock)
	w.shortcuts = append(w.shortcuts, shortcut{keys: "F10", what: tr.T("The menu of the program")}) // GTK's own, of the primary menu
	w.action("shortcuts", "<Control>question", tr.T("Keyboard shortcuts"), w.showShortcuts)
	w.action("close", "<Control>w", tr.T("Close the window"), w.Close)
	w.action("quit", "<Control>q", tr.T("Quit"), w.app.Quit)
	w.ConnectCloseRequest(w.closeWindow)
	active := func() { p.SetActive(w.IsActive() && w.Mapped()) }
	w.NotifyProperty("is-active", active)
	w.ConnectUnmap(active) // a hidden window may keep the keyboard
	w.ConnectMap(func() {
		active()
		if w.waiting {
			w.waiting = false
			w.draw(w.latest)
		}
	})

	touch := gtk.NewEventControllerKey()
	touch.SetPropagationPhase(gtk.PhaseCapture)
	touch.ConnectKeyPressed(func(_, _ uint, _ gdk.ModifierType) bool {
		p.Touch()
		return false
	})
	w.AddController(touch)
	move := gtk.NewEventControllerMotion()
	move.ConnectMotion(func(_, _ float64) { p.Touch() })
	w.AddController(move)
	keys := gtk.NewEventControllerKey()
	keys.ConnectKeyPressed(func(key, _ uint, _ gdk.ModifierType) bool {
		switch {
		case key != gdk.KEY_Escape:
			return false
		case w.dialog != present.NoDialog:
			p.CloseDialog()
		case w.searching:
			p.CloseSearch()
		default:
			return false
		}
		return true
	})
	w.AddController(keys)
}

// keyAction makes a named action that takes a row's key.
func (w *window) keyAction(name string, f func(key string)) {
	a := gio.NewSimpleAction(name, glib.NewVariantType("s"))
	a.ConnectActivate(func(key *glib.Variant) { f(key.String()) })
	w.AddAction(a)
}

// show draws a view, as soon as there is a window to be seen: GTK 4.8 hangs when
// a tooltip changes in a window that is hidden, and nobody looks.
func (w *window) show(v present.View) {
	if w.waiting = !w.Mapped(); w.waiting {
		w.latest = v
		return
	}
	w.draw(v)
}

// draw shows a view.
func (w *window) draw(v present.View) {
	main := v.Stage == present.Main
	w.scheme.choose(v.Dark, v.TextSize)
	for _, b := range w.bar {
		b.SetVisible(main)
	}
	if !main { // first, so that it can take the keyboard
		w.pages.SetSensitive(true)
		w.pages.show("start")
	}
	w.start.draw(v)
	w.network.SetVisible(main)
	if main {
		setText(w.me, v.Me)
		setText(w.network, v.Network)
		setTip(&w.network.Widget, v.Network)
		w.sidebar.draw(v)
		w.searching = v.Search.Open
		w.conversation.draw(v)
		w.last = -1
		if v.Chat.Open {
			w.last = int(present.Hint(v.Chat.ID))
		}
		w.pages.show("main")
		if w.stage != present.Main {
			w.sidebar.grab()
		}
	} else {
		setText(w.me, "SREMP")
	}
	w.drawDialog(v)
	w.drawToast(v.Toast)
	w.stage = v.Stage
}

// drawDialog shows a dialog. What is under it cannot be reached by the keyboard
// either. The keyboard moves before what it leaves is hidden or closed to it.
func (w *window) drawDialog(v present.View) {
	open := v.Dialog.Kind != present.NoDialog
	closed := w.dialog != present.NoDialog && !open
	w.dialog = v.Dialog.Kind
	if closed {
		w.pages.SetSensitive(true)
		if v.Stage == present.Main {
			w.grab()
		}
	}
	w.sheet.draw(v.Dialog)
	if open {
		w.pages.SetSensitive(false)
	}
}

// grab gives the keyboard to the open conversation, else to the list.
func (w *window) grab() {
	if w.conversation.pages["chat"].Visible() {
		w.conversation.composer.grab()
	} else {
		w.sidebar.grab()
	}
}

func (w *window) drawToast(t present.Toast) {
	w.undo.SetVisible(t.Undo)
	w.undoing.SetEnabled(t.Undo) // else the key is the entry's own
	if t.Seq == w.toastSeq {
		return
	}
	w.toastSeq = t.Seq
	w.sayToast(t.Text)
}

// sayToast shows a notice for a moment.
func (w *window) sayToast(text string) {
	w.toasts++
	now := w.toasts
	w.toastText.SetText(text)
	w.toast.SetVisible(true)
	w.toast.SetCanTarget(true)
	w.toast.SetRevealChild(true)
	coreglib.TimeoutAdd(toastTime, func() {
		if w.toasts == now {
			w.toast.SetRevealChild(false)
			w.toast.SetCanTarget(false)
		}
	})
}
