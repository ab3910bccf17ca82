//go:build gtk

package desktop

import (
	"slices"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"github.com/sremp/sremp/client"
)

// label makes a label for literal text; classes are its CSS classes.
func label(text string, classes ...string) *gtk.Label {
	l := gtk.NewLabel(text)
	l.SetXAlign(0)
	for _, c := range classes {
		l.AddCSSClass(c)
	}
	return l
}

// line makes a label that is cut with an ellipsis.
func line(classes ...string) *gtk.Label {
	l := label("", classes...)
	l.SetEllipsize(pango.EllipsizeEnd)
	l.SetSingleLineMode(true)
	return l
}

// paragraph makes a label that wraps.
func paragraph(text string, classes ...string) *gtk.Label {
	l := label(text, classes...)
	l.SetWrap(true)
	l.SetWrapMode(pango.WrapWordChar)
	// A hyphen where a link is broken would look like a part of it.
	plain := pango.NewAttrList()
	plain.Insert(pango.NewAttrInsertHyphens(false))
	l.SetAttributes(plain)
	return l
}

func box(o gtk.Orientation, spacing int, children ...gtk.Widgetter) *gtk.Box {
	b := gtk.NewBox(o, spacing)
	for _, c := range children {
		b.Append(c)
	}
	return b
}

// A pager shows one of several pages. gtk.Stack does that, too, but GTK 4.8 lets
// screen readers read the pages that are not shown.
type pager struct {
	*gtk.Box
	pages map[string]*gtk.Widget
}

func newPager() pager {
	return pager{gtk.NewBox(gtk.OrientationVertical, 0), map[string]*gtk.Widget{}}
}

func (p pager) add(name string, page gtk.Widgetter) {
	w := gtk.BaseWidget(page)
	w.SetVisible(false)
	p.Append(page)
	p.pages[name] = w
}

func (p pager) show(name string) {
	p.pages[name].SetVisible(true) // first, so that the keyboard finds a place there
	for n, w := range p.pages {
		if n != name {
			w.SetVisible(false)
		}
	}
}

// menuHeight is how high a menu gets before it scrolls: it fits a screen of
// 800x600.
const menuHeight = 470

// setMenu puts a column of items into a popover.
func setMenu(p *gtk.Popover, items ...gtk.Widgetter) {
	w := scrolled(box(gtk.OrientationVertical, 2, items...))
	w.SetPropagateNaturalHeight(true)
	w.SetPropagateNaturalWidth(true)
	w.SetMaxContentHeight(menuHeight)
	p.SetChild(w)
}

// button makes a button with a name for screen readers and a tooltip.
func button(text, name string, f func()) *gtk.Button {
	b := gtk.NewButtonWithLabel(text)
	b.ConnectClicked(f)
	b.SetTooltipText(name)
	spoken(&b.Widget, name)
	return b
}

// iconButton is a button with a picture only.
func iconButton(icon, name string, f func()) *gtk.Button {
	b := gtk.NewButtonFromIconName(icon)
	b.ConnectClicked(f)
	b.SetTooltipText(name)
	spoken(&b.Widget, name)
	return b
}

// spoken sets a widget's name for screen readers.
func spoken(w *gtk.Widget, name string) {
	w.UpdateProperty([]gtk.AccessibleProperty{gtk.AccessiblePropertyLabel}, []coreglib.Value{*coreglib.NewValue(name)})
}

// spokenChoice names a choice, and the button in it that has the keyboard. The
// item in that button has nothing to do.
func spokenChoice(d *gtk.DropDown, name string) {
	nameChoice(d, name)
	d.ConnectMap(func() { passItems(d) })
}

// nameChoice names a choice anew.
func nameChoice(d *gtk.DropDown, name string) {
	spoken(&d.Widget, name)
	if button := d.FirstChild(); button != nil {
		spoken(gtk.BaseWidget(button), name)
	}
}

// passItems lets the keyboard pass by what is in the button of a choice.
func passItems(d *gtk.DropDown) {
	var items func(w *gtk.Widget)
	items = func(w *gtk.Widget) {
		for c := w.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
			b := gtk.BaseWidget(c)
			b.SetFocusable(false)
			items(b)
		}
	}
	if button := d.FirstChild(); button != nil {
		items(gtk.BaseWidget(button))
	}
}

// pick leaves one of several classes on a widget.
func pick(w *gtk.Widget, class string, all []string) {
	for _, c := range all {
		if c != class {
			w.RemoveCSSClass(c)
		}
	}
	if !slices.Contains(w.CSSClasses(), class) {
		w.AddCSSClass(class)
	}
}

// mark adds a class or takes it away.
func mark(w *gtk.Widget, class string, on bool) {
	if on {
		w.AddCSSClass(class)
	} else {
		w.RemoveCSSClass(class)
	}
}

var pathClasses = []string{"none", "direct", "relay", "mailbox"}

func pathClass(w *gtk.Widget, k client.PathKind) { pick(w, k.String(), pathClasses) }

// setText changes a label only if that changes something: every change lays the
// window out again.
func setText(l *gtk.Label, text string) {
	if l.Text() != text {
		l.SetText(text)
	}
}

// tip gives a widget a tooltip that is asked for when it is shown: setting one
// asks the X server each time where the pointer is, which a row cannot afford.
func tip(w *gtk.Widget, text func() string) {
	w.SetHasTooltip(true)
	w.ConnectQueryTooltip(func(_, _ int, _ bool, tooltip *gtk.Tooltip) bool {
		s := text()
		tooltip.SetText(s)
		return s != ""
	})
}

func setTip(w *gtk.Widget, text string) {
	if w.TooltipText() != text {
		w.SetTooltipText(text)
	}
}
