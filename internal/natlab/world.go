//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink"
)

// A World is an internet of public hosts and routers of many kinds. Number n has
// the outside addresses 11.0.n.2 and 2a0e:0:n::2; what is behind it lies in
// 192.168.n.0/24 (100.64.n.0/24 of a carrier) and 2a0e:0:n:1::/64.
//
// With a TUN device every packet between two numbers passes a forwarder of the
// World's own, which delays and loses packets and shows them; without one they
// pass a namespace, which has as many hops and loses packets, but delays none.
type World struct {
	Net      *Forwarder // nil without a TUN device
	internet *Site      // nil with one
	sites    []*Site
	last     byte
	once     sync.Once
}

// A Place is a host.
type Place struct {
	*Site
	Addr  netip.Addr // IPv4, zero if it has none
	Addr6 netip.Addr // IPv6, zero if it has none
}

// A Router is a router with hosts, or routers, behind it.
type Router struct {
	Place   // outside
	Options RouterOptions

	w     *World
	n     byte
	lan   netip.Prefix
	hosts byte
}

// NewWorld makes an empty world. c holds for packets between two numbers.
func NewWorld(c Conditions) (*World, error) {
	w := &World{}
	probe, err := newSite()
	if err != nil {
		return nil, err
	}
	f, err := openTUN(probe)
	if err == nil {
		f.Close()
		probe.Close()
		w.Net = newForwarder(c)
		return w, nil
	}
	w.internet = probe
	if err := probe.Do(func() error { return firstOf(forward(), forward6(), nft(internetRules(c))) }); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Close ends all. It may be called twice.
func (w *World) Close() { w.once.Do(w.close) }

func (w *World) close() {
	if w.Net != nil {
		w.Net.Close()
	}
	for _, s := range w.sites {
		s.Close()
	}
	if w.internet != nil {
		w.internet.Close()
	}
}

func (w *World) site() (*Site, error) {
	s, err := newSite()
	if err != nil {
		return nil, err
	}
	w.sites = append(w.sites, s)
	return s, s.Do(func() error {
		// A hairpin is no reason to tell hosts a shorter way, and addresses are
		// usable at once.
		for _, name := range []string{"ipv4/conf/all/send_redirects", "ipv4/conf/default/send_redirects", "ipv6/conf/default/accept_dad", "ipv6/conf/all/accept_dad"} {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte("0"), 0o644); err != nil {
				return fmt.Errorf("setting %s: %w", name, err)
			}
		}
		return nil
	})
}

// Public returns a host on the internet. It has the addresses 11.0.n.2 to
// 11.0.n.(1+addrs), and as many of IPv6.
func (w *World) Public(addrs int) (*Place, error) {
	s, err := w.site()
	if err != nil {
		return nil, err
	}
	w.last++
	n := w.last
	if err := w.uplink(s, n); err != nil {
		return nil, err
	}
	p := &Place{Site: s, Addr: outside4(n), Addr6: outside6(n)}
	for i := 1; i < addrs; i++ {
		extra4 := netip.AddrFrom4([4]byte{11, 0, n, byte(2 + i)})
		b := p.Addr6.As16()
		b[15] += byte(i)
		if err := s.Do(func() error {
			return firstOf(address("wan", netip.PrefixFrom(extra4, 32)), address("wan", netip.PrefixFrom(netip.AddrFrom16(b), 128)))
		}); err != nil {
			return nil, err
		}
		if err := w.introduce(s, n, extra4, netip.AddrFrom16(b)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func outside4(n byte) netip.Addr { return netip.AddrFrom4([4]byte{11, 0, n, 2}) }

func outside6(n byte) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2a0e:0:%x::2", n)) }

func gateway6(a netip.Addr) netip.Addr {
	b := a.As16()
	b[15] = 1
	return netip.AddrFrom16(b)
}

// uplink gives s its interface "wan" to the internet.
func (w *World) uplink(s *Site, n byte) error {
	a4, a6 := outside4(n), outside6(n)
	if w.Net != nil {
		f, err := openTUN(s)
		if err != nil {
			return err
		}
		w.Net.attach(n, f)
		return s.Do(func() error {
			return firstOf(address("wan", netip.PrefixFrom(a4, 32)), address("wan", netip.PrefixFrom(a6, 128)),
				routeDev("wan", netip.MustParsePrefix("0.0.0.0/0")), routeDev("wan", netip.MustParsePrefix("::/0")))
		})
	}
	return w.cable(s, n)
}

// Router returns a router on the internet.
func (w *World) Router(o RouterOptions) (*Router, error) { return w.router(o, [2]byte{192, 168}) }

// Carrier returns a router whose customers have addresses of RFC 6598.
func (w *World) Carrier(o RouterOptions) (*Router, error) { return w.router(o, [2]byte{100, 64}) }

func (w *World) router(o RouterOptions, lan [2]byte) (*Router, error) {
	s, err := w.site()
	if err != nil {
		return nil, err
	}
	w.last++
	n := w.last
	if err := w.uplink(s, n); err != nil {
		return nil, err
	}
	r := &Router{Place: Place{Site: s, Addr: outside4(n), Addr6: outside6(n)}, Options: o.withDefaults(), w: w, n: n}
	r.lan = netip.PrefixFrom(netip.AddrFrom4([4]byte{lan[0], lan[1], n, 0}), 24)
	return r, r.setUp()
}

// Behind returns a router behind r, as a customer of a carrier.
func (r *Router) Behind(o RouterOptions) (*Router, error) {
	p, err := r.host("wan")
	if err != nil {
		return nil, err
	}
	r.w.last++
	c := &Router{Place: *p, Options: o.withDefaults(), w: r.w, n: r.w.last}
	c.lan = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, c.n, 0}), 24)
	return c, c.setUp()
}

