package client

import (
	"context"
	"net"
	"net/netip"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay/websocket"
)

// openTunnel is how servers are reached from networks that let no UDP through:
// over WebSocket on TCP (spec §5.8, §6.6.7).
func openTunnel(ctx context.Context, a identity.ServerAddr, addr netip.AddrPort) (net.PacketConn, error) {
	c, err := websocket.Dial(ctx, a, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// sockets are how a client gets to its network.
type sockets struct {
	listen  func(addr string) (net.PacketConn, error)
	another func() (net.PacketConn, error) // nil: the transport's own way
	tunnel  func(context.Context, identity.ServerAddr, netip.AddrPort) (net.PacketConn, error)
}

func (c *Client) sockets() sockets {
	if listen := c.cfg.ListenPacket; listen != nil {
		return sockets{listen: listen, another: func() (net.PacketConn, error) { return listen(":0") }}
	}
	return sockets{
		listen: func(addr string) (net.PacketConn, error) { return net.ListenPacket("udp", addr) },
		tunnel: openTunnel,
	}
}

// routeChanged tells the user by which way a server is reached. The transport
// waits for it.
func (n *network) routeChanged(a identity.ServerAddr, tunnel bool) {
	n.run(func() { n.c.post(func(k *core) { k.setTunnel(a, tunnel) }) })
}

// tunnelled reports whether a server is reached through a tunnel now. Then what
// it sees of us is an address of its own, and it answers no STUN.
func (n *network) tunnelled(s *server) bool {
	for _, a := range s.stun {
		if n.ep.Tunnelled(a) {
			return true
		}
	}
	return false
}
