//go:build linux

package natlab

import (
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A LAN is a switch with hosts, 192.168.88.2 and up, and no router: there is no
// way out of it.
type LAN struct {
	Prefix netip.Prefix

	bridge *Site
	hosts  []*Place
}

// NewLAN makes a LAN without hosts.
func NewLAN() (*LAN, error) {
	s, err := newSite()
	if err != nil {
		return nil, err
	}
	l := &LAN{Prefix: netip.MustParsePrefix("192.168.88.0/24"), bridge: s}
	err = s.Do(func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "lan"}}); err != nil {
			return fmt.Errorf("making a bridge: %w", err)
		}
		return up("lan")
	})
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends all of it.
func (l *LAN) Close() {
	for _, p := range l.hosts {
		p.Close()
	}
	l.bridge.Close()
}

// Host plugs in another host, with the interface eth0 and no default route.
func (l *LAN) Host() (*Place, error) {
	s, err := newSite()
	if err != nil {
		return nil, err
	}
	b := l.Prefix.Addr().As4()
	b[3] = byte(2 + len(l.hosts))
	p := &Place{Site: s, Addr: netip.AddrFrom4(b)}
	l.hosts = append(l.hosts, p)
	if err := s.Do(func() error {
		// Addresses are usable at once.
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644)
	}); err != nil {
		return nil, fmt.Errorf("setting accept_dad: %w", err)
	}
	port := l.port(p)
	if err := l.bridge.Do(func() error {
		return firstOf(veth(port, "eth0", s), enslave(port, "lan"), up(port))
	}); err != nil {
		return nil, err
	}
	if err := s.Do(func() error { return address("eth0", netip.PrefixFrom(p.Addr, l.Prefix.Bits())) }); err != nil {
		return nil, err
	}
	return p, l.bridge.Do(func() error { return carrier(port) })
}

// port is the name of the switch's end of a host's cable.
func (l *LAN) port(p *Place) string {
	a := p.Addr.As4()
	return fmt.Sprintf("p%d", a[3])
}

// Unplug takes a host's cable out: its interface keeps its address and has no
// carrier.
func (l *LAN) Unplug(p *Place) error { return l.cable(p, netlink.LinkSetDown) }

// Plug puts it back.
func (l *LAN) Plug(p *Place) error { return l.cable(p, netlink.LinkSetUp) }

func (l *LAN) cable(p *Place, set func(netlink.Link) error) error {
	return l.bridge.Do(func() error {
		link, err := netlink.LinkByName(l.port(p))
		if err == nil {
			err = set(link)
		}
		if err != nil {
			return fmt.Errorf("the cable of %v: %w", p.Addr, err)
		}
		return nil
	})
}

// RouteAll gives a host a default route that leads to the LAN itself: what it
// sends out of the LAN is then asked for there, where a capture sees it.
func (l *LAN) RouteAll(p *Place) error {
	return p.Do(func() error { return routeDev("eth0", netip.MustParsePrefix("0.0.0.0/0")) })
}

// Strays begins to capture at the switch everything but what one host of the LAN
// sends another by UDP over IPv4; what goes to port 53 it does have.
func (l *LAN) Strays() (*Capture, error) {
	c, err := l.bridge.Capture()
	if err != nil {
		return nil, err
	}
	prog, err := bpf.Assemble(strays(l.Prefix))
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("the filter of strays: %w", err)
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: (*unix.SockFilter)(unsafe.Pointer(&prog[0]))}
	if err := unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog); err != nil {
		c.Close()
		return nil, fmt.Errorf("the filter of strays: %w", err)
	}
	return c, nil
}

// strays is the program of Strays. Offsets are those of an IP header, as for any
// socket of type SOCK_DGRAM.
func strays(lan netip.Prefix) []bpf.Instruction {
	net := lan.Masked().Addr().As4()
	want := uint32(net[0])<<24 | uint32(net[1])<<16 | uint32(net[2])<<8 | uint32(net[3])
	mask := ^uint32(0) << (32 - lan.Bits())
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: 12},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 10},
		bpf.LoadAbsolute{Off: 12, Size: 4}, // source
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: want, SkipTrue: 7},
		bpf.LoadAbsolute{Off: 16, Size: 4}, // destination
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: want, SkipTrue: 4},
		bpf.LoadMemShift{Off: 0},          // the header's length
		bpf.LoadIndirect{Off: 2, Size: 2}, // destination port
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 53, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1 << 18},
	}
}

// Leaves says why an IP or ARP packet is one that leaves the LAN or asks for a
// name somewhere; empty if it is neither. Multicast counts as staying where no
// router passes it on (RFC 5771 section 4, RFC 4291 section 2.7).
func (l *LAN) Leaves(packet []byte) string {
	var to netip.Addr
	rest := []byte(nil)
	proto := byte(0)
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		to, _ = netip.AddrFromSlice(packet[16:20])
		proto, rest = packet[9], packet[min(int(packet[0]&15)*4, len(packet)):]
	case len(packet) >= 40 && packet[0]>>4 == 6:
		to, _ = netip.AddrFromSlice(packet[24:40])
		proto, rest = packet[6], packet[40:]
	case len(packet) >= 28 && packet[0] == 0 && packet[1] == 1: // ARP over Ethernet
		to, _ = netip.AddrFromSlice(packet[24:28])
	default:
		return fmt.Sprintf("a packet of no known kind: %x", packet)
	}
	if (proto == unix.IPPROTO_UDP || proto == unix.IPPROTO_TCP) && len(rest) >= 4 && rest[2] == 0 && rest[3] == 53 {
		return "a name is asked for at " + to.String()
	}
	if l.Prefix.Contains(to) || to.IsLinkLocalUnicast() || to.IsLinkLocalMulticast() {
		return ""
	}
	return "a packet to " + to.String()
}
