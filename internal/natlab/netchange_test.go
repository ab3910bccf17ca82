//go:build linux

package natlab

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/transport"
)

// TestNetworkChange: a new address is told by the kernel, not found by a
// time-out.
func TestNetworkChange(t *testing.T) {
	w := world(t, Conditions{})
	home := must[*Place](t)(must[*Router](t)(w.Router(RouterOptions{Kind: Port})).Home())
	told := make(chan struct{}, 16)
	pc := socketAt(t, home.Site, netip.MustParseAddrPort("0.0.0.0:0"))
	var e *transport.Endpoint
	if err := home.Do(func() (err error) { // the endpoint listens to the namespace that it is made in
		e, err = transport.New(transport.Config{PacketConn: pc, NetworkChanged: func() { told <- struct{}{} }})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := home.Do(func() error { return address("eth0", netip.MustParsePrefix("192.168.200.2/24")) }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the endpoint does not know that its machine has a new address")
	}
}
