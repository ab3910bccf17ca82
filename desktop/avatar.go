//go:build gtk

package desktop

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// An avatar stands for a person: a round picture, or one made of initials.
type avatar struct {
	*gtk.Overlay
	initials *gtk.Label
	picture  *gtk.Picture
	classes  []string
	shown    *present.Picture
	name     string
}

func newAvatar(colours int) *avatar {
	a := &avatar{Overlay: gtk.NewOverlay(), initials: label("", "avatar"), picture: gtk.NewPicture()}
	a.initials.SetXAlign(0.5)
	a.SetVAlign(gtk.AlignCenter)
	a.SetHAlign(gtk.AlignCenter)
	for i := range colours {
		a.classes = append(a.classes, fmt.Sprintf("avatar-%d", i))
	}
	a.picture.AddCSSClass("face")
	a.picture.SetOverflow(gtk.OverflowHidden) // else the corners stay
	a.picture.SetCanTarget(false)
	a.picture.SetVisible(false)
	a.SetChild(a.initials)
	a.AddOverlay(a.picture)
	return a
}

// draw shows the picture of somebody who is called name, or the initials if it is nil.
func (a *avatar) draw(initials string, colour int, picture *present.Picture, name string) {
	if a.shown != picture {
		a.shown = picture
		t := faces.of(picture)
		if t != nil {
			a.picture.SetPaintable(t)
		} else {
			a.picture.SetPaintable(nil)
		}
		a.picture.SetVisible(t != nil)
		mark(&a.initials.Widget, "behind", t != nil)
	}
	if picture != nil && a.name != name {
		a.name = name
		spoken(&a.picture.Widget, tr.T("Picture of %s", name))
	}
	setText(a.initials, initials)
	pick(&a.initials.Widget, a.classes[colour], a.classes)
}

// maxTextures bounds what a cache keeps: 128 by 128 pixels are 48 KiB.
const maxTextures = 256

// textures keeps what was drawn of pictures, so that one that stands in many places,
// or is drawn again, is decoded once. Only the main loop uses it.
type textures map[*present.Picture]*gdk.MemoryTexture

// faces are those of contacts.
var faces = textures{}

// of returns a picture to paint; nil if there is none, or none that can be read.
func (c textures) of(p *present.Picture) *gdk.MemoryTexture {
	if p == nil {
		return nil
	}
	if t, ok := c[p]; ok {
		return t
	}
	if len(c) >= maxTextures {
		clear(c) // those on the screen stay there
	}
	var t *gdk.MemoryTexture
	if pixels, width, height := p.RGB(); pixels != nil {
		t = gdk.NewMemoryTexture(width, height, gdk.MemoryR8G8B8, glib.NewBytes(pixels), uint(3*width))
	}
	c[p] = t
	return t
}
