package client

import (
	"context"

	"github.com/sremp/sremp/identity"
)

// maxServers bounds the servers of a profile.
const maxServers = 8

// WhoAmI implements [API].
func (c *Client) WhoAmI(ctx context.Context) (me Me, err error) {
	err = c.do(ctx, func(k *core) error {
		r := k.local.Record()
		me = Me{ID: r.Identity, Name: r.Name, Created: r.Created, Servers: k.servers()}
		return nil
	})
	return me, err
}

// Servers implements [API].
func (c *Client) Servers(ctx context.Context) (out []Server, err error) {
	err = c.do(ctx, func(k *core) error {
		out = k.servers()
		return nil
	})
	return out, err
}

func (k *core) servers() []Server {
	var out []Server
	for _, s := range k.profile.Servers {
		out = append(out, Server{Address: s.Address})
	}
	return out
}

// AddServer implements [API]. A server that is known already is no error; an
// address with the same key and another host replaces the old one.
func (c *Client) AddServer(ctx context.Context, addr identity.ServerAddr) error {
	if identity.CheckEd25519(addr.ID) != nil || identity.CheckHost(addr.Host) != nil || addr.Port == 0 {
		return identity.ErrBadServerAddr
	}
	return c.do(ctx, func(k *core) error {
		for i := range k.profile.Servers {
			s := &k.profile.Servers[i]
			switch {
			case s.Address == addr:
				return nil
			case s.Address.ID == addr.ID:
				s.Address = addr
				k.cardsChanged()
				return nil
			}
		}
		if len(k.profile.Servers) >= maxServers {
			return ErrTooManyServers
		}
		k.profile.Servers = append(k.profile.Servers, serverInfo{Address: addr, Owner: randomSecret()})
		k.cardsChanged()
		return nil
	})
}
