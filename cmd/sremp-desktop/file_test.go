//go:build gtk

package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
)

// TestFiles shows a picture that was offered with its preview, and one that is
// asked for first.
func TestFiles(t *testing.T) {
	s := newSeat(t, "files", "960x680")
	_, here := s.startAs("Lena")
	olga, lena := invited(t, here, "Olga")
	if _, err := olga.Send(t.Context(), lena.ID, "Look at this:"); err != nil {
		t.Fatal(err)
	}
	s.clickOn(s.until("Olga in the list", func(n node) bool { return len(n.name) > 5 && n.name[:5] == "Olga," }))
	path := filepath.Join(t.TempDir(), "sunset <b>.png")
	writePicture(t, path)
	if _, err := olga.SendFile(t.Context(), lena.ID, client.FileDraft{Path: path}); err != nil {
		t.Fatal(err)
	}
	s.seesPart("sunset _b_.png") // cleaned of what a file system may refuse
	s.sees("Preview of sunset _b_.png")
	s.sees("Show folder")
	s.shot("40-file")

	large := filepath.Join(t.TempDir(), "film.mkv")
	f, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(60 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := olga.SendFile(t.Context(), lena.ID, client.FileDraft{Path: large}); err != nil {
		t.Fatal(err)
	}
	s.sees("film.mkv")
	s.sees("63 MB")
	s.shot("41-consent")
	s.press("Decline")
	s.sees("63 MB, declined")
	s.key("ctrl+q")
	s.wait()
}

func writePicture(t *testing.T, path string) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 640, 360))
	for y := range 360 {
		for x := range 640 {
			m.Set(x, y, color.RGBA{uint8(255 - y/3), uint8(120 + y/4), uint8(60 + x/5), 255})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
