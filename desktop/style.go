//go:build gtk

package desktop

import (
	_ "embed"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

//go:embed style.css
var css string

func style(d *gdk.Display) *scheme {
	p := gtk.NewCSSProvider()
	p.LoadFromData(css)
	gtk.StyleContextAddProviderForDisplay(d, p, gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
	s := newScheme(gtk.SettingsGetForDisplay(d))
	followScheme(s)
	return s
}
