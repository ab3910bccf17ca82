package present

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// has reports whether the open dialog has a field or a button of a key.
func (u *ui) has(key string) bool {
	return slices.ContainsFunc(u.last().Dialog.Fields, func(f Field) bool {
		return f.Key == key || slices.ContainsFunc(f.Buttons, func(b Button) bool { return b.Key == key })
	})
}

// button returns a button of the open dialog.
func (u *ui) button(key string) (found Button) {
	for _, f := range u.last().Dialog.Fields {
		for _, b := range f.Buttons {
			if b.Key == key {
				found = b
			}
		}
	}
	return found
}

// A code is put into the entry; it is the person who presses Add.
func TestAddByCode(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenAdd()
		var b bytes.Buffer
		if err := png.Encode(&b, picture(t, "SREMP:ABC234", 4)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "code.png")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, v := range []struct {
			button string
			value  Value
			want   string
		}{
			{"scanclip", Value{Image: b.Bytes()}, "SREMP:ABC234"}, {"scanclip", Value{Text: " sremp:pasted "}, "sremp:pasted"},
			{"scanfile", Value{Text: path}, "SREMP:ABC234"},
		} {
			u.Act(v.button, v.value)
			u.run(2 * callTime)
			if got := u.field("link").Text; got != v.want || u.last().Dialog.Problem != "" {
				t.Errorf("%s: %q, problem %q; want %q", v.button, got, u.last().Dialog.Problem, v.want)
			}
		}
		for _, v := range []Value{{}, {Image: []byte("no picture")}, {Text: filepath.Join(t.TempDir(), "none.png")}} {
			u.Act("scanclip", v)
			u.run(2 * callTime)
			if u.last().Dialog.Problem == "" || u.field("link").Text != "SREMP:ABC234" {
				t.Errorf("%+v: problem %q, entry %q; want a problem, and the entry as it was", v, u.last().Dialog.Problem, u.field("link").Text)
			}
		}
		if u.api.calls["add"] != 0 {
			t.Fatal("a code was used without a question")
		}
		u.Act("add", Value{})
		u.run(3 * callTime)
		if u.api.calls["add"] != 1 || !u.last().Chat.Open {
			t.Errorf("%d calls of Add", u.api.calls["add"])
		}
	})
}

func TestPhoneBook(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		mallory, next := identity.PeerID{8}, []byte("next")
		u.api.set(func(f *fakeAPI) {
			f.page = client.BrowsePage{People: []client.ListedPerson{
				{ID: bob, Name: "Bob", Online: true}, {ID: mallory, Name: "B\u202eob", Note: "call me", Suspect: true},
			}, Next: next}
		})
		u.OpenAdd()
		u.SelectTab(phoneBookPage)
		u.Type("find", " bo ")
		u.Act("findnow", Value{})
		u.run(2 * callTime)
		if q := u.api.browsed; len(q) != 1 || q[0].Name != "bo" || len(q[0].After) != 0 {
			t.Fatalf("asked %+v", q)
		}
		m := u.field("person 1")
		if strings.Contains(m.Label, "\u202e") || !strings.Contains(m.Text, "Beware") || !strings.Contains(m.Text, mallory.String()) {
			t.Errorf("got %+v, want a harmless name, a warning and the id", m)
		}
		if u.has("person " + mallory.String() + " add") {
			t.Error("offers a request to somebody without an invite")
		}
		u.Act("findmore", Value{})
		u.run(2 * callTime)
		if q := u.api.browsed; len(q) != 2 || !bytes.Equal(q[1].After, next) || !u.has("person 3") {
			t.Errorf("asked %+v for the next page", q)
		}
		u.Act("person "+bob.String()+" open", Value{})
		u.run(2 * callTime)
		if v := u.last(); v.Dialog.Kind != NoDialog || v.Chat.ID != bob {
			t.Errorf("dialog %v, chat %v", v.Dialog.Kind, v.Chat.ID)
		}
	})
}

