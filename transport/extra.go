package transport

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/nat"
)

const (
	// sideQueue bounds what was read from extra sockets and not yet taken by the
	// read loop.
	sideQueue = 512
	// extraPerHour bounds the probes that an attested address gets from us
	// beyond those of every search (spec §5.22.7).
	extraPerHour = 1100
	// maxBudgets bounds the addresses that are counted.
	maxBudgets = 256
)

// An extraSocket is one of those opened for a birthday search, or a spare one
// (spec §5.4.10). The one that found the way stays, for packets to where it leads.
type extraSocket struct {
	pc     net.PacketConn
	out    socket // for writing only
	index  int
	remote atomic.Pointer[netip.AddrPort] // where it leads, once found
	heard  netip.AddrPort                 // where an authentic probe came from, under the prober's mu
	once   sync.Once
}

func (x *extraSocket) close() { x.once.Do(func() { x.pc.Close() }) }

// leadsTo reports whether x is the way to a.
func (x *extraSocket) leadsTo(a netip.AddrPort) bool {
	r := x.remote.Load()
	return r != nil && *r == a
}

// A sideDatagram came from an extra socket.
type sideDatagram struct {
	b      []byte
	from   netip.AddrPort
	tunnel bool // it came through a tunnel instead
}

// inject gives a datagram of an extra socket to the read loop, or drops it.
func (m *mux) inject(from netip.AddrPort, b []byte) {
	m.injectSide(sideDatagram{slices.Clone(b), from, false})
}

// injectTunnel does the same for one of a tunnel.
func (m *mux) injectTunnel(from netip.AddrPort, b []byte) {
	m.injectSide(sideDatagram{slices.Clone(b), from, true})
}

func (m *mux) injectSide(d sideDatagram) {
	select {
	case m.side <- d:
	default:
		m.stats.dropped.Add(1)
		return
	}
	// The read loop may wait on the main socket. While sideWake is set it is yet to
	// look at what there is.
	if m.sideWake.Load() {
		return
	}
	m.wakeMu.Lock()
	defer m.wakeMu.Unlock()
	if !m.sideWake.Swap(true) {
		m.setReadDeadline(time.Unix(1, 0))
	}
}

// injected returns the next datagram of an extra socket.
func (m *mux) injected() (datagram, bool) {
	select {
	case s := <-m.side:
		return datagram{data: s.b, from: s.from, addr: net.UDPAddrFromAddrPort(s.from), tunnel: s.tunnel}, true
	default:
		return datagram{}, false
	}
}

// awaken undoes what inject did to the socket, and the read loop then looks at what
// there is. It reports whether a read error was inject's.
func (m *mux) awaken() bool {
	m.wakeMu.Lock()
	defer m.wakeMu.Unlock()
	if !m.sideWake.Load() {
		return false
	}
	m.setReadDeadline(time.Time{})
	if m.unblock.Load() { // quic-go's own wish came in between
		m.setReadDeadline(time.Unix(1, 0))
	}
	// Last: nobody sets the deadline that has just been lifted before.
	m.sideWake.Store(false)
	return true
}

// listenExtra opens a socket like the main one, on another port.
func (e *Endpoint) listenExtra() (net.PacketConn, error) {
	if e.c.ListenPacket != nil {
		return e.c.ListenPacket()
	}
	return net.ListenUDP("udp", &net.UDPAddr{IP: e.LocalAddr().Addr().AsSlice()})
}

// openExtra opens sockets for the search of a.
func (p *prober) openExtra(a *nat.Agent, n int) {
	var xs []*extraSocket
	for i := range n {
		pc, err := p.e.listenExtra()
		if err != nil {
			break // the limit of open files, say: fewer do, with less luck
		}
		x := &extraSocket{pc: pc, index: i + 1, out: writeOnly(pc, &p.e.m.stats)}
		xs = append(xs, x)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || !slices.Contains(p.agents, a) {
		closeAll(xs, nil)
		return
	}
	closeAll(p.extras, p.link.extra.Load())
	p.extras, p.extraOf = xs, a
	for _, x := range xs {
		handle := func(now time.Time, from netip.AddrPort, b []byte) { p.handle(now, x.index, from, b) }
		if !p.e.run(func() { p.readExtra(x, handle) }) {
			x.close()
		}
	}
	a.AddSockets(time.Now(), len(xs))
	notify(p.wake)
}

func closeAll(xs []*extraSocket, keep *extraSocket) {
	for _, x := range xs {
		if x != keep {
			x.close()
		}
	}
}

// readExtra reads a socket until it is closed, or the prober is stopped. handle gets
// its probes.
func (p *prober) readExtra(x *extraSocket, handle func(now time.Time, from netip.AddrPort, b []byte)) {
	defer x.close()
	stop := make(chan struct{})
	defer close(stop)
	p.e.run(func() {
		select {
		case <-p.ctx.Done():
			x.close()
		case <-stop:
		}
	})
	b := make([]byte, 2048)
	for {
		n, addr, err := x.pc.ReadFrom(b)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || p.ctx.Err() != nil {
				return
			}
			time.Sleep(readErrorPause)
			continue
		}
		from := addrPort(addr)
		switch {
		case n == 0 || isVirtual(from.Addr()):
		case nat.IsProbe(b[:n]):
			handle(time.Now(), from, b[:n])
		case b[0] >= firstQUIC && x.leadsTo(from):
			p.e.m.inject(from, b[:n])
		}
	}
}

// settleExtraLocked keeps the socket that found a path, and closes the others
// when they are of no more use. Those that the peer has reached stay as well: when
// an answer is lost, it may have chosen another of them than we did.
func (p *prober) settleExtraLocked(a *nat.Agent) {
	if a != p.extraOf {
		return
	}
	addr, _, found := a.Validated()
	if !found && !a.NextTimeout().IsZero() {
		return
	}
	var keep *extraSocket
	if i := a.Socket(); found && i > 0 && i <= len(p.extras) {
		keep = p.extras[i-1]
		keep.remote.Store(&addr)
		if old := p.link.extra.Swap(keep); old != nil && old != keep {
			old.close()
		}
	}
	for _, x := range p.extras {
		switch {
		case x == keep:
		case found && x.heard.IsValid():
			from := x.heard
			x.remote.Store(&from)
		default:
			x.close()
		}
	}
	p.extraOf = nil // p.extras stays for answers on the sockets that are left
}

// A budgetTable counts the probes beyond the usual to each address, by hour.
type budgetTable struct {
	mu    sync.Mutex
	spent map[netip.Addr]budget
}

type budget struct {
	since time.Time
	n     int
}

// spend reports whether one more probe may go to a.
func (t *budgetTable) spend(now time.Time, a netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spent == nil {
		t.spent = make(map[netip.Addr]budget)
	}
	b, ok := t.spent[a]
	if now.Sub(b.since) >= time.Hour {
		b = budget{since: now}
	}
	if !ok && len(t.spent) >= maxBudgets {
		for old, x := range t.spent {
			if now.Sub(x.since) >= time.Hour {
				delete(t.spent, old)
			}
		}
		if len(t.spent) >= maxBudgets {
			return false
		}
	}
	if b.n >= extraPerHour {
		return false
	}
	b.n++
	t.spent[a] = b
	return true
}
