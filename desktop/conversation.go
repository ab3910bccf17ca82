//go:build gtk

package desktop

import (
	"slices"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

const (
	nearEnd = 48  // pixels from an end within which a list follows new rows
	nearTop = 700 // pixels from an end at which the list gets more rows
	// settleFrames is how many frames a list takes to find its place.
	settleFrames = 2
)

// A conversation is the right half of the window: header, messages, entry.
type conversation struct {
	pager
	header   *chatHeader
	list     *list[present.Row]
	scroll   *gtk.ScrolledWindow
	newest   *gtk.Button
	composer *composer
	menu     *messageMenu

	empty     *emptyPage
	presenter *present.Window
	shown     identity.PeerID
	jumps     int    // of the last drawn View
	follow    bool   // new rows are scrolled to
	goal      func() // a jump that is on its way, nil if there is none
	wanting   bool   // more messages will perhaps be asked for
	ticking   bool   // either is looked at in each frame
	frames    int    // since the list got other rows, or another place
	later     bool   // there are messages after the last row
	width     int    // of the place for messages, in pixels

	// What is loaded of the conversation. The list has the portion of it.
	keys    []string
	rows    []present.Row
	portion present.Portion

	places map[identity.PeerID]string // the row that was looked at, of conversations that were left
	back   string                     // the row to come back to, once it is there
}

func newConversation() *conversation {
	c := &conversation{
		pager: newPager(), header: newChatHeader(), scroll: gtk.NewScrolledWindow(),
		newest: gtk.NewButtonFromIconName("go-bottom-symbolic"), composer: newComposer(),
		follow: true, places: map[identity.PeerID]string{},
	}
	c.list = newList(func() cell[present.Row] { return newMessageCell(c.openMenu) })
	c.scroll.AddCSSClass("messages")
	c.scroll.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	c.scroll.SetVExpand(true)
	c.scroll.SetFocusable(false) // its rows are
	c.scroll.SetChild(c.list.view)
	spoken(&c.list.view.Widget, tr.T("Messages"))
	c.menu = newMessageMenu(c.scroll)

	c.newest.SetTooltipText(tr.T("To the newest message"))
	spoken(&c.newest.Widget, tr.T("To the newest message"))
	c.newest.AddCSSClass("newest")
	c.newest.SetHAlign(gtk.AlignEnd)
	c.newest.SetVAlign(gtk.AlignEnd)
	c.newest.SetVisible(false)
	messages := gtk.NewOverlay()
	messages.SetChild(c.scroll)
	messages.AddOverlay(c.newest)
	messages.AddOverlay(newRuler(c.inset))
	messages.AddCSSClass("messages-place")
	messages.AddController(wheelBeside(c.scroll))

	c.empty = newEmptyPage()
	c.add("empty", c.empty)
	c.add("chat", box(gtk.OrientationVertical, 0, c.header, messages, c.composer))
	c.SetHExpand(true)
	return c
}

// inset keeps messages and entry in a column, in the middle of a place so wide.
func (c *conversation) inset(width int) {
	c.width = width
	side := columnSide(width)
	c.scroll.SetMarginStart(side)
	c.scroll.SetMarginEnd(side)
	c.composer.inset(side)
}

func (c *conversation) connect(p *present.Window) {
	c.presenter = p
	c.header.connect(p)
	// GTK 4.8 keeps the keyboard in what a list follows.
	keysBefore := gtk.NewEventControllerKey()
	keysBefore.SetPropagationPhase(gtk.PhaseCapture)
	keysBefore.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		if key != gdk.KEY_Tab || state&gdk.ShiftMask != 0 || c.header.popover.Visible() {
			return false
		}
		if !c.focusNewest() {
			c.composer.grab()
		}
		return true
	})
	c.header.menu.AddController(keysBefore)
	c.header.popover.ConnectClosed(c.composer.grab) // else nothing has the keyboard
	c.composer.connect(p)
	c.composer.leaveUp = c.focusNewest
	c.menu.connect(p)
	c.empty.connect(p)
	c.newest.ConnectClicked(func() {
		c.follow = true
		p.Newest()
		c.toEnd()
	})
	drop := gtk.NewDropTarget(gio.GTypeFile, gdk.ActionCopy)
	drop.ConnectDrop(func(v *coreglib.Value, _, _ float64) bool {
		f, ok := v.GoValue().(gio.Filer)
		if ok && f.Path() != "" {
			p.SendFile(f.Path())
		}
		return ok
	})
	c.AddController(drop)
	// Enter on a message opens its menu; the text in it has the keyboard.
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	keys.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		switch {
		case key == gdk.KEY_Menu, key == gdk.KEY_Return, key == gdk.KEY_KP_Enter:
		case key == gdk.KEY_F10 && state&gdk.ShiftMask != 0:
		default:
			return false
		}
		for _, s := range c.list.slots {
			if s.bound && gtk.BaseWidget(s.cell.root()).Parent() != nil && holdsFocus(s.cell.root()) {
				c.openMenu(s.shown, s.cell.root())
				return true
			}
		}
		return false
	})
	c.list.view.AddController(keys)
	adj := c.scroll.VAdjustment()
	adj.ConnectValueChanged(func() {
		if c.goal != nil {
			return
		}
		left := adj.Upper() - adj.PageSize() - adj.Value()
		_, whole := c.portion.Whole()
		c.follow = left <= nearEnd && whole && !c.later
		c.newest.SetVisible(c.later || !whole || left > adj.PageSize())
		c.wantMore()
	})
	adj.ConnectChanged(func() {
		if c.follow {
			c.toEnd()
		}
	})
}

