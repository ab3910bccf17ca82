package transport

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// First bytes (spec §5.1.1, RFC 9443).
const (
	firstForward = 0x04
	firstProbe   = 0x10
	firstHello   = 0x30
	firstQUIC    = 0x40
)

// A mux owns the socket. The goroutine in which quic-go reads the main
// transport is its read loop: what is not QUIC is handled there and then.
type mux struct {
	// current is the socket in use; renewals replace it.
	current  atomic.Pointer[boundSocket]
	renewals renewals
	oob      bool // the socket takes control messages; constant
	paths    *pathTable
	routes   routeTable // to servers, where they may be tunnels
	start    time.Time  // of the clock in link.received
	stats    counters
	// silence has legs speak that have fallen silent.
	silence silenceWatch
	// unblock is set while the main transport wants its read to return.
	unblock atomic.Bool
	// side holds what extra sockets got; sideWake is set while the read loop's
	// wait is being interrupted for it.
	side     chan sideDatagram
	sideWake atomic.Bool
	wakeMu   sync.Mutex // of sideWake and the deadline together
	buffer   sync.Pool  // *[]byte, for relay framing

	// Constants after newMux. They are called on the read loop: they must not
	// block nor keep the packet.
	stun    func(from netip.AddrPort, b []byte)
	probe   func(from netip.AddrPort, b []byte)
	hello   func(from netip.AddrPort, b []byte)
	forward func(from netip.AddrPort, b []byte) // may be nil
}

func newMux(pc net.PacketConn) *mux {
	m := &mux{silence: silenceWatch{wake: make(chan struct{}, 1)}, paths: newPathTable(), start: time.Now(), side: make(chan sideDatagram, sideQueue)}
	m.renewals.init()
	m.buffer.New = func() any { b := make([]byte, 0, 32<<10); return &b }
	b := m.bind(pc)
	_, plain := b.sock.(*plainSocket)
	m.oob = !plain
	m.current.Store(b)
	return m
}

// now is the clock of links: never 0.
func (m *mux) now() int64 { return int64(time.Since(m.start)) + 1 }

// receive blocks until a QUIC packet arrives. via is its source: virtual, or
// real when no link knows it (quic-go validates such itself, RFC 9000, section
// 9.3). The packet is valid until the next call.
func (m *mux) receive(block bool) (packet []byte, via net.Addr, d datagram, err error) {
	for {
		in := m.current.Load()
		for {
			var ok bool
			if d, ok = in.sock.next(); !ok {
				if d, ok = m.injected(); !ok {
					break
				}
			}
			if packet, via = m.sort(d); packet != nil {
				return packet, via, d, nil
			}
		}
		if !block {
			return nil, nil, d, nil
		}
		if err := in.sock.fill(); err != nil {
			// What error a passed deadline gives differs from one net.PacketConn to
			// another.
			switch {
			case m.unblock.Load():
				return nil, nil, d, os.ErrDeadlineExceeded
			case m.awaken():
			case !broken(err): // of one datagram (an ICMP answer, say)
				time.Sleep(readErrorPause)
			case !m.renewals.await(in):
				return nil, nil, d, err
			default:
				m.awaken() // what woke the old socket does not wake the new one
			}
			continue
		}
		m.renewals.received.Add(1)
	}
}

// sort handles a datagram, or returns the QUIC packet in it.
func (m *mux) sort(d datagram) (packet []byte, via net.Addr) {
	if len(d.data) == 0 || !d.from.IsValid() || isVirtual(d.from.Addr()) {
		m.stats.dropped.Add(1)
		return nil, nil
	}
	if !d.tunnel && m.heard(d) {
		return nil, nil
	}
	switch b := d.data[0]; {
	case b >= firstQUIC:
		if l := m.paths.from(d.from); l != nil {
			return m.arrived(l, slotDirect, d.from, d.data)
		}
		return d.data, d.addr
	case b >= firstHello:
		m.hello(d.from, d.data)
	case b >= firstProbe:
		if nat.IsProbe(d.data) {
			m.probe(d.from, d.data)
		}
	case b >= firstForward:
		return m.unwrap(d)
	default:
		if nat.IsSTUN(d.data) {
			m.stun(d.from, d.data)
		}
	}
	return nil, nil
}

