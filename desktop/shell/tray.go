package shell

import (
	"fmt"
	"os"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

const (
	watcherName = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
	itemName    = "org.kde.StatusNotifierItem"
	itemPath    = "/StatusNotifierItem"
	menuName    = "com.canonical.dbusmenu"
	menuPath    = "/StatusNotifierItem/Menu"
	launcher    = "com.canonical.Unity.LauncherEntry"
)

// tray is the icon; the zero value is none.
type tray struct {
	props  *prop.Properties
	words  Words
	unread int
	name   string // on the bus
}

// Words are what the tray says.
type Words struct {
	Show, Quit string             // of its menu
	Unread     func(n int) string // its tooltip
}

// A pixmap is an icon as the bus has it: ARGB, 8 bits each, in rows.
type pixmap struct {
	Width, Height int32
	Data          []byte
}

// A toolTip is one as the bus has it.
type toolTip struct {
	IconName    string
	Icon        []pixmap
	Title, Text string
}

// Tray shows the icon, as long as something shows trays.
func (s *Shell) Tray(w Words) {
	s.do(func() {
		if s.tray.props != nil {
			return
		}
		s.tray.words = w
		props, err := prop.Export(s.bus, itemPath, prop.Map{itemName: {
			"Category":            {Value: "Communications"},
			"Id":                  {Value: AppID},
			"Title":               {Value: "SREMP"},
			"Status":              {Value: "Active"},
			"WindowId":            {Value: int32(0)},
			"IconName":            {Value: ""},
			"IconPixmap":          {Value: icons(0)},
			"OverlayIconName":     {Value: ""},
			"AttentionIconName":   {Value: ""},
			"AttentionIconPixmap": {Value: icons(0)},
			"ToolTip":             {Value: toolTip{Title: "SREMP", Text: w.Unread(0)}},
			"ItemIsMenu":          {Value: false},
			"Menu":                {Value: dbus.ObjectPath(menuPath)},
		}})
		if err != nil {
			return
		}
		s.tray.props = props
		for _, err := range []error{
			s.bus.Export(trayItem{s}, itemPath, itemName),
			s.exportMenu(),
			s.bus.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"),
				dbus.WithMatchArg(0, watcherName)),
		} {
			if err != nil {
				return
			}
		}
		s.tray.name = fmt.Sprintf("%s-%d-1", itemName, os.Getpid())
		if _, err := s.bus.RequestName(s.tray.name, dbus.NameFlagDoNotQueue); err != nil {
			return
		}
		s.register(true)
	})
}

// register shows the icon to what shows trays, which may have been started anew.
func (s *Shell) register(there bool) {
	if there && s.tray.name != "" {
		// Without a tray there is nobody to ask, and nothing to be done.
		_ = s.call(s.bus.Object(watcherName, watcherPath), watcherName+".RegisterStatusNotifierItem", []any{s.tray.name})
	}
}

// SetUnread puts a number on the icon in the tray and on the launcher's.
func (s *Shell) SetUnread(n int) {
	s.do(func() {
		if n == s.tray.unread {
			return
		}
		s.tray.unread = n
		// Docks count what is said so; nobody answers.
		_ = s.bus.Emit("/io/github/sremp/Desktop", launcher+".Update", "application://"+AppID+".desktop",
			map[string]dbus.Variant{"count": dbus.MakeVariant(int64(n)), "count-visible": dbus.MakeVariant(n > 0)})
		t := &s.tray
		if t.props == nil {
			return
		}
		status := "Active"
		if n > 0 {
			status = "NeedsAttention"
		}
		t.props.SetMust(itemName, "IconPixmap", icons(n))
		t.props.SetMust(itemName, "AttentionIconPixmap", icons(n))
		t.props.SetMust(itemName, "ToolTip", toolTip{Title: "SREMP", Text: t.words.Unread(n)})
		t.props.SetMust(itemName, "Status", status)
		for _, signal := range []string{"NewIcon", "NewAttentionIcon", "NewToolTip"} {
			_ = s.bus.Emit(itemPath, itemName+"."+signal)
		}
		_ = s.bus.Emit(itemPath, itemName+".NewStatus", status)
	})
}

// trayItem are the methods of the icon.
type trayItem struct{ s *Shell }

// Activate is a click.
func (t trayItem) Activate(_, _ int32) *dbus.Error {
	t.s.do(func() { t.s.tell(func(e Events) { e.Raise("") }) })
	return nil
}

// SecondaryActivate is one with the middle button.
func (t trayItem) SecondaryActivate(x, y int32) *dbus.Error { return t.Activate(x, y) }

// ContextMenu is one with the right button, where the tray does not show Menu.
func (t trayItem) ContextMenu(_, _ int32) *dbus.Error { return nil }

// Scroll is the wheel over it.
func (t trayItem) Scroll(int32, string) *dbus.Error { return nil }

// ProvideXdgActivationToken precedes a click.
func (t trayItem) ProvideXdgActivationToken(string) *dbus.Error { return nil }
