//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// A startPage asks the questions that come before the main page: the name, the
// passphrase, or both.
type startPage struct {
	*gtk.Box
	title, text, problem *gtk.Label
	name                 *gtk.Entry
	passphrase           *gtk.PasswordEntry
	button               *gtk.Button
	spinner              *gtk.Spinner
	restore              *gtk.Button
	form                 *gtk.Box
	stage                present.Stage
	view                 present.View // drawn last
}

func newStartPage() *startPage {
	s := &startPage{
		title: label("", "page-title"), text: paragraph("", "page-text"), problem: paragraph("", "problem"),
		name: gtk.NewEntry(), passphrase: gtk.NewPasswordEntry(), button: gtk.NewButton(), spinner: gtk.NewSpinner(),
	}
	s.name.SetPlaceholderText(tr.T("Your name"))
	s.name.SetMaxLength(40)
	spoken(&s.name.Widget, tr.T("Your name"))
	s.passphrase.SetShowPeekIcon(true)
	spoken(&s.passphrase.Widget, tr.T("Passphrase"))
	s.button.AddCSSClass("suggested-action")
	s.title.SetXAlign(0.5)
	s.title.SetWrap(true)
	s.text.SetXAlign(0.5)
	s.text.SetJustify(gtk.JustifyCenter)
	s.text.SetMaxWidthChars(44)
	s.problem.SetMaxWidthChars(44)
	s.restore = gtk.NewButtonWithLabel(tr.T("Restore from a backup…"))
	s.restore.AddCSSClass("flat")
	s.form = box(gtk.OrientationVertical, 12, s.title, s.text, s.name, s.passphrase, s.problem, s.button, s.restore, s.spinner)
	s.form.SetSizeRequest(340, -1)
	s.form.SetHAlign(gtk.AlignCenter)
	s.form.SetVAlign(gtk.AlignCenter)
	s.form.SetVExpand(true)
	s.Box = box(gtk.OrientationVertical, 0, s.form)
	s.AddCSSClass("page")
	s.stage = present.Main // so that the first drawing is a change
	return s
}

func (s *startPage) connect(p *present.Window) {
	submit := func() {
		if s.stage == present.Welcome {
			p.Create(s.name.Text(), s.passphrase.Text())
		} else {
			p.Unlock(s.passphrase.Text())
		}
	}
	s.button.ConnectClicked(submit)
	s.restore.ConnectClicked(p.OpenRestore)
	s.passphrase.NotifyProperty("text", func() { s.drawButton(s.view) })
	s.passphrase.ConnectActivate(submit)
	s.name.ConnectActivate(func() {
		if s.passphrase.Visible() && s.passphrase.Text() == "" && !s.view.Warned {
			s.passphrase.GrabFocus()
			return
		}
		submit()
	})
}

func (s *startPage) draw(v present.View) {
	welcome, locked := v.Stage == present.Welcome, v.Stage == present.Locked
	s.text.SetVisible(welcome || locked)
	s.name.SetVisible(welcome)
	s.passphrase.SetVisible(locked || welcome && v.AskPassphrase)
	s.button.SetVisible(welcome || locked)
	s.restore.SetVisible(welcome)
	s.button.SetSensitive(!v.Busy)
	s.spinner.SetSpinning(v.Busy)
	setText(s.problem, v.Problem)
	s.problem.SetVisible(v.Problem != "")
	s.view = v
	s.drawButton(v)
	if s.stage == v.Stage {
		if locked && v.Problem != "" && !v.Busy {
			s.passphrase.GrabFocus() // its text is selected: one types over it
		}
		return
	}
	s.stage = v.Stage
	switch v.Stage {
	case present.Welcome:
		setText(s.title, tr.T("Welcome to SREMP"))
		setText(s.text, tr.T("What should others call you?"))
		if v.AskPassphrase {
			setText(s.text, tr.T("What should others call you? A passphrase, if you choose one, seals your keys and messages on this computer."))
		}
		s.passphrase.SetObjectProperty("placeholder-text", tr.T("Passphrase"))
		s.name.GrabFocus()
	case present.Locked:
		setText(s.title, tr.T("Locked"))
		setText(s.text, tr.T("Type your passphrase to open your messages. The words of your recovery kit do, too."))
		s.passphrase.SetObjectProperty("placeholder-text", tr.T("Passphrase"))
		s.passphrase.SetText("")
		if v.KeyringOpens {
			setText(s.text, tr.T("The desktop's keyring opens your messages."))
			s.passphrase.SetObjectProperty("placeholder-text", tr.T("Passphrase or recovery kit, without the keyring"))
			s.button.GrabFocus()
		} else {
			s.passphrase.GrabFocus()
		}
	case present.Starting:
		setText(s.title, "SREMP")
	case present.Main:
		s.passphrase.SetText("") // no longer needed in memory
	}
}

// drawButton says what the button does with what is typed.
func (s *startPage) drawButton(v present.View) {
	text := tr.T("Unlock")
	if v.Stage == present.Welcome {
		if text = tr.T("Start"); v.Warned && v.AskPassphrase && s.passphrase.Text() == "" {
			text = tr.T("Go on without a passphrase")
		}
	}
	if s.button.Label() != text {
		s.button.SetLabel(text)
	}
}
