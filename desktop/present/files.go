package present

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

// A FileView is what a message shows of the file that it offers. The zero value
// is no file.
type FileView struct {
	Name     string
	Detail   string // how far it is, in words
	Parts    int    // of 1000 that are there
	Moving   bool   // Parts says something
	Picture  *Picture
	Accept   bool // what can be done with it
	Pause    bool
	Resume   bool
	Cancel   bool
	Folder   string // where it is, to be shown; empty if it is not here
	Question bool   // it waits for an answer of ours
}

// A Picture is a small JPEG. Rows share it: it is not changed.
type Picture struct{ JPEG []byte }

// pictureSide bounds a picture's width and height, in pixels.
const pictureSide = 512

// RGB returns three bytes a pixel, row by row; nil if it is no picture of a
// reasonable size.
func (p *Picture) RGB() (pixels []byte, width, height int) {
	head, err := jpeg.DecodeConfig(bytes.NewReader(p.JPEG))
	if err != nil || head.Width > pictureSide || head.Height > pictureSide || head.Width*head.Height == 0 {
		return nil, 0, 0
	}
	m, err := jpeg.Decode(bytes.NewReader(p.JPEG))
	if err != nil {
		return nil, 0, 0
	}
	b := m.Bounds()
	pixels = make([]byte, 0, 3*b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			pixels = append(pixels, byte(r>>8), byte(g>>8), byte(b>>8))
		}
	}
	return pixels, b.Dx(), b.Dy()
}

// fileView words a file.
func fileView(f *client.File, p *Picture) (v FileView) {
	if f == nil {
		return v
	}
	size := bytesOf(f.Size)
	v = FileView{Name: Line(f.Name), Picture: p, Detail: size}
	if f.Size > 0 {
		v.Parts = int(f.Done * 1000 / f.Size)
	}
	part := tr.T("%s of %s", bytesOf(f.Done), size)
	switch f.State {
	case client.FileOffered:
		v.Accept, v.Cancel, v.Question = !f.Mine, true, !f.Mine
		if f.Mine {
			v.Detail = tr.T("%s, offered", size)
		}
	case client.FileWaiting:
		v.Pause, v.Cancel, v.Moving = true, true, f.Done > 0
		v.Detail = tr.T("%s, waits for a connection", part)
		if f.Mine && f.Held > 0 {
			v.Detail = tr.T("%s, %s more with a relay", part, bytesOf(f.Held))
		}
	case client.FileMoving:
		v.Pause, v.Cancel, v.Moving, v.Detail = true, true, true, part
	case client.FilePaused:
		v.Resume, v.Cancel, v.Moving, v.Detail = true, true, true, tr.T("%s, paused", part)
	case client.FileDone:
		if !f.Mine && f.Path != "" {
			v.Folder = filepath.Dir(f.Path)
		}
		if f.Mine {
			v.Detail = tr.T("%s, delivered", size)
		}
	case client.FileDeclined:
		v.Detail = tr.T("%s, declined", size)
	case client.FileWithdrawn:
		v.Detail = tr.T("%s, no longer offered", size)
	case client.FileFailed:
		v.Resume, v.Cancel = true, true
		if v.Detail = sentence(tr.Text(f.Problem)); v.Detail == "" {
			v.Detail = tr.T("%s, failed", part)
		}
	}
	if f.Kind == client.FileVoice {
		v.Name = tr.T("Voice note, %s", f.Duration.Round(time.Second).String())
	}
	return v
}

// bytesOf words a number of bytes.
func bytesOf(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return tr.N("%d byte", "%d bytes", int(n), n)
	}
	x, i := float64(n)/1000, 0
	for x >= 999.5 && i < len(units)-1 {
		x /= 1000
		i++
	}
	if x < 9.95 {
		return tr.T("%.1f %cB", x, units[i])
	}
	return fmt.Sprintf("%.0f %cB", x, units[i])
}

// SendFile offers a file to the contact of the open conversation, in answer to
// what is answered.
func (w *Window) SendFile(path string) {
	if w.chat == nil || !w.writable() {
		return
	}
	c := w.chat
	api, d := w.api, client.FileDraft{Path: path}
	if c.compose.mode == ComposeReply {
		d.ReplyTo = c.compose.id
		w.stopCompose()
	}
	name := Line(filepath.Base(path))
	w.say(tr.T("Reading %s…", Isolate(name)))
	w.do(func(ctx context.Context) func() {
		m, err := api.SendFile(ctx, c.id, d)
		return func() {
			if err != nil {
				w.say(problem(tr.T("%s could not be sent", Isolate(name)), err))
				return
			}
			w.message(m)
		}
	})
	w.redraw()
}

// SendPicture offers a picture that was pasted: a PNG.
func (w *Window) SendPicture(png []byte) {
	host := w.host
	if w.chat == nil || !w.writable() || host == nil || len(png) == 0 {
		return
	}
	c := w.chat
	w.do(func(context.Context) func() {
		path, err := host.Keep(png)
		return func() {
			switch {
			case err != nil:
				w.say(problem(tr.T("The picture could not be stored"), err))
			case w.chat == c:
				w.SendFile(path)
			}
		}
	})
}

// ControlFile has the file of a row go on, wait or end.
func (w *Window) ControlFile(key string, a client.FileAction) {
	m := w.row(key)
	if m == nil || m.File == nil {
		return
	}
	api, with, id := w.api, w.chat.id, m.ID
	w.do(func(ctx context.Context) func() {
		f, err := api.ControlFile(ctx, with, id, a)
		return func() {
			if err != nil {
				w.say(problem(tr.T("That could not be done with the file"), err))
				return
			}
			w.file(f)
		}
	})
}

// file takes in how a file stands.
func (w *Window) file(f client.File) {
	if w.chat == nil || w.chat.id != f.Contact {
		return
	}
	if m := w.chat.byID(f.ID); m != nil {
		m.File = &f
		w.picture(w.chat, f)
	}
}

// picture gets the preview of a file, once.
func (w *Window) picture(c *chat, f client.File) {
	if _, asked := c.pictures[f.ID]; asked || !f.Preview {
		return
	}
	if c.pictures == nil {
		c.pictures = map[client.MessageID]*Picture{}
	}
	c.pictures[f.ID] = nil
	api := w.api
	w.do(func(ctx context.Context) func() {
		b, err := api.FilePreview(ctx, f.Contact, f.ID)
		return func() {
			if err == nil && w.chat == c {
				c.pictures[f.ID] = &Picture{b}
			}
		}
	})
}

// pictures gets the previews of all messages that have one.
func (w *Window) picturesOf(c *chat) {
	for _, m := range c.messages {
		if m.File != nil {
			w.picture(c, *m.File)
		}
	}
}

// Folder tells where a file of a row is; empty if it is not here.
func (w *Window) Folder(key string) string {
	if m := w.row(key); m != nil && m.File != nil {
		return fileView(m.File, nil).Folder
	}
	return ""
}
