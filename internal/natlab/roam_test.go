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
	needsTime(t, true)
	c := converse(t, Port, false, nil)
	c.until(t, transport.PathDirect)
	c.settle(t, 60)
	var gone []netlink.Route
	if err := c.places[0].Do(func() error {
		all, err := netlink.RouteList(nil, netlink.FAMILY_V4)
		for _, r := range all {
			if r.Gw != nil && err == nil {
				gone = append(gone, r)
				err = netlink.RouteDel(&r)
			}
		}
		return err
	}); err != nil || len(gone) == 0 {
		t.Fatalf("%d routes taken away, %v", len(gone), err)
	}
	time.Sleep(3 * time.Second)
	before := c.answered.Load()
	if err := c.places[0].Do(func() error {
		for _, r := range gone {
			if err := netlink.RouteAdd(&r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.settle(t, 60)
	if c.answered.Load() < before+60 {
		t.Error("the echo did not go on")
	}
	c.until(t, transport.PathDirect)
	t.Logf("figure: paths.7.route_back.direct %d ms until 60 echoes and direct again", time.Since(start).Milliseconds())
	for _, p := range c.conns {
		if err := p.Err(); err != nil {
			t.Errorf("the connection ended: %v", err)
		}
	}
}
