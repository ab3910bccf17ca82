//go:build gtk

package desktop

import (
	"strconv"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
)

// sidebarWidth keeps a conversation readable on a screen 800 pixels wide.
const sidebarWidth = 280

// A sidebar is the contact list.
type sidebar struct {
	*gtk.ScrolledWindow
	list *list[present.Contact]
}

func newSidebar() *sidebar {
	s := &sidebar{ScrolledWindow: gtk.NewScrolledWindow(), list: newList(newContactCell)}
	s.AddCSSClass("sidebar")
	s.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	s.SetChild(s.list.view)
	s.SetSizeRequest(sidebarWidth, -1)
	s.SetVExpand(true)
	s.list.view.SetSingleClickActivate(true)
	spoken(&s.list.view.Widget, "Contacts")
	return s
}

func (s *sidebar) connect(p *present.Window) {
	s.list.view.ConnectActivate(func(i uint) {
		if i < uint(len(s.list.values)) {
			p.Select(s.list.values[i].ID)
		}
	})
}

func (s *sidebar) draw(contacts []present.Contact) {
	keys := make([]string, len(contacts))
	for i, c := range contacts {
		keys[i] = c.ID.String()
	}
	s.list.set(keys, contacts)
}

// A contactCell is one row of the contact list.
type contactCell struct {
	row        *gtk.Box
	avatar     avatar
	dot        *gtk.Box
	name, last *gtk.Label
	when       *gtk.Label
	unread     *gtk.Label
}

func newContactCell() cell[present.Contact] {
	c := &contactCell{
		avatar: newAvatar(present.Colours),
		dot:    gtk.NewBox(gtk.OrientationHorizontal, 0),
		name:   line("contact-name"), last: line("contact-last"),
		when: line("contact-when"), unread: label("", "unread"),
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
		box(gtk.OrientationHorizontal, 6, c.name, c.when),
		box(gtk.OrientationHorizontal, 6, c.last, c.unread))
	text.SetVAlign(gtk.AlignCenter)
	c.row = box(gtk.OrientationHorizontal, 12, picture, text)
	c.row.AddCSSClass("contact")
	return c
}

func (c *contactCell) root() gtk.Widgetter { return c.row }

func (c *contactCell) draw(v present.Contact) {
	c.avatar.draw(v.Initials, v.Colour)
	pathClass(&c.dot.Widget, v.Badge.Kind)
	setText(c.name, v.Label)
	setText(c.last, v.Last)
	if v.Last == "" {
		setText(c.last, v.Badge.Text)
	}
	setText(c.when, v.When)
	setText(c.unread, strconv.Itoa(v.Unread))
	c.unread.SetVisible(v.Unread > 0)
	mark(&c.row.Widget, "selected", v.Selected)
	setTip(&c.row.Widget, v.Label+"\n"+v.Badge.Text)
	spoken(&c.row.Widget, v.Spoken())
}
