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
