//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
)

// A cell is the widgets of one row. It is made once and drawn for many values:
// the binding never frees widgets whose signals reach Go, because the closure
// holds the widget that holds the closure. So no cell is ever thrown away.
type cell[V any] interface {
	root() gtk.Widgetter
	draw(V)
}

// A value is one that a list shows, with its name for screen readers.
type value interface {
	comparable
	Spoken() string
}

// A list shows values in a list view. Its model holds places without content;
// what stands where is in keys and values. A value that changes under its key
// redraws the cell that shows it, and nothing else.
type list[V value] struct {
	view     *gtk.ListView
	model    *gtk.StringList
	keys     []string
	values   []V
	slots    map[uintptr]*slot[V] // by list item
	spare    []cell[V]            // of rows that GTK threw away
	changing bool                 // the model is not that of values yet
	choice   bool                 // its rows are chosen, and not only read
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
		s := &slot[V]{item: item}
		if n := len(l.spare); n > 0 {
			s.cell, l.spare = l.spare[n-1], l.spare[:n-1]
		} else {
			s.cell = newCell()
		}
		l.slots[item.Native()] = s
		item.SetSelectable(l.choice) // else GTK 4.8 refuses the row the keyboard
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
		if s, ok := l.slots[item.Native()]; ok {
			l.spare = append(l.spare, s.cell)
			delete(l.slots, item.Native())
		}
	})
	l.view = gtk.NewListView(gtk.NewNoSelection(l.model), &f.ListItemFactory)
	return l
}

// refresh draws the value at the slot's place unless it is drawn already.
func (l *list[V]) refresh(s *slot[V]) {
	if l.changing {
		return
	}
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

// set shows values, named by keys.
func (l *list[V]) set(keys []string, values []V) {
	changes := present.Splices(l.keys, keys)
	l.keys, l.values = keys, values
	l.changing = true
	for _, c := range changes {
		l.model.Splice(uint(c.At), uint(c.Gone), make([]string, c.Added))
	}
	l.changing = false
	for _, s := range l.slots {
		if s.bound {
			l.refresh(s)
		}
	}
}
