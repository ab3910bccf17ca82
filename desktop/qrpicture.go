//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// A qrPicture shows a code. Its size is a whole number of pixels a module.
type qrPicture struct {
	frame   *gtk.Fixed // a picture alone asks for as much height as it gets width
	picture *gtk.Picture
	shown   *present.QR
}

func newQRPicture() *qrPicture {
	q := &qrPicture{frame: gtk.NewFixed(), picture: gtk.NewPicture()}
	q.picture.AddCSSClass("qr")
	q.picture.SetKeepAspectRatio(false)
	q.frame.Put(q.picture, 0, 0)
	q.frame.SetHAlign(gtk.AlignCenter)
	return q
}

// draw shows a code with so many pixels a module, nothing if it is nil.
func (q *qrPicture) draw(code *present.QR, scale int) {
	q.picture.SetVisible(code != nil)
	if code == nil || code == q.shown {
		return
	}
	q.shown = code
	pixels, side := code.RGB(scale)
	q.picture.SetPaintable(gdk.NewMemoryTexture(side, side, gdk.MemoryR8G8B8, glib.NewBytes(pixels), uint(3*side)))
	q.picture.SetSizeRequest(side, side)
	spoken(&q.picture.Widget, tr.T("The same as a QR code"))
}
