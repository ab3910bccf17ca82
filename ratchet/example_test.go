package ratchet_test

import (
	"fmt"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// Bob is away. Ann takes his prekeys, and her first message makes the session at
// both ends. A real program stores the states before it sends, or shows, anything.
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
	prekeys, err := ratchet.NewPrekeyStore(bob, now, 1)
	if err != nil {
		fmt.Println(err)
		return
	}

	bundle, err := ratchet.ParseBundle(prekeys.Bundle(), bob.PeerID(), now)
	if err != nil {
		fmt.Println(err)
		return
	}
	var noPSK [32]byte
	a, err := ratchet.Initiate(now, ann, bundle, prekeys.OneTime()[0].Bytes, noPSK)
	if err != nil {
		fmt.Println(err)
		return
	}
	message, err := a.Encrypt(nil, []byte("hello"))
	if err != nil {
		fmt.Println(err)
		return
	}

	b, from, plaintext, err := ratchet.Accept(now, bob, prekeys, noPSK, message)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %s\n", from.Name, plaintext)
	if message, err = b.Encrypt(nil, []byte("hello yourself")); err != nil {
		fmt.Println(err)
		return
	}
	plaintext, err = a.Decrypt(now, ann, nil, noPSK, message)
	fmt.Printf("%s: %s %v\n", bob.Record().Name, plaintext, err)
	_, err = a.Decrypt(now, ann, nil, noPSK, message)
	fmt.Println("again:", err != nil)
	// Output:
	// Ann: hello
	// Bob: hello yourself <nil>
	// again: true
}
