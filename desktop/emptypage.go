//go:build gtk

package desktop

import (
	"slices"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// An emptyPage stands where the conversation will be, and offers what to do
// first. Nothing of it must be done.
type emptyPage struct {
	*gtk.Box
	text    *gtk.Label
	buttons map[present.Offer]*gtk.Button
	notes   *gtk.Label
}

func newEmptyPage() *emptyPage {
	e := &emptyPage{text: paragraph("", "page-text"), notes: paragraph("", "page-text"), buttons: map[present.Offer]*gtk.Button{}}
	for _, l := range []*gtk.Label{e.text, e.notes} {
		l.SetJustify(gtk.JustifyCenter)
		l.SetXAlign(0.5)
		l.SetMaxWidthChars(40)
	}
	e.Box = box(gtk.OrientationVertical, 14, e.text)
	for o, text := range map[present.Offer]string{
		present.InviteOffer: tr.T("Invite somebody"), present.AddOffer: tr.T("Add a contact"),
		present.ServerOffer: tr.T("Add a server"), present.KitOffer: tr.T("Write down the recovery kit"),
	} {
		e.buttons[o] = gtk.NewButtonWithLabel(text)
		e.buttons[o].SetHAlign(gtk.AlignCenter)
		e.buttons[o].SetSizeRequest(260, -1)
	}
	e.buttons[present.InviteOffer].AddCSSClass("suggested-action")
	e.buttons[present.ServerOffer].SetTooltipText(tr.T("It helps two people to meet, and keeps sealed messages for those who are away"))
	e.buttons[present.KitOffer].SetTooltipText(tr.T("24 words that bring you back when this computer is lost"))
	for _, o := range []present.Offer{present.InviteOffer, present.AddOffer, present.ServerOffer, present.KitOffer} {
		e.Append(e.buttons[o])
	}
	setText(e.notes, tr.T("Or write a note to yourself, on the left."))
	e.Append(e.notes)
	e.SetHAlign(gtk.AlignCenter)
	e.SetVAlign(gtk.AlignCenter)
	e.SetVExpand(true)
	return e
}

func (e *emptyPage) connect(p *present.Window) {
	e.buttons[present.InviteOffer].ConnectClicked(p.OpenInvite)
	e.buttons[present.AddOffer].ConnectClicked(p.OpenAdd)
	e.buttons[present.ServerOffer].ConnectClicked(p.OpenServers)
	e.buttons[present.KitOffer].ConnectClicked(p.OpenKit)
}

func (e *emptyPage) draw(v present.View) {
	alone := !slices.ContainsFunc(v.Contacts, func(c present.Contact) bool { return !c.Self }) && v.Filter == present.Inbox
	setText(e.text, tr.T("Choose a conversation on the left."))
	if alone {
		setText(e.text, tr.T("Nobody is here yet. Invite somebody, or add a contact with a link that you were given."))
	}
	e.notes.SetVisible(alone)
	for o, b := range e.buttons {
		b.SetVisible(slices.Contains(v.Offers, o) && (alone || o > present.AddOffer))
	}
}
