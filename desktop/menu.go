//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// emojis are offered as reactions.
var emojis = []string{"👍", "❤️", "😂", "😮", "😢", "🎉"}

// A messageMenu is what can be done with one message. There is one for the whole
// conversation: it opens over the message that was clicked.
type messageMenu struct {
	*gtk.Popover
	first, edit, quote, deleteBoth *gtk.Button
	row                            present.Row
}

func newMessageMenu(over gtk.Widgetter) *messageMenu {
	m := &messageMenu{Popover: gtk.NewPopover()}
	m.SetParent(over)
	m.SetHasArrow(true)
	m.AddCSSClass("menu-box")
	// GTK 4.8 would let Tab lead out of a popover that hangs on a scrolled window.
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	keys.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		dir := gtk.DirTabForward
		switch {
		case key == gdk.KEY_ISO_Left_Tab || key == gdk.KEY_Tab && state&gdk.ShiftMask != 0:
			dir = gtk.DirTabBackward
		case key != gdk.KEY_Tab:
			return false
		}
		if c := gtk.BaseWidget(m.Child()); !c.ChildFocus(dir) {
			c.SetFocusChild(nil)
			c.ChildFocus(dir)
		}
		return true
	})
	m.AddController(keys)
	return m
}

func (m *messageMenu) connect(p *present.Window) {
	act := func(f func(key string)) func() {
		return func() {
			m.Popdown()
			f(m.row.Key)
		}
	}
	reactions := box(gtk.OrientationHorizontal, 2)
	for _, e := range emojis {
		b := button(e, tr.T("React with %s", e), act(func(key string) { p.React(key, e) }))
		b.AddCSSClass("flat")
		reactions.Append(b)
	}
	m.first = menuItem(tr.T("Answer"), act(p.Reply))
	m.quote = menuItem(tr.T("Go to what it answers"), act(p.JumpQuote))
	m.edit = menuItem(tr.T("Change"), act(p.Edit))
	m.deleteBoth = menuItem(tr.T("Delete for both"), act(func(key string) { p.DeleteMessage(key, true) }))
	m.SetChild(box(gtk.OrientationVertical, 2, reactions, m.first, m.edit,
		menuItem(tr.T("Copy text"), func() {
			m.Popdown()
			m.Clipboard().SetText(m.row.Text)
		}),
		m.quote,
		menuItem(tr.T("Delete here"), act(func(key string) { p.DeleteMessage(key, false) })), m.deleteBoth))
}

// open shows the menu for a message, at a place of its widget.
func (m *messageMenu) open(row present.Row, at gtk.Widgetter) {
	if row.Kind != present.MessageRow || row.Failed {
		return
	}
	m.row = row
	m.edit.SetVisible(row.Mine && row.File.Name == "")
	m.quote.SetVisible(row.Quote != "")
	m.deleteBoth.SetVisible(row.Mine)
	w := gtk.BaseWidget(at)
	x, y, _ := w.TranslateCoordinates(m.Parent(), 0, 0)
	r := gdk.NewRectangle(int(x), int(y), w.AllocatedWidth(), w.AllocatedHeight())
	m.SetPointingTo(&r)
	m.Popup()
	m.first.GrabFocus()
}

// menuItem is a row of a menu.
func menuItem(text string, f func()) *gtk.Button {
	b := gtk.NewButtonWithLabel(text)
	b.AddCSSClass("flat")
	b.AddCSSClass("menu-item")
	if l, ok := b.Child().(*gtk.Label); ok {
		l.SetXAlign(0)
	}
	b.ConnectClicked(f)
	return b
}

// menuSwitch is a row of a menu with a state.
type menuSwitch struct {
	*gtk.CheckButton
	quiet bool
}

func newMenuSwitch(text, tip string, f func(on bool)) *menuSwitch {
	s := &menuSwitch{CheckButton: gtk.NewCheckButtonWithLabel(text)}
	s.SetTooltipText(tip)
	s.AddCSSClass("menu-item")
	s.ConnectToggled(func() {
		if !s.quiet {
			f(s.Active())
		}
	})
	return s
}

func (s *menuSwitch) draw(on bool) {
	if s.Active() != on {
		s.quiet = true
		s.SetActive(on)
		s.quiet = false
	}
}
