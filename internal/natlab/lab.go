//go:build linux

package natlab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// InternetAddr is the internet site's own address.
var InternetAddr = netip.AddrFrom4([4]byte{11, 0, 0, 1})

// A Lab is one network.
type Lab struct {
	Internet *Site
	Homes    []*Site
	routers  []*Site
}

// New builds a lab with homes behind a NAT router each. An error says what this
// machine would not do; nothing is left then.
func New(homes int) (_ *Lab, err error) {
	l := &Lab{}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.Internet, err = newSite(); err != nil {
		return nil, err
	}
	if err := l.Internet.Do(func() error { return address("lo", netip.PrefixFrom(InternetAddr, 32)) }); err != nil {
		return nil, err
	}
	if err := l.Internet.Do(forward); err != nil {
		return nil, err
	}
	for n := 1; n <= homes; n++ {
		if err := l.addHome(byte(n)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Close ends every site and, with them, what was started there.
func (l *Lab) Close() {
	for _, s := range append(append([]*Site{l.Internet}, l.routers...), l.Homes...) {
		if s != nil {
			s.Close()
		}
	}
}

func (l *Lab) addHome(n byte) error {
	router, err := newSite()
	if err != nil {
		return err
	}
	l.routers = append(l.routers, router)
	home, err := newSite()
	if err != nil {
		return err
	}
	l.Homes = append(l.Homes, home)

	outside := func(host byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{11, 0, n, host}), 24) }
	inside := func(host byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, n, host}), 24) }
	link := fmt.Sprintf("home%d", n)
	if err := router.Do(func() error {
		if err := veth("wan", link, l.Internet); err != nil {
			return err
		}
		if err := veth("lan", "eth0", home); err != nil {
			return err
		}
		if err := address("wan", outside(2)); err != nil {
			return err
		}
		if err := address("lan", inside(1)); err != nil {
			return err
		}
		return forward()
	}); err != nil {
		return err
	}
	if err := l.Internet.Do(func() error { return address(link, outside(1)) }); err != nil {
		return err
	}
	if err := router.Do(func() error {
		if err := defaultRoute(outside(1).Addr()); err != nil {
			return err
		}
		return nft(portNAT)
	}); err != nil {
		return err
	}
	return home.Do(func() error {
		if err := address("eth0", inside(2)); err != nil {
			return err
		}
		return defaultRoute(inside(1).Addr())
	})
}

// portNAT is the router of most homes: endpoint-independent mapping that keeps
// the port, address and port dependent filtering (RFC 4787).
const portNAT = `
table ip nat {
	chain out { type nat hook postrouting priority 100;
		oifname "wan" masquerade
	}
}
table inet filter {
	chain in {
		type filter hook input priority 0; policy accept;
		iifname "wan" ct state established,related accept
		iifname "wan" meta l4proto icmp accept
		iifname "wan" drop
	}
	chain through {
		type filter hook forward priority 0; policy accept;
		iifname "wan" ct state established,related accept
		iifname "wan" drop
	}
}
`

func nft(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the NAT rules with nft: %w %s", err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

// veth makes a pair of interfaces, name here and peer in the other site.
func veth(name, peer string, other *Site) error {
	err := netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer, PeerNamespace: netlink.NsFd(int(other.ns)),
	})
	if err != nil {
		return fmt.Errorf("making a veth pair: %w", err)
	}
	return nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("starting interface %s: %w", name, err)
	}
	return nil
}

// address gives an interface an address and starts it.
func address(name string, p netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding interface %s: %w", name, err)
	}
	addr, err := netlink.ParseAddr(p.String())
	if err == nil {
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // usable at once
		}
		err = netlink.AddrAdd(link, addr)
	}
	if err != nil {
		return fmt.Errorf("giving interface %s its address: %w", name, err)
	}
	return up(name)
}

func defaultRoute(via netip.Addr) error {
	if err := netlink.RouteAdd(&netlink.Route{Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("making the default route: %w", err)
	}
	return nil
}

// forward makes the namespace a router.
func forward() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("switching forwarding on: %w", err)
	}
	return nil
}
