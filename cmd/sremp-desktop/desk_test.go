//go:build gtk

package main

import (
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/godbus/dbus/v5"

	"github.com/sremp/sremp/client"
)

const (
	noticesName = "org.freedesktop.Notifications"
	noticesPath = "/org/freedesktop/Notifications"
	watcherName = "org.kde.StatusNotifierWatcher"
)

// A desktopBus is what a whole desktop has besides windows: something that shows
// notices, with an entry to answer in, and something that shows a tray.
type desktopBus struct {
	t     *testing.T
	bus   *dbus.Conn
	shown chan notice
	last  uint32 // notice that was waited for
	next  atomic.Uint32
	items chan string
}

func newDesktopBus(t *testing.T, s *seat) *desktopBus {
	t.Helper()
	bus, err := dbus.Connect(s.bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	d := &desktopBus{t: t, bus: bus, shown: make(chan notice, 64), items: make(chan string, 8)}
	for path, name := range map[dbus.ObjectPath]string{noticesPath: noticesName, "/StatusNotifierWatcher": watcherName} {
		if err := bus.Export(d, path, name); err != nil {
			t.Fatal(err)
		}
		if _, err := bus.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *desktopBus) GetCapabilities() ([]string, *dbus.Error) {
	return []string{"actions", "body", "body-markup", "inline-reply"}, nil
}

func (d *desktopBus) Notify(_ string, id uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	if id == 0 {
		id = d.next.Add(1)
	}
	d.shown <- notice{id, title, body}
	return id, nil
}

// A notice is what was shown of one.
type notice struct {
	id          uint32
	title, body string
}

func (d *desktopBus) CloseNotification(uint32) *dbus.Error { return nil }

func (d *desktopBus) RegisterStatusNotifierItem(name string) *dbus.Error {
	d.items <- name
	return nil
}

// notice waits for one.
func (d *desktopBus) notice(title, body string) {
	d.t.Helper()
	var others []notice
	for {
		select {
		case n := <-d.shown:
			others = append(others, n)
			if n.title == title && strings.HasPrefix(n.body, body) {
				d.last = n.id
				return
			}
		case <-time.After(patience):
			d.t.Fatalf("no notice %q %q came, but %v", title, body, others)
		}
	}
}

// does is what a person does with the last notice.
func (d *desktopBus) does(signal, what string) {
	d.t.Helper()
	if err := d.bus.Emit(noticesPath, noticesName+"."+signal, d.last, what); err != nil {
		d.t.Fatal(err)
	}
}

// status waits until the icon in the tray has it.
func (d *desktopBus) status(item, want string) {
	d.t.Helper()
	var got any
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(lookEvery) {
		v, err := d.bus.Object(item, "/StatusNotifierItem").GetProperty("org.kde.StatusNotifierItem.Status")
		if err != nil {
			d.t.Fatal(err)
		}
		if got = v.Value(); got == want {
			return
		}
	}
	d.t.Fatalf("the tray's icon is %v, want %v", got, want)
}

// again starts the program once more on the same seat, and waits for its end.
func (s *seat) again(args ...string) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(s.env, runAsMain+"=1"), noPassphrase...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("a second start with %q: %v\n%s", args, err, out)
	}
}

// text returns what stands in an entry.
func (s *seat) text(n node) string {
	s.t.Helper()
	r := s.program.reader
	v, err := call(r.bus, r.dest, n.path, "org.a11y.atspi.Text", "GetText",
		glib.NewVariantTuple([]*glib.Variant{glib.NewVariantInt32(0), glib.NewVariantInt32(1000)}))
	if err != nil {
		s.t.Fatal(err)
	}
	return v.ChildValue(0).String()
}