// focusNewest gives the keyboard to the last row that is drawn: from there the
// arrows go up.
func (c *conversation) focusNewest() bool {
	var last *slot[present.Row]
	for _, s := range c.list.slots {
		if s.bound && (last == nil || s.item.Position() > last.item.Position()) {
			last = s
		}
	}
	if last == nil {
		return false
	}
	return gtk.BaseWidget(gtk.BaseWidget(last.cell.root()).Parent()).ChildFocus(gtk.DirTabForward)
}

// holdsFocus reports whether the keyboard is in a row.
func holdsFocus(w gtk.Widgetter) bool {
	p := gtk.BaseWidget(w).Parent()
	return gtk.BaseWidget(p).HasFocus() || gtk.BaseWidget(p).FocusChild() != nil
}

func (c *conversation) openMenu(row present.Row, at gtk.Widgetter) { c.menu.open(row, at) }

// wantMore gives the list more rows if an end of it is near, or asks for more
// messages, once the list has found its place: while rows are put above those
// that are seen, an end only seems to be near.
func (c *conversation) wantMore() {
	c.wanting = true
	c.tick()
}

// moved is to be called when the list got other rows, or another place.
func (c *conversation) moved() {
	c.wantMore()
	c.frames = 0
}

// jump has the list go somewhere once it has laid out its rows: before, it does
// not know where they are.
func (c *conversation) jump(to func()) {
	c.goal = to
	c.tick()
}

// tick waits for the list to have laid out what it has, and does what is to be
// done then.
func (c *conversation) tick() {
	if c.ticking {
		return
	}
	c.ticking, c.frames = true, 0
	c.scroll.AddTickCallback(func(gtk.Widgetter, gdk.FrameClocker) bool {
		switch c.frames++; {
		case c.frames < settleFrames:
		case c.goal != nil:
			to := c.goal
			c.goal = nil
			to()
			c.moved()
		case c.wanting:
			c.wanting = false
			c.more()
		}
		c.ticking = c.wanting || c.goal != nil
		return c.ticking
	})
}

func (c *conversation) more() {
	if len(c.keys) == 0 || !c.list.view.Visible() {
		return
	}
	adj := c.scroll.VAdjustment()
	room := adj.Upper() - adj.PageSize()
	near := float64(nearTop)
	if from, to := c.portion.Range(); to-from >= present.PortionMost {
		near = min(near, room/4) // never at both ends: each takes from the other
	}
	moved := false
	if room-adj.Value() <= near {
		if moved = c.portion.Down(); !moved {
			c.presenter.Later()
		}
	}
	if !moved && adj.Value() <= near {
		moved = c.portion.Up()
		if from, _ := c.portion.Range(); from < present.PortionStart {
			c.presenter.Earlier()
		}
	}
	if moved {
		c.drawPortion()
	}
}

