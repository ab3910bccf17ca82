//go:build linux

package natlab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
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
			r := c.run(t)
			for i := 0; i < 3 && r.fault != "" && c.Chance(); i++ { // three times in a row is no bad luck
				r = c.run(t)
			}
			if r.fault != "" {
				t.Error(r.fault)
			}
		})
	}
}

// TestPairs runs every pair that theory lets be punched, and those it does not,
// SREMP_NATLAB_RUNS times.
func TestPairs(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("SREMP_NATLAB_RUNS"))
	if err != nil {
		t.Skip("the whole matrix runs with `make natlab`")
	}
	for _, c := range Pairs() {
		t.Run(c.Name(), func(t *testing.T) {
			var took []time.Duration
			var faults []string
			packets := 0
			for range runs {
				r := c.run(t)
				if r.fault != "" {
					faults = append(faults, r.fault)
				}
				if r.direct > 0 {
					took = append(took, r.direct)
				}
				packets = max(packets, r.packets)
			}
			slices.Sort(took)
			if allowed := runs / 10; len(faults) > 0 && (!c.Chance() || len(faults) > allowed) {
				t.Errorf("%d faults: %v", len(faults), faults)
			}
			fmt.Printf("figure: punch.%s.direct %d of_%d theory: %v\n", c.Figure(), len(took), runs, c.Direct)
			if len(took) > 0 {
				rtts := func(d time.Duration) float64 { return float64(d) / float64(PairRTT) }
				fmt.Printf("figure: punch.%s.median %.2f RTT from \"go\" to both sides authenticated and direct\n", c.Figure(), rtts(took[len(took)/2]))
				fmt.Printf("figure: punch.%s.p95 %.2f RTT\n", c.Figure(), rtts(took[(len(took)*95+99)/100-1]))
				fmt.Printf("figure: punch.%s.packets %d packets most sent by one punch, both sides\n", c.Figure(), packets)
			}
		})
	}
}

type pairResult struct {
	direct  time.Duration // from the moment when both were told to begin; 0: never
	packets int
	fault   string // what is not as it should be
}

// run connects the two sides once.
func (c Pair) run(t *testing.T) (r pairResult) {
	t.Helper()
	cond := c.Conditions
	if cond == (Conditions{}) {
		cond = Conditions{Delay: PairRTT / 2}
	}
	w := world(t, cond)
	defer w.Close()
	server := must[*Place](t)(w.Public(2))
	var stun []netip.AddrPort
	for i, a := range []netip.Addr{server.Addr, server.Addr, server.Addr.Next(), server.Addr6} {
		ap := netip.AddrPortFrom(a, uint16(3478+i%2))
		stun = append(stun, ap)
		e := endpointAt(t, server.Site, ap, transport.Config{STUN: true})
		defer e.Close()
	}
	pa, pb, err := c.Places(w)
	if err != nil {
		t.Fatal(err)
	}
	la, lb := identityOf(t, "Ann"), identityOf(t, "Bob")
	ea := endpointAt(t, pa.Site, bindAddr(c.A, pa), transport.Config{Identity: la})
	defer ea.Close()
	eb := endpointAt(t, pb.Site, bindAddr(c.B, pb), transport.Config{Identity: lb})
	defer eb.Close()

	// The offer, the answer, and the word to begin, as introductions carry them.
	key := [32]byte{1}
	candsA := ea.Gather(t.Context(), sameFamily(stun, c.A))
	candsB := eb.Gather(t.Context(), sameFamily(stun, c.B))
	eb.Open(candsA)
	aa := transport.Attempt{Peer: lb.PeerID(), Record: lb.Record(), ProbeKey: key, Remote: candsB, Attested: reflexive(candsB)}
	ab := transport.Attempt{Peer: la.PeerID(), Record: la.Record(), ProbeKey: key, Remote: candsA, Attested: reflexive(candsA), Answering: true}
	patience := 5 * time.Second
	if !c.Direct {
		patience = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	count := newCounter(w)
	start := time.Now()
	done := make(chan *transport.PeerConn, 2)
	connect := func(e *transport.Endpoint, a transport.Attempt, wait time.Duration) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		p, err := e.Connect(ctx, a)
		if err != nil {
			p = nil
		}
		done <- p
	}
	go connect(ea, aa, max(0, -c.Skew))
	go connect(eb, ab, max(0, c.Skew))
	x, y := <-done, <-done
	r.packets = count()
	if x != nil && y != nil {
		r.direct = time.Since(start)
	}
	switch {
	case (r.direct > 0) != c.Direct:
		r.fault = fmt.Sprintf("%s: direct: %v, want %v; candidates %v and %v", c.Name(), r.direct > 0, c.Direct, candsA, candsB)
	case c.Within > 0 && r.direct > c.Within:
		r.fault = fmt.Sprintf("%s: direct after %v, want %v", c.Name(), r.direct, c.Within)
	default:
		t.Logf("direct after %v, %d packets", r.direct.Round(time.Millisecond), r.packets)
	}
	return r
}

// newCounter counts the path probes in the world.
func newCounter(w *World) func() int {
	if w.Net == nil {
		return func() int { return 0 }
	}
	n := make(chan int, 1)
	n <- 0
	w.Net.Filter(func(_, _ byte, packet []byte) bool {
		if _, _, payload, ok := UDP(packet); ok && nat.IsProbe(payload) {
			n <- 1 + <-n
		}
		return true
	})
	return func() int { w.Net.Filter(nil); k := <-n; n <- k; return k }
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
		if a.Addr().Is6() == (kind == "ipv6") {
			out = append(out, a)
		}
	}
	return out
}

func bindAddr(kind string, p *Place) netip.AddrPort {
	if kind == "ipv6" {
		return netip.AddrPortFrom(p.Addr6, 0)
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
