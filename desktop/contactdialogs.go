//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// contactPages are the dialogs about one contact.
type contactPages struct {
	words    *gtk.Grid
	word     [12]*gtk.Label
	verified *gtk.Label
	same     *gtk.Button
	undo     *gtk.Button
	proof    *gtk.Entry
	code     *qrPicture

	nick   *gtk.Entry
	rename *gtk.Button
	hint   *gtk.Label
}

func (c *contactPages) verifyPage() *gtk.Box {
	c.words, c.verified, c.proof, c.code = gtk.NewGrid(), paragraph("", "subtitle"), gtk.NewEntry(), newQRPicture()
	c.words.SetColumnSpacing(18)
	c.words.SetRowSpacing(6)
	c.words.SetHAlign(gtk.AlignCenter)
	for i := range c.word {
		c.word[i] = label("", "word")
		c.words.Attach(c.word[i], i%3, i/3, 1, 1)
	}
	c.same = gtk.NewButtonWithLabel(tr.T("They are the same"))
	c.same.AddCSSClass("suggested-action")
	c.undo = gtk.NewButtonWithLabel(tr.T("Take the mark away"))
	c.proof.SetPlaceholderText(tr.T("Or what the other side's code says"))
	c.proof.SetHExpand(true)
	spoken(&c.proof.Widget, tr.T("The other side's words or code"))
	text := paragraph(tr.T("Read these words to each other, in person or over a call. Only if all twelve are the same nobody stands between you."), "page-text")
	text.SetMaxWidthChars(50)
	return box(gtk.OrientationVertical, 12, text, c.words, c.code.frame, c.proof, c.verified,
		box(gtk.OrientationHorizontal, 10, c.same, c.undo))
}

func (c *contactPages) renamePage() *gtk.Box {
	c.nick, c.rename, c.hint = gtk.NewEntry(), gtk.NewButtonWithLabel(tr.T("Rename")), paragraph("", "page-text")
	c.nick.SetMaxLength(40)
	spoken(&c.nick.Widget, tr.T("Name"))
	c.rename.AddCSSClass("suggested-action")
	c.rename.SetHAlign(gtk.AlignEnd)
	c.hint.SetMaxWidthChars(50)
	return box(gtk.OrientationVertical, 12, c.hint, c.nick, c.rename)
}

func (c *contactPages) connect(p *present.Window) {
	c.same.ConnectClicked(func() { p.Verify(true, "") })
	c.undo.ConnectClicked(func() { p.Verify(false, "") })
	c.proof.ConnectActivate(func() {
		if c.proof.Text() != "" {
			p.Verify(false, c.proof.Text())
		}
	})
	rename := func() { p.SetNick(c.nick.Text()) }
	c.rename.ConnectClicked(rename)
	c.nick.ConnectActivate(rename)
}

func (c *contactPages) draw(d present.Dialog, opened bool) {
	switch d.Kind {
	case present.VerifyDialog:
		for i, w := range d.Words {
			setText(c.word[i], w)
		}
		setText(c.verified, d.Verified)
		c.verified.SetVisible(d.Verified != "")
		ready, verified := !d.Busy && d.Words[0] != "", d.Verified != ""
		turned := c.undo.Visible() != verified || ready && !c.same.Sensitive() && c.proof.FocusChild() == nil
		c.same.SetSensitive(ready)
		c.code.draw(d.QR, 4)
		c.same.SetVisible(!verified)
		c.undo.SetVisible(verified)
		c.proof.SetVisible(!verified)
		if opened {
			c.proof.SetText("")
		}
		switch { // what had the keyboard may be hidden by now
		case !opened && !turned:
		case verified:
			c.undo.GrabFocus()
		default:
			c.same.GrabFocus()
		}
	case present.RenameDialog:
		if opened {
			setText(c.hint, tr.T("Your name for this contact. Empty: %s, as it calls itself.", d.Name))
			c.nick.SetText(d.Nick)
			c.nick.GrabFocus()
		}
	}
}
