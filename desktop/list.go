//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// A cell is the widgets of one row. It is made once and drawn for many values:
// the binding keeps widgets that are thrown away, so rows are recycled.
type cell[V any] interface {
	root() gtk.Widgetter
	draw(V)
}

// A value is one that a list shows, with its name for screen readers.
type value interface {
	comparable
	Spoken() string
}

// A list shows values in a list view. Its model holds keys; a value that changes
// under its key redraws the cell that shows it, and nothing else.
type list[V value] struct {
	view   *gtk.ListView
	model  *gtk.StringList
	keys   []string
	values []V
	slots  map[uintptr]*slot[V] // by list item
}

type slot[V value] struct {
	cell  cell[V]
	item  *gtk.ListItem
	bound bool
	drawn bool // whether shown is on the screen
	shown V
}

func newList[V value](newCell func() cell[V]) *list[V] {
	l := &list[V]{model: gtk.NewStringList(nil), slots: map[uintptr]*slot[V]{}}
	f := gtk.NewSignalListItemFactory()
	f.ConnectSetup(func(item *gtk.ListItem) {
		s := &slot[V]{cell: newCell(), item: item}
		l.slots[item.Native()] = s
		item.SetSelectable(false)
		item.SetChild(s.cell.root())
	})
	f.ConnectBind(func(item *gtk.ListItem) {
		if s, ok := l.slots[item.Native()]; ok {
			s.bound = true
			l.refresh(s)
		}
	})
	f.ConnectUnbind(func(item *gtk.ListItem) {
		if s, ok := l.slots[item.Native()]; ok {
			s.bound = false
		}
	})
	f.ConnectTeardown(func(item *gtk.ListItem) {
		item.SetChild(nil)
		delete(l.slots, item.Native())
	})
	l.view = gtk.NewListView(gtk.NewNoSelection(l.model), &f.ListItemFactory)
	return l
}

// refresh draws the value at the slot's place unless it is drawn already.
func (l *list[V]) refresh(s *slot[V]) {
	i := s.item.Position()
	if i >= uint(len(l.values)) || s.drawn && s.shown == l.values[i] {
		return
	}
	s.shown, s.drawn = l.values[i], true
	s.cell.draw(s.shown)
	if row := gtk.BaseWidget(s.cell.root()).Parent(); row != nil {
		spoken(gtk.BaseWidget(row), s.shown.Spoken()) // what has the keyboard is the row that GTK made
	}
}

// set shows values, named by keys. It reports whether the last value is new.
func (l *list[V]) set(keys []string, values []V) (grown bool) {
	head := 0
	for head < min(len(keys), len(l.keys)) && keys[head] == l.keys[head] {
		head++
	}
	tail := 0
	for tail < min(len(keys), len(l.keys))-head && keys[len(keys)-1-tail] == l.keys[len(l.keys)-1-tail] {
		tail++
	}
	gone := len(l.keys) - head - tail
	added := keys[head : len(keys)-tail]
	l.keys, l.values = keys, values
	if gone > 0 || len(added) > 0 {
		l.model.Splice(uint(head), uint(gone), added)
	}
	for _, s := range l.slots {
		if s.bound {
			l.refresh(s)
		}
	}
	return tail == 0 && len(added) > 0
}
