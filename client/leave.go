package client

import (
	"context"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
)

// farewell is how long a server that was left is still asked for mail: whoever
// has not heard of it writes there meanwhile (spec §8.26).
const farewell = 30 * 24 * time.Hour

// RemoveServer implements [API].
func (c *Client) RemoveServer(ctx context.Context, addr identity.ServerAddr) error {
	return c.do(ctx, func(k *core) error {
		s := k.serverInfo(addr.ID)
		switch {
		case s == nil:
			return ErrUnknownServer
		case s.Left.IsZero():
			s.Left = k.now()
			k.cardsChanged()
			k.then(func() { c.net.present(k) })
		default:
			k.forgetServer(addr.ID)
		}
		return nil
	})
}

// forgetServer ends all that is with a server.
func (k *core) forgetServer(id identity.ServerID) {
	k.profile.Servers = slices.DeleteFunc(k.profile.Servers, func(s serverInfo) bool { return s.Address.ID == id })
	delete(k.status, id)
	k.cardsChanged()
	k.then(func() {
		k.c.net.dropServer(id)
		k.c.net.present(k)
	})
}

// forgetLeft forgets the servers that were left long ago.
func (k *core) forgetLeft() {
	for _, s := range slices.Clone(k.profile.Servers) {
		if !s.Left.IsZero() && k.now().Sub(s.Left) >= farewell {
			k.forgetServer(s.Address.ID)
		}
	}
}

// dropServer ends the connections to a server.
func (n *network) dropServer(id identity.ServerID) {
	n.mu.Lock()
	s := n.servers[id]
	delete(n.servers, id)
	n.mu.Unlock()
	if s != nil {
		s.stop()
		n.pool.Use(n.ownServers()...)
	}
}
