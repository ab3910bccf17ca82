package shell

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// asked gathers what a Shell was asked for.
func asked(s *Shell) <-chan string {
	c := make(chan string, 16)
	s.Listen(Events{
		Raise:   func(token string) { c <- "raise " + token },
		Link:    func(link, token string) { c <- "link " + link + " " + token },
		Opened:  func(tag, token string) { c <- "opened " + tag + " " + token },
		Reply:   func(tag, token string) { c <- "reply " + tag + " " + token },
		Replied: func(tag, text string) { c <- "replied " + tag + " " + text },
		Quit:    func() { c <- "quit" },
	})
	return c
}

func want(t *testing.T, c <-chan string, what string) {
	t.Helper()
	if got := next(t, what, c); got != what {
		t.Errorf("got %q, want %q", got, what)
	}
}

func TestNotices(t *testing.T) {
	startBus(t)
	server := newServer(t, "actions", "body", canMarkup)
	s := join(t)
	events := asked(s)

	s.Notify(Notice{Tag: "olga", Title: "Olga", Body: "<b>2 < 3</b> & so", Open: "Open", Reply: "Answer", Pixels: []byte("rgbrgb"), Width: 2, Height: 1})
	n := next(t, "a notice", server.shown)
	if n.title != "Olga" || n.body != "&lt;b&gt;2 &lt; 3&lt;/b&gt; &amp; so" {
		t.Errorf("got %q, %q; want the text escaped for a server that reads markup", n.title, n.body)
	}
	if want := []string{"default", "Open", "reply", "Answer"}; !slices.Equal(n.actions, want) {
		t.Errorf("got actions %q, want %q", n.actions, want)
	}
	if got := n.hints["desktop-entry"].Value(); got != AppID {
		t.Errorf("it is of %v, want %v", got, AppID)
	}

	if got, want := n.hints["image-data"], `@av [2, 1, 6, false, 8, 3, [0x72, 0x67, 0x62, 0x72, 0x67, 0x62]]`; got.String() != want || dbus.SignatureOf(imageData{}).String() != "(iiibiiay)" {
		t.Errorf("its picture is %v, want %v of the type (iiibiiay)", got, want)
	}

	// The next one of the same conversation takes its place.
	s.Notify(Notice{Tag: "olga", Title: "Olga", Body: "again", Open: "Open", Pixels: []byte("too few"), Width: 200, Height: 100})
	again := next(t, "the next notice", server.shown)
	if again.replaces != n.id {
		t.Errorf("it replaces %d, want %d", again.replaces, n.id)
	}
	if _, pictured := again.hints["image-data"]; pictured {
		t.Error("it has a picture with fewer bytes than pixels")
	}
	server.says(t, "ActionInvoked", uint32(77), "default") // another program's
	server.says(t, "ActivationToken", n.id, "token-1")
	server.says(t, "ActionInvoked", n.id, "default")
	want(t, events, "opened olga token-1")
	server.says(t, "ActionInvoked", n.id, "reply")
	want(t, events, "reply olga ")
	s.Withdraw("nobody")
	s.Withdraw("olga")
	if id := next(t, "the end of a notice", server.closed); id != n.id {
		t.Errorf("%d was closed, want %d", id, n.id)
	}
}

// TestNoticeServerAnew has a server with an entry for answers, which is then
// replaced by one that can do less and knows none of the notices.
func TestNoticeServerAnew(t *testing.T) {
	startBus(t)
	kde := newServer(t, canInline)
	s := join(t)
	events := asked(s)
	s.Notify(Notice{Tag: "olga", Body: "a < b", Open: "Open", Reply: "Answer"})
	n := next(t, "a notice", kde.shown)
	if n.body != "a < b" {
		t.Errorf("got %q, want the text as it is: this server reads no markup", n.body)
	}
	if want := []string{"default", "Open", "inline-reply", "Answer"}; !slices.Equal(n.actions, want) {
		t.Errorf("got actions %q, want %q", n.actions, want)
	}
	kde.says(t, "NotificationReplied", n.id, "at once")
	want(t, events, "replied olga at once")
	kde.bus.Close()
	less := newServer(t)
	for { // until the bus has told of the change
		s.Notify(Notice{Tag: "olga", Body: "again", Open: "Open", Reply: "Answer"})
		if again := next(t, "a notice of the next server", less.shown); again.replaces == 0 {
			if !slices.Contains(again.actions, actionReply) {
				t.Errorf("got actions %q, want a button for the answer", again.actions)
			}
			break
		}
	}
}

func TestNoBusDoesNothing(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	s := Connect()
	if !s.Claim(t.TempDir()) {
		t.Error("without a bus somebody else was first")
	}
	s.Notify(Notice{})
	s.Withdraw("x")
	s.Tray(Words{})
	s.SetUnread(1)
	s.Close()
}

