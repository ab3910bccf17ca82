//go:build gtk

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTwoWindowsChat lets two desktops meet through a real server and chat, with
// the keyboard and the mouse, and reads what they show as a screen reader does.
func TestTwoWindowsChat(t *testing.T) {
	address := startServer(t)
	alice := newSeat(t, "alice", "960x680")
	bob := newSeat(t, "bob", "800x600", "GTK_THEME=Default:dark")

	// The first start asks for a name; a passphrase that is given is not asked for.
	given := []string{"SREMP_PASSPHRASE=correct horse"}
	alice.start(given, "--profile", filepath.Join(t.TempDir(), "alice"))
	alice.sees("What should others call you?")
	alice.focused("Your name")
	alice.write("Alice Archer")
	alice.shot("01-first-start")
	alice.key("Return")
	alice.sees("No server")

	// A server.
	alice.key("ctrl+shift+s")
	alice.focused("Server address")
	alice.write(address)
	alice.key("Return")
	alice.sees("Server connected")
	alice.seesPart(address)
	alice.shot("02-servers")
	alice.key("Escape")
	alice.seesPart("Nobody is here yet.")

	// An invite.
	alice.key("ctrl+i")
	link := alice.until("an invite", func(n node) bool { return strings.HasPrefix(strings.ToLower(n.name), "sremp:") }).name
	alice.seesPart("Works once, until")
	alice.shot("03-invite")
	alice.key("Escape")

	// The other one chooses a passphrase, and uses the invite.
	profile := filepath.Join(t.TempDir(), "bob")
	bob.start(nil, "--profile", profile)
	bob.focused("Your name")
	bob.write("Bob")
	bob.key("Return")
	bob.focused("Passphrase")
	bob.write("staple")
	bob.key("Return")
	bob.seesPart("Nobody is here yet.")
	bob.key("ctrl+shift+s")
	bob.focused("Server address")
	bob.write(address)
	bob.key("Return")
	bob.sees("Server connected")
	bob.key("Escape")
	bob.key("ctrl+n")
	bob.focused("Link")
	bob.write("sremp:nonsense")
	bob.key("Return")
	bob.sees("This is not a whole invite; ask for it again and copy all of it.")
	bob.key("ctrl+a")
	bob.write(link)
	bob.shot("04-add")
	bob.key("Return")
	bob.focused("Message")

	// They chat.
	bob.write("Hello, are you there? <b>This is literal</b> & stays so.")
	bob.key("Return")
	alice.seesPart("1 unread message")
	alice.shot("05-unread")
	row := alice.until("Bob in the list", func(n node) bool { return strings.HasPrefix(n.name, "Bob, ") })
	alice.clickOn(row)
	alice.focused("Message")
	alice.seesPart("Hello, are you there? <b>This is literal</b> & stays so.")
	alice.write("Here I am. Which way do our words go?")
	alice.key("Return")
	bob.seesPart("Alice Archer, ")
	bob.seesPart("Here I am. Which way do our words go?")
	alice.seesPart("Which way do our words go? (Delivered")
	alice.seesPart("Path: direct")
	bob.seesPart("Path: direct")
	bob.write("Straight from me to you, it says up there.")
	bob.key("Return")
	bob.seesPart("it says up there. (Delivered")
	alice.seesPart("it says up there.")
	alice.shot("06-chat-alice")
	bob.shot("07-chat-bob")

	// One leaves; the mail waits in the mailbox until he returns.
	bob.key("ctrl+q")
	bob.wait()
	alice.seesPart("Path: mailbox")
	alice.write("You left. Read this tomorrow.")
	alice.key("Return")
	alice.seesPart("Read this tomorrow. (Held")
	alice.shot("08-mailbox")
	bob.start(nil, "--profile", profile)
	bob.focused("Passphrase")
	bob.write("wrong")
	bob.key("Return")
	bob.seesPart("Wrong passphrase")
	bob.shot("09-locked")
	bob.focused("Passphrase")
	bob.key("ctrl+a")
	bob.write("staple")
	bob.key("Return")
	bob.seesPart("Alice Archer, ")
	bob.seesPart("Read this tomorrow.")
	alice.seesPart("Read this tomorrow. (Delivered")
	alice.seesPart("Path: direct")
	alice.shot("10-delivered")
	bob.shot("11-returned")
	alice.key("ctrl+q")
	alice.wait()
}
