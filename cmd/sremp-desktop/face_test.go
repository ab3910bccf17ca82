//go:build gtk

package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// writePortrait draws somebody: a head and shoulders.
func writePortrait(t *testing.T, coat color.Color) (path string) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 600, 400))
	disc := func(x, y, cx, cy, r int) bool { return (x-cx)*(x-cx)+(y-cy)*(y-cy) < r*r }
	for y := range 400 {
		for x := range 600 {
			c := color.Color(color.RGBA{uint8(120 + y/6), 190, 225, 255})
			switch {
			case disc(x, y, 300, 160, 80):
				c = color.RGBA{235, 190, 150, 255}
			case disc(x, y, 300, 140, 105) && y < 140:
				c = color.RGBA{70, 40, 20, 255}
			case disc(x, y, 300, 400, 150):
				c = coat
			}
			m.Set(x, y, c)
		}
	}
	path = filepath.Join(t.TempDir(), "portrait.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFaces shows a contact's picture wherever it stands, in both schemes, and has
// one's own chosen and removed.
func TestFaces(t *testing.T) {
	s := newSeat(t, "faces", "960x680")
	_, here := s.startAs("Lena")
	olga, lena := invited(t, here, "Olga")
	paul := newFriend(t, "Paul Winter") // has none
	inv, err := here.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := paul.Add(t.Context(), inv.URI, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := olga.SetPicture(t.Context(), writePortrait(t, color.RGBA{180, 40, 60, 255})); err != nil {
		t.Fatal(err)
	}
	if _, err := olga.Send(t.Context(), lena.ID, "Do you see me?"); err != nil {
		t.Fatal(err)
	}
	s.until("Paul in the list", func(n node) bool { return strings.HasPrefix(n.name, "Paul Winter, ") })
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.focused("Message")
	pictures := func(want int) {
		t.Helper()
		within(t, "pictures of Olga", func() (bool, string) {
			shown, err := s.look()
			if err != nil {
				return false, err.Error()
			}
			var all []string
			for _, n := range shown {
				if strings.HasPrefix(n.name, "Picture of ") {
					all = append(all, n.name)
				}
			}
			return len(all) == want, strings.Join(all, ", ")
		})
	}
	pictures(2) // in the list and over the conversation
	n := s.sees("Picture of Olga")
	if _, _, w, h := s.extents(n); w != 40 || h != 40 {
		t.Errorf("the picture is %d by %d, want 40 by 40", w, h)
	}
	s.shot("44-faces-light")
	s.audit("faces")
	s.clickOn(s.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: ") }))
	s.sees("Examine this network")
	pictures(3)
	s.shot("45-faces-connection")
	s.key("Escape")

	s.key("ctrl+comma")
	s.seesPart("they see your initials")
	s.press("Choose your picture…")
	s.choose("Choose your picture", writePortrait(t, color.RGBA{30, 110, 70, 255}))
	s.seesPart("Your contacts see it, and nobody else.")
	s.sees("Picture of Lena")
	s.shot("46-faces-own")
	s.audit("own-face")
	within(t, "the picture at the contact", func() (bool, string) {
		b, err := olga.Picture(t.Context(), lena.ID)
		if err != nil {
			return false, err.Error()
		}
		return len(b) > 0, ""
	})
	set, err := here.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set.Appearance.Scheme = client.SchemeDark
	if err := here.SetSettings(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	within(t, "dark colours", func() (bool, string) {
		return s.isDark(s.part("47-faces-own-dark", 960, 680)), "still light"
	})
	s.press("Remove the picture")
	s.seesPart("they see your initials")
	s.key("Escape")
	s.shot("48-faces-dark")
	s.key("ctrl+q")
	s.wait()
}