// drawPortion has the list show its portion, and looks whether that is enough.
func (c *conversation) drawPortion() {
	from, to := c.portion.Range()
	c.list.set(c.keys[from:to], c.rows[from:to])
	c.moved()
}

// toEnd scrolls to the last row, unless it is on its way elsewhere.
func (c *conversation) toEnd() {
	if c.goal != nil {
		return
	}
	c.jump(func() {
		if _, whole := c.portion.Whole(); !whole {
			c.portion.End()
			c.drawPortion()
			c.toEnd() // once it has them
			return
		}
		if n := len(c.list.keys); n > 0 {
			c.toRow(n - 1)
		}
		adj := c.scroll.VAdjustment()
		adj.SetValue(adj.Upper() - adj.PageSize())
	})
}

func (c *conversation) toRow(i int) {
	c.list.view.ActivateAction("list.scroll-to-item", glib.NewVariantUint32(uint32(i)))
}

// toKey scrolls to the row with a key.
func (c *conversation) toKey(key string) {
	c.follow = false
	if c.portion.Show(key) {
		c.drawPortion()
	}
	c.jump(func() {
		for i, k := range c.list.keys {
			if k == key {
				c.toRow(i)
			}
		}
	})
}

// leave remembers the row in the middle of the view.
func (c *conversation) leave() {
	if c.shown == (identity.PeerID{}) {
		return
	}
	delete(c.places, c.shown)
	if c.follow {
		return // the end, then
	}
	for _, s := range c.list.slots {
		w := gtk.BaseWidget(s.cell.root())
		if !s.bound || !w.Mapped() {
			continue
		}
		_, y, ok := w.TranslateCoordinates(c.scroll, 0, 0)
		middle := float64(c.scroll.AllocatedHeight()) / 2
		if i := s.item.Position(); ok && y <= middle && middle < y+float64(w.AllocatedHeight()) && i < uint(len(c.list.keys)) {
			c.places[c.shown] = c.list.keys[i]
		}
	}
}

func (c *conversation) draw(v present.View) {
	chat := v.Chat
	if !chat.Open || chat.ID != c.shown {
		c.leave()
	}
	if !chat.Open {
		c.empty.draw(v)
		c.show("empty")
		c.shown = identity.PeerID{}
		return
	}
	c.show("chat")
	c.inset(c.width) // the size of the text may have changed
	c.header.draw(chat)
	c.later = chat.Later
	other := chat.ID != c.shown
	c.shown = chat.ID
	if other {
		c.back = c.places[chat.ID]
		c.follow = c.back == ""
	}
	keys := make([]string, len(chat.Rows))
	for i, r := range chat.Rows {
		keys[i] = r.Key
	}
	// The rows of the conversation before stay, unseen, until those of this one
	// take their place: rows that change what they show cost a third of new ones.
	wait := chat.Loading && len(chat.Rows) == 0
	c.list.view.SetVisible(!wait)
	grown := false // a last row that was not there before
	if !wait {
		n := len(keys)
		grown = n > 0 && !slices.Contains(c.keys, keys[n-1])
		c.keys, c.rows = keys, chat.Rows
		c.portion.Set(keys)
		c.drawPortion()
	}
	if grown {
		if last := chat.Rows[len(chat.Rows)-1]; last.Mine && last.Tick.Saving {
			c.follow = true // one wants to see what one wrote
		}
	}
	switch {
	case chat.Jumps != c.jumps:
		c.jumps, c.back = chat.Jumps, ""
		c.toKey(chat.Jump)
	case c.back != "" && !chat.Loading:
		if slices.Contains(keys, c.back) {
			c.toKey(c.back)
		} else {
			c.follow = true // it is further up than what is loaded
			c.toEnd()
		}
		c.back = ""
	case c.follow && !chat.Later && (grown || other):
		c.toEnd()
	}
	c.composer.draw(chat)
	if other {
		c.composer.grab()
	}
}
