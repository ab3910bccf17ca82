package lan

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/sremp/sremp/nat"
)

// systemLinks returns the interfaces that lead to a local network: no loopback,
// no tunnels, no bridges of containers.
func systemLinks() (out []Link) {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	const needed = net.FlagUp | net.FlagMulticast
	for _, i := range all {
		if i.Flags&needed != needed || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 || nat.InnerInterface(i.Name) {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		l := Link{Index: i.Index, Name: i.Name}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, ok := netip.AddrFromSlice(n.IP)
			bits, _ := n.Mask.Size()
			if ok && ip.Unmap().IsValid() {
				l.Prefixes = append(l.Prefixes, netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
		if len(l.Prefixes) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// listenSystem opens a socket for each family that works here.
func listenSystem() (out []Conn, err error) {
	c4, err4 := listenGroup("udp4", group4)
	if err4 == nil {
		p := ipv4.NewPacketConn(c4)
		// Other programs of this machine are neighbours too.
		err4 = errors.Join(p.SetControlMessage(ipv4.FlagInterface, true), p.SetMulticastLoopback(true), p.SetMulticastTTL(255))
		out = append(out, &conn4{c4, p})
	}
	c6, err6 := listenGroup("udp6", group6)
	if err6 == nil {
		p := ipv6.NewPacketConn(c6)
		err6 = errors.Join(p.SetControlMessage(ipv6.FlagInterface, true), p.SetMulticastLoopback(true), p.SetMulticastHopLimit(255))
		out = append(out, &conn6{c6, p})
	}
	if len(out) == 0 || err4 != nil && err6 != nil {
		for _, c := range out {
			c.Close()
		}
		return nil, errors.Join(ErrNoMulticast, err4, err6)
	}
	return out, nil
}

type conn4 struct {
	net.PacketConn
	p *ipv4.PacketConn
}

func (c *conn4) Join(l Link) error {
	return c.p.JoinGroup(&net.Interface{Index: l.Index}, &net.UDPAddr{IP: group4.AsSlice()})
}

func (c *conn4) Leave(l Link) {
	_ = c.p.LeaveGroup(&net.Interface{Index: l.Index}, &net.UDPAddr{IP: group4.AsSlice()}) // the kernel may have done it
}

func (c *conn4) Read(b []byte) (n, link int, from netip.AddrPort, err error) {
	n, cm, a, err := c.p.ReadFrom(b)
	if cm != nil {
		link = cm.IfIndex
	}
	return n, link, addrPort(a), err
}

func (c *conn4) Write(b []byte, link int) error {
	_, err := c.p.WriteTo(b, &ipv4.ControlMessage{IfIndex: link}, &net.UDPAddr{IP: group4.AsSlice(), Port: mdnsPort})
	return err
}

type conn6 struct {
	net.PacketConn
	p *ipv6.PacketConn
}

func (c *conn6) Join(l Link) error {
	return c.p.JoinGroup(&net.Interface{Index: l.Index}, &net.UDPAddr{IP: group6.AsSlice()})
}

func (c *conn6) Leave(l Link) {
	_ = c.p.LeaveGroup(&net.Interface{Index: l.Index}, &net.UDPAddr{IP: group6.AsSlice()}) // the kernel may have done it
}

func (c *conn6) Read(b []byte) (n, link int, from netip.AddrPort, err error) {
	n, cm, a, err := c.p.ReadFrom(b)
	if cm != nil {
		link = cm.IfIndex
	}
	return n, link, addrPort(a), err
}

func (c *conn6) Write(b []byte, link int) error {
	_, err := c.p.WriteTo(b, &ipv6.ControlMessage{IfIndex: link}, &net.UDPAddr{IP: group6.AsSlice(), Port: mdnsPort})
	return err
}

func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	x := u.AddrPort()
	return netip.AddrPortFrom(x.Addr().Unmap().WithZone(""), x.Port())
}
