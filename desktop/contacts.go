//go:build gtk

package desktop

import (
	"slices"
	"strconv"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// sidebarWidth keeps a conversation readable on a screen 800 pixels wide.
const sidebarWidth = 280

// A sidebar is the list of conversations, with the search over all of them.
type sidebar struct {
	*gtk.Box
	pages    pager
	list     *list[present.Contact]
	hits     *list[present.Hit]
	search   *gtk.SearchEntry
	filters  *gtk.Box
	inbox    *gtk.ToggleButton
	requests *gtk.ToggleButton
	archive  *gtk.ToggleButton
	nothing  *gtk.Label
	answer   func() // gives the keyboard to the open conversation
	open     bool
	quiet    bool // the search is being changed by us
}

func newSidebar() *sidebar {
	s := &sidebar{
		pages: newPager(), list: newList(newContactCell), hits: newList(newHitCell), search: gtk.NewSearchEntry(),
		nothing: paragraph("", "page-text"),
	}
	s.search.SetObjectProperty("placeholder-text", tr.T("Search all messages (Ctrl+F)"))
	spoken(&s.search.Widget, tr.T("Search all messages"))
	s.inbox, s.requests, s.archive = gtk.NewToggleButtonWithLabel(tr.T("All")), gtk.NewToggleButton(), gtk.NewToggleButton()
	s.requests.SetGroup(s.inbox)
	s.archive.SetGroup(s.inbox)
	s.filters = box(gtk.OrientationHorizontal, 4, s.inbox, s.requests, s.archive)
	s.filters.AddCSSClass("filters")
	top := box(gtk.OrientationVertical, 6, s.search, s.filters)
	top.AddCSSClass("sidebar-top")
	s.list.choice, s.hits.choice = true, true
	s.list.view.SetSingleClickActivate(true)
	spoken(&s.list.view.Widget, tr.T("Contacts"))
	s.hits.view.SetSingleClickActivate(true)
	spoken(&s.hits.view.Widget, tr.T("Messages found"))
	s.nothing.SetJustify(gtk.JustifyCenter)
	s.nothing.SetXAlign(0.5)
	s.nothing.SetVAlign(gtk.AlignStart)
	s.nothing.SetMarginTop(24)
	s.pages.add("contacts", scrolled(s.list.view))
	s.pages.add("hits", scrolled(s.hits.view))
	s.pages.add("nothing", s.nothing)
	s.pages.show("contacts")
	s.pages.SetVExpand(true)
	s.Box = box(gtk.OrientationVertical, 0, top, s.pages)
	s.AddCSSClass("sidebar")
	s.SetSizeRequest(sidebarWidth, -1)
	return s
}

// scrolled puts a list into a window of its own that scrolls up and down.
func scrolled(child gtk.Widgetter) *gtk.ScrolledWindow {
	w := gtk.NewScrolledWindow()
	w.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	w.SetChild(child)
	w.SetVExpand(true)
	w.SetFocusable(false) // its rows are
	return w
}

func (s *sidebar) connect(p *present.Window) {
	s.list.view.ConnectActivate(func(i uint) {
		if i < uint(len(s.list.values)) {
			if s.list.values[i].Selected {
				s.answer() // it is open
				return
			}
			p.Select(s.list.values[i].ID)
		}
	})
	s.hits.view.ConnectActivate(func(i uint) {
		if i < uint(len(s.hits.values)) {
			p.OpenHit(s.hits.values[i].Key)
		}
	})
	s.search.ConnectChanged(func() { // at once: the presenter waits for the next letter
		if !s.quiet {
			p.SetSearch(s.search.Text())
		}
	})
	s.search.ConnectStopSearch(p.CloseSearch)
	// GTK 4.8 keeps the keyboard in the entry when a list follows.
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	keys.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		switch {
		case key == gdk.KEY_Down:
		case key != gdk.KEY_Tab || state&gdk.ShiftMask != 0 || s.filters.Visible():
			return false
		}
		return s.enter()
	})
	s.search.AddController(keys)
	s.search.ConnectActivate(func() { s.enter() })
	enterByKeys(s.list)
	enterByKeys(s.hits)
	for b, f := range map[*gtk.ToggleButton]present.Filter{
		s.inbox: present.Inbox, s.requests: present.Requests, s.archive: present.Archive,
	} {
		b.ConnectToggled(func() {
			if b.Active() && !s.quiet {
				p.SetFilter(f)
			}
		})
	}
}