func TestNearby(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		dora := identity.PeerID{9}
		u.api.set(func(f *fakeAPI) {
			f.neighbours = []client.Neighbour{{ID: dora, Name: "Dora", Invite: "sremp:x", Interface: "eth0"}, {ID: bob, Name: "Bob", Contact: true}}
		})
		u.OpenAdd()
		u.SelectTab(nearbyPage)
		if u.has("neighbour 0") {
			t.Error("looked without being asked")
		}
		u.Act("look", Value{})
		u.run(2 * callTime)
		if u.button("look").Off {
			t.Error("it looks only once")
		}
		u.Act("visible", Value{On: true})
		u.run(2 * callTime)
		if u.api.calls["setvisible"] != 1 || !u.field("visible").On {
			t.Error("not visible")
		}
		if u.has("n-add "+bob.String()) || !u.has("n-open "+bob.String()) {
			t.Error("a contact is offered as a stranger")
		}
		// While it looks once more, who was found can be written to.
		u.Act("look", Value{})
		u.run(0)
		if u.button("n-add "+dora.String()).Off || !u.button("look").Off {
			t.Error("a look that goes on keeps a request back, or can be begun again")
		}
		u.Act("n-add "+dora.String(), Value{})
		u.run(3 * callTime)
		if v := u.last(); u.api.calls["add"] != 1 || v.Chat.ID != dora {
			t.Errorf("%d calls, chat %v", u.api.calls["add"], v.Chat.ID)
		}
	})
}

// fakeHost has a server and a doctor.
type fakeHost struct {
	fakeProfile
	serving string
	listen  string
	kept    []byte

	restored []string
}

func (h *fakeHost) ProfileSize() int64 { return 5000 }
func (h *fakeHost) Documents() string  { return "/home/a" }
func (h *fakeHost) About() []Fact      { return nil }
func (h *fakeHost) Restore(_ context.Context, backup, kit, passphrase string) (client.API, client.Restored, error) {
	h.restored = []string{backup, kit, passphrase}
	if passphrase == "wrong" {
		return nil, client.Restored{}, client.ErrWrongPassphrase
	}
	return h.api, client.Restored{Made: time.Now()}, nil
}
func (h *fakeHost) Keep(b []byte) (string, error) {
	h.kept = b
	return "/pasted/picture.png", nil
}
func (h *fakeHost) Serving() string { return h.serving }
func (h *fakeHost) Examine(context.Context) ([]Finding, error) {
	return []Finding{{"ok", "UDP gets through."}, {"problem", "The clock is wrong."}}, nil
}
func (h *fakeHost) Serve(_ context.Context, listen, public string) (string, error) {
	h.listen, h.serving = listen, someServer().String()
	return h.serving, nil
}
func (h *fakeHost) StopServing() error {
	h.serving = ""
	return nil
}

func someServer() identity.ServerAddr {
	key, err := identity.NewServerKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		panic(err) // 32 bytes
	}
	return identity.ServerAddr{ID: key.ID(), Host: "192.0.2.7", Port: 4433}
}

func hosted(t *testing.T, f func(t *testing.T, u *ui, h *fakeHost)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{fakeProfile: fakeProfile{api: newFake(), hasPassphrase: true}}
		u := newUIWith(t, h, h.api, nil)
		u.run(5 * callTime)
		f(t, u, h)
	})
}

func TestOwnServer(t *testing.T) {
	hosted(t, func(t *testing.T, u *ui, h *fakeHost) {
		u.OpenServers()
		u.run(callTime)
		u.Type("port", "none")
		u.Act("serve", Value{On: true})
		if u.last().Dialog.Problem == "" || h.serving != "" {
			t.Error("started with a port that is no number")
		}
		u.Type("port", "5000")
		u.Act("serve", Value{On: true})
		u.run(4 * callTime)
		if h.listen != ":5000" || !u.field("serve").On || u.field("ownqr").QR == nil || len(u.api.servers) != 1 {
			t.Errorf("listens on %q, %+v", h.listen, u.last().Dialog)
		}
		u.CloseDialog()
		u.OpenServers()
		u.run(callTime)
		if u.field("ownaddress").Text != h.serving {
			t.Error("the dialog has forgotten the server that runs")
		}
		u.Act("serve", Value{})
		u.run(4 * callTime)
		if h.serving != "" || u.field("serve").On {
			t.Error("it runs on")
		}
	})
}

