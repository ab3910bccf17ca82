package transport

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/nat"
)

// TestGatherAsksAgain: of two servers one answers; the other's first packet is
// lost. It is asked once more then, so that one lost packet does not hide that a
// NAT gives each destination a port of its own.
func TestGatherAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		good := n.endpoint("11.0.0.1:1", Config{STUN: true})
		e := n.endpoint("11.0.0.2:7", Config{})
		deaf := n.conn("11.0.0.3:1")
		defer deaf.Close()
		elsewhere := netip.MustParseAddrPort("11.0.0.2:7000")
		go func() {
			b := make([]byte, 1500)
			for i := 0; ; i++ {
				k, from, err := deaf.ReadFrom(b)
				if err != nil {
					return
				}
				if i > 0 { // the first packet was lost
					_, _ = deaf.WriteTo(nat.STUNReply(b[:k], elsewhere), from.(*net.UDPAddr))
				}
			}
		}()
		start := time.Now()
		got := e.askAll(t.Context(), []netip.AddrPort{good.LocalAddr(), netip.MustParseAddrPort("11.0.0.3:1")})
		if got[0] != e.LocalAddr() || got[1] != elsewhere {
			t.Errorf("seen as %v, want %v and %v", got, e.LocalAddr(), elsewhere)
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("it took %v, want two round trips of 200ms", took)
		}
	})
}
