package present

import (
	"bytes"
	"image"
	"image/color"
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
		if v.Dialog.Kind != NoDialog || !v.Chat.Open || v.Chat.Label != "Dodo" || len(v.Contacts) != 3 {
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
		clears := u.last().Dialog.Clears
		u.AddServer(" " + a.String() + " ")
		u.run(3 * callTime)
		d := u.last().Dialog
		if len(d.Servers) != 1 || d.Servers[0].Address != a.String() || d.Servers[0].Status != "Connecting" || d.Problem != "" {
			t.Errorf("got %+v", d)
		}
		if d.Clears == clears {
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
