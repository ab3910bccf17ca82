package transport

import (
	"net"
	"net/netip"
	"slices"
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
		late := netip.MustParseAddrPort("11.0.0.3:1")
		got := e.askAll(t.Context(), []netip.AddrPort{good.LocalAddr(), late})
		const rtt = 2 * simLatency // the other was asked again when this one had answered
		want := []stunAnswer{{good.LocalAddr(), e.LocalAddr(), rtt}, {late, elsewhere, 2 * rtt}}
		if !slices.Equal(got, want) {
			t.Errorf("heard %v, want %v", got, want)
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("it took %v, want two round trips of 200ms", took)
		}
	})
}

// answerAsNAT answers requests as if they came from behind a NAT with sequential
// ports that counts two servers, until pc is closed: one mapping for each socket,
// however often it asks. lose names the sockets whose answers do not arrive.
func answerAsNAT(pc net.PacketConn, server int, lose func(server, n int) bool) {
	b := make([]byte, 1500)
	sockets := map[string]int{} // each new socket asks both servers, the first before the second
	for {
		k, from, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		n, ok := sockets[from.String()]
		if !ok {
			n = len(sockets)
			sockets[from.String()] = n
		}
		if !lose(server, n) {
			_, _ = pc.WriteTo(nat.STUNReply(b[:k], netip.AddrPortFrom(natted, uint16(5000+2*n+server))), from)
		}
	}
}

var natted = netip.MustParseAddr("203.0.113.7")

// TestPredictWithoutTheDead: a server that does not answer does not keep the others'
// answers from telling how the NAT chooses.
func TestPredictWithoutTheDead(t *testing.T) {
	dead := udpConn(t)
	defer dead.Close()
	servers := []netip.AddrPort{addrPort(dead.LocalAddr())}
	for server := range 2 {
		pc := udpConn(t)
		defer pc.Close()
		servers = append(servers, addrPort(pc.LocalAddr()))
		go answerAsNAT(pc, server, func(int, int) bool { return false })
	}
	got := endpoint(t, Config{}).Gather(t.Context(), servers)
	if !slices.ContainsFunc(got, func(c nat.Candidate) bool { return c.Kind == nat.Predicted && c.Addr.Addr() == natted }) {
		t.Errorf("got %v, want predicted ports", got)
	}
}

// TestPredictBeginsAnew: a lost answer costs one more attempt, not the prediction.
// Two servers answer as if behind a NAT with sequential ports.
func TestPredictBeginsAnew(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(server, n int) bool // the answer of a server to the n-th socket
		want nat.CandidateKind
	}{
		{"none lost", func(int, int) bool { return false }, nat.Predicted},
		{"one lost", func(server, n int) bool { return server == 1 && n == 0 }, nat.Predicted},
		{"in two attempts", func(server, n int) bool { return server == 0 && (n == 1 || n == 2) }, nat.Predicted},
		{"all lost", func(int, int) bool { return true }, nat.Random},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var servers []stunAnswer
			for server := range 2 {
				pc := udpConn(t)
				defer pc.Close()
				servers = append(servers, stunAnswer{server: addrPort(pc.LocalAddr()), rtt: 10 * time.Millisecond})
				go answerAsNAT(pc, server, tt.lose)
			}
			e := endpoint(t, Config{})
			got := e.predict(t.Context(), servers, netip.AddrPortFrom(natted, 4999))
			if len(got) == 0 || got[0].Kind != tt.want {
				t.Errorf("got %v, want kind %v", got, tt.want)
			}
		})
	}
}
