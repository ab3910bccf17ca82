//go:build gtk

package desktop

import (
	"cmp"
	"strconv"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

const (
	// formWidth and formHeight fit a window of 800x600. Large text takes what
	// there is of it.
	formWidth, formHeight = 480, 420
	tabsWidth             = 170
	formChars             = 54
)

// A formView draws dialogs that are made of fields. A page is made once for each
// dialog and tab; its rows stay, and are drawn again for what changed.
type formView struct {
	*gtk.Box
	presenter *present.Window
	tabs      *gtk.Box
	tabList   []*gtk.ToggleButton
	tabPages  pager
	scroll    *gtk.ScrolledWindow
	pages     map[string]*formPage
	shown     *formPage
	quiet     bool
}

// A formPage is the rows of one tab.
type formPage struct {
	*gtk.Box
	rows  map[string]*formRow
	order []string
}

func newFormView() *formView {
	f := &formView{tabPages: newPager(), scroll: gtk.NewScrolledWindow(), pages: map[string]*formPage{}}
	f.tabs = box(gtk.OrientationVertical, 2)
	f.tabs.AddCSSClass("tabs")
	f.tabs.SetSizeRequest(tabsWidth, -1)
	f.scroll.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	f.scroll.SetPropagateNaturalHeight(true)
	f.scroll.SetMaxContentHeight(formHeight)
	f.scroll.SetFocusable(false)
	f.scroll.SetChild(f.tabPages)
	f.scroll.SetHExpand(true)
	f.Box = box(gtk.OrientationHorizontal, 18, f.tabs, f.scroll)
	return f
}

func (f *formView) draw(d present.Dialog, opened bool) {
	f.quiet = true
	defer func() { f.quiet = false }()
	f.drawTabs(d, opened)
	name := strconv.Itoa(int(d.Kind)) + " " + strconv.Itoa(d.Tab)
	p := f.pages[name]
	if p == nil {
		p = &formPage{Box: box(gtk.OrientationVertical, 10), rows: map[string]*formRow{}}
		p.AddCSSClass("form")
		f.pages[name] = p
		f.tabPages.add(name, p)
	}
	large := textIsLarge()
	if p.SetSizeRequest(formWidth, -1); large {
		p.SetSizeRequest(-1, -1)
	}
	if opened {
		for _, r := range p.rows {
			r.drawn = false
		}
	}
	p.draw(f, d.Fields)
	for _, r := range p.rows {
		r.buttonsBelow(large)
	}
	turned := f.shown != p
	f.shown = p
	if turned && len(d.Tabs) > 0 {
		f.tabList[d.Tab].GrabFocus() // what has the keyboard is about to be hidden
	}
	f.tabPages.show(name)
	if turned {
		f.scroll.VAdjustment().SetValue(0)
	}
	if len(d.Tabs) > 0 {
		f.scroll.SetMinContentHeight(formHeight)
	} else {
		f.scroll.SetMinContentHeight(-1)
	}
	if opened {
		p.grab(d)
	}
}

func (f *formView) drawTabs(d present.Dialog, opened bool) {
	for len(f.tabList) < len(d.Tabs) {
		i := len(f.tabList)
		b := gtk.NewToggleButton()
		b.AddCSSClass("flat")
		if i > 0 {
			b.SetGroup(f.tabList[0])
		}
		b.ConnectToggled(func() {
			if b.Active() && !f.quiet {
				f.presenter.SelectTab(i)
			}
		})
		f.tabs.Append(b)
		f.tabList = append(f.tabList, b)
	}
	f.tabs.SetVisible(len(d.Tabs) > 0)
	for i, b := range f.tabList {
		b.SetVisible(i < len(d.Tabs))
		if i < len(d.Tabs) && b.Label() != d.Tabs[i] {
			b.SetLabel(d.Tabs[i])
			if l, ok := b.Child().(*gtk.Label); ok {
				l.SetXAlign(0)
				l.SetWrap(true)
			}
		}
	}
	if d.Tab < len(f.tabList) && len(d.Tabs) > 0 {
		f.tabList[d.Tab].SetActive(true)
		if opened {
			f.tabList[d.Tab].GrabFocus()
		}
	}
}

// grab gives the keyboard to the first thing to type in, or else to press, of a
// dialog without tabs.
func (p *formPage) grab(d present.Dialog) {
	if len(d.Tabs) > 0 && d.Focus == "" {
		return
	}
	if r := p.rows[d.Focus]; r != nil {
		r.grab()
		return
	}
	for _, key := range p.order {
		if r := p.rows[key]; r.Visible() && r.grab() {
			return
		}
	}
}

func (p *formPage) draw(f *formView, fields []present.Field) {
	here := map[string]bool{}
	order := make([]string, len(fields))
	for i, v := range fields {
		here[v.Key], order[i] = true, v.Key
		r := p.rows[v.Key]
		if r == nil || r.kind != v.Kind {
			r = newFormRow(f, v.Kind, v.Key)
			p.rows[v.Key] = r
			p.Append(r)
		}
		r.draw(v)
		r.SetVisible(true)
	}
	for key, r := range p.rows {
		if !here[key] {
			r.SetVisible(false)
		}
	}
	p.sort(order)
}

// sort puts the rows into their order.
func (p *formPage) sort(order []string) {
	same := len(order) == len(p.order)
	for i := 0; same && i < len(order); i++ {
		same = order[i] == p.order[i]
	}
	if same {
		return
	}
	p.order = order
	var last gtk.Widgetter
	for _, key := range order {
		p.ReorderChildAfter(p.rows[key], last)
		last = p.rows[key]
	}
}

// A formRow draws one field.
type formRow struct {
	*gtk.Box
	form  *formView
	kind  present.FieldKind
	shown present.Field
	drawn bool

	label, hint, text *gtk.Label
	toggle            *gtk.Switch
	choice            *gtk.DropDown
	entry             *gtk.Entry
	secret            *gtk.PasswordEntry
	pick              *gtk.Button
	buttons           []*gtk.Button
	buttonBox         *gtk.Box
	avatar            *avatar
	qr                *qrPicture
	picture           *gtk.Picture
	chooser           *gtk.FileChooserNative
	sets              int
}

func newFormRow(f *formView, kind present.FieldKind, key string) *formRow {
	r := &formRow{form: f, kind: kind, sets: -1, label: paragraph("", "field-label"), hint: paragraph("", "subtitle")}
	r.Box = box(gtk.OrientationVertical, 3)
	r.AddCSSClass("field")
	r.label.SetMaxWidthChars(formChars)
	r.hint.SetMaxWidthChars(formChars)
	act := func(v present.Value) {
		if !f.quiet {
			f.presenter.Act(key, v)
		}
	}
	switch kind {
	case present.TextField:
		r.text = paragraph("", "page-text")
		r.text.SetMaxWidthChars(formChars)
		r.Append(r.text)
	case present.HeadingField:
		r.label.AddCSSClass("form-heading")
		r.Append(r.label)
	case present.SwitchField:
		r.toggle = gtk.NewSwitch()
		r.toggle.SetVAlign(gtk.AlignCenter)
		r.toggle.NotifyProperty("active", func() { act(present.Value{On: r.toggle.Active()}) })
		r.beside(r.toggle)
	case present.ChoiceField:
		r.choice = gtk.NewDropDownFromStrings(nil)
		r.choice.SetVAlign(gtk.AlignCenter)
		spokenChoice(r.choice, key) // its name is drawn
		r.choice.NotifyProperty("selected", func() { act(present.Value{Chosen: int(r.choice.Selected())}) })
		r.beside(r.choice)
	case present.EntryField, present.PathField:
		r.entry = gtk.NewEntry()
		r.entry.SetHExpand(true)
		r.entry.ConnectChanged(func() { r.typed(key, r.entry.Text()) })
		r.entry.ConnectActivate(func() { act(present.Value{Text: r.entry.Text()}) })
		line := box(gtk.OrientationHorizontal, 8, r.entry)
		if kind == present.PathField {
			r.pick = gtk.NewButtonWithLabel(tr.T("Choose…"))
			r.pick.ConnectClicked(func() {
				r.choose(r.shown.Label, func(path string) {
					r.entry.SetText(path)
					f.presenter.Act(key, present.Value{Text: path})
				})
			})
			line.Append(r.pick)
		}
		r.Append(r.label)
		r.Append(line)
	case present.SecretField:
		r.secret = gtk.NewPasswordEntry()
		r.secret.SetShowPeekIcon(true)
		r.secret.NotifyProperty("text", func() { r.typed(key, r.secret.Text()) })
		r.secret.ConnectActivate(func() { act(present.Value{Text: r.secret.Text()}) })
		r.Append(r.label)
		r.Append(r.secret)
	case present.ButtonsField:
		r.buttonBox = box(gtk.OrientationHorizontal, 8)
		r.Append(r.buttonBox)
	case present.PictureField:
		r.qr, r.picture = newQRPicture(), gtk.NewPicture()
		r.picture.SetCanShrink(false)
		r.picture.SetHAlign(gtk.AlignCenter)
		r.Append(r.qr.frame)
		r.Append(r.picture)
	case present.ItemField:
		r.item(key)
	}
	return r
}

// beside puts a widget to the right of label and hint.
func (r *formRow) beside(w gtk.Widgetter) {
	text := box(gtk.OrientationVertical, 1, r.label, r.hint)
	text.SetHExpand(true)
	text.SetVAlign(gtk.AlignCenter)
	r.Append(box(gtk.OrientationHorizontal, 14, text, w))
}

func (r *formRow) item(key string) {
	r.avatar, r.buttonBox = newAvatar(present.Colours), box(gtk.OrientationHorizontal, 6)
	r.text = paragraph("", "subtitle")
	r.text.SetMaxWidthChars(formChars)
	text := box(gtk.OrientationVertical, 2, r.label, r.text, r.buttonBox)
	text.SetHExpand(true)
	r.avatar.SetVAlign(gtk.AlignStart)
	r.Append(box(gtk.OrientationHorizontal, 12, r.avatar, text))
	r.AddCSSClass("item")
	drop := gtk.NewDropTarget(gio.GTypeFile, gdk.ActionCopy)
	drop.ConnectDrop(func(v *coreglib.Value, _, _ float64) bool {
		f, ok := v.GoValue().(gio.Filer)
		if !ok || !r.shown.Drop || f.Path() == "" {
			return false
		}
		r.form.presenter.Act(key, present.Value{Text: f.Path()})
		return true
	})
	r.AddController(drop)
}

func (r *formRow) typed(key, text string) {
	if !r.form.quiet {
		r.form.presenter.Type(key, text)
	}
}

// choose asks for a file.
func (r *formRow) choose(title string, done func(path string)) {
	if r.chooser != nil {
		return
	}
	action := gtk.FileChooserActionOpen
	switch {
	case r.shown.Folder:
		action = gtk.FileChooserActionSelectFolder
	case r.shown.Save:
		action = gtk.FileChooserActionSave
	}
	parent, _ := r.Root().CastType(gtk.GTypeWindow).(*gtk.Window)
	r.chooser = gtk.NewFileChooserNative(title, parent, action, tr.T("Choose"), tr.T("Cancel"))
	r.chooser.ConnectResponse(func(response int) {
		if f := r.chooser.File(); response == int(gtk.ResponseAccept) && f != nil && f.Path() != "" {
			done(f.Path())
		}
		r.chooser = nil
	})
	r.chooser.Show()
}

func (r *formRow) grab() bool {
	switch {
	case r.entry != nil:
		return r.entry.GrabFocus()
	case r.secret != nil:
		return r.secret.GrabFocus()
	case r.toggle != nil:
		return r.toggle.GrabFocus()
	case r.choice != nil:
		return r.choice.GrabFocus()
	case len(r.buttons) > 0 && r.buttons[0].Visible():
		return r.buttons[0].GrabFocus()
	}
	return false
}

func (r *formRow) draw(v present.Field) {
	if r.drawn && r.shown.Same(v) {
		r.shown = v
		return
	}
	r.shown, r.drawn = v, true
	setText(r.label, v.Label)
	setText(r.hint, v.Hint)
	r.hint.SetVisible(v.Hint != "")
	name := v.Spoken
	if name == "" {
		name = v.Label
	}
	switch v.Kind {
	case present.TextField, present.ItemField:
		r.drawText(v)
	case present.SwitchField:
		r.toggle.SetActive(v.On)
		r.toggle.SetSensitive(!v.Off)
		spoken(&r.toggle.Widget, name)
	case present.ChoiceField:
		r.drawChoices(v)
		nameChoice(r.choice, name)
	case present.EntryField, present.PathField:
		r.entry.SetPlaceholderText(v.Hint)
		if r.sets != v.Sets {
			r.sets = v.Sets
			r.entry.SetText(v.Text)
		}
		spoken(&r.entry.Widget, name)
		if r.pick != nil {
			spoken(&r.pick.Widget, tr.T("Choose")+": "+name)
		}
	case present.SecretField:
		if r.sets != v.Sets {
			r.sets = v.Sets
			r.secret.SetText(v.Text)
		}
		spoken(&r.secret.Widget, name)
	case present.PictureField:
		r.drawPicture(v, name)
	}
	if r.buttonBox != nil {
		r.drawButtons(v.Buttons)
	}
}

func (r *formRow) drawText(v present.Field) {
	setText(r.text, v.Text)
	r.text.SetVisible(v.Text != "")
	if v.Kind == present.ItemField {
		r.avatar.SetVisible(v.Initials != "")
		r.avatar.draw(v.Initials, v.Colour, v.Picture, cmp.Or(v.Spoken, v.Label))
		return
	}
	mark(&r.text.Widget, "uri", v.Mono)
	mark(&r.text.Widget, "page-text", !v.Mono)
	r.text.SetSelectable(v.Mono)
	if v.Spoken != "" {
		spoken(&r.text.Widget, v.Spoken)
	}
}

func (r *formRow) drawChoices(v present.Field) {
	model := gtk.NewStringList(v.Choices)
	same := false
	if old, ok := r.choice.Model().Cast().(*gtk.StringList); ok && old.NItems() == uint(len(v.Choices)) {
		same = true
		for i, c := range v.Choices {
			same = same && old.String(uint(i)) == c
		}
	}
	if !same {
		r.choice.SetModel(model)
	}
	r.choice.SetSelected(uint(v.Chosen))
	passItems(r.choice)
}

func (r *formRow) drawPicture(v present.Field, name string) {
	r.qr.frame.SetVisible(v.QR != nil)
	if v.QR != nil {
		r.qr.draw(v.QR, max(2, qrSide/v.QR.Size))
	}
	r.picture.SetVisible(v.Picture != nil)
	if v.Picture == nil {
		return
	}
	if pixels, width, height := v.Picture.RGB(); pixels != nil {
		r.picture.SetPaintable(gdk.NewMemoryTexture(width, height, gdk.MemoryR8G8B8, glib.NewBytes(pixels), uint(3*width)))
		spoken(&r.picture.Widget, name)
	}
}

func (r *formRow) drawButtons(all []present.Button) {
	for i := len(r.buttons); i < len(all); i++ {
		b := gtk.NewButton()
		b.ConnectClicked(func() { r.press(b, r.shown.Buttons[i]) })
		r.buttonBox.Append(b)
		r.buttons = append(r.buttons, b)
	}
	for i, b := range r.buttons {
		b.SetVisible(i < len(all))
		if i >= len(all) {
			continue
		}
		v := all[i]
		if b.Label() != v.Label {
			b.SetLabel(v.Label)
		}
		b.SetSensitive(!v.Off)
		mark(&b.Widget, "suggested-action", v.Style == present.SuggestedButton)
		mark(&b.Widget, "destructive-action", v.Style == present.DestructiveButton)
	}
}

// buttonsBelow puts buttons below each other, or side by side.
func (r *formRow) buttonsBelow(on bool) {
	if r.buttonBox == nil {
		return
	}
	if r.buttonBox.SetOrientation(gtk.OrientationHorizontal); on {
		r.buttonBox.SetOrientation(gtk.OrientationVertical)
	}
}

// press does what a button asks of the toolkit, then tells the presenter.
func (r *formRow) press(b *gtk.Button, v present.Button) {
	act := func(x present.Value) { r.form.presenter.Act(v.Key, x) }
	switch {
	case v.Copy != "":
		b.Clipboard().SetText(v.Copy)
		b.SetLabel(tr.T("Copied")) // until something else is drawn
		act(present.Value{})
	case v.Open != "":
		r.choose(v.Open, func(path string) { act(present.Value{Text: path}) })
	case v.Paste:
		paste(&b.Widget, act)
	default:
		act(present.Value{})
	}
}
