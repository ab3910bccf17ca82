package present

import (
	"slices"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A form is what the larger dialogs are made of: fields in an order, each with
// its meaning here, so that the toolkit needs to know none of them.

// A FieldKind is how a field looks.
type FieldKind uint8

// The kinds of fields.
const (
	TextField    FieldKind = iota // Text, to read
	HeadingField                  // Label
	SwitchField                   // Label, Hint, On
	ChoiceField                   // Label, Hint, Choices, Chosen
	EntryField                    // Label, Hint, Text
	SecretField                   // the same, not readable
	PathField                     // the same, with a button that chooses a file
	ButtonsField                  // Buttons
	PictureField                  // QR or Picture
	ItemField                     // Label, Text, Initials, Buttons: a row of a list
)

// A Field is one line of a form.
type Field struct {
	Key      string // names it for Act, and its place in the form
	Kind     FieldKind
	Label    string
	Text     string // EntryField: what replaces the entry's text when Sets changes
	Hint     string // small, below; of an entry: in it
	Spoken   string // name for screen readers; empty: Label
	On, Off  bool   // Off: it can be seen, and not changed
	Mono     bool   // TextField: to be compared or copied letter by letter
	Choices  []string
	Chosen   int
	Buttons  []Button
	QR       *QR
	Picture  *Picture
	Initials string // ItemField: of a person; with Colour, and Picture in its place
	Colour   int
	Folder   bool // PathField: a folder, not a file
	Save     bool // PathField: it need not exist
	Drop     bool // ItemField: files can be dropped on it
	Sets     int

	act func(Value)
}

// A ButtonStyle says what a button is for.
type ButtonStyle uint8

// The styles.
const (
	PlainButton ButtonStyle = iota
	SuggestedButton
	DestructiveButton
)

// A Button is one of a field's. Copy is put on the clipboard when it is pressed;
// with Paste it takes what is there.
type Button struct {
	Key   string
	Label string
	Style ButtonStyle
	Off   bool
	Copy  string
	Paste bool
	Open  string // a file is asked for, under this title

	act func(Value)
}

// A Value is what a person gave to a field.
type Value struct {
	On     bool
	Chosen int
	Text   string // typed, pasted, or a path
	Image  []byte // pasted: a PNG
}

// Same reports whether two fields are drawn in the same way.
func (f Field) Same(o Field) bool {
	return f.Key == o.Key && f.Kind == o.Kind && f.Label == o.Label && f.Text == o.Text && f.Hint == o.Hint && f.Spoken == o.Spoken &&
		f.On == o.On && f.Off == o.Off && f.Mono == o.Mono && slices.Equal(f.Choices, o.Choices) && f.Chosen == o.Chosen &&
		slices.EqualFunc(f.Buttons, o.Buttons, Button.same) && f.QR == o.QR && f.Picture == o.Picture &&
		f.Initials == o.Initials && f.Colour == o.Colour && f.Folder == o.Folder && f.Save == o.Save && f.Drop == o.Drop && f.Sets == o.Sets
}

func (b Button) same(o Button) bool {
	return b.Key == o.Key && b.Label == o.Label && b.Style == o.Style && b.Off == o.Off && b.Copy == o.Copy && b.Paste == o.Paste &&
		b.Open == o.Open
}

// A form is the volatile side of a dialog that is made of fields.
type form struct {
	tabs  []string
	tab   int
	texts map[string]string // what is typed, by field
	sets  map[string]int    // counts how often an entry's text was replaced
	lines func(tab int) []Field
	base  int // of the counts: another opening replaces all texts

	warned bool              // of what is done when it is asked for again
	doomed identity.ServerID // the server whose removal was asked for once
}

// showForm opens a dialog of fields. lines returns those of a tab, and is called
// whenever the dialog is drawn.
func (w *Window) showForm(k DialogKind, title string, tabs []string, lines func(tab int) []Field) bool {
	if !w.openDialog(k) {
		return false
	}
	w.dialog.Busy, w.dialog.Title = false, title
	w.form = form{tabs: tabs, texts: map[string]string{}, sets: map[string]int{}, lines: lines, base: w.form.base + 1000}
	return true
}

// isForm reports whether a kind of dialog is made of fields.
func (k DialogKind) isForm() bool { return k >= firstForm }

// drawForm puts the fields into the dialog that is drawn.
func (w *Window) drawForm(d *Dialog) {
	d.Tabs, d.Tab, d.Fields = w.form.tabs, w.form.tab, w.form.lines(w.form.tab)
}

// SelectTab shows another page of the open form.
func (w *Window) SelectTab(i int) {
	if w.dialog.Kind.isForm() && i >= 0 && i < len(w.form.tabs) && i != w.form.tab {
		w.form.tab, w.dialog.Problem = i, ""
		w.redraw()
	}
}

// Type remembers what stands in an entry of the open form.
func (w *Window) Type(key, text string) {
	if w.dialog.Kind.isForm() {
		w.form.texts[key] = text
	}
}

// put replaces what stands in an entry.
func (w *Window) put(key, text string) {
	w.form.texts[key] = text
	w.form.sets[key]++
}

// sets counts how often an entry's text was replaced.
func (w *Window) sets(key string) int { return w.form.base + w.form.sets[key] }

// typed returns what stands in an entry.
func (w *Window) typed(key string) string { return w.form.texts[key] }

// entry makes an entry; enter may be nil.
func (w *Window) entry(key, label, hint string, enter func()) Field {
	f := Field{Key: key, Kind: EntryField, Label: label, Hint: hint, Text: w.form.texts[key], Sets: w.sets(key)}
	if enter != nil {
		f.act = func(Value) { enter() }
	}
	return f
}

func (w *Window) secret(key, label string, enter func()) Field {
	f := w.entry(key, label, "", enter)
	f.Kind = SecretField
	return f
}

// Act does what a field or a button of the open form is for.
func (w *Window) Act(key string, v Value) {
	if !w.dialog.Kind.isForm() {
		return
	}
	for _, f := range w.form.lines(w.form.tab) {
		if f.Key == key && f.act != nil && !f.Off {
			f.act(v)
			w.redraw()
			return
		}
		for _, b := range f.Buttons {
			if b.Key == key && b.act != nil && !b.Off {
				b.act(v)
				w.redraw()
				return
			}
		}
	}
}

func heading(key, text string) Field { return Field{Key: key, Kind: HeadingField, Label: text} }

func text(key, text string) Field { return Field{Key: key, Kind: TextField, Text: text} }

func buttons(key string, b ...Button) Field { return Field{Key: key, Kind: ButtonsField, Buttons: b} }

func press(key, label string, f func()) Button {
	return Button{Key: key, Label: label, act: func(Value) { f() }}
}

func (b Button) suggested() Button {
	b.Style = SuggestedButton
	return b
}

func (b Button) destructive() Button {
	b.Style = DestructiveButton
	return b
}

// setting makes a switch for one of the client's settings.
func (w *Window) setting(key, label, hint string, on bool, set func(s *client.Settings, on bool)) Field {
	return Field{Key: key, Kind: SwitchField, Label: label, Hint: hint, On: on,
		act: func(v Value) { w.changeSettings(func(s *client.Settings) { set(s, v.On) }) }}
}
