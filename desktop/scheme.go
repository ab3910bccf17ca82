//go:build gtk

package desktop

import (
	"context"
	"slices"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
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
func followScheme(s *gtk.Settings) {
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

// setScheme takes the number out of its boxes: Read gives one of two layers.
func setScheme(s *gtk.Settings, v *glib.Variant) {
	for v.TypeString() == "v" {
		v = v.Variant()
	}
	if v.TypeString() == "u" {
		s.SetObjectProperty("gtk-application-prefer-dark-theme", v.Uint32() == preferDark)
	}
}
