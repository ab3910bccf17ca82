package present

import (
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// Who takes another's name, or one that looks like it, is not taken for the other.
func TestTwins(t *testing.T) {
	for name, twins := range map[string]bool{
		"Bob": true, "bob": true, "Воb": true, "B\u200bob": true, "B o b": true, "B0b": true, "Bo\u0301b": true,
		"Bobby": false, "Rob": false,
	} {
		bubble(t, func(t *testing.T, u *ui) {
			mallory := identity.PeerID{9}
			u.api.emit(client.ContactEvent{Contact: client.Contact{ID: mallory, Name: name, Trust: client.TrustUnknown}})
			u.api.set(func(f *fakeAPI) {
				f.contacts = append(f.contacts, client.Contact{ID: mallory, Name: name, Trust: client.TrustUnknown})
			})
			u.run(3 * callTime)
			for _, id := range []identity.PeerID{bob, mallory} {
				u.Select(id)
				u.run(3 * callTime)
				c := u.last().Chat
				if got := strings.HasSuffix(c.Label, " ("+id.Short()+")"); got != twins {
					t.Errorf("beside %q: shown as %q", name, c.Label)
				}
				if got := strings.Contains(c.Notice, "told apart"); got != twins {
					t.Errorf("beside %q: %q", name, c.Notice)
				}
				if strings.Contains(c.Initials, "(") {
					t.Errorf("initials %q", c.Initials)
				}
			}
			for _, c := range people(u.last().Contacts) {
				if got := strings.Contains(c.Label, "("); c.ID == bob && got != twins || c.ID == carol && got {
					t.Errorf("beside %q, in the list: %q", name, c.Label)
				}
			}
		})
	}
	// Nor is anybody taken for oneself.
	bubble(t, func(t *testing.T, u *ui) {
		u.api.emit(client.ContactEvent{Contact: client.Contact{ID: carol, Name: "Note to self", Trust: client.Trusted}})
		u.run(callTime / 2)
		for _, c := range u.last().Contacts {
			if c.ID == carol && !strings.HasSuffix(c.Label, ")") || c.Self && c.Label != "Note to self" {
				t.Errorf("shown as %q", c.Label)
			}
		}
	})
}
