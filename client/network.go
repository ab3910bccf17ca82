package client

import (
	"context"
	"net/netip"

	"github.com/sremp/sremp/identity"
)

// network is everything between the core and the sockets.
type network struct{ c *Client }

func newNetwork(c *Client, k *core) (*network, error) { return &network{c: c}, nil }

func (n *network) start(k *core) {}

func (n *network) close() {}

func (n *network) inviteAddrs(ctx context.Context) []netip.AddrPort { return nil }

func (n *network) cardAddrs() []netip.AddrPort { return nil }

func (n *network) invited(i identity.Invite) {}

func (n *network) announce(ctx context.Context, i identity.Invite) {}

func (n *network) contactChanged(k *core, c *contact) {}
