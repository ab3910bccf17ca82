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
		got, rtt := e.askAll(t.Context(), []netip.AddrPort{good.LocalAddr(), netip.MustParseAddrPort("11.0.0.3:1")})
		if got[0] != e.LocalAddr() || got[1] != elsewhere {
			t.Errorf("seen as %v, want %v and %v", got, e.LocalAddr(), elsewhere)
		}
		if rtt != 2*simLatency {
			t.Errorf("round trip %v, want %v", rtt, 2*simLatency)
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("it took %v, want two round trips of 200ms", took)
		}
	})
}

// TestPredictBeginsAnew: a lost answer costs one more attempt, not the prediction.
// Two servers answer as if behind a NAT with sequential ports.
func TestPredictBeginsAnew(t *testing.T) {
	seen := netip.MustParseAddr("203.0.113.7")
	for _, tt := range []struct {
		name string
		lose func(server, n int) bool // the n-th answer of a server
		want nat.CandidateKind
	}{
		{"none lost", func(int, int) bool { return false }, nat.Predicted},
		{"one lost", func(server, n int) bool { return server == 1 && n == 0 }, nat.Predicted},
		{"in two attempts", func(server, n int) bool { return server == 0 && (n == 1 || n == 2) }, nat.Predicted},
		{"all lost", func(int, int) bool { return true }, nat.Random},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var servers []netip.AddrPort
			for server := range 2 {
				pc := udpConn(t)
				defer pc.Close()
				servers = append(servers, addrPort(pc.LocalAddr()))
				go func() {
					b := make([]byte, 1500)
					for n := 0; ; n++ { // each new socket asks both servers, the first before the second
						k, from, err := pc.ReadFrom(b)
						if err != nil {
							return
						}
						if !tt.lose(server, n) {
							_, _ = pc.WriteTo(nat.STUNReply(b[:k], netip.AddrPortFrom(seen, uint16(5000+2*n+server))), from)
						}
					}
				}()
			}
			e := endpoint(t, Config{})
			got := e.predict(t.Context(), servers, netip.AddrPortFrom(seen, 4999), 10*time.Millisecond)
			if len(got) == 0 || got[0].Kind != tt.want {
				t.Errorf("got %v, want kind %v", got, tt.want)
			}
		})
	}
}
