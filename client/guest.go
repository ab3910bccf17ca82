package client

import (
	"context"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
)

// maxGuestRelays bounds the relays of others at which we are guests.
const maxGuestRelays = 8

// guest returns a connection to a peer's relay, for forwarding only, with a key
// that is forgotten with it.
func (n *network) guest(ctx context.Context, a identity.ServerAddr) (*relay.Client, error) {
	n.mu.Lock()
	cl := n.guests[a.ID]
	n.mu.Unlock()
	if cl != nil && cl.Err() == nil {
		return cl, nil
	}
	cl, err := relay.Dial(ctx, n.ep, a, identity.GenerateSecretKey(), "")
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.guests) >= maxGuestRelays {
		for id, old := range n.guests {
			n.c.tasks.Go(func() { old.Close() })
			delete(n.guests, id)
			break
		}
	}
	n.guests[a.ID] = cl
	return cl, nil
}