// enter gives the keyboard to what stands below the search.
func (s *sidebar) enter() bool {
	switch {
	case s.pages.pages["hits"].Visible():
		return grabRow(s.hits, 0)
	case s.pages.pages["contacts"].Visible():
		s.grab()
		return true
	}
	return false
}

// grab gives the keyboard to the open conversation in the list, else to the
// first one.
func (s *sidebar) grab() {
	i := slices.IndexFunc(s.list.values, func(c present.Contact) bool { return c.Selected })
	grabRow(s.list, max(i, 0))
}

// grabRow gives the keyboard to a row. GTK 4.8 would give it to the list itself,
// where neither Enter nor an arrow does anything.
func grabRow[V value](l *list[V], i int) bool {
	if i >= len(l.values) {
		return l.view.GrabFocus()
	}
	row := func() bool {
		for _, s := range l.slots {
			if s.bound && s.item.Position() == uint(i) {
				if p := gtk.BaseWidget(s.cell.root()).Parent(); p != nil {
					return gtk.BaseWidget(p).GrabFocus()
				}
			}
		}
		return false
	}
	if row() {
		return true
	}
	// It is out of sight, and has no widget before the list is there.
	l.view.ActivateAction("list.scroll-to-item", glib.NewVariantUint32(uint32(i)))
	return row() || l.view.GrabFocus()
}

// enterByKeys lets the arrows, Enter and Tab lead from a list that has the keyboard
// itself to its first row: it had none when it got it.
func enterByKeys[V value](l *list[V]) {
	keys := gtk.NewEventControllerKey()
	keys.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		if !l.view.IsFocus() || len(l.values) == 0 || state&(gdk.ShiftMask|gdk.ControlMask|gdk.AltMask) != 0 {
			return false
		}
		switch key {
		case gdk.KEY_Up, gdk.KEY_Down, gdk.KEY_Home, gdk.KEY_Return, gdk.KEY_KP_Enter, gdk.KEY_Tab:
			return grabRow(l, 0)
		}
		return false
	})
	keys.SetPropagationPhase(gtk.PhaseCapture)
	l.view.AddController(keys)
}

func (s *sidebar) draw(v present.View) {
	s.filters.SetVisible(v.Requests > 0 || v.Archived > 0 || v.Filter != present.Inbox)
	s.requests.SetVisible(v.Requests > 0 || v.Filter == present.Requests)
	s.archive.SetVisible(v.Archived > 0 || v.Filter == present.Archive)
	s.requests.SetLabel(tr.T("Requests (%d)", v.Requests))
	s.archive.SetLabel(tr.T("Archive (%d)", v.Archived))
	s.quiet = true
	[]*gtk.ToggleButton{s.inbox, s.requests, s.archive}[v.Filter].SetActive(true)
	if !v.Search.Open && s.search.Text() != "" {
		s.search.SetText("")
	}
	s.quiet = false
	if v.Search.Open && !s.open {
		s.search.GrabFocus()
	}
	if !v.Search.Open && s.open {
		s.grab()
	}
	s.open = v.Search.Open
	keys := make([]string, len(v.Contacts))
	for i, c := range v.Contacts {
		keys[i] = c.ID.String()
	}
	s.list.set(keys, v.Contacts)
	keys = make([]string, len(v.Search.Hits))
	for i, h := range v.Search.Hits {
		keys[i] = h.Key
	}
	s.hits.set(keys, v.Search.Hits)
	switch {
	case !v.Search.Open || v.Search.Query == "":
		s.pages.show("contacts")
	case len(v.Search.Hits) > 0:
		s.pages.show("hits")
	default:
		setText(s.nothing, tr.T("Searching…"))
		if !v.Search.Busy {
			setText(s.nothing, tr.T("Nothing was found."))
		}
		s.pages.show("nothing")
	}
}

// A hitCell is one message that was found.
type hitCell struct {
	row        *gtk.Box
	avatar     *avatar
	name, when *gtk.Label
	text       *gtk.Label
}

