package client_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

// photo writes a picture that does not compress well.
func photo(t *testing.T, name string, side int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		x := uint32(i) * 2654435761
		img.Set(i%side, i/side, color.RGBA{byte(x >> 24), byte(x >> 16), byte(x >> 8), 255})
	}
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	return path
}

// A voice note is a file that says how long it lasts.
func TestVoiceNote(t *testing.T) {
	a, b := friends(t)
	takesFiles(t, b, 25e6)
	path := writeFile(t, "note.opus", 40_000)
	m := sendFile(t, a, me(t, b), client.FileDraft{Path: path, Kind: client.FileVoice, Duration: 5 * time.Second})
	got := waitFile(t, b, me(t, a), m.ID, client.FileDone)
	if got.Kind != client.FileVoice || got.Duration != 5*time.Second || sum(t, got.Path) != sum(t, path) {
		t.Errorf("received %+v, want a voice note of 5 s", got)
	}
}

// A file that disappears leaves nothing on either side: no message, no entry, and
// of what was received no file, where the receiver wants that.
func TestDisappearingFile(t *testing.T) {
	t.Parallel()
	a, b := friends(t)
	dir := takesFiles(t, b, 25e6)
	s, err := b.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Files.DeleteWithMessage = true
	if err := b.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "secret.bin", 300_000)
	m := sendFile(t, a, me(t, b), client.FileDraft{Path: path, Timer: 5 * time.Second})
	eventually(t, "the file's end", func() (bool, string) {
		_, mine := file(t, a, me(t, b), m.ID)
		_, theirs := file(t, b, me(t, a), m.ID)
		at, bt := texts(t, a, me(t, b)), texts(t, b, me(t, a))
		return !mine && !theirs && len(at) == 1 && len(bt) == 1, fmt.Sprint(mine, theirs, at, bt)
	})
	waitFolder(t, dir, 0)
	for _, c := range []*client.Client{a, b} {
		if found, err := c.Search(t.Context(), client.SearchQuery{Text: "secret"}); err != nil || len(found) != 0 {
			t.Errorf("a search finds %+v, %v", found, err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the sender's own file: %v, want it where it was", err)
	}
}

// The first contact of two who are never there together, with three messages and a
// photo, and a relay that was restarted in between.
func TestPhotoAtFirstContact(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b, bDir := newClient(t, "Bob")
	useServer(t, b, s)
	bID := me(t, b)
	uri := invite(t, b)
	b.Close()

	a, aDir := newClient(t, "Alice")
	useServer(t, a, s)
	aID := me(t, a)
	add(t, a, uri)
	for _, text := range []string{"one", "two", "three"} {
		send(t, a, bID, text)
	}
	path := photo(t, "photo.png", 300)
	m := sendFile(t, a, bID, client.FileDraft{Path: path})
	eventually(t, "all at the relay", func() (bool, string) {
		got := texts(t, a, bID)
		return slices.Equal(got, []string{">held one", ">held two", ">held three", ">held photo.png"}), fmt.Sprint(got)
	})
	a.Close()
	s.stop()
	s.start()

	// The message and its preview are there at once; the photo as soon as Alice was.
	for round := range 6 {
		b = open(t, bDir)
		takesFiles(t, b, 25e6)
		waitTexts(t, b, aID, "<one", "<two", "<three", "<photo.png")
		got, _ := file(t, b, aID, m.ID)
		if got.Kind != client.FileImage {
			t.Errorf("received %+v, want an image", got)
		}
		if got.State == client.FileDone || round == 5 {
			got = waitFile(t, b, aID, m.ID, client.FileDone)
			if sum(t, got.Path) != sum(t, path) {
				t.Error("the photo is another one")
			}
			break
		}
		settled(t, b, aID)
		b.Close()
		a = open(t, aDir)
		waitTexts(t, a, bID, ">delivered one", ">delivered two", ">delivered three", ">delivered photo.png")
		eventually(t, "the chunks at the relay", func() (bool, string) {
			return client.Mailed(a, bID, m.ID) > 0, fmt.Sprint(client.Mailed(a, bID, m.ID))
		})
		settled(t, a, bID)
		a.Close()
	}
}
