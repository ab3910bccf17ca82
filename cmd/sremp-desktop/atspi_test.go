//go:build gtk

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
)

// What is on the screen is read as a screen reader does: over AT-SPI
// (https://gitlab.gnome.org/GNOME/at-spi2-core, xml/*.xml).

const (
	rootPath   = "/org/a11y/atspi/accessible/root"
	accessible = "org.a11y.atspi.Accessible"
	callTime   = 20000 // ms
)

// Bits of an AT-SPI state set.
const (
	stateChecked   = 4
	stateFocused   = 12
	stateSensitive = 24
	stateVisible   = 30
)

// A node is an element as a screen reader sees it.
type node struct {
	path   string
	name   string
	role   uint32
	states uint32 // the lower half of its set
	depth  int
}

func (n node) visible() bool { return n.states&(1<<stateVisible) != 0 }

func (n node) String() string {
	return fmt.Sprintf("%*srole %d %q %#x", 2*n.depth, "", n.role, n.name, n.states)
}

// A reader is a screen reader's connection to one seat.
type reader struct {
	bus  *gio.DBusConnection
	dest string // of the program
	// window is the path of its first window, set by look.
	window string
}

// roleLabel and roleFrame are AT-SPI's numbers of a text and of a window.
const (
	roleFrame = 23
	roleLabel = 29
	roleEntry = 61
)

func connectBus(address string) (*gio.DBusConnection, error) {
	return gio.NewDBusConnectionForAddressSync(context.Background(), address,
		gio.DBusConnectionFlagsAuthenticationClient|gio.DBusConnectionFlagsMessageBusConnection, nil)
}

func call(bus *gio.DBusConnection, dest, path, iface, method string, args *glib.Variant) (*glib.Variant, error) {
	return bus.CallSync(context.Background(), dest, path, iface, method, args, nil, gio.DBusCallFlagsNone, callTime)
}

// newReader finds the program on the accessibility bus of a session bus.
func newReader(session string) (*reader, error) {
	bus, err := connectBus(session)
	if err != nil {
		return nil, err
	}
	v, err := call(bus, "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress", nil)
	if err != nil {
		return nil, err
	}
	if bus, err = connectBus(v.ChildValue(0).String()); err != nil {
		return nil, err
	}
	v, err = call(bus, "org.a11y.atspi.Registry", rootPath, accessible, "GetChildren", nil)
	if err != nil {
		return nil, err
	}
	apps := v.ChildValue(0)
	if apps.NChildren() == 0 {
		return nil, fmt.Errorf("no program is on the accessibility bus")
	}
	return &reader{bus: bus, dest: apps.ChildValue(apps.NChildren() - 1).ChildValue(0).String()}, nil
}