// unwrap takes the relay's header off a packet of one of our legs.
func (m *mux) unwrap(d datagram) ([]byte, net.Addr) {
	if m.control(d) {
		return nil, nil
	}
	session, _, ok := wire.ParseForward(d.data)
	if !ok {
		m.stats.dropped.Add(1)
		return nil, nil
	}
	leg := m.paths.session(session)
	if leg == nil {
		if m.forward != nil {
			m.forward(d.from, d.data)
		} else {
			m.stats.dropped.Add(1)
		}
		return nil, nil
	}
	counter, packet, ok := wire.OpenForward(d.data, leg.Side|wire.ForwardFromRelay, leg.Key, leg.window.Largest())
	l := leg.owner.Load()
	if !ok || l == nil || d.from != leg.Server || !leg.window.Check(counter) || len(packet) == 0 || packet[0] < firstQUIC {
		m.stats.dropped.Add(1)
		return nil, nil
	}
	leg.window.Commit(counter)
	leg.heard.Store(m.now())
	m.silence.heard()
	return m.arrived(l, slotRelay, d.from, packet)
}

func (m *mux) arrived(l *link, slot int, from netip.AddrPort, packet []byte) ([]byte, net.Addr) {
	if slot == slotDirect {
		l.traffic.came(len(packet))
	}
	// The dialling side decides; we answer where its packets come from, as far
	// as probes have proven that address to be the peer's.
	if slot == slotDirect && !l.client {
		if cur := l.direct.Load(); cur == nil || *cur != from {
			l.direct.Store(&from)
		}
	}
	return packet, l.virtual[slot]
}

// send writes one datagram, best effort.
func (m *mux) send(to netip.AddrPort, b []byte) {
	if !to.IsValid() || isVirtual(to.Addr()) {
		return
	}
	write := m.transmit
	if len(b) > 0 && b[0] >= firstForward && b[0] < firstProbe { // of a relay
		write = func(b, oob []byte, to netip.AddrPort) error { return m.output(b, oob, to, 0) }
	}
	if err := write(b, nil, unmap(to)); err != nil {
		m.stats.swallowed.Add(1)
	}
}

// sendTTL writes one datagram that lives for ttl hops, or none where the socket
// cannot say so.
func (m *mux) sendTTL(to netip.AddrPort, b []byte, ttl int) {
	if !m.oob || !to.IsValid() || isVirtual(to.Addr()) {
		return
	}
	if err := m.transmit(b, appendTTL(nil, to.Addr().Is4(), ttl), to); err != nil {
		m.stats.swallowed.Add(1)
	}
}

// write is every write of quic-go. force is the slot of a slot transport, or
// anySlot. It returns only the errors of keepWriteError.
func (m *mux) write(b, oob []byte, to *net.UDPAddr, force int) error {
	id, slot, ok := parseVirtual(to)
	if !ok {
		size := 0
		if len(oob) > 0 {
			size = segmentSize(oob)
		}
		if size > 0 {
			m.stats.segmented.Add(1)
		}
		return m.filter(m.output(b, oob, unmap(to.AddrPort()), size))
	}
	if force != anySlot {
		slot = force
	}
	l := m.paths.byID(id)
	if l == nil {
		m.stats.unroutable.Add(1)
		return nil
	}
	l.sentAt.Store(m.now())
	size := 0
	if len(oob) > 0 {
		size = segmentSize(oob)
	}
	if slot == slotRelay {
		if leg := l.leg.Load(); leg != nil {
			return m.writeRelay(leg, b, size)
		}
	} else if direct := l.direct.Load(); direct != nil {
		if size > 0 {
			m.stats.segmented.Add(1)
		}
		l.traffic.left(b, size)
		var room [64]byte
		if x := l.extra.Load(); x != nil && x.leadsTo(*direct) {
			return m.filter(x.out.write(b, translateOOB(room[:0], oob, direct.Addr().Is4(), size), *direct))
		}
		return m.filter(m.transmit(b, translateOOB(room[:0], oob, direct.Addr().Is4(), size), *direct))
	}
	m.stats.unroutable.Add(1)
	return nil
}

// writeRelay frames every packet in b. Segments of one write stay one write. ECN
// is not marked: the relay does not carry it on.
func (m *mux) writeRelay(leg *legState, b []byte, size int) error {
	if size == 0 || size >= len(b) {
		size = len(b)
	}
	p := m.buffer.Get().(*[]byte)
	defer m.buffer.Put(p)
	out := (*p)[:0]
	for rest := b; len(rest) > 0; {
		n := min(size, len(rest))
		start := len(out)
		out = append(out, make([]byte, wire.ForwardHeaderLen)...)
		out = append(out, rest[:n]...)
		rest = rest[n:]
		wire.SealForward(out[start:], leg.Side, leg.Session, leg.counter.Add(1), leg.Key)
	}
	*p = out
	var oob []byte
	if size < len(b) {
		m.stats.segmented.Add(1)
		var room [32]byte
		oob = appendSegmentSize(room[:0], size+wire.ForwardHeaderLen)
	}
	return m.filter(m.output(out, oob, leg.Server, size+wire.ForwardHeaderLen))
}