func (r *Router) inside4() netip.Addr { return r.lan.Addr().Next() }

func (r *Router) inside6() netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2a0e:0:%x:1::1", r.n))
}

// setUp makes the LAN, a bridge, and the rules.
func (r *Router) setUp() error {
	return r.Do(func() error {
		// Bridged frames are none of the router's rules' business. Without the
		// br_netfilter module there is nothing to say so to.
		for _, name := range []string{"iptables", "ip6tables"} {
			err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+name, []byte("0"), 0o644)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("keeping bridged frames from the router's rules: %w", err)
			}
		}
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{
			Name: "lan", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, r.n}, // else it changes with the ports
		}}); err != nil {
			return fmt.Errorf("making a bridge: %w", err)
		}
		if err := firstOf(address("lan", netip.PrefixFrom(r.inside4(), r.lan.Bits())), forward()); err != nil {
			return err
		}
		if r.Options.IPv6 || r.Options.IPv6Open {
			if err := firstOf(address("lan", netip.PrefixFrom(r.inside6(), 64)), forward6()); err != nil {
				return err
			}
		}
		return r.apply()
	})
}

// apply replaces the rules. It runs in the site.
func (r *Router) apply() error {
	if err := nft("flush ruleset\n" + r.Options.rules(r.Addr)); err != nil {
		return err
	}
	for name, d := range map[string]int{
		"nf_conntrack_udp_timeout": int(r.Options.Opening.Seconds()), "nf_conntrack_udp_timeout_stream": int(r.Options.Mapping.Seconds()),
	} {
		if err := os.WriteFile("/proc/sys/net/netfilter/"+name, []byte(strconv.Itoa(d)), 0o644); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return nil
}

// Rebind makes the router forget every mapping; from now on it chooses other
// ports where its kind chooses any.
func (r *Router) Rebind() error {
	r.Options.Seed += 0x9e3779b9
	return r.Do(func() error { return firstOf(r.apply(), flush()) })
}

// Renumber gives the router another outside address, and forgets every mapping.
// It needs the forwarder.
func (r *Router) Renumber() error {
	old := r.Addr
	b := old.As4()
	b[3]++
	r.Addr = netip.AddrFrom4(b)
	return r.Do(func() error {
		return firstOf(address("wan", netip.PrefixFrom(r.Addr, 32)), removeAddress("wan", netip.PrefixFrom(old, 32)),
			ignoreExists(routeDev("wan", netip.MustParsePrefix("0.0.0.0/0"))), r.apply(), flush())
	})
}

func flush() error {
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		return fmt.Errorf("forgetting the mappings: %w", err)
	}
	return nil
}

// Home returns a new host behind the router.
func (r *Router) Home() (*Place, error) { return r.host(homeLink) }

// host returns a new host behind the router whose interface has a name; renaming
// one takes it down, and nobody can tell when it is up again.
func (r *Router) host(name string) (*Place, error) {
	s, err := r.w.site()
	if err != nil {
		return nil, err
	}
	p := &Place{Site: s}
	return p, r.attach(p, name)
}

// attach gives p, which has no interface of that name, one in the router's network.
func (r *Router) attach(p *Place, name string) error {
	r.hosts++
	link := fmt.Sprintf("p%d", r.hosts)
	if err := r.Do(func() error {
		return firstOf(veth(link, name, p.Site), enslave(link, "lan"), up(link))
	}); err != nil {
		return err
	}
	if err := p.Do(func() error { return up(name) }); err != nil {
		return err
	}
	p.Addr, p.Addr6 = netip.Addr{}, netip.Addr{}
	if !r.Options.NoIPv4 {
		b := r.lan.Addr().As4()
		b[3] += 1 + r.hosts
		p.Addr = netip.AddrFrom4(b)
	}
	if r.Options.IPv6 || r.Options.IPv6Open {
		b := r.inside6().As16()
		b[15] += r.hosts
		p.Addr6 = netip.AddrFrom16(b)
	}
	if err := r.Do(func() error { return firstOf(carrier(link), carrier("lan")) }); err != nil {
		return err
	}
	if p.Addr6.IsValid() {
		if err := r.connect6(p, name); err != nil {
			return err
		}
	}
	return p.Do(func() error {
		if p.Addr.IsValid() {
			return firstOf(address(name, netip.PrefixFrom(p.Addr, r.lan.Bits())), routeVia(netip.MustParsePrefix("0.0.0.0/0"), r.inside4()))
		}
		return nil
	})
}

// connect6 gives a host behind the router its IPv6. Neighbour discovery may take
// a second on a new link; here the two know each other from the start.
func (r *Router) connect6(p *Place, name string) error {
	var host, lan net.HardwareAddr
	if err := p.Do(func() (err error) {
		host, err = hardware(name)
		return firstOf(err, address(name, netip.PrefixFrom(p.Addr6, 64)))
	}); err != nil {
		return err
	}
	if err := r.Do(func() (err error) {
		lan, err = hardware("lan")
		return firstOf(err, neighbour("lan", p.Addr6, host))
	}); err != nil {
		return err
	}
	return p.Do(func() error {
		return firstOf(neighbour(name, r.inside6(), lan), routeVia(netip.MustParsePrefix("::/0"), r.inside6()))
	})
}
