package present

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

func TestSendFile(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		talk(u, 1)
		u.Reply(u.key("their 1"))
		u.SendFile("/home/me/plan.png")
		if u.last().Chat.Compose.Mode != ComposeNew {
			t.Error("the next text would answer, too")
		}
		u.run(4 * callTime)
		rows := u.last().Chat.Rows
		r := rows[len(rows)-1]
		if r.File.Name != "plan.png" || r.File.Detail != "2.5 MB, offered" || !r.File.Cancel || r.File.Accept || r.QuoteAuthor == "" {
			t.Errorf("got %+v", r)
		}
		if r.File.Picture == nil || string(r.File.Picture.JPEG) != "jpeg" || u.api.calls["preview"] != 1 {
			t.Errorf("picture %v after %d calls", r.File.Picture, u.api.calls["preview"])
		}
	})
}

func TestReceiveFile(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		f := client.File{ID: client.MessageID{0xff, 1}, Contact: bob, Name: "x\u202egpj.exe", Size: 1000}
		m := incoming(bob, 1, f.Name, time.Now())
		m.File = &f
		u.api.emit(client.MessageEvent{Message: m})
		u.run(callTime)
		rows := u.last().Chat.Rows
		r := rows[len(rows)-1]
		if v := r.File; v.Name != "xgpj.exe" || !v.Accept || !v.Question || v.Detail != "1.0 kB" {
			t.Errorf("offered: %+v", v)
		}
		u.ControlFile(r.Key, client.FileAccept)
		f.State, f.Done = client.FileMoving, 400
		u.api.emit(client.FileEvent{File: f})
		u.run(0)
		if v := u.last().Chat.Rows[1].File; v.Detail != "400 bytes of 1.0 kB" || v.Parts != 400 || !v.Moving || !v.Pause {
			t.Errorf("moving: %+v", v)
		}
		u.run(2 * callTime)
		if v := u.last().Chat.Rows[1].File; !v.Resume {
			t.Errorf("paused: %+v", v)
		}
		f.State, f.Path = client.FileDone, "/home/me/Downloads/x.exe"
		u.api.emit(client.FileEvent{File: f})
		u.run(0)
		if v := u.last().Chat.Rows[1].File; v.Folder != "/home/me/Downloads" || v.Moving || v.Cancel {
			t.Errorf("done: %+v", v)
		}
		if got := u.Folder(r.Key); got != "/home/me/Downloads" {
			t.Errorf("folder %q", got)
		}
	})
}

func TestBytesOf(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 kB", 9940: "9.9 kB", 9960: "10 kB", 999_499: "999 kB",
		999_500: "1.0 MB", 4_000_000_000: "4.0 GB", 1 << 50: "1.1 PB",
	} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestPictureRGB(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 3, 2))
	for i := range m.Pix {
		m.Pix[i] = 0xff
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	p := &Picture{b.Bytes()}
	if pixels, w, h := p.RGB(); len(pixels) != 18 || w != 3 || h != 2 || pixels[17] < 0xf0 {
		t.Errorf("got %v, %d by %d", pixels, w, h)
	}
	for _, bad := range [][]byte{nil, []byte("no picture"), b.Bytes()[:40]} {
		if pixels, _, _ := (&Picture{bad}).RGB(); pixels != nil {
			t.Errorf("%q is a picture", bad)
		}
	}
}
