//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
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
	delays := err == nil && w.Net != nil
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
	switch noLab = err; {
	case noLab != nil:
		fmt.Fprintf(os.Stderr, "NO NAT LABORATORY ON THIS MACHINE: its tests are skipped: %v\n", noLab)
	case !delays:
		fmt.Fprintln(os.Stderr, "THE NAT LABORATORY HAS NO DELAY HERE: no TUN device; what needs delays, captures or changes of the network is skipped")
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

// TestKinds proves that each kind of router does what its name says.
func TestKinds(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server, server.Addr)
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
			t.Parallel()
			if got := classify(t, r, home.Site); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		outer, inner Kind
		want         behaviour
	}{
		{PortRnd, Port, behaviour{independent, portDepends, false, 0}}, // the matrix's "carrier"
		{Sym, Port, behaviour{portDepends, portDepends, false, 0}},
		{FullCone, FullCone, behaviour{independent, independent, true, 0}},
		{FullCone, Port, behaviour{independent, portDepends, true, 0}},
	} {
		t.Run(fmt.Sprintf("carrier %s before %s", tt.outer, tt.inner), func(t *testing.T) {
			carrier := must[*Router](t)(w.Carrier(RouterOptions{Kind: tt.outer, Seed: 7}))
			inner := must[*Router](t)(carrier.Behind(RouterOptions{Kind: tt.inner}))
			home := must[*Place](t)(inner.Home())
			t.Parallel()
			if got := classify(t, r, home.Site); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
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
	r := newReflector(t, server, server.Addr)
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

// TestIPv6 proves the firewall of IPv6, IPv6 beside IPv4, and IPv6 without it.
func TestIPv6(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r4, r6 := newReflector(t, server, server.Addr), newReflector(t, server, server.Addr6)
	var (
		none     = behaviour{mapping: nothing, filtering: nothing}
		translat = behaviour{independent, portDepends, false, 0}
		firewall = behaviour{independent, portDepends, true, 0}
		open     = behaviour{independent, independent, true, 0}
	)
	for _, tt := range []struct {
		name         string
		o            RouterOptions
		want4, want6 behaviour
	}{
		{"dual stack", RouterOptions{Kind: PortRnd, IPv6: true, Seed: 7}, translat, firewall},
		{"dual stack, open", RouterOptions{Kind: PortRnd, IPv6Open: true, Seed: 7}, translat, open},
		{"IPv6 alone", RouterOptions{Kind: Port, NoIPv4: true, IPv6: true}, none, firewall},
		{"IPv6 alone, open", RouterOptions{Kind: Port, NoIPv4: true, IPv6Open: true}, none, open},
		{"IPv4 alone", RouterOptions{Kind: PortRnd, Seed: 7}, translat, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			router := must[*Router](t)(w.Router(tt.o))
			home := must[*Place](t)(router.Home())
			t.Parallel()
			if got := classify(t, r4, home.Site); got != tt.want4 {
				t.Errorf("IPv4: got %+v, want %+v", got, tt.want4)
			}
			if got := classify(t, r6, home.Site); got != tt.want6 {
				t.Errorf("IPv6: got %+v, want %+v", got, tt.want6)
			}
			if tt.want6 == none {
				return
			}
			c := listen(t, home.Site, "[::]:0")
			if got := r6.ask(t, c, 0, 0); got.Addr() != home.Addr6 {
				t.Errorf("the internet sees %v, want the host's own %v", got, home.Addr6)
			}
		})
	}
}

// TestSameCarrier: two homes behind one carrier reach each other if it hairpins.
func TestSameCarrier(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server, server.Addr)
	for _, kind := range []Kind{FullCone, PortRnd} {
		t.Run(string(kind), func(t *testing.T) {
			carrier := must[*Router](t)(w.Carrier(RouterOptions{Kind: kind, Seed: 7}))
			var homes [2]*Place
			for i := range homes {
				homes[i] = must[*Place](t)(must[*Router](t)(carrier.Behind(RouterOptions{Kind: FullCone})).Home())
			}
			ca, cb := listen(t, homes[0].Site, ":2000"), listen(t, homes[1].Site, ":2001")
			mapped := r.ask(t, cb, 0, 0)
			if mapped.Addr() != carrier.Addr {
				t.Fatalf("seen as %v, want the carrier's address %v", mapped, carrier.Addr)
			}
			if got := reaches(t, ca, cb, mapped); got != kind.Hairpins() {
				t.Errorf("by the carrier's address: %v, want %v", got, kind.Hairpins())
			}
		})
	}
}

// TestWANInput: a router that accepts packets to itself takes an early packet's
// flow for its own, and the host inside gets another port for it; one that drops
// or rejects them does not.
func TestWANInput(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(2))
	r := newReflector(t, server, server.Addr)
	for _, tt := range []struct {
		input WANInput
		kept  bool
	}{{Drop, true}, {Reject, true}, {Accept, false}} {
		t.Run(string(tt.input), func(t *testing.T) {
			router := must[*Router](t)(w.Router(RouterOptions{Kind: Port, Input: tt.input}))
			home := must[*Place](t)(router.Home())
			stranger := listen(t, server.Site, ":2001")
			early := netip.AddrPortFrom(router.Addr, 2000)
			if _, err := stranger.WriteToUDPAddrPort([]byte("early"), early); err != nil {
				t.Fatal(err)
			}
			inside := listen(t, home.Site, ":2000")
			if other := r.ask(t, inside, 0, 0); other != early { // the early packet is through by then
				t.Fatalf("seen as %v by others, want %v", other, early)
			}
			if _, err := inside.WriteToUDPAddrPort([]byte("late"), netip.AddrPortFrom(server.Addr, 2001)); err != nil {
				t.Fatal(err)
			}
			if err := stranger.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			_, from, err := stranger.ReadFromUDPAddrPort(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := from == early; got != tt.kept {
				t.Errorf("seen as %v, want %v kept: %v", from, early, tt.kept)
			}
		})
	}
}

// TestTCPOnly: TCP passes to ports 80 and 443 alone; where only UDP is blocked,
// to every port.
func TestTCPOnly(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(1))
	for _, tt := range []struct {
		kind Kind
		want map[int]bool
	}{
		{Blocked, map[int]bool{80: true, 443: true, 4433: true}},
		{TCPOnly, map[int]bool{80: true, 443: true, 4433: false}},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			home := must[*Place](t)(must[*Router](t)(w.Router(RouterOptions{Kind: tt.kind})).Home())
			for port, want := range tt.want {
				addr := net.JoinHostPort(server.Addr.String(), strconv.Itoa(port))
				var l net.Listener
				if err := server.Do(func() (err error) { l, err = net.Listen("tcp4", addr); return err }); err != nil {
					t.Fatal(err)
				}
				patience := 10 * time.Second
				if !want {
					patience = probePatient
				}
				err := home.Do(func() error {
					c, err := net.DialTimeout("tcp4", addr, patience)
					if err == nil {
						c.Close()
					}
					return err
				})
				l.Close()
				if got := err == nil; got != want {
					t.Errorf("port %d: %v, want it to pass: %v", port, err, want)
				}
			}
		})
	}
}
