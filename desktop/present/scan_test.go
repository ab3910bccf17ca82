package present

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// picture draws a code into the middle of a larger picture, not quite white and
// not quite black, as a photo of a screen is.
func picture(t testing.TB, text string, scale int) image.Image {
	t.Helper()
	q, err := NewQR(text)
	if err != nil {
		t.Fatal(err)
	}
	const margin = 70
	side := q.Size*scale + 2*margin
	m := image.NewRGBA(image.Rect(0, 0, side+40, side))
	for y := range side {
		for x := range side + 40 {
			c := uint8(200 + x*30/side)
			if i, j := (x-margin)/scale, (y-margin)/scale; x >= margin && y >= margin && i < q.Size && j < q.Size && q.Dark(i, j) {
				c = 50
			}
			m.SetRGBA(x, y, color.RGBA{c, c, c - 10, 255})
		}
	}
	return m
}

func TestScan(t *testing.T) {
	link := "SREMP:" + strings.Repeat("ABCDEFGH234567", 20)
	m := picture(t, link, 3)
	if got, err := scan(m); err != nil || got != link {
		t.Fatalf("got %q, %v", got, err)
	}
	dir := t.TempDir()
	var p, j bytes.Buffer
	if err := png.Encode(&p, m); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&j, m, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"a.png": p.Bytes(), "a.jpg": j.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := scanFile(path); err != nil || got != link {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got, err := scanPNG(p.Bytes()); err != nil || got != link {
		t.Errorf("clipboard: got %q, %v", got, err)
	}
	if _, err := scan(image.NewGray(image.Rect(0, 0, 300, 200))); err == nil {
		t.Error("a code in a black picture")
	}
	if _, err := scanPNG(p.Bytes()[:p.Len()/2]); err == nil {
		t.Error("a code in half a file")
	}
}

// A file that claims to be huge is not decoded.
func TestHugeImageIsRefused(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 6000, 6000))); err != nil {
		t.Fatal(err)
	}
	if _, err := readImage(&b); err == nil {
		t.Errorf("%d pixels were decoded, want at most %d", 6000*6000, maxImagePixels)
	}
}

func FuzzImage(f *testing.F) {
	var p, j bytes.Buffer
	m := picture(f, "SREMP:ABC", 1)
	if err := png.Encode(&p, m); err != nil {
		f.Fatal(err)
	}
	if err := jpeg.Encode(&j, m, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(p.Bytes())
	f.Add(j.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		head, _, err := image.DecodeConfig(bytes.NewReader(b))
		if err != nil || head.Width*head.Height > 1<<20 {
			return // what is large is only slow here
		}
		m, err := readImage(bytes.NewReader(b))
		if err != nil {
			return
		}
		if s := m.Bounds(); s.Dx() <= 0 || s.Dy() <= 0 || s.Dx() > maxImagePixels/s.Dy() {
			t.Errorf("an image of %v", s)
		}
		_, _ = scan(m)
	})
}
