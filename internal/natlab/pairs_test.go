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

// A pairCase is two sides between which a direct path is possible, or not.
type pairCase struct {
	a, b   string // side kinds, see side; both "same ..." share a router
	direct bool
	skew   time.Duration // A begins that much before B
	c      Conditions
	within time.Duration // 0: as long as it takes
}

// pairRTT is between every two numbers of the world.
const pairRTT = 40 * time.Millisecond

var delay = Conditions{Delay: pairRTT / 2}

// telling are the pairs that `make test` runs once: one for each way that a
// path is found.
var telling = []pairCase{
	{a: "port", b: "port", direct: true},
	{a: "portrnd", b: "addr", direct: true, c: Conditions{Delay: pairRTT / 2, Loss: 0.05}},
	{a: "fullcone", b: "sym", direct: true},
	{a: "symseq", b: "port", direct: true},
	{a: "symseq", b: "symseq", direct: true},
	{a: "sym", b: "port", direct: true, within: 3 * time.Second},
	{a: "port/accept", b: "port/accept", direct: true, skew: 100 * time.Millisecond, within: 2 * time.Second},
	{a: "sym", b: "sym"},
}

// TestTellingPairs punches through one pair of NATs for each way to do it.
func TestTellingPairs(t *testing.T) {
	for _, c := range telling {
		t.Run(c.name(), func(t *testing.T) { c.run(t) })
	}
}

// TestPairs runs every pair that theory lets be punched, and those it does not,
// SREMP_NATLAB_RUNS times.
func TestPairs(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("SREMP_NATLAB_RUNS"))
	if err != nil {
		t.Skip("the whole matrix runs with `make natlab`")
	}
	for _, c := range allPairs() {
		t.Run(c.name(), func(t *testing.T) {
			var took []time.Duration
			packets := 0
			for range runs {
				r := c.run(t)
				if r.direct > 0 {
					took = append(took, r.direct)
				}
				packets = max(packets, r.packets)
			}
			slices.Sort(took)
			fmt.Printf("figure: paths.%s.direct %d of_%d theory: %v\n", c.figure(), len(took), runs, c.direct)
			if len(took) > 0 {
				rtts := func(d time.Duration) float64 { return float64(d) / float64(pairRTT) }
				fmt.Printf("figure: paths.%s.median %.2f RTT from \"go\" to both sides authenticated and direct\n", c.figure(), rtts(took[len(took)/2]))
				fmt.Printf("figure: paths.%s.p95 %.2f RTT\n", c.figure(), rtts(took[(len(took)*95+99)/100-1]))
				fmt.Printf("figure: paths.%s.packets %d packets most sent by one punch, both sides\n", c.figure(), packets)
			}
		})
	}
}

func allPairs() (out []pairCase) {
	easy := []string{"none", "port", "portrnd", "fullcone", "addr", "portcone", "carrier"}
	hard := []string{"sym", "symseq", "symaddr"}
	for i, a := range easy {
		for _, b := range easy[i:] {
			out = append(out, pairCase{a: a, b: b, direct: true})
		}
	}
	for _, a := range easy {
		for _, b := range hard {
			out = append(out, pairCase{a: a, b: b, direct: true, within: 3 * time.Second})
		}
	}
	loss := Conditions{Delay: pairRTT / 2, Loss: 0.05}
	return append(out,
		pairCase{a: "symseq", b: "symseq", direct: true},
		pairCase{a: "sym", b: "sym"},
		pairCase{a: "port", b: "blocked"},
		pairCase{a: "port", b: "port", direct: true, c: loss},
		pairCase{a: "addr", b: "sym", direct: true, c: loss},
		pairCase{a: "port/accept", b: "port/accept", direct: true},
		pairCase{a: "port/accept", b: "port/accept", direct: true, skew: 100 * time.Millisecond, within: 2 * time.Second},
		pairCase{a: "port/accept", b: "port/accept", direct: true, skew: -100 * time.Millisecond, within: 2 * time.Second},
		pairCase{a: "port/reject", b: "port/reject", direct: true, skew: 100 * time.Millisecond},
		pairCase{a: "same fullcone", b: "same fullcone", direct: true},
		pairCase{a: "same isolated port", b: "same isolated port"},
		pairCase{a: "same isolated portcone", b: "same isolated portcone", direct: true},
		pairCase{a: "ipv6", b: "ipv6", direct: true},
	)
}

