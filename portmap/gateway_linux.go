package portmap

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sremp/sremp/nat"
)

// defaultGateway returns the next hop of the IPv4 default route with the lowest
// metric.
func defaultGateway() (Gateway, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return Gateway{}, fmt.Errorf("%w (%w)", ErrNoGateway, err)
	}
	best := -1
	for i, r := range routes {
		if r.Dst != nil && (!r.Dst.IP.IsUnspecified() || ones(r.Dst) != 0) {
			continue
		}
		if best < 0 || r.Priority < routes[best].Priority {
			best = i
		}
	}
	if best < 0 {
		return Gateway{}, ErrNoGateway
	}
	addr, ok := netip.AddrFromSlice(routes[best].Gw)
	if !ok { // a tunnel, say: nobody there to ask
		return Gateway{}, ErrNoGateway
	}
	link, err := netlink.LinkByIndex(routes[best].LinkIndex)
	if err != nil {
		return Gateway{}, fmt.Errorf("%w (%w)", ErrNoGateway, err)
	}
	g := Gateway{Addr: addr.Unmap(), Interface: link.Attrs().Name}
	g.Local, err = localTowards(g.Addr)
	return g, err
}

func ones(n *net.IPNet) int {
	x, _ := n.Mask.Size()
	return x
}

// localTowards asks the kernel which address it would use; nothing is sent.
func localTowards(a netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, nat.GatewayPort)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w (%w)", ErrNoGateway, err)
	}
	defer c.Close()
	return addrPort(c.LocalAddr()).Addr(), nil
}
