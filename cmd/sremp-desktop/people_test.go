//go:build gtk

package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/identity"
)

// TestServersAndPeople runs an own server from the window, finds somebody on its
// list, adds her by a picture of her code, and has the network examined.
func TestServersAndPeople(t *testing.T) {
	s := newSeat(t, "people", "960x680", "PATH="+filepath.Dir(buildCommand(t))+":"+os.Getenv("PATH"))
	profile, _ := s.startAs("Lena")

	s.press("Add a server")
	s.focused("Server address")
	s.clickOn(s.entry("UDP port"))
	s.focused("UDP port")
	s.key("ctrl+a")
	s.write(fmt.Sprint(freePort(t)))
	s.press("Run a server on this computer")
	said := s.until("the own server's address", func(n node) bool { return strings.HasPrefix(n.name, "The server's address: ") }).name
	address, err := identity.ParseServerAddr(strings.TrimPrefix(said, "The server's address: "))
	if err != nil {
		t.Fatal(err)
	}
	s.sees("Server connected")
	s.press("What it knows")
	s.seesPart("It does not know: what you write")
	s.shot("60-own-server")
	s.audit("own-server")
	s.press("Copy the address")
	s.key("Escape")

	olga := newFriend(t, "Olga")
	local := address
	local.Host = "127.0.0.1"
	if err := olga.AddServer(t.Context(), local); err != nil {
		t.Fatal(err)
	}
	listed(t, olga, client.Listing{Listed: true, Note: "I sell maps & <b>compasses</b>"})
	s.key("ctrl+n")
	s.focused("Link")
	s.press("Phone book")
	s.clickOn(s.entry("Name to find"))
	s.write("olg")
	s.key("Return")
	s.seesPart("I sell maps & <b>compasses</b>")
	s.shot("61-phone-book")
	s.audit("phone-book")
	s.press("Nearby")
	s.press("Look who is here")
	s.seesPart("Nobody here is visible.")
	s.shot("62-nearby")
	s.audit("nearby")

	// Her code, from a picture.
	inv, err := olga.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "code.png")
	writeCode(t, path, strings.ToUpper(inv.URI))
	s.press("Link, words or QR code")
	s.press("From a picture…")
	s.choose("A picture with a QR code", path)
	s.until("the link in the entry", func(n node) bool {
		return n.role == roleEntry && n.name == "Link" && strings.EqualFold(s.textOf(n, len(inv.URI)), inv.URI)
	})
	s.shot("63-scanned")
	s.press("Add")
	s.focused("Message")
	s.write("Hello Olga")
	s.key("Return")
	s.seesPart("Hello Olga (Delivered")

	s.clickOn(s.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: direct") }))
	s.seesPart("Packets go straight to the other computer")
	s.press("Examine this network")
	s.seesPart("UDP gets through")
	s.shot("64-doctor")
	s.audit("examined")
	s.press("Copy")
	s.sees("Copied")
	s.press("Hide my address")
	s.seesPart("Your address is hidden from this contact")
	s.key("Escape")

	// The server runs again when the profile is opened, and ends when it is told to.
	s.key("ctrl+q")
	s.wait()
	s.start(noPassphrase, "--profile", profile)
	s.sees("Server connected")
	s.key("ctrl+shift+s")
	s.seesPart("The server's address: ")
	s.press("Run a server on this computer")
	s.sees("UDP port")
	s.press("Remove")
	s.seesPart("Press Remove again to leave")
	s.press("Remove")
	s.seesPart("You have left it")
	s.shot("65-left")
	s.press("Remove")
	s.seesPart("Press Remove again to forget")
	s.press("Remove")
	s.seesPart("No server is used yet")
	s.key("Escape")
	s.key("ctrl+q")
	s.wait()
}

// freePort returns a UDP port that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// listed puts somebody on the lists, as soon as a server takes it.
func listed(t *testing.T, c *client.Client, l client.Listing) {
	t.Helper()
	within(t, "the public list", func() (bool, string) {
		n, err := c.SetListing(t.Context(), l)
		return err == nil && n > 0, fmt.Sprint(n, " servers, ", err)
	})
}

// writeCode makes a picture of a QR code.
func writeCode(t *testing.T, path, text string) {
	t.Helper()
	q, err := present.NewQR(text)
	if err != nil {
		t.Fatal(err)
	}
	const scale = 4
	m := image.NewGray(image.Rect(0, 0, q.Size*scale, q.Size*scale))
	for y := range q.Size * scale {
		for x := range q.Size * scale {
			if !q.Dark(x/scale, y/scale) {
				m.SetGray(x, y, color.Gray{255})
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
}