func TestOneProgramForAProfile(t *testing.T) {
	startBus(t)
	dir := t.TempDir()
	first := join(t)
	if !first.Claim(dir) {
		t.Fatal("the first is not the first")
	}
	t.Setenv("XDG_ACTIVATION_TOKEN", "token-2")
	second := join(t)
	if second.Claim(filepath.Join(dir, ".", "")) {
		t.Error("there are two for one profile")
	}
	if third := join(t); third.Claim(dir, "sremp:abc", "sremp:def") {
		t.Error("there are three")
	}
	// What came before the window was there is not lost.
	events := asked(first)
	want(t, events, "raise token-2")
	want(t, events, "link sremp:abc token-2")
	want(t, events, "link sremp:def token-2")
	if other := join(t); !other.Claim(t.TempDir()) {
		t.Error("another profile has its own program")
	}
}

func TestTray(t *testing.T) {
	startBus(t)
	s := join(t)
	events := asked(s)
	words := Words{Show: "Show", Quit: "Quit", Unread: func(n int) string { return strings.Repeat("!", n) }}
	s.Tray(words) // before there is something that shows it
	w, bus := newWatcher(t)
	name := next(t, "the icon", w.registered)
	item := bus.Object(name, itemPath)
	get := func(property string) any {
		v, err := item.GetProperty(itemName + "." + property)
		if err != nil {
			t.Fatal(err)
		}
		return v.Value()
	}
	if got := get("Status"); got != "Active" {
		t.Errorf("got %v, want Active", got)
	}
	if err := bus.AddMatchSignal(dbus.WithMatchInterface(itemName)); err != nil {
		t.Fatal(err)
	}
	if err := bus.AddMatchSignal(dbus.WithMatchInterface(launcher)); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 16)
	bus.Signal(signals)
	plain := get("IconPixmap")
	s.SetUnread(3)
	counted := false
	for {
		m := next(t, "NewStatus", signals)
		if m.Name == launcher+".Update" {
			count := m.Body[1].(map[string]dbus.Variant)
			counted = count["count"].Value() == int64(3) && count["count-visible"].Value() == true
		}
		if m.Name == itemName+".NewStatus" {
			break
		}
	}
	if !counted {
		t.Error("the launcher's icon has no number")
	}
	if got := get("Status"); got != "NeedsAttention" {
		t.Errorf("with unread messages: got %v, want NeedsAttention", got)
	}
	if tip := get("ToolTip").([]any); tip[3] != "!!!" {
		t.Errorf("got the tooltip %v, want three", tip)
	}
	if a, b := plain.([][]any), get("IconPixmap").([][]any); bytes.Equal(a[0][2].([]byte), b[0][2].([]byte)) {
		t.Error("the icon shows no number")
	}

	if err := item.Call(itemName+".Activate", 0, int32(1), int32(1)).Err; err != nil {
		t.Fatal(err)
	}
	want(t, events, "raise ")
	menu := bus.Object(name, menuPath)
	var revision uint32
	var root layout
	if err := menu.Call(menuName+".GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		t.Fatal(err)
	}
	if len(root.Children) != 2 {
		t.Fatalf("the menu has %d items, want 2", len(root.Children))
	}
	for i, c := range []struct{ label, event string }{{"Show", "raise "}, {"Quit", "quit"}} {
		var it layout
		if err := root.Children[i].Store(&it); err != nil {
			t.Fatal(err)
		}
		if got := it.Props["label"].Value(); got != c.label {
			t.Errorf("item %d is %v, want %v", i, got, c.label)
		}
		if err := menu.Call(menuName+".Event", 0, it.ID, "clicked", dbus.MakeVariant(0), uint32(0)).Err; err != nil {
			t.Fatal(err)
		}
		want(t, events, c.event)
	}
	// What shows trays is started anew.
	bus.Close()
	w, _ = newWatcher(t)
	if again := next(t, "the icon again", w.registered); again != name {
		t.Errorf("got %q, want %q", again, name)
	}
}

// TestIcons keeps a picture of the icons, to be looked at.
func TestIcons(t *testing.T) {
	sheet := image.NewNRGBA(image.Rect(0, 0, 5*72, 6*72))
	for column, n := range []int{0, 1, 7, 42, 100} {
		y := 0
		for _, p := range icons(n) {
			if len(p.Data) != int(4*p.Width*p.Height) {
				t.Fatalf("%d bytes for %d by %d", len(p.Data), p.Width, p.Height)
			}
			seen := map[color.NRGBA]bool{}
			for i := range int(p.Width * p.Height) {
				d := p.Data[4*i:]
				c := color.NRGBA{d[1], d[2], d[3], d[0]}
				seen[c] = true
				sheet.SetNRGBA(column*72+i%int(p.Width), y+i/int(p.Width), c)
			}
			if got := seen[color.NRGBA{0xe0, 0x1b, 0x24, 0xff}]; got != (n > 0) {
				t.Errorf("%d unread, %d pixels: red is %v", n, p.Width, got)
			}
			y += int(p.Height) + 8
		}
	}
	f, err := os.Create(filepath.Join(t.ArtifactDir(), "icons.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, sheet); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