// look returns what is visible, in the order of the widgets.
func (r *reader) look() ([]node, error) {
	var order []node
	var walk func(path string, depth int) error
	walk = func(path string, depth int) error {
		order = append(order, node{path: path, depth: depth})
		v, err := call(r.bus, r.dest, path, accessible, "GetChildren", nil)
		if err != nil {
			return err
		}
		children := v.ChildValue(0)
		for i := range children.NChildren() {
			if err := walk(children.ChildValue(i).ChildValue(1).String(), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(rootPath, 0); err != nil {
		return nil, err
	}
	// The walk made GTK tell everything to its cache.
	v, err := call(r.bus, r.dest, "/org/a11y/atspi/cache", "org.a11y.atspi.Cache", "GetItems", nil)
	if err != nil {
		return nil, err
	}
	items := v.ChildValue(0)
	byPath := make(map[string]node, items.NChildren())
	for i := range items.NChildren() {
		it := items.ChildValue(i)
		path := it.ChildValue(0).ChildValue(1).String()
		byPath[path] = node{name: it.ChildValue(6).String(), role: it.ChildValue(7).Uint32(),
			states: it.ChildValue(9).ChildValue(0).Uint32()}
	}
	var shown []node
	hidden := -1 // depth of the invisible element that we are in
	for _, n := range order {
		if hidden >= 0 && n.depth > hidden {
			continue
		}
		hidden = -1
		c := byPath[n.path]
		n.name, n.role, n.states = c.name, c.role, c.states
		if n.role == roleFrame {
			r.window = n.path
		}
		if n.depth > 0 && !n.visible() {
			hidden = n.depth
			continue
		}
		shown = append(shown, n)
	}
	return shown, nil
}

// look returns what the seat's program shows now.
func (s *seat) look() (shown []node, err error) {
	if s.program.reader == nil {
		if s.program.reader, err = newReader(s.bus); err != nil {
			return nil, err
		}
	}
	return s.program.reader.look()
}

// clickOn clicks in the middle of an element. The window fills the screen from
// its corner, so that its coordinates are the screen's.
func (s *seat) clickOn(n node) {
	s.t.Helper()
	x, y, w, h := s.extents(n)
	s.click(x+w/2, y+h/2)
}

// rightClickOn opens an element's menu.
func (s *seat) rightClickOn(n node) {
	s.t.Helper()
	x, y, w, h := s.extents(n)
	s.tool("xdotool", "mousemove", fmt.Sprint(x+w/2), fmt.Sprint(y+h/2), "click", "3")
}

// extents returns where an element is in the window, in pixels.
func (s *seat) extents(n node) (x, y, w, h int) {
	s.t.Helper()
	x, y, w, h, err := s.place(n)
	if err != nil {
		s.t.Fatal(err)
	}
	return x, y, w, h
}

// place is extents of an element that may be gone by now, as a row that was
// scrolled away.
func (s *seat) place(n node) (x, y, w, h int, err error) {
	r := s.program.reader
	v, err := call(r.bus, r.dest, n.path, "org.a11y.atspi.Component", "GetExtents",
		glib.NewVariantTuple([]*glib.Variant{glib.NewVariantUint32(coordWindow)}))
	if err != nil {
		return 0, 0, 0, 0, err
	}
	e := v.ChildValue(0)
	side := func(i uint) int { return int(e.ChildValue(i).Int32()) }
	return side(0), side(1), side(2), side(3), nil
}

// isInView reports whether a click on the element's middle would hit it: it is
// not scrolled out of sight, and nothing covers it.
func (s *seat) isInView(n node) bool {
	s.t.Helper()
	x, y, w, h, err := s.place(n)
	if err != nil {
		return false
	}
	return s.hit(x+w/2, y+h/2) == n.path
}

// hit returns the path of what a click at a place of the window would hit.
func (s *seat) hit(x, y int) string {
	r := s.program.reader
	v, err := call(r.bus, r.dest, r.window, "org.a11y.atspi.Component", "GetAccessibleAtPoint",
		glib.NewVariantTuple([]*glib.Variant{
			glib.NewVariantInt32(int32(x)), glib.NewVariantInt32(int32(y)), glib.NewVariantUint32(coordWindow),
		}))
	if err != nil {
		return ""
	}
	return v.ChildValue(0).ChildValue(1).String()
}

// entry waits for an entry.
func (s *seat) entry(name string) node {
	s.t.Helper()
	return s.until("an entry for "+name, func(n node) bool { return n.role == roleEntry && n.name == name })
}

// textOf returns what stands in an entry, up to n characters.
func (s *seat) textOf(e node, n int) string {
	r := s.program.reader
	v, err := call(r.bus, r.dest, e.path, "org.a11y.atspi.Text", "GetText",
		glib.NewVariantTuple([]*glib.Variant{glib.NewVariantInt32(0), glib.NewVariantInt32(int32(n))}))
	if err != nil {
		return "" // it is empty
	}
	return v.ChildValue(0).String()
}

// choose answers a dialog that asks for a file, by its path.
func (s *seat) choose(title, path string) {
	s.t.Helper()
	s.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", "^"+title+"$", "windowfocus", "--sync")
	s.write(path)
	s.key("Return")
	s.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", "^SREMP", "windowfocus", "--sync")
}

// inView waits until the text of a message that begins so is in view.
func (s *seat) inView(text string) {
	s.t.Helper()
	s.until(fmt.Sprintf("%q within the view", text), func(n node) bool {
		return n.role == roleLabel && strings.HasPrefix(n.name, text) && s.isInView(n)
	})
}

// inViewNow is inView without waiting.
func (s *seat) inViewNow(text string) bool {
	s.t.Helper()
	shown, err := s.look()
	if err != nil {
		return false // something went away meanwhile
	}
	for _, n := range shown {
		if n.role == roleLabel && strings.HasPrefix(n.name, text) && s.isInView(n) {
			return true
		}
	}
	return false
}

// coordWindow asks for coordinates relative to the window.
const coordWindow = 1

// until looks at the screen until found says yes, and returns what it found.
func (s *seat) until(what string, found func(n node) bool) node {
	s.t.Helper()
	var shown []node
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(lookEvery) {
		select {
		case <-s.program.done:
			s.t.Fatalf("%s ended while waiting for %s: %v\n%s", s.name, what, s.program.err, s.program.stderr.String())
		default:
		}
		if shown, err = s.look(); err != nil {
			continue
		}
		for _, n := range shown {
			if found(n) {
				return n
			}
		}
	}
	s.shot("failed-" + s.name)
	var tree strings.Builder
	for _, n := range shown {
		fmt.Fprintln(&tree, n)
	}
	s.t.Fatalf("%s does not show %s (%v). It shows:\n%s", s.name, what, err, tree.String())
	return node{}
}

// sees waits until something named exactly so is shown.
func (s *seat) sees(name string) node {
	s.t.Helper()
	return s.until(fmt.Sprintf("%q", name), func(n node) bool { return n.name == name })
}

// seesPart waits until something is shown whose name has a part.
func (s *seat) seesPart(part string) node {
	s.t.Helper()
	return s.until(fmt.Sprintf("something with %q", part), func(n node) bool { return strings.Contains(n.name, part) })
}

// focused waits until the keyboard is at the named element.
func (s *seat) focused(name string) {
	s.t.Helper()
	s.until(fmt.Sprintf("the keyboard at %q", name), func(n node) bool {
		return n.name == name && n.states&(1<<stateFocused) != 0
	})
}
