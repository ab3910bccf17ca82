//go:build gtk

package desktop

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
)

// holdsImage reports whether a picture is on the clipboard.
func holdsImage(c *gdk.Clipboard) bool {
	formats := c.Formats()
	return formats != nil && (formats.ContainGType(gdk.GTypeTexture) || strings.Contains(formats.String(), "image/"))
}

// paste gives what is on the clipboard: a picture, else a text.
func paste(w *gtk.Widget, done func(present.Value)) {
	c := w.Clipboard()
	if holdsImage(c) {
		readImage(c, func(png []byte) { done(present.Value{Image: png}) })
		return
	}
	c.ReadTextAsync(context.Background(), func(r gio.AsyncResulter) {
		text, err := c.ReadTextFinish(r)
		if err != nil {
			text = ""
		}
		done(present.Value{Text: text})
	})
}

// readImage gives the picture on the clipboard as a PNG; nil if it cannot be had.
func readImage(c *gdk.Clipboard, done func(png []byte)) {
	c.ReadTextureAsync(context.Background(), func(r gio.AsyncResulter) {
		texture, err := c.ReadTextureFinish(r)
		if err != nil || texture == nil {
			done(nil)
			return
		}
		done(pngOf(gdk.BaseTexture(texture)))
	})
}

// pngOf writes a picture by way of a file: the binding knows no other.
func pngOf(t *gdk.Texture) []byte {
	dir, err := os.MkdirTemp("", "sremp-*")
	if err != nil {
		return nil
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "picture.png")
	if !t.SaveToPNG(path) {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return b
}
