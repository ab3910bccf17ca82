package present

import (
	"bytes"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

func TestInvite(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenInvite()
		if d := u.last().Dialog; d.Kind != InviteDialog || !d.Busy || d.Link != "" {
			t.Errorf("at once: %+v", d)
		}
		u.run(2 * callTime)
		d := u.last().Dialog
		if d.Busy || d.Link != "sremp:abc234" || d.QR == nil || !strings.HasPrefix(d.Expires, "Works once, until ") {
			t.Errorf("then: %+v", d)
		}
		u.CloseDialog()
		if got := u.last().Dialog.Kind; got != NoDialog {
			t.Errorf("after closing: %v", got)
		}
	})
}

func TestInviteFails(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrUnreachable })
		u.OpenInvite()
		u.run(2 * callTime)
		if d := u.last().Dialog; d.Busy || d.Problem != "The server cannot be reached; check the address and the network." {
			t.Errorf("got %+v", d)
		}
	})
}

func TestLateAnswerOfAClosedDialog(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenInvite()
		u.CloseDialog()
		u.OpenAdd()
		u.OpenInvite()
		u.CloseDialog()
		u.run(2 * callTime)
		if d := u.last().Dialog; d.Kind != NoDialog || d.Link != "" {
			t.Errorf("got %+v, want no dialog", d)
		}
	})
}

func TestAdd(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenAdd()
		u.Add("  ", "")
		if u.last().Dialog.Problem == "" {
			t.Error("no problem shown for an empty link")
		}
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrInviteExpired })
		u.Add("sremp:x", "")
		u.run(2 * callTime)
		if d := u.last().Dialog; d.Kind != AddDialog || d.Busy || d.Problem != "The invite has expired; ask for a new one." {
			t.Errorf("expired: %+v", d)
		}
		u.api.set(func(f *fakeAPI) { f.fail = nil })
		u.Add(" sremp:x\n", " Dodo ")
		if d := u.last().Dialog; !d.Busy || d.Problem != "" {
			t.Errorf("second try: %+v", d)
		}
		u.run(3 * callTime)
		v := u.last()
		if v.Dialog.Kind != NoDialog || !v.Chat.Open || v.Chat.Label != "Dodo" || len(people(v.Contacts)) != 3 {
			t.Errorf("added: dialog %v, conversation with %q, %d contacts", v.Dialog.Kind, v.Chat.Label, len(v.Contacts))
		}
	})
}

func TestAddServer(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		key, err := identity.NewServerKey(bytes.Repeat([]byte{5}, 32))
		if err != nil {
			t.Fatal(err)
		}
		a := identity.ServerAddr{ID: key.ID(), Host: "relay.example", Port: 4443}
		u.OpenServers()
		u.AddServer("relay.example:4443")
		if p := u.last().Dialog.Problem; !strings.Contains(p, "sremp://KEY@HOST:PORT") {
			t.Errorf("problem %q, want how an address looks", p)
		}
		u.Type("address", a.String())
		sets := u.field("address").Sets
		u.AddServer(" " + a.String() + " ")
		u.run(3 * callTime)
		d := u.last().Dialog
		if len(d.Servers) != 1 || d.Servers[0].Address != a.String() || d.Servers[0].Status != "Connecting" || d.Problem != "" {
			t.Errorf("got %+v", d)
		}
		if f := u.field("address"); f.Sets == sets || f.Text != "" {
			t.Error("the entry is not emptied")
		}
	})
}

func TestNoDialogWithoutAClient(t *testing.T) {
	u := &ui{}
	w := NewWindow(t.Context(), Config{Profile: &fakeProfile{}, Draw: func(v View) { u.views = append(u.views, v) }})
	w.OpenInvite()
	w.OpenAdd()
	w.OpenServers()
	w.Add("x", "")
	w.AddServer("x")
	w.Send("x")
	w.Select(bob)
	if len(u.views) != 0 {
		t.Errorf("drew %+v", u.views)
	}
}

// TestQR reads the picture back with the library's reader.
func TestQR(t *testing.T) {
	text := strings.ToUpper("sremp:" + strings.Repeat("abcdefgh234567", 40))
	q, err := NewQR(text)
	if err != nil {
		t.Fatal(err)
	}
	pixels, side := q.RGB(4)
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i := range side * side {
		img.Set(i%side, i/side, color.Gray{Y: pixels[3*i]})
	}
	bmp, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := qrcode.NewQRCodeReader().Decode(bmp, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.GetText() != text {
		t.Errorf("got %q, want %q", got.GetText(), text)
	}
	for i := range q.Size {
		for m := range quietZone {
			if q.Dark(i, m) || q.Dark(m, i) || q.Dark(i, q.Size-1-m) || q.Dark(q.Size-1-m, i) {
				t.Fatal("the margin is not clear")
			}
		}
	}
}

func TestQRTooLong(t *testing.T) {
	if _, err := NewQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("got no error, want one")
	}
}

func TestVerify(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.OpenVerify()
		if d := u.last().Dialog; d.Kind != VerifyDialog || !d.Busy || d.Words[0] != "" {
			t.Errorf("at once: %+v", d)
		}
		u.run(2 * callTime)
		if d := u.last().Dialog; d.Busy || d.Words[0] != "able" || d.QR == nil || d.Verified != "" {
			t.Errorf("then: %+v", d)
		}
		u.CloseDialog()
		u.run(2 * callTime)
		if u.last().Chat.Verified {
			t.Error("closing the dialog verified the contact")
		}
		u.OpenVerify()
		u.run(2 * callTime)
		u.Verify(false, "other words")
		u.run(2 * callTime)
		if d := u.last().Dialog; !strings.HasPrefix(d.Problem, "These are not the words") || u.last().Chat.Verified {
			t.Errorf("wrong words: %+v", d)
		}
		u.Verify(true, "")
		u.run(4 * callTime)
		if v := u.last(); !v.Chat.Verified || v.Dialog.Verified == "" || v.Dialog.Problem != "" {
			t.Errorf("same words: %+v", v.Dialog)
		}
		u.Verify(false, "")
		u.run(4 * callTime)
		if u.last().Chat.Verified {
			t.Error("the mark stays")
		}
	})
}

func TestRename(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.OpenRename()
		u.SetNick(" Bobby ")
		if u.last().Dialog.Kind != NoDialog {
			t.Error("the dialog stays")
		}
		u.run(4 * callTime)
		if got := u.last().Chat.Label; got != "Bobby" {
			t.Errorf("shown as %q", got)
		}
	})
}

func TestConnectionPage(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.OpenConnection()
		u.api.emit(client.PathEvent{Path: client.Path{
			Contact: bob, Kind: client.PathRelay, RTT: 61e6, Reason: "both networks give random ports", Remote: "192.0.2.1:7443",
		}})
		u.run(callTime)
		var got []string
		for _, f := range u.last().Dialog.Lines {
			got = append(got, f.What+": "+f.Text)
		}
		want := []string{
			"Now: relay 61 ms",
			"That means: Packets go through a relay (\u2068192.0.2.1:7443\u2069), which cannot read them.",
			"Why: Both networks give random ports.",
			"Your address: Your address is given to this contact, for direct connections.",
			"Servers: No server",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
