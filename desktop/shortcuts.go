//go:build gtk

package desktop

import (
	"html"
	"strings"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/tr"
)

// A shortcut is a key and what it does.
type shortcut struct{ keys, what string }

// action makes a named action of the window with a shortcut, or several with
// spaces in between, which the window of shortcuts lists.
func (w *window) action(name, keys, what string, f func()) *gio.SimpleAction {
	a := gio.NewSimpleAction(name, nil)
	a.ConnectActivate(func(*glib.Variant) { f() })
	w.AddAction(a)
	w.app.SetAccelsForAction("win."+name, strings.Fields(keys))
	w.shortcuts = append(w.shortcuts, shortcut{keys, what})
	return a
}

// chatShortcuts are keys that are no actions of the window.
func chatShortcuts() []shortcut {
	return []shortcut{
		{"Return", tr.T("Open the conversation that has the keyboard in the list")},
		{"Return", tr.T("Send")},
		{"<Shift>Return", tr.T("A new line")},
		{"Up", tr.T("Change the last message, while the entry is empty")},
		{"<Shift>Tab", tr.T("From the entry to the messages")},
		{"Return", tr.T("The menu of the message that has the keyboard")},
		{"Escape", tr.T("Close a dialog or the search; write a new message instead")},
	}
}

// showShortcuts opens the window of shortcuts, which is made once: GTK frees
// little of one that is closed.
func (w *window) showShortcuts() {
	if w.keys == nil {
		w.keys = w.makeShortcuts()
	}
	w.keys.Present()
}

// makeShortcuts makes it of a description: GTK knows no other way.
func (w *window) makeShortcuts() *gtk.ShortcutsWindow {
	var b strings.Builder
	group := func(title string, all []shortcut) {
		b.WriteString(`<child><object class="GtkShortcutsGroup"><property name="title">` + html.EscapeString(title) + `</property>`)
		for _, s := range all {
			b.WriteString(`<child><object class="GtkShortcutsShortcut"><property name="accelerator">` + html.EscapeString(s.keys) +
				`</property><property name="title">` + html.EscapeString(s.what) + `</property></object></child>`)
		}
		b.WriteString(`</object></child>`)
	}
	b.WriteString(`<interface><object class="GtkShortcutsWindow" id="shortcuts"><property name="modal">1</property>` +
		`<child><object class="GtkShortcutsSection"><property name="section-name">all</property><property name="max-height">12</property>`)
	group(tr.T("Everywhere"), w.shortcuts)
	group(tr.T("In a conversation"), chatShortcuts())
	b.WriteString(`</object></child></object></interface>`)
	s := gtk.NewBuilderFromString(b.String(), -1).GetObject("shortcuts").Cast().(*gtk.ShortcutsWindow)
	s.SetTitle(tr.T("Keyboard shortcuts"))
	s.SetTransientFor(&w.Window)
	s.SetHideOnClose(true)
	nameParts(&s.Widget)
	return s
}

// nameParts gives names to the parts of GTK's window that have none.
func nameParts(x *gtk.Widget) {
	for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		w := gtk.BaseWidget(c)
		switch c.(type) {
		case *gtk.SearchEntry, *gtk.ToggleButton:
			spoken(w, tr.T("Search the shortcuts"))
		case *gtk.MenuButton:
			spoken(w, tr.T("All shortcuts"))
		case *gtk.ScrolledWindow:
			spoken(w, tr.T("Keyboard shortcuts"))
		}
		nameParts(w)
	}
}
