package shell

import (
	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// The ids of the tray's menu; 0 is the menu itself.
const (
	menuRoot = iota
	menuShow
	menuQuit
)

// A layout is an item of a menu with what is in it, as the bus has it.
type layout struct {
	ID       int32
	Props    map[string]dbus.Variant
	Children []dbus.Variant
}

// itemProps are an item's properties.
type itemProps struct {
	ID    int32
	Props map[string]dbus.Variant
}

// trayMenu are the methods of com.canonical.dbusmenu.
type trayMenu struct {
	s     *Shell
	words Words
}

func (s *Shell) exportMenu() error {
	if _, err := prop.Export(s.bus, menuPath, prop.Map{menuName: {
		"Version":       {Value: uint32(3)},
		"TextDirection": {Value: "ltr"},
		"Status":        {Value: "normal"},
		"IconThemePath": {Value: []string{}},
	}}); err != nil {
		return err
	}
	return s.bus.Export(trayMenu{s, s.tray.words}, menuPath, menuName)
}

func (m trayMenu) item(id int32) map[string]dbus.Variant {
	text := map[int32]string{menuShow: m.words.Show, menuQuit: m.words.Quit}[id]
	if text == "" {
		return map[string]dbus.Variant{"children-display": dbus.MakeVariant("submenu")}
	}
	return map[string]dbus.Variant{"label": dbus.MakeVariant(text)}
}

// GetLayout returns the menu.
func (m trayMenu) GetLayout(parent, _ int32, _ []string) (uint32, layout, *dbus.Error) {
	l := layout{ID: parent, Props: m.item(parent), Children: []dbus.Variant{}}
	if parent == menuRoot {
		for _, id := range []int32{menuShow, menuQuit} {
			l.Children = append(l.Children, dbus.MakeVariant(layout{ID: id, Props: m.item(id), Children: []dbus.Variant{}}))
		}
	}
	return 1, l, nil
}

// GetGroupProperties returns properties of several items; of all for none.
func (m trayMenu) GetGroupProperties(ids []int32, _ []string) ([]itemProps, *dbus.Error) {
	if len(ids) == 0 {
		ids = []int32{menuRoot, menuShow, menuQuit}
	}
	all := make([]itemProps, len(ids))
	for i, id := range ids {
		all[i] = itemProps{id, m.item(id)}
	}
	return all, nil
}

// GetProperty returns one property.
func (m trayMenu) GetProperty(id int32, name string) (dbus.Variant, *dbus.Error) {
	if v, ok := m.item(id)[name]; ok {
		return v, nil
	}
	return dbus.Variant{}, dbus.MakeFailedError(errNoProperty)
}

// Event says that something was done with an item.
func (m trayMenu) Event(id int32, what string, _ dbus.Variant, _ uint32) *dbus.Error {
	if what == "clicked" {
		m.s.do(func() {
			m.s.tell(func(e Events) {
				switch id {
				case menuShow:
					e.Raise("")
				case menuQuit:
					e.Quit()
				}
			})
		})
	}
	return nil
}

// A menuEvent is one of several events.
type menuEvent struct {
	ID   int32
	What string
	Data dbus.Variant
	Time uint32
}

// EventGroup is Event for several; it returns ids that do not exist.
func (m trayMenu) EventGroup(events []menuEvent) ([]int32, *dbus.Error) {
	for _, e := range events {
		if err := m.Event(e.ID, e.What, e.Data, e.Time); err != nil {
			return nil, err
		}
	}
	return []int32{}, nil
}

// AboutToShow says that nothing has changed.
func (m trayMenu) AboutToShow(int32) (bool, *dbus.Error) { return false, nil }

// AboutToShowGroup is AboutToShow for several.
func (m trayMenu) AboutToShowGroup([]int32) (updated, missing []int32, err *dbus.Error) {
	return []int32{}, []int32{}, nil
}