func (m *mux) filter(err error) error {
	if err == nil || keepWriteError(err) {
		return err
	}
	m.stats.swallowed.Add(1)
	return nil
}

// A quicConn is what a quic.Transport takes for its socket. The main one reads
// and writes; the one of a slot only writes, to that slot, whatever the address
// says: packets arrive through the main one, by connection id.
type quicConn struct {
	m    *mux
	slot int // anySlot: the main one

	once      sync.Once
	unblocked chan struct{} // closed when the transport closes; nil for the main one
}

func newSlotConn(m *mux, slot int) *quicConn {
	return &quicConn{m: m, slot: slot, unblocked: make(chan struct{})}
}

func (c *quicConn) ReadFrom(b []byte) (int, net.Addr, error) {
	if c.unblocked != nil {
		<-c.unblocked
		return 0, nil, os.ErrDeadlineExceeded
	}
	for {
		packet, via, _, err := c.m.receive(true)
		if err != nil {
			return 0, nil, err
		}
		if len(packet) <= len(b) {
			return copy(b, packet), via, nil
		}
	}
}

func (c *quicConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if err := c.m.write(b, nil, to.(*net.UDPAddr), c.slot); err != nil {
		return 0, err
	}
	return len(b), nil
}

// LocalAddr is a *net.UDPAddr for a socket that is one, as quic-go requires for
// path MTU discovery.
func (c *quicConn) LocalAddr() net.Addr { return c.m.current.Load().pc.LocalAddr() }

// Close does nothing: the endpoint owns the socket.
func (c *quicConn) Close() error { return nil }

// SetReadDeadline is how quic-go makes a read return when a transport closes. A
// slot's must not reach the socket that all share.
func (c *quicConn) SetReadDeadline(t time.Time) error {
	if c.unblocked == nil {
		c.m.unblock.Store(!t.IsZero())
		return c.m.setReadDeadline(t)
	}
	if !t.IsZero() {
		c.once.Do(func() { close(c.unblocked) })
	}
	return nil
}

func (c *quicConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *quicConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer and SetWriteBuffer are asked for by quic-go, which otherwise
// complains in the log.
func (c *quicConn) SetReadBuffer(n int) error {
	if s, ok := c.m.current.Load().pc.(interface{ SetReadBuffer(int) error }); ok && c.unblocked == nil {
		return s.SetReadBuffer(n)
	}
	return nil
}

func (c *quicConn) SetWriteBuffer(n int) error {
	if s, ok := c.m.current.Load().pc.(interface{ SetWriteBuffer(int) error }); ok && c.unblocked == nil {
		return s.SetWriteBuffer(n)
	}
	return nil
}

// A quicOOBConn adds what quic-go wants to see for GSO, ECN and batches
// (quic.OOBCapablePacketConn and ReadBatch).
type quicOOBConn struct{ *quicConn }

// forQUIC returns c with every capability that the socket has.
func (c *quicConn) forQUIC() net.PacketConn {
	if c.m.oob {
		return quicOOBConn{c}
	}
	if raw, ok := c.m.current.Load().pc.(syscall.Conn); ok {
		return quicRawConn{c, raw}
	}
	return c
}

// A quicRawConn lets quic-go forbid fragments, and so find a path's MTU.
type quicRawConn struct {
	*quicConn
	syscall.Conn
}

func (c quicOOBConn) SyscallConn() (syscall.RawConn, error) {
	return syscallConn(c.m.current.Load().pc)
}

// ReadMsgUDP is part of the interface; quic-go calls ReadBatch instead.
func (c quicOOBConn) ReadMsgUDP(b, _ []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, from, err := c.ReadFrom(b)
	addr, _ = from.(*net.UDPAddr)
	return n, 0, 0, addr, err
}

func (c quicOOBConn) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if err := c.m.write(b, oob, to, c.slot); err != nil {
		return 0, 0, err
	}
	return len(b), len(oob), nil
}

// ReadBatch fills ms with QUIC packets and what the kernel told about them.
func (c quicOOBConn) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	if c.unblocked != nil {
		<-c.unblocked
		return 0, os.ErrDeadlineExceeded
	}
	n := 0
	for n < len(ms) {
		packet, via, d, err := c.m.receive(n == 0)
		if err != nil {
			return 0, err
		}
		if packet == nil {
			break
		}
		if len(packet) > len(ms[n].Buffers[0]) {
			c.m.stats.dropped.Add(1)
			continue // longer than any QUIC packet we announced to take
		}
		ms[n].N = copy(ms[n].Buffers[0], packet)
		ms[n].NN = copy(ms[n].OOB, d.oob)
		ms[n].Addr = via
		n++
	}
	return n, nil
}
