//go:build linux

package natlab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/portmap"
	"github.com/sremp/sremp/transport"
)

// mapVariable makes the test binary a host that maps a port and answers on it:
// the methods to use, with commas between.
const mapVariable = "SREMP_NATLAB_MAP"

func init() {
	if methods := os.Getenv(mapVariable); methods != "" {
		if err := mappedHost(methods); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// mappedHost answers every packet, prints the mapping whenever it changes, and
// ends with its input.
func mappedHost(methods string) error {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return err
	}
	go func() { // ends with the process
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			pc.WriteTo(b[:n], from)
		}
	}()
	var use []portmap.Method
	for m := range strings.SplitSeq(methods, ",") {
		use = append(use, portmap.Method(m))
	}
	changed := make(chan struct{}, 16)
	m := portmap.Start(portmap.Config{
		Port: pc.LocalAddr().(*net.UDPAddr).AddrPort().Port(), Methods: use,
		Changed: func() { changed <- struct{}{} },
	})
	out := json.NewEncoder(os.Stdout)
	go func() { // ends with the process
		for range changed {
			if x, ok := m.Mapping(); ok {
				out.Encode(x)
			}
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	m.Close()
	return err
}

// A mapper is a mappedHost behind a router.
type mapper struct {
	t    *testing.T
	in   io.WriteCloser
	out  *bufio.Scanner
	cmd  *exec.Cmd
	from net.PacketConn // of somebody outside
}

func newMapper(t *testing.T, home, outside *Place, methods string) *mapper {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), mapVariable+"="+methods)
	cmd.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	if err := home.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return &mapper{t, in, bufio.NewScanner(out), cmd, socketAt(t, outside.Site, netip.AddrPortFrom(outside.Addr, 0))}
}

func (m *mapper) next() (x portmap.Mapping) {
	m.t.Helper()
	if !m.out.Scan() {
		m.t.Fatal("the host ended")
	}
	if err := json.Unmarshal(m.out.Bytes(), &x); err != nil {
		m.t.Fatal(err)
	}
	return x
}

// reaches reports whether a packet from outside to the mapped address is answered.
func (m *mapper) reaches(a netip.AddrPort) bool {
	m.t.Helper()
	b := make([]byte, 10)
	for range 3 {
		m.from.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(a))
		m.from.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if n, from, err := m.from.ReadFrom(b); err == nil && string(b[:n]) == "hello" && from.(*net.UDPAddr).AddrPort() == a {
			return true
		}
	}
	return false
}

// Each method works with a real gateway: the mapped port is reached from outside
// through the most hostile NAT, it is gone after Close, and it comes back after
// the gateway has restarted.
func TestPortMapping(t *testing.T) {
	if !HasGateway() {
		t.Skip("NO GATEWAY DAEMON ON THIS MACHINE: install miniupnpd-nftables")
	}
	for _, tt := range []struct {
		methods string
		gateway MapProtocols
		want    portmap.Method
		restart bool // is announced
	}{
		{"PCP,NAT-PMP,UPnP", MapProtocols{PMP: true, UPnP: true}, portmap.PCP, true},
		{"NAT-PMP", MapProtocols{PMP: true}, portmap.NATPMP, true},
		{"PCP,NAT-PMP,UPnP", MapProtocols{UPnP: true}, portmap.UPnP, false},
		{"UPnP", MapProtocols{UPnP: true, IGD1: true}, portmap.UPnP, false},
	} {
		t.Run(fmt.Sprintf("%s by %+v", tt.want, tt.gateway), func(t *testing.T) {
			w := world(t, Conditions{})
			outside := must[*Place](t)(w.Public(1))
			r := must[*Router](t)(w.Router(RouterOptions{Kind: Sym}))
			home := must[*Place](t)(r.Home())
			stop := must[func() error](t)(r.MapPorts(tt.gateway))
			m := newMapper(t, home, outside, tt.methods)
			got := m.next()
			if got.Method != tt.want || got.External.Addr() != r.Addr {
				t.Errorf("got %+v, want one of %s at %v", got, tt.want, r.Addr)
			}
			if !m.reaches(got.External) {
				t.Errorf("%v does not lead to us", got.External)
			}
			if tt.restart {
				if err := stop(); err != nil {
					t.Error(err)
				}
				stop = must[func() error](t)(r.MapPorts(tt.gateway))
				for end := time.Now().Add(10 * time.Second); !m.reaches(got.External); {
					if time.Now().After(end) {
						t.Fatal("not mapped again after the gateway restarted")
					}
				}
			}
			m.in.Close()
			if err := m.cmd.Wait(); err != nil {
				t.Error(err)
			}
			if rules := must[string](t)(r.rulesNow()); strings.Contains(rules, "dnat") {
				t.Errorf("the gateway still has a mapping:\n%s", rules)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// rulesNow returns the mappings that the daemon has made.
func (r *Router) rulesNow() (out string, err error) {
	err = r.Do(func() error {
		b, err := exec.Command("nft", "list", "chain", "inet", "mapping", "mapped_before").CombinedOutput()
		out = string(b)
		return err
	})
	return out, err
}

// mapHere gives an endpoint behind a router of kind "…/mapped" its mapping.
func mapHere(t *testing.T, kind string, p *Place, e *transport.Endpoint) (stop func()) {
	t.Helper()
	if !strings.HasSuffix(kind, "/mapped") {
		return func() {}
	}
	gw := p.Addr.As4()
	gw[3] = 1
	m := portmap.Start(portmap.Config{
		Port: e.LocalAddr().Port(), Methods: []portmap.Method{portmap.PCP},
		Gateway: func() (portmap.Gateway, error) {
			return portmap.Gateway{Addr: netip.AddrFrom4(gw), Local: p.Addr, Interface: "eth0"}, nil
		},
		Listen:        func(local netip.Addr) (net.PacketConn, error) { return tryListen(p.Site, netip.AddrPortFrom(local, 0)) },
		Announcements: func(string) (net.PacketConn, error) { return nil, nil },
	})
	x, err := m.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.SetMapped([]netip.AddrPort{x.External})
	return m.Close
}

// Two symmetric NATs with random ports, which nothing gets through: one whose
// gateway maps a port makes the pair direct.
func TestMappedPair(t *testing.T) {
	if !HasGateway() {
		t.Skip("NO GATEWAY DAEMON ON THIS MACHINE: install miniupnpd-nftables")
	}
	for _, c := range Pairs() {
		if strings.HasSuffix(c.A, "/mapped") {
			t.Run(c.Name(), func(t *testing.T) {
				if r := newPunch(t, c).run(t, 0); r.fault != "" {
					t.Error(r.fault)
				}
			})
		}
	}
}
