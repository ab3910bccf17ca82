//go:build linux

package natlab

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// internetRules make a namespace a stand-in for the forwarder: it is as many
// hops and loses as many packets. It delays none.
func internetRules(c Conditions) string {
	var b strings.Builder
	b.WriteString("table inet internet {\n\tchain through { type filter hook forward priority 0; policy accept;\n")
	// The kernel has taken its own hop off before it asks.
	fmt.Fprintf(&b, "\t\tip ttl < %d drop\n\t\tip6 hoplimit < %[1]d drop\n", internetHops)
	if c.Loss > 0 {
		fmt.Fprintf(&b, "\t\tnumgen random mod 10000 < %d drop\n", int(c.Loss*10000))
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

// cable connects s to the internet's namespace. Both ends know each other from
// the start: the discovery of neighbours takes a second on a new link of IPv6.
func (w *World) cable(s *Site, n byte) error {
	a4, a6 := outside4(n), outside6(n)
	gw4, gw6 := netip.AddrFrom4([4]byte{11, 0, n, 1}), gateway6(a6)
	link := fmt.Sprintf("up%d", n)
	var near, far net.HardwareAddr
	if err := s.Do(func() (err error) {
		if err := firstOf(veth("wan", link, w.internet), address("wan", netip.PrefixFrom(a4, 24)), address("wan", netip.PrefixFrom(a6, 64))); err != nil {
			return err
		}
		near, err = hardware("wan")
		return err
	}); err != nil {
		return err
	}
	if err := w.internet.Do(func() (err error) {
		if err := firstOf(address(link, netip.PrefixFrom(gw4, 24)), address(link, netip.PrefixFrom(gw6, 64)), carrier(link)); err != nil {
			return err
		}
		if far, err = hardware(link); err != nil {
			return err
		}
		return firstOf(neighbour(link, a4, near), neighbour(link, a6, near), routeVia(netip.MustParsePrefix(fmt.Sprintf("2a0e:0:%x::/48", n)), a6))
	}); err != nil {
		return err
	}
	return s.Do(func() error {
		return firstOf(carrier("wan"), neighbour("wan", gw4, far), neighbour("wan", gw6, far),
			routeVia(netip.MustParsePrefix("0.0.0.0/0"), gw4), routeVia(netip.MustParsePrefix("::/0"), gw6))
	})
}

// introduce makes further addresses of s known to the internet's namespace, as
// cable does.
func (w *World) introduce(s *Site, n byte, addrs ...netip.Addr) error {
	if w.internet == nil {
		return nil
	}
	var near net.HardwareAddr
	if err := s.Do(func() (err error) { near, err = hardware("wan"); return err }); err != nil {
		return err
	}
	return w.internet.Do(func() error {
		for _, a := range addrs {
			if err := neighbour(fmt.Sprintf("up%d", n), a, near); err != nil {
				return err
			}
		}
		return nil
	})
}
