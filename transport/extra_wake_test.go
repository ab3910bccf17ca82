package transport

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A hookedConn calls lifting when its read deadline is about to be lifted.
type hookedConn struct {
	net.PacketConn
	lifting atomic.Pointer[func()]
}

func (c *hookedConn) SetReadDeadline(t time.Time) error {
	if f := c.lifting.Load(); f != nil && t.IsZero() {
		(*f)()
	}
	return c.PacketConn.SetReadDeadline(t)
}

// The read loop waits on the main socket, and is woken by its read deadline when there
// is something from a tunnel or another socket. What comes while it is waking up does
// not keep it from being woken for what comes later.
func TestWokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		hooked := &hookedConn{PacketConn: n.conn("11.0.0.1:1")}
		e := endpoint(t, Config{PacketConn: hooked})
		from := netip.MustParseAddrPort("11.0.0.2:1")
		inject := func() { e.m.inject(from, []byte{0x40, 1, 2}) }
		once := func() {
			hooked.lifting.Store(nil)
			inject()
		}
		hooked.lifting.Store(&once)
		for i := range 10 {
			inject()
			synctest.Wait()
			if got := len(e.m.side); got != 0 {
				t.Fatalf("after %d: %d datagrams are not read, want none", i+1, got)
			}
		}
	})
}