func newHitCell() cell[present.Hit] {
	h := &hitCell{avatar: newAvatar(present.Colours), name: line("contact-name"), when: line("contact-when"), text: label("", "contact-last")}
	h.name.SetHExpand(true)
	h.text.SetWrap(true)
	h.text.SetLines(2)
	h.text.SetEllipsize(pango.EllipsizeEnd)
	text := box(gtk.OrientationVertical, 2, box(gtk.OrientationHorizontal, 6, h.name, h.when), h.text)
	text.SetHExpand(true)
	h.row = box(gtk.OrientationHorizontal, 12, h.avatar, text)
	h.row.AddCSSClass("contact")
	return h
}

func (h *hitCell) root() gtk.Widgetter { return h.row }

func (h *hitCell) draw(v present.Hit) {
	h.avatar.draw(v.Initials, v.Colour, v.Picture, v.Label)
	setText(h.name, v.Label)
	setText(h.when, v.When)
	who := v.Author + ": "
	h.text.SetText(who + v.Before + v.Match + v.After)
	// Attributes, not markup: the text is from outside.
	bold := pango.NewAttrList()
	a := pango.NewAttrWeight(pango.WeightBold)
	a.SetStartIndex(uint(len(who) + len(v.Before)))
	a.SetEndIndex(uint(len(who) + len(v.Before) + len(v.Match)))
	bold.Insert(a)
	h.text.SetAttributes(bold)
}

// A contactCell is one row of the contact list.
type contactCell struct {
	row        *gtk.Box
	avatar     *avatar
	dot        *gtk.Box
	name, last *gtk.Label
	when       *gtk.Label
	unread     *gtk.Label
	marks      *gtk.Label // pinned, muted, verified
	shown      present.Contact
}

func newContactCell() cell[present.Contact] {
	c := &contactCell{
		avatar: newAvatar(present.Colours),
		dot:    gtk.NewBox(gtk.OrientationHorizontal, 0),
		name:   line("contact-name"), last: line("contact-last"),
		when: line("contact-when"), unread: label("", "unread"), marks: label("", "contact-when"),
	}
	c.dot.AddCSSClass("dot")
	c.dot.SetHAlign(gtk.AlignEnd)
	c.dot.SetVAlign(gtk.AlignEnd)
	picture := gtk.NewOverlay()
	picture.SetChild(c.avatar)
	picture.AddOverlay(c.dot)
	c.name.SetHExpand(true)
	c.last.SetHExpand(true)
	c.unread.SetXAlign(0.5)
	c.unread.SetVAlign(gtk.AlignCenter)
	text := box(gtk.OrientationVertical, 2,
		box(gtk.OrientationHorizontal, 6, c.name, c.marks, c.when),
		box(gtk.OrientationHorizontal, 6, c.last, c.unread))
	text.SetVAlign(gtk.AlignCenter)
	c.row = box(gtk.OrientationHorizontal, 12, picture, text)
	c.row.AddCSSClass("contact")
	tip(&c.row.Widget, func() string { return c.shown.Label + "\n" + c.shown.Badge.Text })
	return c
}

func (c *contactCell) root() gtk.Widgetter { return c.row }

func (c *contactCell) draw(v present.Contact) {
	c.shown = v
	c.avatar.draw(v.Initials, v.Colour, v.Picture, v.Label)
	pathClass(&c.dot.Widget, v.Badge.Kind)
	setText(c.name, v.Label)
	setText(c.last, v.Last)
	if v.Last == "" {
		setText(c.last, v.Badge.Text)
	}
	mark(&c.last.Widget, "draft", v.Draft || v.Typing)
	if v.Draft && !v.Typing {
		setText(c.last, tr.T("Draft: %s", v.Last))
	}
	marks := ""
	for _, m := range []struct {
		on   bool
		sign string
	}{{v.Verified, "🛡"}, {v.Pinned, "📌"}, {v.Muted, "🔕"}} {
		if m.on {
			marks += m.sign
		}
	}
	setText(c.marks, marks)
	setText(c.when, v.When)
	setText(c.unread, strconv.Itoa(v.Unread))
	c.unread.SetVisible(v.Unread > 0)
	mark(&c.row.Widget, "selected", v.Selected)
	c.dot.SetVisible(!v.Self)
}
