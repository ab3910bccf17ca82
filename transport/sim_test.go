package transport

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// simLatency is one way, so that a round trip takes 200 ms.
const simLatency = 100 * time.Millisecond

// A simNet is a network in virtual time. Addresses have their 4-byte form:
// simnet takes the 16-byte form for another host.
type simNet struct {
	t      *testing.T
	net    *simnet.Simnet
	router simnet.Router
}

func newSimNet(t *testing.T) *simNet {
	r := &simnet.PerfectRouter{}
	return &simNet{t: t, net: &simnet.Simnet{Router: r}, router: r}
}

// conn returns a socket behind a link of its own.
func (n *simNet) conn(addr string) net.PacketConn { return n.connAt(addr, simLatency) }

// connAt returns a socket to which packets take latency.
func (n *simNet) connAt(addr string, latency time.Duration) net.PacketConn {
	router := &startingRouter{Router: n.router}
	one := &simnet.Simnet{Router: router}
	pc := one.NewEndpoint(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)), simnet.NodeBiDiLinkSettings{
		Latency: latency,
		Uplink:  simnet.LinkSettings{MTU: 1500}, Downlink: simnet.LinkSettings{MTU: 1500},
	})
	one.Start()
	n.router.AddNode(pc.LocalAddr(), router.link)
	return &simConn{PacketConn: pc, net: one}
}

// A startingRouter keeps a link until it has been started: at an address that was
// used before, packets come in at once.
type startingRouter struct {
	simnet.Router
	link simnet.PacketReceiver
}

func (r *startingRouter) AddNode(_ net.Addr, link simnet.PacketReceiver) { r.link = link }

// A simConn takes its link down with it.
type simConn struct {
	net.PacketConn
	net  *simnet.Simnet
	once sync.Once
}

func (c *simConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.PacketConn.Close()
		c.net.Close()
	})
	return err
}

func (c *simConn) SetReadBuffer(int) error  { return nil }
func (c *simConn) SetWriteBuffer(int) error { return nil }

func (n *simNet) endpoint(addr string, c Config) *Endpoint {
	c.PacketConn = n.conn(addr)
	return endpoint(n.t, c)
}
