//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// qrSide is about the width of a code in pixels: it fits a screen of 800x600.
const qrSide = 300

// A sheet is a dialog over the window. It is made once and shown many times.
type sheet struct {
	*gtk.Box         // the shade; the card is its child
	who      *avatar // of dialogs about a contact
	title    *gtk.Label
	pages    pager
	problem  *gtk.Label
	spinner  *gtk.Spinner
	close    *gtk.Button
	kind     present.DialogKind

	contact contactPages
	form    *formView

	qr      *qrPicture
	link    *gtk.Label
	expires *gtk.Label
	copied  *gtk.Button
	words   *gtk.Label
	inWords *gtk.Button
	asking  *gtk.Button
	advice  *gtk.Label
}

func newSheet() *sheet {
	s := &sheet{who: newAvatar(present.Colours), title: label("", "card-title"), pages: newPager(), problem: paragraph("", "problem"), spinner: gtk.NewSpinner()}
	s.pages.add("invite", s.invitePage())
	s.pages.add("verify", s.contact.verifyPage())
	s.pages.add("rename", s.contact.renamePage())
	s.form = newFormView()
	s.pages.add("form", s.form)
	s.title.SetHExpand(true)
	s.problem.SetMaxWidthChars(50)
	s.close = gtk.NewButtonFromIconName("window-close-symbolic")
	s.close.AddCSSClass("flat")
	s.close.SetTooltipText(tr.T("Close (Esc)"))
	spoken(&s.close.Widget, tr.T("Close"))
	// With large text, or in a small window, what does not fit is scrolled to.
	inside := scrolled(s.pages)
	inside.SetPropagateNaturalHeight(true)
	inside.SetPropagateNaturalWidth(true)
	s.title.SetEllipsize(pango.EllipsizeEnd)
	card := box(gtk.OrientationVertical, 14,
		box(gtk.OrientationHorizontal, 12, s.who, s.title, s.spinner, s.close), inside, s.problem)
	card.AddCSSClass("card")
	card.SetSizeRequest(440, -1)
	card.SetHAlign(gtk.AlignCenter)
	card.SetVAlign(gtk.AlignCenter)
	card.SetHExpand(true)
	card.SetVExpand(true)
	s.Box = box(gtk.OrientationVertical, 0, card)
	s.AddCSSClass("shade")
	s.SetVisible(false)
	return s
}

func (s *sheet) invitePage() *gtk.Box {
	s.qr = newQRPicture()
	s.link = paragraph("", "uri")
	s.link.SetSelectable(true)
	s.link.SetWrapMode(pango.WrapChar)
	s.link.SetLines(2)
	s.link.SetEllipsize(pango.EllipsizeMiddle)
	s.link.SetMaxWidthChars(48)
	s.link.SetHExpand(true)
	s.expires = paragraph("", "subtitle")
	s.expires.SetHExpand(true)
	s.copied = gtk.NewButtonWithLabel(tr.T("Copy link"))
	s.copied.AddCSSClass("suggested-action")
	s.advice = paragraph("", "page-text")
	s.advice.SetMaxWidthChars(50)
	s.asking = gtk.NewButtonWithLabel(tr.T("To post…"))
	s.asking.SetTooltipText(tr.T("For a place that many can read: whoever uses it first is a request, and learns nothing until you accept it"))
	s.words, s.inWords = paragraph("", "uri"), gtk.NewButtonWithLabel(tr.T("In words…"))
	s.words.SetSelectable(true)
	s.words.SetMaxWidthChars(48)
	s.inWords.SetTooltipText(tr.T("8 words, to be said over the telephone to somebody who uses one of your servers"))
	return box(gtk.OrientationVertical, 12, s.advice, s.qr.frame, s.link, s.words,
		box(gtk.OrientationHorizontal, 10, s.expires, s.asking, s.inWords, s.copied))
}

func (s *sheet) connect(p *present.Window) {
	s.close.ConnectClicked(p.CloseDialog)
	s.copied.ConnectClicked(func() {
		s.copied.Clipboard().SetText(s.link.Text())
		s.copied.SetLabel(tr.T("Copied"))
	})
	s.inWords.ConnectClicked(p.InviteWords)
	s.asking.ConnectClicked(p.InviteAsking)
	s.contact.connect(p)
	s.form.presenter = p
}

func (s *sheet) draw(d present.Dialog) {
	s.SetVisible(d.Kind != present.NoDialog)
	s.spinner.SetSpinning(d.Busy)
	s.who.SetVisible(d.Initials != "")
	s.who.draw(d.Initials, d.Colour, d.Picture, d.Name)
	setText(s.problem, d.Problem)
	s.problem.SetVisible(d.Problem != "")
	opened := d.Kind != s.kind
	s.kind = d.Kind
	switch d.Kind {
	case present.InviteDialog:
		s.drawInvite(d)
	}
	if opened {
		s.open(d)
	}
	s.contact.draw(d, opened)
	if d.Title != "" {
		setText(s.title, d.Title)
		s.pages.show("form")
		s.form.draw(d, opened)
	}
}

// open prepares a dialog that was not there before.
func (s *sheet) open(d present.Dialog) {
	if s.kind != present.NoDialog {
		s.close.GrabFocus() // until the dialog has something better: else the keyboard is nowhere
	}
	switch s.kind {
	case present.InviteDialog:
		setText(s.title, tr.T("Invite somebody"))
		s.pages.show("invite")
	case present.VerifyDialog:
		setText(s.title, tr.T("Is this really %s?", d.Name))
		s.pages.show("verify")
	case present.RenameDialog:
		setText(s.title, tr.T("Rename"))
		s.pages.show("rename")
	case present.NoDialog:
		s.qr.shown = nil
		setText(s.link, "") // an invite is a secret
	}
}

func (s *sheet) drawInvite(d present.Dialog) {
	if d.QR != nil {
		s.qr.draw(d.QR, max(2, qrSide/d.QR.Size))
	} else {
		s.qr.draw(nil, 0)
	}
	s.link.SetVisible(d.Link != "")
	s.copied.SetVisible(d.Link != "")
	setText(s.expires, d.Expires)
	if d.Asks {
		setText(s.advice, tr.T("Post this where the people are whom you want to hear from. Whoever uses it first is a request, and learns nothing until you accept it."))
	} else {
		setText(s.advice, tr.T("Give this to one person, over a channel that you trust. Whoever uses it first becomes your contact."))
	}
	setText(s.words, d.InviteWords)
	s.words.SetVisible(d.InviteWords != "")
	s.inWords.SetVisible(d.Link != "" && d.InviteWords == "")
	s.asking.SetVisible(d.Link != "" && !d.Asks)
	if s.link.Text() != d.Link {
		s.link.SetText(d.Link)
		s.copied.SetLabel(tr.T("Copy link"))
		s.copied.GrabFocus()
	}
}
