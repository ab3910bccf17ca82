//go:build gtk

package desktop

import (
	"context"
	"slices"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
)

// The desktop portal's settings say whether the system is light or dark; GTK
// itself does not ask before 4.10
// (https://flatpak.github.io/xdg-desktop-portal, org.freedesktop.portal.Settings).
const (
	portalName      = "org.freedesktop.portal.Desktop"
	portalPath      = "/org/freedesktop/portal/desktop"
	portalSettings  = "org.freedesktop.portal.Settings"
	portalNamespace = "org.freedesktop.appearance"
	portalKey       = "color-scheme"
	preferDark      = 1
	portalTimeout   = 2000 // ms
)

// followScheme makes GTK light or dark as the system is. Without a portal the
// theme stays as the person's GTK settings have it.
func followScheme(s *scheme) {
	go func() {
		bus, err := gio.BusGetSync(context.Background(), gio.BusTypeSession)
		if err != nil || !hasPortal(bus) {
			return
		}
		ask := glib.NewVariantTuple([]*glib.Variant{glib.NewVariantString(portalNamespace), glib.NewVariantString(portalKey)})
		answer, err := bus.CallSync(context.Background(), portalName, portalPath, portalSettings, "Read",
			ask, nil, gio.DBusCallFlagsNone, portalTimeout)
		if err != nil {
			return
		}
		post(func() {
			setScheme(s, answer.ChildValue(0))
			bus.SignalSubscribe(portalName, portalSettings, "SettingChanged", portalPath, portalNamespace,
				gio.DBusSignalFlagsNone, func(_ *gio.DBusConnection, _, _, _, _ string, p *glib.Variant) {
					if p.NChildren() == 3 && p.ChildValue(1).Print(false) == "'"+portalKey+"'" {
						setScheme(s, p.ChildValue(2))
					}
				})
		})
	}()
}

// hasPortal asks first, because the binding complains of calls that fail.
func hasPortal(bus *gio.DBusConnection) bool {
	for _, method := range []string{"ListNames", "ListActivatableNames"} {
		names, err := bus.CallSync(context.Background(), "org.freedesktop.DBus", "/org/freedesktop/DBus",
			"org.freedesktop.DBus", method, nil, nil, gio.DBusCallFlagsNone, portalTimeout)
		if err == nil && slices.Contains(names.ChildValue(0).Strv(), portalName) {
			return true
		}
	}
	return false
}

// A scheme is which colours the window has: those of the system, unless the
// person wants others. It belongs to the main loop.
type scheme struct {
	settings *gtk.Settings
	system   bool // the system is dark
	usual    bool // what the theme was before
	asked    bool // the system said something
	choice   present.Darkness
	dpi      int // of the system, in 1024ths
	text     int // percent
}

func newScheme(s *gtk.Settings) *scheme {
	dark, _ := s.ObjectProperty("gtk-application-prefer-dark-theme").(bool)
	dpi, _ := s.ObjectProperty("gtk-xft-dpi").(int)
	if dpi <= 0 {
		dpi = usualDPI * 1024
	}
	return &scheme{settings: s, usual: dark, dpi: dpi, text: 100}
}

// usualDPI is what text is drawn for if nothing is said.
const usualDPI = 96

// choose takes in what the person wants.
func (s *scheme) choose(d present.Darkness, text int) {
	if s.choice != d {
		s.choice = d
		s.apply()
	}
	if s.text != text && text > 0 {
		s.text = text
		s.settings.SetObjectProperty("gtk-xft-dpi", s.dpi*text/100)
	}
}

// largeDPI is of text half as large again as usual.
const largeDPI = usualDPI * 3 / 2

// textIsLarge reports whether what usually stands side by side may not fit.
func textIsLarge() bool {
	dpi, _ := gtk.SettingsGetDefault().ObjectProperty("gtk-xft-dpi").(int)
	return dpi >= largeDPI*1024
}

func (s *scheme) apply() {
	dark := s.usual
	switch {
	case s.choice != present.AsSystem:
		dark = s.choice == present.Dark
	case s.asked:
		dark = s.system
	}
	s.settings.SetObjectProperty("gtk-application-prefer-dark-theme", dark)
}

// setScheme takes the number out of its boxes: Read gives one of two layers.
func setScheme(s *scheme, v *glib.Variant) {
	for v.TypeString() == "v" {
		v = v.Variant()
	}
	if v.TypeString() == "u" {
		s.system, s.asked = v.Uint32() == preferDark, true
		s.apply()
	}
}
