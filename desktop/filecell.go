//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// actionFolder shows where the file of a row is.
const actionFolder = "folder"

// fileActions are the window's actions for files, each takes a row's key.
var fileActions = map[client.FileAction]string{
	client.FileAccept: "file-accept", client.FilePause: "file-pause",
	client.FileResume: "file-resume", client.FileCancel: "file-cancel",
}

// A fileBox is the part of a message that shows a file.
type fileBox struct {
	*gtk.Box
	picture      *gtk.Picture
	name, detail *gtk.Label
	bar          *gtk.ProgressBar
	buttons      map[*gtk.Button]func(present.FileView) bool
	cancel       *gtk.Button
	shown        *present.Picture
}

func newFileBox() *fileBox {
	f := &fileBox{
		picture: gtk.NewPicture(), name: line("file-name"), detail: paragraph("", "meta"), bar: gtk.NewProgressBar(),
		buttons: map[*gtk.Button]func(present.FileView) bool{},
	}
	f.name.SetMaxWidthChars(bubbleChars)
	f.detail.SetMaxWidthChars(bubbleChars)
	f.picture.SetHAlign(gtk.AlignStart)
	f.picture.SetCanShrink(false)
	buttons := box(gtk.OrientationHorizontal, 6)
	add := func(text, action string, shown func(present.FileView) bool) *gtk.Button {
		b := gtk.NewButtonWithLabel(text)
		b.SetActionTargetValue(glib.NewVariantString("")) // first: its type must fit the action's
		b.SetActionName("win." + action)
		b.AddCSSClass("flat")
		b.AddCSSClass("file-button")
		buttons.Append(b)
		f.buttons[b] = shown
		return b
	}
	add(tr.T("Accept"), fileActions[client.FileAccept], func(v present.FileView) bool { return v.Accept })
	add(tr.T("Pause"), fileActions[client.FilePause], func(v present.FileView) bool { return v.Pause })
	add(tr.T("Go on"), fileActions[client.FileResume], func(v present.FileView) bool { return v.Resume })
	f.cancel = add(tr.T("Cancel"), fileActions[client.FileCancel], func(v present.FileView) bool { return v.Cancel })
	add(tr.T("Show folder"), actionFolder, func(v present.FileView) bool { return v.Folder != "" })
	f.Box = box(gtk.OrientationVertical, 4, f.picture, f.name, f.bar, f.detail, buttons)
	f.AddCSSClass("file")
	return f
}

func (f *fileBox) draw(key string, v present.FileView) {
	f.SetVisible(v.Name != "")
	if v.Name == "" {
		return
	}
	setText(f.name, v.Name)
	setText(f.detail, v.Detail)
	f.bar.SetVisible(v.Moving)
	f.bar.SetFraction(float64(v.Parts) / 1000)
	for b, shown := range f.buttons {
		on := shown(v)
		b.SetVisible(on)
		if on {
			b.SetActionTargetValue(glib.NewVariantString(key))
		}
	}
	f.cancel.SetLabel(tr.T("Cancel"))
	if v.Question {
		f.cancel.SetLabel(tr.T("Decline"))
	}
	f.picture.SetVisible(v.Picture != nil)
	if v.Picture != nil && v.Picture != f.shown {
		pixels, width, height := v.Picture.RGB()
		f.picture.SetVisible(pixels != nil)
		if pixels != nil {
			f.picture.SetPaintable(gdk.NewMemoryTexture(width, height, gdk.MemoryR8G8B8, glib.NewBytes(pixels), uint(3*width)))
			spoken(&f.picture.Widget, tr.T("Preview of %s", v.Name))
		}
	}
	if v.Picture == nil && f.shown != nil {
		f.picture.SetPaintable(nil)
	}
	f.shown = v.Picture
}
