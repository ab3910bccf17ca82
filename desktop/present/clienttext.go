package present

import (
	"strings"

	"github.com/sremp/sremp/desktop/tr"
)

// clientTexts are what the client says in its own words besides its errors:
// reasons of paths (package client, why.go) and notifications (spec §8.20).
func clientTexts() []string {
	return []string{
		tr.Mark("the peer is away"), tr.Mark("the peer does not answer"), tr.Mark("no way to the peer is known yet"),
		tr.Mark("no relay of yours is there to hide your address"), tr.Mark("could not verify the server, not used"),
		tr.Mark("could not verify the peer, not connected"), tr.Mark("could not verify the contact's keys, not sent"),
		tr.Mark("the mailbox is full"), tr.Mark("the mailbox does not take our mail"), tr.Mark("the peer cannot be reached now"),
		tr.Mark("not tried yet"), tr.Mark("blocked"), tr.Mark("trying to connect"), tr.Mark("the connection was lost; trying again"),
		tr.Mark("its relay keeps the mail"), tr.Mark("on the local network"), tr.Mark("it stays on this computer"),
		tr.Mark("New message"), tr.Mark("You were mentioned"), tr.Mark("New reaction"), tr.Mark("New request"),
		tr.Mark("A contact's keys changed"), tr.Mark("A contact's identity changed"), tr.Mark("A contact"),
		tr.Mark("mentioned you"), tr.Mark("reacted to your message"), tr.Mark("has new keys"),
		tr.Mark("says to have a new identity; ask in another way before you believe it"),
		tr.Mark("Another copy of this profile is in use"),
		tr.Mark("Stop one of the two: together they lose messages. If the other is not yours, restore a backup with the recovery kit."),
		tr.Mark("Your identity was restored elsewhere"),
		tr.Mark("A contact refuses this copy of the profile. If it is the one that you want, or the other is not yours, restore your backup once more with the recovery kit."),
	}
}

// reason says the reason of a path, whose parts the client puts together.
func reason(s string) string {
	if whole := tr.Text(s); whole != s {
		return whole
	}
	parts := strings.Split(s, "; ")
	for i, p := range parts {
		parts[i] = tr.Text(p)
	}
	return strings.Join(parts, "; ")
}
