package client

import (
	"strings"

	"github.com/sremp/sremp/identity"
)

// minIDPrefix is how many letters of an id name a contact at least.
const minIDPrefix = 4

// FindContact returns the contact that s names: a nick, else a name, else an id
// or the first letters of one. Case does not matter. It returns
// [ErrUnknownContact] or [ErrAmbiguous].
func FindContact(contacts []Contact, s string) (Contact, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Contact{}, ErrUnknownContact
	}
	id, idErr := identity.ParsePeerID(s)
	letters := strings.ToLower(strings.ReplaceAll(s, "-", ""))
	for _, match := range []func(Contact) bool{
		func(c Contact) bool { return idErr == nil && c.ID == id },
		func(c Contact) bool { return c.Nick != "" && strings.EqualFold(c.Nick, s) },
		func(c Contact) bool { return c.Name != "" && strings.EqualFold(c.Name, s) },
		func(c Contact) bool {
			return len(letters) >= minIDPrefix && strings.HasPrefix(strings.ReplaceAll(c.ID.String(), "-", ""), letters)
		},
	} {
		var found []Contact
		for _, c := range contacts {
			if match(c) {
				found = append(found, c)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return Contact{}, ErrAmbiguous
		}
	}
	return Contact{}, ErrUnknownContact
}
