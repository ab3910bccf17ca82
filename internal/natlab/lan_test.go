//go:build linux

package natlab

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// noCarrier waits until an interface has none.
func noCarrier(name string) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		link, err := netlink.LinkByName(name)
		if err != nil || link.Attrs().OperState != netlink.OperUp {
			return err
		}
	}
	return errors.New("the cable is out, and the interface does not know")
}

// TestLAN sends what stays in a LAN and what leaves it: the capture has all that
// leaves, and nothing else is said to. A cable that is out carries nothing.
func TestLAN(t *testing.T) {
	if NeedsEnter() {
		t.Skip("NO NAT LABORATORY ON THIS MACHINE: needs root")
	}
	l, err := NewLAN()
	if err != nil {
		t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
	}
	defer l.Close()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := l.Host()
	check(err)
	b, err := l.Host()
	check(err)
	check(l.RouteAll(a))
	c, err := l.Strays()
	check(err)
	from := listen(t, a.Site, a.Addr.String()+":7000")
	to := listen(t, b.Site, b.Addr.String()+":7000")
	send := func(where, text string) {
		t.Helper()
		if _, err := from.WriteToUDPAddrPort([]byte(text), netip.MustParseAddrPort(where)); err != nil {
			t.Fatal(err)
		}
	}
	// A switch may lose what comes while a cable is being plugged in.
	arrives := func(where, text string) {
		t.Helper()
		buf := make([]byte, 100)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			send(where, text)
			check(to.SetReadDeadline(time.Now().Add(100 * time.Millisecond)))
			if n, _, err := to.ReadFromUDPAddrPort(buf); err == nil && string(buf[:n]) == text {
				return
			}
		}
		t.Fatalf("%q does not arrive", text)
	}
	there := b.Addr.String() + ":7000"
	arrives(there, "to a neighbour")
	check(l.Unplug(b))
	check(b.Do(func() error { return noCarrier("eth0") }))
	check(l.Plug(b))
	check(b.Do(func() error { return carrier("eth0") }))
	arrives(there, "back")
	send(b.Addr.String()+":53", "a question")
	send("11.0.0.1:7000", "to a stranger")
	leaving := map[string]bool{}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && len(leaving) < 2; time.Sleep(10 * time.Millisecond) {
		for _, f := range c.Frames() {
			if why := l.Leaves(f.Packet); why != "" {
				leaving[why] = true
			}
		}
	}
	frames, err := c.Close()
	check(err)
	for _, want := range []string{"a name is asked for at " + b.Addr.String(), "a packet to 11.0.0.1"} {
		if !leaving[want] {
			t.Errorf("got %v, want %q among them", leaving, want)
		}
	}
	if len(leaving) != 2 {
		t.Errorf("got %v, want two reasons", leaving)
	}
	for _, f := range frames {
		if strings.Contains(string(f.Packet), "neighbour") {
			t.Error("the capture has what a host sent to another")
		}
	}
}