func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHost{fakeProfile: fakeProfile{api: newFake(), attach: client.ErrNoProfile, hasPassphrase: true}}
		u := newUIWith(t, h, h.api, nil)
		u.run(0)
		u.OpenRestore()
		u.Act("restore", Value{})
		if u.last().Dialog.Problem == "" {
			t.Error("no file is no problem")
		}
		u.Act("file", Value{Text: "/mnt/b"})
		u.Type("kit", "some words")
		u.Act("restore", Value{})
		if u.last().Dialog.Problem == "" || h.restored != nil {
			t.Error("words of no kit are taken")
		}
		u.Type("kit", "")
		u.Type("phrase", "wrong")
		u.Act("restore", Value{})
		u.run(callTime)
		if v := u.last(); v.Stage != Welcome || v.Dialog.Problem == "" {
			t.Errorf("wrong passphrase: %+v", v)
		}
		u.Type("phrase", "right")
		u.Act("restore", Value{})
		u.run(5 * callTime)
		if v := u.last(); v.Stage != Main || v.Dialog.Kind != NoDialog || v.Toast.Text == "" || !slices.Equal(h.restored, []string{"/mnt/b", "", "right"}) {
			t.Errorf("stage %v, restored %q", v.Stage, h.restored)
		}
	})
}

// A picture that is pasted is kept in a file, and sent.
func TestPastedPicture(t *testing.T) {
	hosted(t, func(t *testing.T, u *ui, h *fakeHost) {
		u.Select(bob)
		u.run(2 * callTime)
		u.SendPicture([]byte("png"))
		u.run(3 * callTime)
		if string(h.kept) != "png" || !slices.Equal(u.api.offered, []string{"/pasted/picture.png"}) {
			t.Errorf("kept %q, offered %q", h.kept, u.api.offered)
		}
	})
}

// An invite in words takes the place of the link that is shown.
func TestInviteWords(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenInvite()
		u.InviteWords() // too early
		u.run(2 * callTime)
		if d := u.last().Dialog; d.InviteWords != "" || d.Link == "" {
			t.Fatalf("got %+v", d)
		}
		u.InviteWords()
		u.run(2 * callTime)
		if d := u.last().Dialog; d.InviteWords != "one two three" || d.QR == nil {
			t.Errorf("got %+v", d)
		}
	})
}

// An invite to post takes the place of the link that is shown, and so do its words.
func TestInviteAsking(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenInvite()
		u.InviteAsking() // too early
		u.run(2 * callTime)
		if d := u.last().Dialog; d.Asks || d.Link != "sremp:abc234" {
			t.Fatalf("got %+v", d)
		}
		u.InviteAsking()
		u.run(2 * callTime)
		if d := u.last().Dialog; !d.Asks || d.Link != "sremp:ask234" || d.QR == nil {
			t.Errorf("got %+v", d)
		}
		u.InviteWords()
		u.run(2 * callTime)
		if d := u.last().Dialog; !d.Asks || d.Link != "sremp:ask234" || d.InviteWords == "" {
			t.Errorf("in words: got %+v", d)
		}
	})
}

// A server is left after two presses of the same button.
func TestRemoveServer(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		a := someServer()
		u.OpenServers()
		u.run(callTime)
		u.AddServer(a.String())
		u.run(4 * callTime)
		key := "server " + a.ID.String()
		u.Act(key+" knows", Value{})
		if f := u.field("server 0"); !strings.Contains(f.Text, "does not know") {
			t.Errorf("what it knows: %q", f.Text)
		}
		u.Act(key+" remove", Value{})
		u.CloseDialog() // decides nothing
		u.OpenServers()
		u.Act(key+" remove", Value{})
		u.run(4 * callTime)
		if u.api.calls["removeserver"] != 0 {
			t.Fatal("removed after one press")
		}
		u.Act(key+" remove", Value{})
		u.run(4 * callTime)
		if u.api.calls["removeserver"] != 1 || u.has("server 0") {
			t.Errorf("%d calls, fields %+v", u.api.calls["removeserver"], u.last().Dialog.Fields)
		}
	})
}

func TestExamine(t *testing.T) {
	hosted(t, func(t *testing.T, u *ui, h *fakeHost) {
		u.Select(bob)
		u.run(2 * callTime)
		u.OpenConnection()
		u.Act("examine", Value{})
		u.run(2 * callTime)
		if f := u.field("finding 0"); f.Text != "✗ The clock is wrong." {
			t.Errorf("first finding %q, want the problem", f.Text)
		}
		report := u.field("copies").Buttons[0].Copy
		if !strings.Contains(report, "problem: The clock is wrong.") || !strings.Contains(report, "Now: offline") {
			t.Errorf("report %q", report)
		}
		u.Act("hide", Value{On: true})
		u.run(3 * callTime)
		if !u.api.change(bob, func(*client.Contact) {}).RelayOnly || !u.field("hide").On {
			t.Error("the address is not hidden")
		}
	})
}
