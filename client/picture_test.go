package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// painted writes an image of one colour, wider than high, with a text that is no
// pixel of it.
func painted(t *testing.T, c color.Color) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 300, 200))
	for i := range m.Bounds().Dx() * m.Bounds().Dy() {
		m.Set(i%300, i/300, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "me.png")
	if err := os.WriteFile(path, append(b.Bytes(), "taken at home"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	red  = color.RGBA{200, 20, 20, 255}
	blue = color.RGBA{20, 20, 200, 255}
)

func setPicture(t *testing.T, c *client.Client, path string) {
	t.Helper()
	got, err := c.SetPicture(t.Context(), path)
	if err != nil || (got.Picture == "") != (path == "") {
		t.Fatalf("SetPicture = %+v, %v", got, err)
	}
}

// pictured says which colour a picture has: red, blue or none.
func pictured(t *testing.T, c *client.Client, of identity.PeerID) string {
	t.Helper()
	b, err := c.Picture(t.Context(), of)
	if errors.Is(err, client.ErrNoPicture) || errors.Is(err, client.ErrUnknownContact) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || m.Bounds() != image.Rect(0, 0, 128, 128) || bytes.Contains(b, []byte("home")) {
		t.Fatalf("a picture of %d bytes, %v, %v; want a JPEG of 128 by 128", len(b), m, err)
	}
	if r, _, b, _ := m.At(64, 64).RGBA(); r > b {
		return "red"
	}
	return "blue"
}

// waitPicture waits for a picture that comes from another client, without the pauses
// of either.
func waitPicture(t *testing.T, c *client.Client, of identity.PeerID, from *client.Client, want string) {
	t.Helper()
	eventually(t, "the picture", func() (bool, string) {
		client.PicturesNow(from)
		client.PicturesNow(c)
		got := pictured(t, c, of)
		return got == want, got + ", want " + want
	})
}

// A picture is seen by contacts, also by those that come later, changes, and goes;
// it changes nothing else that is known of somebody.
func TestPicture(t *testing.T) {
	t.Parallel()
	a, b, aID, bID := pair(t)
	ctx := t.Context()
	v, err := b.Verification(ctx, aID)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(ctx, aID, v.Code); err != nil {
		t.Fatal(err)
	}
	setPicture(t, a, painted(t, red))
	waitPicture(t, b, aID, a, "red")
	if got := pictured(t, a, aID); got != "red" {
		t.Errorf("one's own picture is %s, want red", got)
	}
	seen := contact(t, b, aID)
	if seen.Picture == "" || seen.Verified.IsZero() || !seen.KeysChanged.IsZero() || seen.Unread > 1 {
		t.Errorf("the contact is %+v, want it verified, with its keys and a picture", seen)
	}
	setPicture(t, a, painted(t, blue))
	waitPicture(t, b, aID, a, "blue")
	if got := contact(t, b, aID); got.Picture == seen.Picture || got.Verified != seen.Verified {
		t.Errorf("after another picture: %+v, want another name for it and the same verification", got)
	}
	c, _ := newClient(t, "Carol")
	add(t, c, invite(t, a))
	waitPicture(t, c, aID, a, "blue")
	setPicture(t, a, "")
	waitPicture(t, b, aID, a, "none")
	waitPicture(t, c, aID, a, "none")
	if got := contact(t, b, aID); got.Picture != "" {
		t.Errorf("the picture that is gone is called %q", got.Picture)
	}
	if got := pictured(t, b, bID); got != "none" {
		t.Errorf("who never had a picture has %s", got)
	}
}

func contact(t *testing.T, c *client.Client, id identity.PeerID) client.Contact {
	t.Helper()
	cs, err := c.Contacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range cs {
		if x.ID == id {
			return x
		}
	}
	t.Fatalf("%v is no contact", id)
	return client.Contact{}
}

// What cannot be a picture changes nothing.
func TestPictureRefused(t *testing.T) {
	t.Parallel()
	a, _ := newClient(t, "Alice")
	setPicture(t, a, painted(t, red))
	text := filepath.Join(t.TempDir(), "text.png")
	if err := os.WriteFile(text, []byte("no image"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		text: client.ErrBadPicture, filepath.Join(t.TempDir(), "absent"): client.ErrNoFile, t.TempDir(): client.ErrNoFile,
		"relative.png": client.ErrNoFile,
	} {
		if _, err := a.SetPicture(t.Context(), path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if got := pictured(t, a, me(t, a)); got != "red" {
		t.Errorf("the picture is %s now, want red", got)
	}
}

// A stranger sees no picture, and shows none, until it is accepted; blocked, it
// shows none any more; deleted, it leaves none.
func TestPictureOfStrangers(t *testing.T) {
	t.Parallel()
	a, aDir := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	aID, bID := me(t, a), me(t, b)
	ctx := t.Context()
	setPicture(t, a, painted(t, red))
	setPicture(t, b, painted(t, blue))
	inv, err := a.Invite(ctx, client.InviteOptions{Ask: true})
	if err != nil {
		t.Fatal(err)
	}
	add(t, b, inv.URI)
	send(t, b, aID, "may I?")
	waitTexts(t, a, bID, "<may I?")
	if err := b.SendPicture(ctx, aID); err != nil { // as a stranger's program may
		t.Fatal(err)
	}
	send(t, b, aID, "please")
	waitTexts(t, a, bID, "<may I?", "<please")
	if got := pictured(t, a, bID) + pictured(t, b, aID); got != "nonenone" {
		t.Errorf("before one is accepted: %s", got)
	}
	if err := a.SetTrust(ctx, bID, client.Trusted); err != nil {
		t.Fatal(err)
	}
	waitPicture(t, b, aID, a, "red")
	waitPicture(t, a, bID, b, "blue")

	if err := a.SetTrust(ctx, bID, client.Rejected); err != nil {
		t.Fatal(err)
	}
	if got := pictured(t, a, bID) + contact(t, a, bID).Picture; got != "none" {
		t.Errorf("of somebody blocked: %s, want none", got)
	}
	setPicture(t, a, painted(t, blue)) // which it is not told
	if err := a.SetTrust(ctx, bID, client.Trusted); err != nil {
		t.Fatal(err)
	}
	if got := pictured(t, a, bID); got != "blue" {
		t.Errorf("unblocked: %s, want blue", got)
	}
	waitPicture(t, b, aID, a, "blue")

	if err := a.DeleteContact(ctx, bID); err != nil {
		t.Fatal(err)
	}
	if rows := client.PictureRows(a); rows != 1 {
		t.Errorf("%d pictures are stored, want one's own", rows)
	}
	// Somebody who comes again is told again.
	a.Close()
	a = open(t, aDir)
	if err := b.DeleteContact(ctx, aID); err != nil {
		t.Fatal(err)
	}
	add(t, b, invite(t, a))
	waitPicture(t, a, bID, b, "blue")
}

// A backup has the pictures; a new computer tells its own, or that it has none, and
// is told what it missed.
func TestPictureRestored(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost=%v", lost), func(t *testing.T) {
			t.Parallel()
			a, _ := newClient(t, "Alice")
			b, _ := newClient(t, "Bob")
			aID, bID := me(t, a), me(t, b)
			add(t, b, invite(t, a))
			send(t, b, aID, "hello")
			waitTexts(t, b, aID, ">delivered hello")
			file := filepath.Join(t.TempDir(), "backup")
			if lost { // made before the picture
				if err := a.Backup(t.Context(), file); err != nil {
					t.Fatal(err)
				}
			}
			setPicture(t, a, painted(t, red))
			setPicture(t, b, painted(t, blue))
			waitPicture(t, b, aID, a, "red")
			waitPicture(t, a, bID, b, "blue")
			if !lost {
				if err := a.Backup(t.Context(), file); err != nil {
					t.Fatal(err)
				}
			}
			kit := kitOf(t, a)
			a.Close()
			dir, err := restore(t, file, func(c *client.Config) { c.Kit = kit })
			if err != nil {
				t.Fatal(err)
			}
			a = open(t, dir)
			want := "red"
			if lost {
				want = "none"
			}
			if got := pictured(t, a, aID); got != want {
				t.Errorf("restored: %s, want %s", got, want)
			}
			if got := pictured(t, a, bID); (got == "blue") == lost {
				t.Errorf("the contact's is %s, lost: %v", got, lost)
			}
			send(t, a, bID, "back")
			waitPicture(t, b, aID, a, want)
			waitPicture(t, a, bID, b, "blue")
			setPicture(t, a, painted(t, blue))
			waitPicture(t, b, aID, a, "blue")
		})
	}
}
