package handshake_test

import (
	"fmt"
	"time"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/identity"
)

// Two people who meet: the messages go from one to the other until both know who
// the other is. Exporter is what TLS gives both of them, and nobody between them.
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
	common := handshake.Config{Pattern: handshake.XX, ALPN: "sremp-xx/1", Exporter: [32]byte{1}}
	side := func(l *identity.Local, initiator bool) *handshake.Handshake {
		c := common
		c.Local, c.Initiator = l, initiator
		h, err := handshake.New(c)
		if err != nil {
			panic(err)
		}
		return h
	}
	a, b := side(ann, true), side(bob, false)
	for from, to := a, b; from.Turn() == handshake.Write; from, to = to, from {
		message, err := from.WriteMessage()
		if err == nil {
			err = to.ReadMessage(message)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("Ann met", a.Result().Peer.Name)
	fmt.Println("Bob met", b.Result().Peer.Name)
	fmt.Println(a.Result().ChannelKey == b.Result().ChannelKey)
	// Output:
	// Ann met Bob
	// Bob met Ann
	// true
}
