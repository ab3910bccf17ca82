//go:build gtk

package main

import (
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/desktop/shell"
	"github.com/sremp/sremp/identity"
)

// talkOf makes a conversation with one of everything, and a few others beside it.
func talkOf(t *testing.T, here *rpc.Client) {
	t.Helper()
	me, err := here.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	meet := func(name string) *client.Client {
		t.Helper()
		c := newFriend(t, name)
		invite, err := here.Invite(t.Context(), client.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Add(t.Context(), invite.URI, ""); err != nil {
			t.Fatal(err)
		}
		within(t, name+" among the contacts", func() (bool, string) {
			all, err := here.Contacts(t.Context())
			return err == nil && slices.ContainsFunc(all, func(c client.Contact) bool { return c.Name == name }), fmt.Sprint(err)
		})
		return c
	}
	nina, pete, olga := meet("Nina Ångström-Kowalczyk"), meet("Pete"), meet("Olga")
	for _, c := range []*client.Client{nina, pete} {
		for _, text := range []string{"Are you coming?", "The train leaves at nine, from the platform at the far end"} {
			if _, err := c.Send(t.Context(), me.ID, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := func(c *client.Client) identity.PeerID {
		t.Helper()
		who, err := c.WhoAmI(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return who.ID
	}
	with := id(olga)
	arrived := func(c *client.Client, text string) client.Message {
		t.Helper()
		return has(t, here, id(c), text, func(m client.Message) bool { return m.Text == text })
	}
	arrived(nina, "Are you coming?")
	pinned := true
	if _, err := here.SetContact(t.Context(), id(pete), client.ContactSettings{Pinned: &pinned}); err != nil {
		t.Fatal(err)
	}
	send := func(text string, d client.Draft) client.Message {
		t.Helper()
		d.Text = text
		m, err := here.SendDraft(t.Context(), with, d)
		if err != nil {
			t.Fatal(err)
		}
		return has(t, olga, me.ID, text, func(o client.Message) bool { return o.ID == m.ID })
	}
	say := func(text string) client.Message {
		t.Helper()
		if _, err := olga.Send(t.Context(), me.ID, text); err != nil {
			t.Fatal(err)
		}
		return arrived(olga, text)
	}
	say("Good morning!")
	plan := say("What about the observatory on Saturday? They open the dome at eight, and one may look through the large telescope if it is clear.")
	yes := send("I am in. https://example.org/observatory?day=saturday has the map.", client.Draft{ReplyTo: plan.ID})
	if _, err := olga.React(t.Context(), me.ID, yes.ID, "🎉"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "last time.png")
	writePicture(t, path)
	if _, err := olga.SendFile(t.Context(), me.ID, client.FileDraft{Path: path}); err != nil {
		t.Fatal(err)
	}
	has(t, here, with, "the picture", func(m client.Message) bool { return m.File != nil && m.File.State == client.FileDone })
	send("Bring the red lamp.", client.Draft{})
	say("نلتقي عند الثامنة")
}

// resize gives the window a size, as a window manager would.
func (s *seat) resize(width, height int) {
	s.t.Helper()
	s.tool("xdotool", "search", "--onlyvisible", "--name", "^SREMP$", "windowsize", strconv.Itoa(width), strconv.Itoa(height))
	s.isSized(width, height)
}

// isSized waits until the window has a size; a few pixels are its frame.
func (s *seat) isSized(width, height int) {
	s.t.Helper()
	s.until(fmt.Sprintf("a window %d pixels wide", width), func(n node) bool {
		if n.role != roleFrame {
			return false
		}
		_, _, w, h := s.extents(n)
		return w <= width && w > width-40 && h <= height && h > height-40
	})
}

// part keeps a picture of the window's part of the screen.
func (s *seat) part(name string, width, height int) (path string) {
	s.t.Helper()
	path = filepath.Join(s.shots, name+".png")
	s.tool("import", "-silent", "-window", "root", "-crop", fmt.Sprintf("%dx%d+0+0", width, height), "+repage", path)
	return path
}

// isDark says whether the picture's header bar is.
func (s *seat) isDark(path string) bool {
	s.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		s.t.Fatal(err)
	}
	r, g, b, _ := m.At(m.Bounds().Dx()/4, 30).RGBA()
	return (r+g+b)/3 < 0x8000
}

// fits waits until everything that is shown lies within the window's width, and
// what the keyboard reaches has a size: a layout may be under way.
func (s *seat) fits(page string, width int) {
	s.t.Helper()
	within(s.t, page, func() (bool, string) {
		shown, err := s.look()
		if err != nil {
			return false, err.Error()
		}
		for _, n := range shown {
			focusable := n.states&(1<<stateFocusable) != 0
			if n.role != roleLabel && !focusable {
				continue
			}
			x, _, w, h := s.extents(n)
			switch {
			// Rows that are scrolled out of sight keep the place of a larger window.
			case w > 0 && (x < 0 || x+w > width) && n.role != roleRow && s.isInView(n):
				return false, fmt.Sprintf("%q reaches from %d to %d, the window is %d wide", n.name, x, x+w, width)
			case focusable && (w < 8 || h < 8):
				return false, fmt.Sprintf("%q is %d wide and %d high", n.name, w, h)
			}
		}
		return true, ""
	})
}

// bubblesAreRead has no text of a message be wider than one reads with ease, and
// lets both sides of a conversation stay within sight of each other.
func (s *seat) bubblesAreRead(page string) {
	s.t.Helper()
	const widest, together = 560, 1000        // pixels
	within(s.t, page, func() (bool, string) { // a layout may be under way
		shown, err := s.look()
		if err != nil {
			return false, err.Error()
		}
		left, right := math.MaxInt, 0
		in := 0 // depth of a message's row
		for _, n := range shown {
			if n.role == roleRow {
				in = n.depth
			}
			if in == 0 || n.depth <= in || n.role != roleLabel || n.states&(1<<stateFocusable) == 0 {
				continue
			}
			x, _, w, _ := s.extents(n)
			if w > widest {
				return false, fmt.Sprintf("%q is %d pixels wide, want %d at most", n.name, w, widest)
			}
			left, right = min(left, x), max(right, x+w)
		}
		return right > 0 && right-left <= together, fmt.Sprintf("the bubbles reach from %d to %d, want %d pixels at most", left, right, together)
	})
}

// shortcutsFit opens the window of shortcuts, each page of it, on a screen of a
// size.
func (s *seat) shortcutsFit(page string, width, height int) {
	s.t.Helper()
	const title = "^Keyboard shortcuts$"
	s.key("ctrl+question")
	id := s.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", title)
	var x, y, w, h int
	within(s.t, "the window of shortcuts", func() (bool, string) {
		said := s.tool("xdotool", "getwindowgeometry", "--shell", id)
		n, err := fmt.Sscanf(said, "WINDOW="+id+"\nX=%d\nY=%d\nWIDTH=%d\nHEIGHT=%d", &x, &y, &w, &h)
		return n == 4 && w > 200, fmt.Sprint(said, err)
	})
	if w > width || h > height {
		s.t.Errorf("%s: the window of shortcuts is %dx%d, want %dx%d at most", page, w, h, width, height)
	}
	s.tool("import", "-silent", "-window", id, filepath.Join(s.shots, "81-"+page+"-shortcuts.png"))
	s.tool("xdotool", "windowfocus", "--sync", id)
	s.key("Escape")
	s.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", "^SREMP$", "windowfocus", "--sync")
	s.focused("Message")
}

// TestLooks shows the window small and large, light and dark, with text of twice
// the size, and mirrored: everything stays within it.
func TestLooks(t *testing.T) {
	s := newSeat(t, "looks", "2560x1440")
	profile, here := s.startAs("Lena")
	talkOf(t, here)
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.focused("Message")
	s.seesPart("Bring the red lamp. (Delivered")
	settings, err := here.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	look := func(scheme string, text client.Percent) {
		t.Helper()
		settings.Appearance = client.AppearanceSettings{Scheme: scheme, Text: text}
		if err := here.SetSettings(t.Context(), settings); err != nil {
			t.Fatal(err)
		}
	}
	name := func(n node) bool { return n.role == roleLabel && n.name == "Olga" }
	_, _, _, usual := s.extents(s.until("the header", name))
	for _, v := range []struct {
		scheme        string
		text          client.Percent
		width, height int
		pages         bool // not only the conversation
	}{
		{client.SchemeLight, 100, 800, 600, true},
		{client.SchemeDark, 100, 800, 600, false},
		{client.SchemeDark, 200, 800, 600, true},
		{client.SchemeDark, 100, 1280, 800, true},
		{client.SchemeLight, 200, 1600, 1000, true},
		{client.SchemeLight, 100, 1600, 1000, false},
		{client.SchemeDark, 100, 1600, 1000, false},
		{client.SchemeLight, 100, 2560, 1440, false},
	} {
		what := fmt.Sprintf("%s-%dx%d-%d", v.scheme, v.width, v.height, v.text)
		look(v.scheme, v.text)
		s.resize(v.width, v.height)
		s.until("text of that size", func(n node) bool {
			if !name(n) {
				return false
			}
			_, _, _, h := s.extents(n)
			return h > usual*3/2 == (v.text == 200)
		})
		path := ""
		within(t, "the colours", func() (bool, string) {
			path = s.part("80-"+what, v.width, v.height)
			return s.isDark(path) == (v.scheme == client.SchemeDark), what
		})
		s.fits(what, v.width)
		if v.text == 100 {
			s.bubblesAreRead(what)
			s.part("80-"+what, v.width, v.height)
		}
		if !v.pages {
			continue
		}
		s.shortcutsFit(what, v.width, v.height)
		for _, page := range []struct{ name, keys, sees string }{
			{"invite", "ctrl+i", "Copy link"}, {"add", "ctrl+n", "Add a contact"},
			{"servers", "ctrl+shift+s", "Server address"}, {"settings", "ctrl+comma", "Settings"},
		} {
			s.key(page.keys)
			s.seesPart(page.sees)
			s.fits(what+" "+page.name, v.width)
			s.part("81-"+what+"-"+page.name, v.width, v.height)
			s.key("Escape")
			s.focused("Message")
		}
	}
	look(client.SchemeLight, 100)
	s.key("ctrl+q")
	s.wait()

	// Mirrored: the list is on the right, one's own messages are on the left.
	if err := (shell.State{Width: 960, Height: 680, Pane: 280, Last: shell.LoadState(profile, shell.State{}).Last}).Save(profile); err != nil {
		t.Fatal(err)
	}
	s.start(append([]string{"LC_ALL=he_IL.UTF-8"}, noPassphrase...), "--profile", profile)
	s.seesPart("Bring the red lamp.")
	middle := func(name string) int {
		t.Helper()
		s.inView(name)
		x, _, w, _ := s.extents(s.until(name, func(n node) bool { return n.role == roleLabel && n.name == name }))
		return x + w/2
	}
	mine, theirs := middle("Bring the red lamp."), middle("last time.png")
	x, _, w, _ := s.extents(s.sees("Contacts"))
	if mine >= theirs || theirs >= x+w/2 {
		t.Errorf("from the left: mine %d, theirs %d, the list %d; want them in this order", mine, theirs, x+w/2)
	}
	s.shot("82-mirrored")
	s.fits("mirrored", 960)
	s.key("ctrl+comma")
	s.sees("Settings")
	s.shot("83-mirrored-settings")
	s.key("Escape")
	s.key("ctrl+q")
	s.wait()
}

// roleRow is AT-SPI's number of a list's item.
const roleRow = 32
