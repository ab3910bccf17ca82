//go:build linux

package natlab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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

// forward makes the namespace a router.
func forward() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("switching forwarding on: %w", err)
	}
	return nil
}

func hardware(name string) (net.HardwareAddr, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("finding interface %s: %w", name, err)
	}
	return link.Attrs().HardwareAddr, nil
}

func neighbour(name string, a netip.Addr, hw net.HardwareAddr) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: hw,
		})
	}
	if err != nil {
		return fmt.Errorf("making %s a neighbour: %w", a, err)
	}
	return nil
}

// carrier waits until the kernel has taken note that an interface is up: it
// drops packets until then.
func carrier(name string) error {
	for end := time.Now().Add(5 * time.Second); ; {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("finding interface %s: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("interface %s does not come up", name)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func ignoreExists(err error) error {
	if err != nil && strings.Contains(err.Error(), unix.EEXIST.Error()) {
		return nil
	}
	return err
}

func routeDev(name string, dst netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding interface %s: %w", name, err)
	}
	to, err := netlink.ParseIPNet(dst.String())
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to, Scope: netlink.SCOPE_LINK})
	}
	if err != nil {
		return fmt.Errorf("making a route to %s: %w", dst, err)
	}
	return nil
}

func routeVia(dst netip.Prefix, via netip.Addr) error {
	to, err := netlink.ParseIPNet(dst.String())
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{Dst: to, Gw: via.AsSlice()})
	}
	if err != nil {
		return fmt.Errorf("making a route to %s: %w", dst, err)
	}
	return nil
}

func removeAddress(name string, p netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding interface %s: %w", name, err)
	}
	addr, err := netlink.ParseAddr(p.String())
	if err == nil {
		err = netlink.AddrDel(link, addr)
	}
	if err != nil {
		return fmt.Errorf("taking an address from %s: %w", name, err)
	}
	return nil
}

// enslave makes an interface a port of a bridge.
func enslave(name, bridge string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding interface %s: %w", name, err)
	}
	b, err := netlink.LinkByName(bridge)
	if err == nil {
		err = netlink.LinkSetMaster(link, b)
	}
	if err != nil {
		return fmt.Errorf("adding %s to bridge %s: %w", name, bridge, err)
	}
	return nil
}

// forward6 makes the namespace a router of IPv6.
func forward6() error {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("switching forwarding of IPv6 on: %w", err)
	}
	return nil
}
