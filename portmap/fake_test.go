package portmap

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/nat"
)

var (
	gatewayAddr = netip.MustParseAddr("192.168.1.1")
	ourAddr     = netip.MustParseAddr("192.168.1.5")
	outsideAddr = netip.MustParseAddr("11.0.1.2")
)

// A lan delivers datagrams at once, in virtual time.
type lan struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*lanConn
	port  uint16
	sent  map[netip.AddrPort]int // datagrams to each address
}

func newLAN() *lan {
	return &lan{conns: map[netip.AddrPort]*lanConn{}, port: 40000, sent: map[netip.AddrPort]int{}}
}

// listen opens a socket; port 0 is any.
func (l *lan) listen(a netip.AddrPort) *lanConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.Port() == 0 {
		l.port++
		a = netip.AddrPortFrom(a.Addr(), l.port)
	}
	c := &lanConn{l: l, addr: a, in: make(chan lanPacket, 64), closed: make(chan struct{}), again: make(chan struct{})}
	l.conns[a] = c
	return c
}

type lanPacket struct {
	b    []byte
	from netip.AddrPort
}

type lanConn struct {
	net.PacketConn // never called
	l              *lan
	addr           netip.AddrPort
	in             chan lanPacket
	once           sync.Once
	closed         chan struct{}

	mu       sync.Mutex
	deadline time.Time
	again    chan struct{} // closed when the deadline changes
}

func (c *lanConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *lanConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.again)
	c.again = make(chan struct{})
	return nil
}

func (c *lanConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c.mu.Lock()
		deadline, again := c.deadline, c.again
		c.mu.Unlock()
		var over <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			over = timer.C
		}
		select {
		case p := <-c.in:
			return copy(b, p.b), net.UDPAddrFromAddrPort(p.from), nil
		case <-over:
			return 0, nil, os.ErrDeadlineExceeded
		case <-c.closed:
			return 0, nil, net.ErrClosed
		case <-again:
		}
	}
}

func (c *lanConn) WriteTo(b []byte, to net.Addr) (int, error) {
	return len(b), c.l.send(c.addr, addrPort(to), b)
}

func (l *lan) send(from, to netip.AddrPort, b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[to]++
	if x := l.conns[to]; x != nil {
		select {
		case x.in <- lanPacket{append([]byte(nil), b...), from}:
		default:
		}
	}
	return nil
}

// A router is a gateway that keeps one mapping. Its fields are guarded by mu.
type router struct {
	mu       sync.Mutex
	pcp, pmp bool
	started  time.Time
	lifetime uint32 // granted at most
	outside  netip.AddrPort
	mapped   bool
	until    time.Time
	requests int
	silent   bool
	refuse   byte // code
	// tamper changes what it answers; nil leaves it.
	tamper func(answer []byte)
}

func newRouter(pcp, pmp bool) *router {
	return &router{
		pcp: pcp, pmp: pmp, started: time.Now().Add(-time.Hour), lifetime: 7200,
		outside: netip.AddrPortFrom(outsideAddr, 54321),
	}
}

func (r *router) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started, r.mapped = time.Now(), false
}

func (r *router) stands() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mapped && time.Now().Before(r.until)
}

func (r *router) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *router) epoch() uint32 { return uint32(time.Since(r.started) / time.Second) }

// announcement is what it sends after a restart.
func (r *router) announcement() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pcp {
		b := make([]byte, 24)
		b[0], b[1] = 2, 0x80
		binary.BigEndian.PutUint32(b[8:], r.epoch())
		return b
	}
	b := []byte{0, 0x80, 0, 0}
	b = binary.BigEndian.AppendUint32(b, r.epoch())
	a := r.outside.Addr().As4()
	return append(b, a[:]...)
}

// answer is what a request gets, nil for nothing.
func (r *router) answer(q []byte) (b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent || len(q) < 2 {
		return nil
	}
	defer func() {
		if b != nil && r.tamper != nil {
			r.tamper(b)
		}
	}()
	grant := func(lifetime uint32) uint32 {
		r.requests++
		lifetime = min(lifetime, r.lifetime)
		r.mapped, r.until = lifetime > 0, time.Now().Add(time.Duration(lifetime)*time.Second)
		return lifetime
	}
	switch {
	case q[0] == 2 && len(q) == 60 && r.pcp:
		b = append([]byte(nil), q...)
		b[1] |= 0x80
		clear(b[8:24])
		binary.BigEndian.PutUint32(b[8:], r.epoch())
		if b[3] = r.refuse; r.refuse != 0 {
			return b
		}
		binary.BigEndian.PutUint32(b[4:], grant(binary.BigEndian.Uint32(q[4:])))
		binary.BigEndian.PutUint16(b[42:], r.outside.Port())
		a := r.outside.Addr().As16()
		copy(b[44:], a[:])
		return b
	case q[0] == 2 && r.pmp:
		return binary.BigEndian.AppendUint32([]byte{0, 0x81, 0, 1}, r.epoch())
	case q[0] == 0 && !r.pmp && r.pcp:
		b = make([]byte, 24)
		b[0], b[1], b[3] = 2, 0x80|q[1], 1
		binary.BigEndian.PutUint32(b[8:], r.epoch())
		return b
	case q[0] == 0 && q[1] == 0 && r.pmp:
		b = binary.BigEndian.AppendUint32([]byte{0, 0x80, 0, r.refuse}, r.epoch())
		a := r.outside.Addr().As4()
		return append(b, a[:]...)
	case q[0] == 0 && q[1] == 1 && len(q) == 12 && r.pmp:
		b = binary.BigEndian.AppendUint32([]byte{0, 0x81, 0, r.refuse}, r.epoch())
		if r.refuse != 0 {
			return b
		}
		b = append(b, q[4:6]...)
		lifetime := grant(binary.BigEndian.Uint32(q[8:]))
		port := r.outside.Port()
		if lifetime == 0 {
			port = 0
		}
		b = binary.BigEndian.AppendUint16(b, port)
		return binary.BigEndian.AppendUint32(b, lifetime)
	}
	return nil
}

// A rig is a Mapper on a lan with a router.
type rig struct {
	t       *testing.T
	lan     *lan
	router  *router
	m       *Mapper
	changed chan struct{}
	toAll   *lanConn

	mu      sync.Mutex
	gateway Gateway
	err     error
}

var gatewayPort = netip.AddrPortFrom(gatewayAddr, nat.GatewayPort)

func newRig(t *testing.T, r *router) *rig {
	g := &rig{t: t, lan: newLAN(), router: r, changed: make(chan struct{}, 64), gateway: Gateway{gatewayAddr, ourAddr, "eth0"}}
	g.serve(gatewayPort)
	g.toAll = g.lan.listen(netip.MustParseAddrPort("224.0.0.1:5350"))
	g.m = Start(Config{
		Port:    4444,
		Changed: func() { g.changed <- struct{}{} },
		Gateway: func() (Gateway, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.gateway, g.err
		},
		Listen: func(local netip.Addr) (net.PacketConn, error) { return g.lan.listen(netip.AddrPortFrom(local, 0)), nil },
		Announcements: func(string) (net.PacketConn, error) {
			return g.toAll, nil
		},
	})
	t.Cleanup(g.m.Close)
	return g
}

// serve answers for the router at an address.
func (g *rig) serve(at netip.AddrPort) {
	c := g.lan.listen(at)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if a := g.router.answer(b[:n]); a != nil {
				c.WriteTo(a, from)
			}
		}
	}()
	g.t.Cleanup(func() {
		c.Close()
		<-done
	})
}

func (g *rig) wait() (Mapping, error) { return g.m.Wait(g.t.Context()) }
