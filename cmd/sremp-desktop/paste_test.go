//go:build gtk

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/client"
)

// clipboardVariable makes the test binary another program: one that has a picture,
// from the file named, on the clipboard until it is ended.
const clipboardVariable = "SREMP_TEST_CLIPBOARD"

func holdClipboard(path string) {
	if !gtk.InitCheck() {
		fmt.Fprintln(os.Stderr, "no screen")
		os.Exit(1)
	}
	picture, err := gdk.NewTextureFromFile(gio.NewFileForPath(path))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	gdk.DisplayGetDefault().Clipboard().SetTexture(picture)
	gdk.DisplayGetDefault().Sync()
	fmt.Println("here")
	glib.NewMainLoop(nil, false).Run()
}

// TestPaste pastes a picture of another program into a conversation.
func TestPaste(t *testing.T) {
	s := newSeat(t, "paste", "960x680")
	_, here := s.startAs("Lena")
	olga, lena := invited(t, here, "Olga")
	s.clickOn(s.until("Olga in the list", func(n node) bool { return strings.HasPrefix(n.name, "Olga, ") }))
	s.focused("Message")

	path := filepath.Join(t.TempDir(), "picture.png")
	writePicture(t, path)
	other := exec.Command(os.Args[0])
	other.Env = append(s.env, clipboardVariable+"="+path)
	s.helper(other)
	s.key("ctrl+v")
	got := has(t, olga, lena.ID, "the picture", func(m client.Message) bool { return m.File != nil })
	if !strings.HasSuffix(got.File.Name, ".png") || got.File.Size == 0 {
		t.Errorf("got %+v, want a picture", got.File)
	}
	s.seesPart("Preview of ")
	s.shot("42-pasted")
	s.key("ctrl+q")
	s.wait()
}
