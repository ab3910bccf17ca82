package transport

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
)

// Tuning of the ways to a server (spec §5.8).
const (
	// tunnelDelay is how long a server has to answer by UDP before a tunnel is
	// opened beside it; the next servers get none once one did not answer.
	tunnelDelay = 30 * time.Millisecond
	// tunnelSoon is the same for one that has answered before: its round trip is
	// not known to be short.
	tunnelSoon = 250 * time.Millisecond
	// tunnelTime bounds the opening of one tunnel, and tunnelRetry lies between
	// two; it doubles up to maxTunnelRetry.
	tunnelTime     = 8 * time.Second
	tunnelRetry    = 250 * time.Millisecond
	maxTunnelRetry = 15 * time.Second
	// udpRetry is when UDP is asked again beside a tunnel; it doubles up to
	// maxUDPRetry: half a megabyte a day.
	udpRetry    = 250 * time.Millisecond
	maxUDPRetry = 5 * time.Minute
	// udpRepeat is between the copies of one question, and udpAsks how many there
	// are.
	udpRepeat = 150 * time.Millisecond
	udpAsks   = 3
	// UDP is suspected when so many packets in a row got no answer for so long,
	// but not again within suspectPause of an answer to the question.
	suspectUnanswered = 3
	suspectServer     = 400 * time.Millisecond
	suspectPause      = 5 * time.Second
	// standby is how long a tunnel that was left stays open, in case UDP fails
	// again at once, and linger how long a route without connections: relay legs
	// go on for as long.
	standby = 15 * time.Second
	linger  = 30 * time.Second
	// tunnelMTU is the longest datagram of ours in a tunnel of a server that never
	// answered by UDP: QUIC's first packets with relay framing. What is found to
	// fit then fits everywhere, and UDP may be taken at any time.
	tunnelMTU = 1296
)

// A routeTable has the ways to the servers in use. It is empty, and costs
// nothing, on endpoints without tunnels.
type routeTable struct {
	mu     sync.Mutex
	byAddr atomic.Pointer[map[netip.AddrPort]*route] // never changed, replaced
	slow   atomic.Bool                               // some server does not answer by UDP
}

func (t *routeTable) get(a netip.AddrPort) *route {
	m := t.byAddr.Load()
	if m == nil {
		return nil
	}
	return (*m)[a]
}

// setLocked puts r, or nothing, in the place of a.
func (t *routeTable) setLocked(a netip.AddrPort, r *route) {
	m := map[netip.AddrPort]*route{}
	if old := t.byAddr.Load(); old != nil {
		for k, v := range *old {
			m[k] = v
		}
	}
	if r == nil {
		delete(m, a)
	} else {
		m[a] = r
	}
	if len(m) == 0 {
		t.byAddr.Store(nil)
		return
	}
	t.byAddr.Store(&m)
}

func (t *routeTable) all() (out []*route) {
	if m := t.byAddr.Load(); m != nil {
		for _, r := range *m {
			out = append(out, r)
		}
	}
	return out
}

// A route is how packets get to one server: by UDP, or through a tunnel while
// that brings no answer. QUIC and relay framing take it without noticing; the
// server sees its client move, as after a NAT's change.
type route struct {
	e      *Endpoint
	server identity.ServerAddr
	addr   netip.AddrPort

	tunnelled atomic.Bool
	carrier   atomic.Pointer[carrier]
	udpWorked atomic.Bool           // some packet came by UDP
	came      atomic.Int64          // packets by UDP
	unheard   atomic.Int64          // packets by UDP since one came
	since     atomic.Int64          // when the first of them left, by the mux's clock
	asking    atomic.Pointer[vnAsk] // the question under way, or nil
	wake      chan struct{}         // holds one token: three unheard packets, or a change of network
	look      atomic.Bool           // ask UDP at once

	mu      sync.Mutex
	users   int
	changed chan struct{} // closed and replaced when tunnelled has changed
}

// A carrier is an open tunnel.
type carrier struct {
	pc   net.PacketConn
	dead chan struct{} // closed when it brings nothing any more
}

// acquireRoute returns the route to a server, with one user more, or nil if there
// are no tunnels.
func (e *Endpoint) acquireRoute(a identity.ServerAddr, addr netip.AddrPort) *route {
	if e.c.Tunnel == nil {
		return nil
	}
	t := &e.m.routes
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.get(addr)
	if r == nil {
		r = &route{e: e, server: a, addr: addr, wake: make(chan struct{}, 1), changed: make(chan struct{})}
		if !e.run(r.run) {
			return nil
		}
		t.setLocked(addr, r)
	}
	r.mu.Lock()
	r.users++
	r.mu.Unlock()
	notify(r.wake)
	return r
}

