package identity_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sremp/sremp/identity"
)

// Ann makes an identity and an invite; Bob reads the invite, and both compare
// the words that say whether somebody stands between them.
func Example() {
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	ann, _, err := identity.NewLocal("Ann", now)
	if err != nil {
		fmt.Println(err)
		return
	}
	bob, _, err := identity.NewLocal("Bob", now)
	if err != nil {
		fmt.Println(err)
		return
	}
	uri := identity.Invite{
		Peer: ann.PeerID(), Name: "Ann", Secret: identity.NewInviteSecret(), Expires: now.Add(time.Hour),
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7350")},
	}.URI()

	invite, err := identity.ParseInvite(uri)
	fmt.Println(invite.Name, invite.Peer == ann.PeerID(), err)
	fmt.Println(identity.VerificationWords(ann.PeerID(), bob.PeerID()) == identity.VerificationWords(bob.PeerID(), ann.PeerID()))
	// Output:
	// Ann true <nil>
	// true
}

// A record is verified before any of it is believed; the newer one takes the
// place of the older one, and not the other way round.
func ExampleCheckSuccessor() {
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	first, _, err := identity.NewLocal("Ann", now)
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := first.Rename("Anna", now.Add(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := identity.ParseRecord(second.Record().Bytes())
	fmt.Println(record.Name, record.Version, err)
	fmt.Println(identity.CheckSuccessor(first.Record(), record))
	fmt.Println(identity.CheckSuccessor(record, first.Record()) != nil)
	// Output:
	// Anna 2 <nil>
	// <nil>
	// true
}