func (c pairCase) name() string {
	s := c.a + "," + c.b
	if c.c.Loss > 0 {
		s += fmt.Sprintf(",loss=%g", c.c.Loss)
	}
	if c.skew != 0 {
		s += ",skew=" + c.skew.String()
	}
	return s
}

func (c pairCase) figure() string {
	b := []byte(c.name())
	for i, x := range b {
		switch x {
		case ',', '/':
			b[i] = '-'
		case ' ':
			b[i] = '_'
		case '.':
			b[i] = '_'
		}
	}
	return string(b)
}

type pairResult struct {
	direct  time.Duration // from the moment when both were told to begin; 0: never
	packets int
}

// run connects the two sides once.
func (c pairCase) run(t *testing.T) (r pairResult) {
	t.Helper()
	cond := c.c
	if cond == (Conditions{}) {
		cond = delay
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
	pa, pb := c.places(t, w)
	la, lb := identityOf(t, "Ann"), identityOf(t, "Bob")
	ea := endpointAt(t, pa.Site, bindAddr(c.a, pa), transport.Config{Identity: la})
	defer ea.Close()
	eb := endpointAt(t, pb.Site, bindAddr(c.b, pb), transport.Config{Identity: lb})
	defer eb.Close()

	// The offer, the answer, and the word to begin, as introductions carry them.
	key := [32]byte{1}
	candsA := ea.Gather(t.Context(), sameFamily(stun, c.a))
	candsB := eb.Gather(t.Context(), sameFamily(stun, c.b))
	eb.Open(candsA)
	aa := transport.Attempt{Peer: lb.PeerID(), Record: lb.Record(), ProbeKey: key, Remote: candsB, Attested: reflexive(candsB)}
	ab := transport.Attempt{Peer: la.PeerID(), Record: la.Record(), ProbeKey: key, Remote: candsA, Attested: reflexive(candsA), Answering: true}
	patience := 5 * time.Second
	if !c.direct {
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
	go connect(ea, aa, max(0, -c.skew))
	go connect(eb, ab, max(0, c.skew))
	x, y := <-done, <-done
	r.packets = count()
	if x != nil && y != nil {
		r.direct = time.Since(start)
	}
	switch {
	case (r.direct > 0) != c.direct:
		t.Errorf("%s: direct: %v, want %v; candidates %v and %v", c.name(), r.direct > 0, c.direct, candsA, candsB)
	case c.within > 0 && r.direct > c.within:
		t.Errorf("%s: direct after %v, want %v", c.name(), r.direct, c.within)
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

// places makes what the kinds of the two sides say.
func (c pairCase) places(t *testing.T, w *World) (a, b *Place) {
	var kind string
	if n, _ := fmt.Sscanf(c.a, "same isolated %s", &kind); n == 1 {
		return twoHomes(t, w, RouterOptions{Kind: Kind(kind), Isolated: true})
	}
	if n, _ := fmt.Sscanf(c.a, "same %s", &kind); n == 1 {
		return twoHomes(t, w, RouterOptions{Kind: Kind(kind)})
	}
	return side(t, w, c.a), side(t, w, c.b)
}

func twoHomes(t *testing.T, w *World, o RouterOptions) (a, b *Place) {
	r := must[*Router](t)(w.Router(o))
	return must[*Place](t)(r.Home()), must[*Place](t)(r.Home())
}

// side makes one host and what is before it.
func side(t *testing.T, w *World, kind string) *Place {
	seed := uint32(time.Now().UnixNano())
	switch kind {
	case "none":
		return must[*Place](t)(w.Public(1))
	case "ipv6":
		return must[*Place](t)(must[*Router](t)(w.Router(RouterOptions{Kind: Port, IPv6: true})).Home())
	case "carrier":
		outer := must[*Router](t)(w.Carrier(RouterOptions{Kind: PortRnd, Seed: seed}))
		return must[*Place](t)(must[*Router](t)(outer.Behind(RouterOptions{Kind: Port})).Home())
	case "port/accept":
		return must[*Place](t)(must[*Router](t)(w.Router(RouterOptions{Kind: Port, Input: Accept})).Home())
	case "port/reject":
		return must[*Place](t)(must[*Router](t)(w.Router(RouterOptions{Kind: Port, Input: Reject})).Home())
	}
	return must[*Place](t)(must[*Router](t)(w.Router(RouterOptions{Kind: Kind(kind), Seed: seed})).Home())
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
