//go:build linux

package natlab

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sremp/sremp/transport"
)

// TestFamilies: the direct path's address family stops working between the two
// sides; the conversation goes on through the relay and becomes direct by the
// other family, and back.
func TestFamilies(t *testing.T) {
	needsTime(t, false)
	var dead atomic.Int32 // the version that does not pass
	c := converseBehind(t, RouterOptions{Kind: Port, IPv6: true}, false, func(from, to byte, packet []byte) bool {
		return from == 1 || to == 1 || int32(packet[0]>>4) != dead.Load()
	})
	c.until(t, transport.PathDirect)
	c.settle(t, 60)
	for range 2 {
		was := c.conns[0].Path().Remote.Addr().Unmap().Is4()
		if was {
			dead.Store(4)
		} else {
			dead.Store(6)
		}
		c.gap.Store(0)
		start := time.Now()
		c.until(t, transport.PathRelay)
		c.until(t, transport.PathDirect)
		took := time.Since(start)
		if is := c.conns[0].Path().Remote.Addr().Unmap().Is4(); is == was {
			t.Errorf("direct again by the family that is dead: %v", c.conns[0].Path())
		}
		c.settle(t, 95)
		t.Logf("figure: paths.7.other_family_from_ipv4_%v.gap %d ms longest time between two echoes every %v, RTT %v", was, time.Duration(c.gap.Load()).Milliseconds(), echoEvery, PairRTT)
		t.Logf("figure: paths.7.other_family_from_ipv4_%v.direct %d ms until direct again", was, took.Milliseconds())
	}
}

// TestNoRoute takes the default route of one side away, so that every write fails
// with ENETUNREACH, and gives it back: the connection lives, and is direct again.
func TestNoRoute(t *testing.T) {
	interrupted(t, "route_back", func(all []netlink.Route) (back func() error, err error) {
		gone := throughGateway(all)
		for _, r := range gone {
			if err := netlink.RouteDel(&r); err != nil {
				return nil, err
			}
		}
		return func() error { return addRoutes(gone) }, nil
	})
}

// TestInterfaceDown takes the interface of one side down, which takes its routes
// as well, and up again.
func TestInterfaceDown(t *testing.T) {
	interrupted(t, "interface_up", func(all []netlink.Route) (back func() error, err error) {
		gone := throughGateway(all)
		if len(gone) == 0 {
			return nil, nil
		}
		link, err := netlink.LinkByIndex(gone[0].LinkIndex)
		if err != nil {
			return nil, err
		}
		return func() error {
			if err := netlink.LinkSetUp(link); err != nil {
				return err
			}
			return addRoutes(gone)
		}, netlink.LinkSetDown(link)
	})
}

func throughGateway(all []netlink.Route) (some []netlink.Route) {
	for _, r := range all {
		if r.Gw != nil {
			some = append(some, r)
		}
	}
	return some
}

func addRoutes(rs []netlink.Route) error {
	for _, r := range rs {
		if err := netlink.RouteAdd(&r); err != nil {
			return err
		}
	}
	return nil
}

// interrupted has take cut one side off, given its routes, and back undo that
// after three seconds.
func interrupted(t *testing.T, name string, take func([]netlink.Route) (back func() error, err error)) {
	t.Helper()
	needsTime(t, true)
	c := converse(t, Port, false, nil)
	c.until(t, transport.PathDirect)
	c.settle(t, 60)
	var back func() error
	if err := c.places[0].Do(func() error {
		all, err := netlink.RouteList(nil, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		back, err = take(all)
		return err
	}); err != nil || back == nil {
		t.Fatalf("nothing was cut: %v", err)
	}
	time.Sleep(3 * time.Second)
	before := c.answered.Load()
	if err := c.places[0].Do(back); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.settle(t, 60)
	if c.answered.Load() < before+60 {
		t.Error("the echo did not go on")
	}
	c.until(t, transport.PathDirect)
	t.Logf("figure: paths.7.%s.direct %d ms until 60 echoes and direct again", name, time.Since(start).Milliseconds())
	for _, p := range c.conns {
		if err := p.Err(); err != nil {
			t.Errorf("the connection ended: %v", err)
		}
	}
}
