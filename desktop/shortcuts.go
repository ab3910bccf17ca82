//go:build gtk

package desktop

import (
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/tr"
)

// A shortcut is a key, or several with spaces in between, and what it does.
type shortcut struct {
	action     string // of the window; empty if it is none
	keys, what string
}

// A shortcutPage is a part of the window of shortcuts. Each is a section of its
// own: GTK puts the groups of a section beside each other, which is too wide for
// a small screen and for large text.
type shortcutPage struct {
	title   string
	actions []string
	others  []shortcut
}

func shortcutPages() []shortcutPage {
	return []shortcutPage{
		{title: tr.T("Contacts"), actions: []string{"search", "invite", "add", "servers"}},
		{title: tr.T("Conversations"), actions: []string{"list", "next", "previous"}, others: []shortcut{
			{keys: "Return", what: tr.T("Open the conversation that has the keyboard in the list")},
		}},
		{title: tr.T("Writing"), actions: []string{"attach", "undo"}, others: []shortcut{
			{keys: "Return", what: tr.T("Send")},
			{keys: "<Shift>Return", what: tr.T("A new line")},
			{keys: "Up", what: tr.T("Change the last message, while the entry is empty")},
		}},
		{title: tr.T("Messages"), actions: []string{"menu"}, others: []shortcut{
			{keys: "<Shift>Tab", what: tr.T("From the entry to the messages")},
			{keys: "Return", what: tr.T("The menu of the message that has the keyboard")},
			{keys: "Escape", what: tr.T("Close a dialog or the search; write a new message instead")},
		}},
		{title: tr.T("The program")}, // what is on no other page
	}
}

// shortcutChars is where a description wraps.
const shortcutChars = 26

// action makes a named action of the window with its shortcuts, which the window
// of shortcuts lists.
func (w *window) action(name, keys, what string, f func()) *gio.SimpleAction {
	a := gio.NewSimpleAction(name, nil)
	a.ConnectActivate(func(*glib.Variant) { f() })
	w.AddAction(a)
	w.app.SetAccelsForAction("win."+name, strings.Fields(keys))
	w.shortcuts = append(w.shortcuts, shortcut{name, keys, what})
	return a
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
	page := func(i int, title string, all []shortcut) {
		b.WriteString(`<child><object class="GtkShortcutsSection"><property name="section-name">page` + strconv.Itoa(i) +
			`</property><property name="title">` + html.EscapeString(title) +
			`</property><child><object class="GtkShortcutsGroup"><property name="title">` + html.EscapeString(title) + `</property>`)
		for _, s := range all {
			// Each key has a line: GTK puts two beside each other.
			for _, key := range strings.Fields(s.keys) {
				b.WriteString(`<child><object class="GtkShortcutsShortcut"><property name="accelerator">` + html.EscapeString(key) +
					`</property><property name="title">` + html.EscapeString(s.what) + `</property></object></child>`)
			}
		}
		b.WriteString(`</object></child></object></child>`)
	}
	b.WriteString(`<interface><object class="GtkShortcutsWindow" id="shortcuts"><property name="modal">1</property>`)
	rest := slices.Clone(w.shortcuts)
	pages := shortcutPages()
	for i, p := range pages {
		all := p.others
		for _, name := range p.actions {
			at := slices.IndexFunc(rest, func(s shortcut) bool { return s.action == name })
			all = append(all, rest[at])
			rest = slices.Delete(rest, at, at+1)
		}
		if i == len(pages)-1 {
			all = append(all, rest...)
		}
		page(i, p.title, all)
	}
	b.WriteString(`</object></interface>`)
	s := gtk.NewBuilderFromString(b.String(), -1).GetObject("shortcuts").Cast().(*gtk.ShortcutsWindow)
	s.SetTitle(tr.T("Keyboard shortcuts"))
	s.SetTransientFor(&w.Window)
	s.SetHideOnClose(true)
	nameParts(&s.Widget)
	return s
}

// nameParts gives names to the parts of GTK's window that have none, and lets
// its long texts wrap.
func nameParts(x *gtk.Widget) {
	for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		w := gtk.BaseWidget(c)
		switch x := c.(type) {
		case *gtk.SearchEntry, *gtk.ToggleButton:
			spoken(w, tr.T("Search the shortcuts"))
		case *gtk.MenuButton:
			spoken(w, tr.T("All shortcuts"))
			spoken(gtk.BaseWidget(x.FirstChild()), tr.T("All shortcuts")) // what has the keyboard
			if p := x.Popover(); p != nil {
				nameParts(&p.Widget)
			}
			continue
		case *gtk.ScrolledWindow:
			spoken(w, tr.T("Keyboard shortcuts"))
		case *gtk.ListBoxRow: // of the list of pages
			if l := firstLabel(w); l != nil {
				spoken(w, l.Text())
			}
		case *gtk.Label:
			if utf8.RuneCountInString(x.Text()) > shortcutChars {
				x.SetWrap(true)
				x.SetMaxWidthChars(shortcutChars)
			}
		}
		nameParts(w)
	}
}

// firstLabel returns the first text in a widget, nil if there is none.
func firstLabel(x *gtk.Widget) *gtk.Label {
	for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		if l, ok := c.(*gtk.Label); ok {
			return l
		}
		if l := firstLabel(gtk.BaseWidget(c)); l != nil {
			return l
		}
	}
	return nil
}
