//go:build linux

package natlab

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/transport"
)

// telling are the pairs that `make test` runs once: one for each way that a
// path is found.
var telling = []Pair{
	{A: "port", B: "port", Direct: true},
	{A: "portrnd", B: "addr", Direct: true, Conditions: Conditions{Delay: PairRTT / 2, Loss: 0.05}},
	{A: "fullcone", B: "sym", Direct: true},
	{A: "symseq", B: "port", Direct: true},
	{A: "symseq", B: "symseq", Direct: true},
	{A: "sym", B: "port", Direct: true, Within: 3 * time.Second},
	{A: "port/accept", B: "port/accept", Direct: true, Skew: 100 * time.Millisecond, Within: 2 * time.Second},
	{A: "sym", B: "sym"},
}

// TestTellingPairs punches through one pair of NATs for each way to do it.
func TestTellingPairs(t *testing.T) {
	for _, c := range telling {
		t.Run(c.Name(), func(t *testing.T) {
			p := newPunch(t, c)
			p.chat = c.Chance() // while the search goes on
			r := p.run(t, 0)
			for i := 1; i <= 3 && r.fault != "" && c.Chance(); i++ { // four times in a row is no bad luck
				r = p.run(t, i)
			}
			if r.fault != "" {
				t.Error(r.fault)
			}
			if p.chat && r.echoes == 0 {
				t.Error("no message came through the relay while the search went on")
			}
		})
	}
}

// newCounter counts the path probes in the world, and returns how many the side
// that sent most has sent.
func newCounter(w *World) func() int {
	if w.Net == nil {
		return func() int { return 0 }
	}
	var sent [256]atomic.Int64
	w.Net.Filter(func(from, _ byte, packet []byte) bool {
		if _, _, payload, ok := UDP(packet); ok && nat.IsProbe(payload) {
			sent[from].Add(1)
		}
		return true
	})
	return func() (most int) {
		w.Net.Filter(nil)
		for i := range sent {
			most = max(most, int(sent[i].Load()))
		}
		return most
	}
}

func reflexive(cs []nat.Candidate) (out []netip.Addr) {
	for _, c := range cs {
		if c.Kind != nat.Host {
			out = append(out, c.Addr.Addr())
		}
	}
	return out
}

func sameFamily(stun []netip.AddrPort, kind string) (out []netip.AddrPort) {
	for _, a := range stun {
		if kind == "dual" || a.Addr().Is6() == (kind == "ipv6") {
			out = append(out, a)
		}
	}
	return out
}

// bindAddr is where a host's socket is: on both families if it is of kind dual.
func bindAddr(kind string, p *Place) netip.AddrPort {
	switch kind {
	case "ipv6":
		return netip.AddrPortFrom(p.Addr6, 0)
	case "dual":
		return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.AddrPortFrom(p.Addr, 0)
}

func endpointAt(t *testing.T, s *Site, a netip.AddrPort, c transport.Config) *transport.Endpoint {
	t.Helper()
	c.PacketConn = socketAt(t, s, a)
	c.ListenPacket = func() (net.PacketConn, error) { return tryListen(s, netip.AddrPortFrom(a.Addr(), 0)) }
	return must[*transport.Endpoint](t)(transport.New(c))
}

func socketAt(t *testing.T, s *Site, a netip.AddrPort) net.PacketConn {
	t.Helper()
	c, err := tryListen(s, a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryListen(s *Site, a netip.AddrPort) (c net.PacketConn, err error) {
	err = s.Do(func() error {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
		return err
	})
	return c, err
}

func identityOf(t *testing.T, name string) *identity.Local {
	t.Helper()
	l, _, err := identity.NewLocal(name, time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return l
}
