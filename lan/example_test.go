package lan_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sremp/sremp/lan"
)

// An announcement is recognised by those who are meant, and by nobody else.
func ExampleSeal() {
	now := time.Now()
	addrs := []netip.AddrPort{netip.MustParseAddrPort("192.168.1.20:7350")}
	friend, stranger := lan.NewTagKey([32]byte{1}), lan.NewTagKey([32]byte{2})

	for _, sealed := range lan.Seal(now, []lan.TagKey{friend}, addrs) {
		body, ok := lan.ParseSealed(now, sealed, addrs)
		fmt.Println(ok, body.Means(friend), body.Means(stranger))
	}
	// Output: true true false
}
