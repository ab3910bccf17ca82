//go:build linux

package natlab

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

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
	conns [4]*net.UDPConn
}

// newReflector runs one on the first of two addresses and the next.
func newReflector(t *testing.T, p *Place, first netip.Addr) *reflector {
	r := &reflector{}
	for i := range r.conns {
		addr := first
		if i >= 2 {
			addr = first.Next()
		}
		r.addrs[i] = netip.AddrPortFrom(addr, uint16(3478+i%2))
		r.conns[i] = listen(t, p.Site, r.addrs[i].String())
	}
	for _, c := range r.conns {
		go func() {
			b := make([]byte, 100)
			for {
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return // closed with the test
				}
				if n == 1 && b[0] < 4 {
					_, _ = r.conns[b[0]].WriteToUDPAddrPort([]byte(from.String()), from) // seen by the asker
				}
			}
		}()
	}
	return r
}

// ask sends a request to socket to, to be answered by socket by, and returns the
// mapped address, or the zero value if no answer came, to repeated ones either: a
// busy machine may be late.
func (r *reflector) ask(t *testing.T, c *net.UDPConn, to, by int) netip.AddrPort {
	t.Helper()
	b := make([]byte, 100)
	for range 3 {
		if _, err := c.WriteToUDPAddrPort([]byte{byte(by)}, r.addrs[to]); err != nil {
			return netip.AddrPort{}
		}
		if err := c.SetReadDeadline(time.Now().Add(probePatient)); err != nil {
			t.Fatal(err)
		}
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				break
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
	return netip.AddrPort{}
}

// classify finds out what lies between a home and the internet.
func classify(t *testing.T, r *reflector, home *Site) (b behaviour) {
	t.Helper()
	any := ":0"
	if r.addrs[0].Addr().Is6() {
		any = "[::]:0"
	}
	c := listen(t, home, any)
	var m [4]netip.AddrPort
	for i := range m {
		if m[i] = r.ask(t, c, i, i); !m[0].IsValid() {
			break // nothing gets through
		}
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
	fresh := listen(t, home, any)
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
