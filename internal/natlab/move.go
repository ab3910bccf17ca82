//go:build linux

package natlab

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// homeLink is the interface of a host behind a router.
const homeLink = "eth0"

// Unplug takes a host behind a router out of its network: the interface is gone,
// with its addresses and routes. What runs there goes on.
func (p *Place) Unplug() error {
	return p.Do(func() error {
		link, err := netlink.LinkByName(homeLink)
		if err == nil {
			err = netlink.LinkDel(link) // and the router's end of the cable
		}
		if err != nil {
			return fmt.Errorf("unplugging a host: %w", err)
		}
		return nil
	})
}

// Plug puts an unplugged host into the router's network, as a laptop that is
// carried there: it has a new interface, with other addresses and routes.
func (r *Router) Plug(p *Place) error { return r.attach(p, homeLink) }
