//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const enteredVariable = "SREMP_NATLAB_ENTERED"

// noLab says why there is no laboratory here.
var noLab error

// TestMain runs everything in a user namespace if this process has no right to
// make network namespaces by itself.
func TestMain(m *testing.M) {
	w, err := NewWorld(Conditions{})
	if err == nil {
		_, err = w.Router(RouterOptions{Kind: Port})
		w.Close()
	}
	if err != nil && os.Getenv(enteredVariable) == "" {
		cmd := exec.Command(os.Args[0], os.Args[1:]...)
		Enter(cmd)
		cmd.Env = append(os.Environ(), enteredVariable+"=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if startErr := cmd.Start(); startErr == nil {
			var exit *exec.ExitError
			if errors.As(cmd.Wait(), &exit) {
				os.Exit(exit.ExitCode())
			}
			return
		}
	}
	if noLab = err; noLab != nil {
		fmt.Fprintf(os.Stderr, "NO NAT LABORATORY ON THIS MACHINE: its tests are skipped: %v\n", noLab)
	}
	os.Exit(m.Run())
}

// world returns an empty world that ends with the test.
func world(t testing.TB, c Conditions) *World {
	t.Helper()
	if noLab != nil {
		t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", noLab)
	}
	w, err := NewWorld(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func must[T any](t testing.TB) func(T, error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// Behaviours of a NAT (RFC 4787, RFC 5780).
const (
	independent  = "EI"
	addrDepends  = "AD"
	portDepends  = "APD"
	nothing      = "none"
	probePatient = 300 * time.Millisecond
)

// A behaviour is what a classification found.
type behaviour struct {
	mapping, filtering string
	kept               bool // the port
	step               int  // between the ports of consecutive mappings, if one for each
}

// A reflector answers on two addresses and two ports: "N" is answered from
// socket N with the source that the request came from.
type reflector struct {
	addrs [4]netip.AddrPort // a1p1, a1p2, a2p1, a2p2
}

func newReflector(t *testing.T, p *Place) *reflector {
	r := &reflector{}
	var conns [4]*net.UDPConn
	second := p.Addr.Next()
	for i := range conns {
		addr := p.Addr
		if i >= 2 {
			addr = second
		}
		r.addrs[i] = netip.AddrPortFrom(addr, uint16(3478+i%2))
		conns[i] = listen(t, p.Site, r.addrs[i].String())
	}
	for _, c := range conns {
		go func() {
			b := make([]byte, 100)
			for {
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return // closed with the test
				}
				if n == 1 && b[0] < 4 {
					_, _ = conns[b[0]].WriteToUDPAddrPort([]byte(from.String()), from) // seen by the asker
				}
			}
		}()
	}
	return r
}

// ask sends a request to socket to, to be answered by socket by, and returns the
// mapped address, or the zero value if no answer came.
func (r *reflector) ask(t *testing.T, c *net.UDPConn, to, by int) netip.AddrPort {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte{byte(by)}, r.addrs[to]); err != nil {
		return netip.AddrPort{}
	}
	if err := c.SetReadDeadline(time.Now().Add(probePatient)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return netip.AddrPort{}
		}
		if from == r.addrs[by] {
			a, err := netip.ParseAddrPort(string(b[:n]))
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
}

// classify finds out what lies between a home and the internet.
func classify(t *testing.T, r *reflector, home *Site) (b behaviour) {
	t.Helper()
	c := listen(t, home, ":0")
	var m [4]netip.AddrPort
	for i := range m {
		m[i] = r.ask(t, c, i, i)
	}
	switch {
	case !m[0].IsValid():
		return behaviour{mapping: nothing, filtering: nothing}
	case m[0] == m[1] && m[0] == m[2] && m[0] == m[3]:
		b.mapping = independent
	case m[0] == m[1] && m[2] == m[3]:
		b.mapping = addrDepends
	default:
		b.mapping = portDepends
		b.step = (int(m[2].Port()) - int(m[1].Port()) + 65536) % 65536
		if again := (int(m[3].Port()) - int(m[2].Port()) + 65536) % 65536; again != b.step {
			b.step = 0
		}
	}
	b.kept = m[0].Port() == c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	fresh := listen(t, home, ":0")
	switch {
	case r.ask(t, fresh, 0, 3).IsValid():
		b.filtering = independent
	case r.ask(t, fresh, 0, 1).IsValid():
		b.filtering = addrDepends
	default:
		b.filtering = portDepends
	}
	return b
}

// TestKinds proves that each kind of router does what its name says.
func TestKinds(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server)
	for _, tt := range []struct {
		kind Kind
		want behaviour
	}{
		{Port, behaviour{independent, portDepends, true, 0}},
		{PortRnd, behaviour{independent, portDepends, false, 0}},
		{FullCone, behaviour{independent, independent, true, 0}},
		{AddrCone, behaviour{independent, addrDepends, true, 0}},
		{PortCone, behaviour{independent, portDepends, true, 0}},
		{Sym, behaviour{portDepends, portDepends, false, 0}},
		{SymSeq, behaviour{portDepends, portDepends, false, 256}},
		{SymAddr, behaviour{addrDepends, portDepends, false, 0}},
		{Blocked, behaviour{mapping: nothing, filtering: nothing}},
		{TCPOnly, behaviour{mapping: nothing, filtering: nothing}},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			router := must[*Router](t)(w.Router(RouterOptions{Kind: tt.kind, Seed: 7}))
			home := must[*Place](t)(router.Home())
			if got := classify(t, r, home.Site); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	t.Run("carrier", func(t *testing.T) {
		carrier := must[*Router](t)(w.Carrier(RouterOptions{Kind: Sym}))
		inner := must[*Router](t)(carrier.Behind(RouterOptions{Kind: Port}))
		home := must[*Place](t)(inner.Home())
		want := behaviour{portDepends, portDepends, false, 0}
		if got := classify(t, r, home.Site); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("none", func(t *testing.T) {
		host := must[*Place](t)(w.Public(1))
		want := behaviour{independent, independent, true, 0}
		if got := classify(t, r, host.Site); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestHairpin: hosts behind one router reach each other by its outside address
// if it is of a kind that does that, and by their own unless it isolates them.
func TestHairpin(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server)
	for _, tt := range []struct {
		kind     Kind
		isolated bool
		hairpin  bool
		inside   bool
	}{{FullCone, false, true, true}, {PortCone, false, true, true}, {FullCone, true, true, false}, {PortCone, true, true, false}, {Port, false, false, true}, {Port, true, false, false}} {
		t.Run(fmt.Sprintf("%s/isolated=%v", tt.kind, tt.isolated), func(t *testing.T) {
			router := must[*Router](t)(w.Router(RouterOptions{Kind: tt.kind, Isolated: tt.isolated}))
			a, b := must[*Place](t)(router.Home()), must[*Place](t)(router.Home())
			ca, cb := listen(t, a.Site, ":2000"), listen(t, b.Site, ":2001")
			mapped := r.ask(t, cb, 0, 0)
			if !mapped.IsValid() {
				t.Fatal("no answer from the internet")
			}
			if got := reaches(t, ca, cb, mapped); got != tt.hairpin {
				t.Errorf("by the outside address: %v, want %v", got, tt.hairpin)
			}
			if got := reaches(t, ca, cb, netip.AddrPortFrom(b.Addr, 2001)); got != tt.inside {
				t.Errorf("by the inside address: %v, want %v", got, tt.inside)
			}
		})
	}
}

func reaches(t *testing.T, from, to *net.UDPConn, addr netip.AddrPort) bool {
	t.Helper()
	text := "to " + addr.String()
	b := make([]byte, 100)
	for range 8 { // a new neighbour may take a moment to be found
		_, _ = from.WriteToUDPAddrPort([]byte(text), addr) // what counts is what arrives
		if err := to.SetReadDeadline(time.Now().Add(probePatient / 4)); err != nil {
			t.Fatal(err)
		}
		for {
			n, _, err := to.ReadFromUDPAddrPort(b)
			if err != nil {
				break
			}
			if string(b[:n]) == text {
				return true
			}
		}
	}
	return false
}

// TestIPv6 proves the firewall of IPv6, and IPv6 without IPv4.
func TestIPv6(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(1))
	outside := listen6(t, server.Site, netip.AddrPortFrom(server.Addr6, 3478))
	stranger := listen6(t, server.Site, netip.AddrPortFrom(server.Addr6, 3479))
	for _, tt := range []struct {
		o    RouterOptions
		open bool
	}{{RouterOptions{Kind: Port, IPv6: true}, false}, {RouterOptions{Kind: Port, NoIPv4: true, IPv6: true}, false}, {RouterOptions{Kind: Port, IPv6Open: true}, true}} {
		router := must[*Router](t)(w.Router(tt.o))
		home := must[*Place](t)(router.Home())
		inside := listen6(t, home.Site, netip.AddrPortFrom(home.Addr6, 2000))
		if !reaches(t, inside, outside, netip.AddrPortFrom(server.Addr6, 3478)) {
			t.Errorf("%+v: nothing gets out", tt.o)
		}
		if got := reaches(t, stranger, inside, netip.AddrPortFrom(home.Addr6, 2000)); got != tt.open {
			t.Errorf("%+v: unasked packets pass: %v, want %v", tt.o, got, tt.open)
		}
		if !reaches(t, outside, inside, netip.AddrPortFrom(home.Addr6, 2000)) {
			t.Errorf("%+v: answers do not pass", tt.o)
		}
	}
}

func listen6(t *testing.T, s *Site, a netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	if err := s.Do(func() (err error) {
		c, err = net.ListenUDP("udp6", net.UDPAddrFromAddrPort(a))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestTimeoutsAndRebinding: mappings end when the router says, and after Rebind.
func TestTimeoutsAndRebinding(t *testing.T) {
	w := world(t, Conditions{})
	r := newReflector(t, must[*Place](t)(w.Public(2)))
	router := must[*Router](t)(w.Router(RouterOptions{Kind: PortRnd, Seed: 1}))
	home := must[*Place](t)(router.Home())
	c := listen(t, home.Site, ":0")
	first := r.ask(t, c, 0, 0)
	if again := r.ask(t, c, 0, 0); again != first || !first.IsValid() {
		t.Fatalf("got %v and %v, want the same", first, again)
	}
	if err := router.Rebind(); err != nil {
		t.Fatal(err)
	}
	rebound := r.ask(t, c, 0, 0)
	if !rebound.IsValid() || rebound == first {
		t.Errorf("after rebinding: %v, want another than %v", rebound, first)
	}
	if w.Net == nil {
		return
	}
	if err := router.Renumber(); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, c, 0, 0); got.Addr() != router.Addr || got.Addr() == first.Addr() {
		t.Errorf("after renumbering: %v, want address %v", got, router.Addr)
	}
}

// TestForwarder measures a delay, a loss and an MTU.
func TestForwarder(t *testing.T) {
	w := world(t, Conditions{Delay: 20 * time.Millisecond})
	if w.Net == nil {
		t.Skip("NO DELAY HERE: no TUN device")
	}
	a, b := must[*Place](t)(w.Public(1)), must[*Place](t)(w.Public(1))
	ca, cb := listen(t, a.Site, ":1"), listen(t, b.Site, ":1")
	to := netip.AddrPortFrom(b.Addr, 1)
	best := time.Hour
	for range 10 {
		start := time.Now()
		if !reaches(t, ca, cb, to) {
			t.Fatal("nothing arrives")
		}
		best = min(best, time.Since(start))
	}
	if best < 20*time.Millisecond {
		t.Errorf("a packet took %v, want at least 20ms", best)
	}
	t.Logf("20 ms set, %v measured at best", best)
	w.Net.Set(Conditions{Loss: 1})
	if reaches(t, ca, cb, to) {
		t.Error("a packet arrived although all are lost")
	}
	w.Net.Set(Conditions{MTU: 1000})
	long := strings.Repeat("x", 1200)
	_, _ = ca.WriteToUDPAddrPort([]byte(long), to) // must not arrive
	if !reaches(t, ca, cb, to) {
		t.Error("a short packet was lost")
	}
	seen := make(chan struct{}, 1)
	w.Net.Filter(func(from, number byte, packet []byte) bool {
		if src, dst, payload, ok := UDP(packet); ok && dst == to && src.Addr() == a.Addr && len(payload) > 0 {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
		return true
	})
	if !reaches(t, ca, cb, to) {
		t.Error("a packet was lost")
	}
	select {
	case <-seen:
	default:
		t.Error("the capture did not see the packet")
	}
}