func (r *route) release() {
	r.mu.Lock()
	r.users--
	r.mu.Unlock()
	notify(r.wake)
}

// Tunnelled reports whether packets to a server go through a tunnel, because it
// does not answer by UDP.
func (e *Endpoint) Tunnelled(server netip.AddrPort) bool {
	r := e.m.routes.get(unmap(server))
	return r != nil && r.tunnelled.Load()
}

// withUDP returns the servers that are not known to be without UDP: what is asked
// of their hosts gets no answer.
func (e *Endpoint) withUDP(servers []netip.AddrPort) (out []netip.AddrPort) {
	rs := e.m.routes.all()
	for _, s := range servers {
		if !slices.ContainsFunc(rs, func(r *route) bool { return r.tunnelled.Load() && r.addr.Addr() == s.Addr().Unmap() }) {
			out = append(out, s)
		}
	}
	return out
}

// state returns the way in use, and a channel that is closed when it changes.
func (r *route) state() (tunnelled bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tunnelled.Load(), r.changed
}

func (r *route) setTunnelled(on bool) {
	r.mu.Lock()
	if r.tunnelled.Swap(on) != on {
		close(r.changed)
		r.changed = make(chan struct{})
	}
	r.mu.Unlock()
	r.unheard.Store(0)
	r.e.m.routes.slow.Store(on)
	r.e.reconsider()
	if f := r.e.c.RouteChanged; f != nil {
		f(r.server, on)
	}
}

// output writes to a real address, on the way that leads there. size is that of
// the datagrams in b.
func (m *mux) output(b, oob []byte, to netip.AddrPort, size int) error {
	if r := m.routes.get(to); r != nil {
		if r.tunnelled.Load() {
			r.writeTunnel(b, size)
			return nil
		}
		if n := r.unheard.Add(1); n == 1 {
			r.since.Store(m.now())
		} else if n == suspectUnanswered {
			notify(r.wake)
		}
	}
	return m.transmit(b, oob, to)
}

func (r *route) writeTunnel(b []byte, size int) {
	c := r.carrier.Load()
	if c == nil {
		r.e.m.stats.unroutable.Add(1)
		return
	}
	if size <= 0 {
		size = len(b)
	}
	for len(b) > 0 {
		n := min(size, len(b))
		if n <= tunnelMTU || r.udpWorked.Load() {
			// Lost, if anything is wrong with it: whoever reads notices.
			_, _ = c.pc.WriteTo(b[:n], net.UDPAddrFromAddrPort(r.addr))
		}
		b = b[n:]
	}
}

// heard notes a packet that came by UDP, and reports whether it was the answer to
// our question: then nobody else wants it.
func (m *mux) heard(d datagram) bool {
	r := m.routes.get(d.from)
	if r == nil {
		return false
	}
	if ask := r.asking.Load(); ask != nil && ask.answeredBy(d.data) {
		ask.once.Do(func() { close(ask.answered) })
		r.works()
		return true
	}
	r.came.Add(1)
	if !r.tunnelled.Load() {
		r.unheard.Store(0)
	}
	return false
}

// works notes that the server answers by UDP.
func (r *route) works() {
	r.udpWorked.Store(true)
	r.unheard.Store(0)
}

// open opens a tunnel and reads from it until it ends.
func (r *route) open(ctx context.Context) (*carrier, error) {
	ctx, cancel := context.WithTimeout(ctx, tunnelTime)
	defer cancel()
	pc, err := r.e.c.Tunnel(ctx, r.server, r.addr)
	if err != nil {
		return nil, err
	}
	c := &carrier{pc: pc, dead: make(chan struct{})}
	if !r.e.run(func() { r.read(c) }) {
		pc.Close()
		return nil, ErrClosed
	}
	return c, nil
}

func (r *route) read(c *carrier) {
	defer close(c.dead)
	stop := context.AfterFunc(r.e.ctx, func() { c.pc.Close() })
	defer stop()
	defer c.pc.Close()
	b := make([]byte, maxDatagram)
	for {
		n, _, err := c.pc.ReadFrom(b)
		if err != nil {
			return
		}
		r.e.m.injectTunnel(r.addr, b[:n])
	}
}