// TestDesk goes through what the program is on a desktop besides its window.
func TestDesk(t *testing.T) {
	s := newSeat(t, "desk", "960x680")
	d := newDesktopBus(t, s)
	profile, here := s.startAs("Lena")
	me, err := here.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	olga := newFriend(t, "Olga")
	invite, err := here.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lena, err := olga.Add(t.Context(), invite.URI, "")
	if err != nil {
		t.Fatal(err)
	}
	says := func(text string) {
		t.Helper()
		if _, err := olga.Send(t.Context(), lena.ID, text); err != nil {
			t.Fatal(err)
		}
	}
	icon := <-d.items

	// A click on a notice opens its conversation, ready to be answered.
	says("Is this <b>thing</b> on?")
	d.notice("Olga", "New message") // the text is not in it unless one wants that
	d.status(icon, "NeedsAttention")
	d.does("ActionInvoked", "default")
	s.focused("Message")
	s.seesPart("Is this <b>thing</b> on?")
	d.status(icon, "Active") // it was read

	// The window is closed, the program goes on.
	s.key("ctrl+w")
	d.notice("SREMP", "Goes on in the background")
	says("Still there?")
	d.notice("Olga", "New message")
	d.does("NotificationReplied", "Yes, behind the scenes")
	has(t, olga, me.ID, "the answer from the notice", func(m client.Message) bool { return m.Text == "Yes, behind the scenes" })

	// A second start shows the window that is there; a link opens a dialog.
	s.again("--profile", profile)
	s.seesPart("Yes, behind the scenes")
	other, err := olga.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.again("--profile", profile, other.URI)
	link := s.until("the keyboard in the link", func(n node) bool { return n.name == "Link" && n.states&(1<<stateFocused) != 0 })
	if got := s.text(link); got != other.URI {
		t.Errorf("the field has %q, want the link", got)
	}
	s.shot("50-link")
	if contacts, err := here.Contacts(t.Context()); err != nil || len(contacts) != 1 {
		t.Errorf("%d contacts, %v; want 1: a link adds nobody by itself", len(contacts), err)
	}
	s.key("Escape")

	// The shortcuts.
	s.key("ctrl+question")
	s.sees("Search all messages") // of the first page
	s.shot("51-shortcuts")
	s.audit("shortcuts")
	s.goTo("Tab", "All shortcuts")
	s.key("space")
	s.goTo("Down", "Writing")
	s.key("Return")
	s.seesPart("Take back what was deleted")
	s.shot("51-shortcuts-writing")
	s.key("Escape")

	// The program is ended in the tray, and the next start is where this one was:
	// as large, its list as wide, with the conversation that was open.
	s.resize(880, 640)
	s.tool("xdotool", "search", "--onlyvisible", "--name", "^SREMP$", "windowfocus", "--sync") // it was at the shortcuts
	s.key("F8", "ctrl+Right", "Right", "Return")
	wide := s.listWidth(func(w int) bool { return w > 281 })
	menu := d.bus.Object(icon, "/StatusNotifierItem/Menu")
	if err := menu.Call("com.canonical.dbusmenu.Event", 0, int32(2), "clicked", dbus.MakeVariant(""), uint32(0)).Err; err != nil {
		t.Fatal(err)
	}
	s.wait()
	s.start(noPassphrase, "--profile", profile)
	s.seesPart("Yes, behind the scenes")
	s.focused("Message")
	s.isSized(880, 640)
	s.listWidth(func(w int) bool { return w == wide })

	// The switches of the program's menu.
	s.key("F10")
	s.focused("Start with the session")
	s.key("space")
	s.until("the switch on", func(n node) bool {
		return n.name == "Start with the session" && n.states&(1<<stateChecked) != 0
	})
	s.shot("52-program-menu")
	s.key("Tab", "space")
	s.until("the switch off", func(n node) bool {
		return n.name == "Go on in the background" && n.states&(1<<stateFocused|1<<stateChecked) == 1<<stateFocused
	})
	s.key("Escape")
	s.key("ctrl+w")
	s.wait()
}

// listWidth waits until the list of conversations has a width, and returns it.
func (s *seat) listWidth(ok func(w int) bool) (width int) {
	s.t.Helper()
	s.until("a list of that width", func(n node) bool {
		if n.name == "Contacts" {
			_, _, width, _ = s.extents(n)
		}
		return n.name == "Contacts" && ok(width)
	})
	return width
}
