package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tuning of the data plane.
const (
	forwardMessages = 64      // one system call brings at most so many messages
	forwardBuffer   = 4 << 20 // of each socket: 60 ms at 500 Mbit/s
	// forwardWait is how often an idle reader looks whether it shall end.
	forwardWait = 200 * time.Millisecond
	// forwardPause is what a busy reader sleeps between calls: a system call, and
	// being woken, cost as much for one packet as for ten, and one write can take
	// ten. It is what a packet is late by at most. From steadyRate packets a second
	// on it falls with the square of the rate, to shortPause: one call has enough
	// packets then, and the round trip through the relay, of which the pause is the
	// longest part on a short line, must not be what holds up a connection that a
	// processor could serve.
	forwardPause = time.Millisecond
	shortPause   = 20 * time.Microsecond
	steadyRate   = 40_000
	// A reader is busy when packets come closer than busyGap, until quietPauses
	// have passed without any.
	busyGap     = time.Millisecond
	quietPauses = 2
	// All readers share the work from spreadAbove packets a second on; below
	// gatherBelow the first has it alone, and more packets for each call.
	spreadAbove = 60_000
	gatherBelow = 30_000
	balanceEach = 100 * time.Millisecond
	// Limits of one segmented write (Linux: UDP_MAX_SEGMENTS, IP's length).
	maxSegments     = 64
	maxSegmentBytes = 65000
)

// Forward starts at most n readers for relay framing, each with a socket of its
// own on the endpoint's port. The kernel gives them that framing by its first
// byte, packets of one session to one reader, and everything else to the
// endpoint. It returns how many run until the endpoint closes: 0 if the platform
// or the kind of socket has none, and Config.Forward gets the packets then.
func (e *Endpoint) Forward(n int, r Router) int {
	udp, ok := e.c.PacketConn.(*net.UDPConn)
	if !ok || n < 1 {
		return 0
	}
	e.m.renewals.able.Store(false) // the readers' sockets share the port with this one
	fds, err := shareUDPPort(udp, n)
	if err != nil {
		e.log.Info("no readers of their own for relay framing", "err", err)
		return 0
	}
	var all []*forwarder
	for i, fd := range fds {
		f := newForwarder(fd, i, r, e.m)
		if !e.run(func() { f.run(e.ctx) }) {
			for _, fd := range fds[i:] {
				unix.Close(fd)
			}
			return 0
		}
		all = append(all, f)
	}
	if n > 1 {
		e.run(func() { balance(e.ctx, udp, all) })
	}
	return n
}

// spread divides the sessions among so many readers.
func spread(udp *net.UDPConn, readers int) error {
	raw, err := udp.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := raw.Control(func(main uintptr) { err = steer(int(main), readers) })
	return errors.Join(err, ctlErr)
}

// balance lets all readers work while there is work for them, and else the first
// alone.
func balance(ctx context.Context, udp *net.UDPConn, all []*forwarder) {
	t := time.NewTicker(balanceEach)
	defer t.Stop()
	b := balancer{all: len(all), readers: 1}
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		var sum int64
		for _, f := range all {
			sum += f.packets.Load()
		}
		// Where it fails all stays as it is.
		if before := b.readers; b.next(sum) != before && spread(udp, b.readers) != nil {
			b.readers = before
		}
	}
}

// A balancer decides how many readers work.
type balancer struct {
	all, readers int
	last         int64 // packets ever, when it was asked last
	calm         int   // times in a row that there was little to do
}

// next returns how many readers shall work, after packets ever. It is asked every
// balanceEach.
func (b *balancer) next(packets int64) int {
	const ticks = int64(time.Second / balanceEach)
	perSecond := (packets - b.last) * ticks
	b.last = packets
	if b.calm++; perSecond >= gatherBelow {
		b.calm = 0
	}
	switch {
	case perSecond >= spreadAbove:
		b.readers = b.all
	case b.calm >= 10:
		b.readers = 1
	}
	return b.readers
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// A segment is one datagram of a batch, and how the next of its group is found.
type segment struct {
	data []byte
	next int32 // -1: none
}

// A group is what one write sends: datagrams of one size to one address, the
// last of which may be shorter.
type group struct {
	to          netip.AddrPort
	first, last int32 // segments
	n, size     int
	bytes       int
	full        bool
	had         uint32 // bytes that its address has had before it, see fairness
}

// A forwarder is one reader. run's goroutine owns all of it.
type forwarder struct {
	fd     int
	id     int
	router Router
	m      *mux
	v6     bool
	gso    bool // writes may be segmented

	packets atomic.Int64 // routed
	fair    fairness
	unsent  func(packets int) // told of what the socket did not take
	write   func(out []mmsghdr) (int, unix.Errno)

	in      [forwardMessages]mmsghdr
	inIov   [forwardMessages]unix.Iovec
	inName  [forwardMessages]unix.RawSockaddrInet6
	inOOB   [forwardMessages][64]byte
	buffers [forwardMessages][]byte

	segments []segment
	groups   []group
	index    [256]int16 // of the newest group by a hash of its address; -1: none
	out      []mmsghdr
	outIov   []unix.Iovec
	outName  []unix.RawSockaddrInet6
	outOOB   [][24]byte
}

func newForwarder(fd, id int, r Router, m *mux) *forwarder {
	f := &forwarder{fd: fd, id: id, router: r, m: m, gso: true, unsent: func(int) {}}
	f.write = f.sendmmsg
	if u, ok := r.(interface{ Unsent(reader, packets int) }); ok {
		f.unsent = func(packets int) { u.Unsent(id, packets) }
	}
	if a, err := unix.Getsockname(fd); err == nil {
		_, f.v6 = a.(*unix.SockaddrInet6)
	}
	all := make([]byte, forwardMessages*(maxDatagram+1))
	for i := range f.in {
		f.buffers[i] = all[i*(maxDatagram+1):][:maxDatagram]
		f.inIov[i].Base = &f.buffers[i][0]
		f.inIov[i].SetLen(maxDatagram)
		h := &f.in[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&f.inName[i]))
		h.Iov = &f.inIov[i]
		h.SetIovlen(1)
		h.Control = &f.inOOB[i][0]
	}
	return f
}

// run forwards until ctx ends, and closes the socket.
//
// An idle reader blocks in the kernel, and sends at once what wakes it. A busy
// one sleeps and looks, which costs the same whatever comes. It does so without a
// word to Go's scheduler, which would look after it at the price of the packets;
// so a busy reader takes one of the GOMAXPROCS.
func (f *forwarder) run(ctx context.Context) {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		// It wakes the reader, although the socket is not connected (ENOTCONN).
		_ = unix.Shutdown(f.fd, unix.SHUT_RD)
		close(woken)
	})
	defer unix.Close(f.fd)
	defer func() {
		if !stop() {
			<-woken
		}
	}()
	var last time.Time
	quiet, full, rest := quietPauses, false, forwardPause
	for ctx.Err() == nil {
		var n int
		var errno unix.Errno
		if quiet < quietPauses {
			if !full {
				pause(rest)
			}
			n, errno = f.look()
		} else {
			n, errno = f.wait()
		}
		now := time.Now()
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR || errno == 0 && n == 0:
			quiet, full = quiet+1, false
			continue
		case errno != 0:
			if ctx.Err() == nil {
				time.Sleep(readErrorPause)
			}
			continue
		}
		if quiet < quietPauses || now.Sub(last) < busyGap {
			quiet = 0
		}
		packets := f.sort(n, now)
		rest = nextPause(rest, now.Sub(last), packets)
		last, full = now, n == forwardMessages
		f.send(now)
	}
}

// nextPause is what a busy reader sleeps after it slept last and packets came
// within gap: a quarter of the way to the pause of that rate.
func nextPause(last, gap time.Duration, packets int64) time.Duration {
	want := forwardPause
	if rate := float64(packets) / max(gap, 1).Seconds(); rate > steadyRate {
		few := steadyRate / rate
		want = max(time.Duration(float64(forwardPause)*few*few), shortPause)
	}
	return last + (want-last)/4
}

// pause is time.Sleep with the kernel's clock: the runtime's rounds up to 1 ms.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	// An early return is as good.
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// wait fills the buffers; it blocks until there is one message, forwardWait has
// passed, or the socket is shut down.
func (f *forwarder) wait() (int, unix.Errno) {
	f.clear()
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.in[0])),
		forwardMessages, unix.MSG_WAITFORONE, 0, 0)
	return int(n), errno
}

// look fills the buffers with what there is.
func (f *forwarder) look() (int, unix.Errno) {
	f.clear()
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.in[0])),
		forwardMessages, unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// clear makes the headers ready, of which the kernel changes the lengths.
func (f *forwarder) clear() {
	for i := range f.in {
		h := &f.in[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(len(f.inOOB[i]))
	}
}

// sort routes every datagram and gathers what goes to one address. It returns how
// many there were.
func (f *forwarder) sort(n int, now time.Time) (packets int64) {
	f.segments, f.groups = f.segments[:0], f.groups[:0]
	f.index = noGroups()
	for i := range n {
		h := &f.in[i]
		data := f.buffers[i][:h.n]
		from := addrOf(&f.inName[i])
		size := len(data)
		if s := groSize(f.inOOB[i][:h.hdr.Controllen]); s > 0 && s < size {
			size = s
			f.m.stats.coalesced.Add(1)
		}
		for len(data) > 0 {
			packets++
			k := min(size, len(data))
			packet := data[:k:k]
			data = data[k:]
			if to := f.router.Route(f.id, now, from, packet); to.IsValid() {
				f.add(to, packet)
			}
		}
	}
	f.packets.Add(packets)
	return packets
}

func noGroups() (index [256]int16) {
	for i := range index {
		index[i] = -1
	}
	return index
}

// groSize is receivedSegmentSize without allocation: the kernel sends no other
// control message on this socket.
func groSize(oob []byte) int {
	if len(oob) < unix.CmsgLen(4) {
		return 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	if h.Level != unix.IPPROTO_UDP || h.Type != unix.UDP_GRO {
		return 0
	}
	return int(binary.NativeEndian.Uint32(oob[unix.CmsgLen(0):]))
}

func (f *forwarder) add(to netip.AddrPort, packet []byte) {
	if !f.v6 && !to.Addr().Is4() {
		f.m.stats.unroutable.Add(1)
		return
	}
	a := to.Addr().As16()
	slot := &f.index[uint8(to.Port())^uint8(to.Port()>>8)^a[15]^a[7]]
	s := int32(len(f.segments))
	f.segments = append(f.segments, segment{packet, -1})
	if *slot >= 0 {
		g := &f.groups[*slot]
		if g.to == to && f.gso && !g.full && g.n < maxSegments && len(packet) <= g.size && g.bytes+len(packet) <= maxSegmentBytes {
			f.segments[g.last].next = s
			g.last = s
			g.n++
			g.bytes += len(packet)
			g.full = len(packet) < g.size
			return
		}
	}
	*slot = int16(len(f.groups))
	f.groups = append(f.groups, group{to: to, first: s, last: s, n: 1, size: len(packet), bytes: len(packet)})
}

// send writes all groups, each as one segmented write. If the socket is full the
// rest is dropped: of those who have had most.
func (f *forwarder) send(now time.Time) {
	if len(f.groups) == 0 {
		return
	}
	f.fair.order(now, f.groups)
	f.prepare()
	for i := 0; i < len(f.out); {
		n, errno := f.write(f.out[i:])
		switch errno {
		case 0:
			for _, g := range f.groups[i : i+n] {
				f.fair.sent(g.to, g.bytes)
			}
			i += n
			continue
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.ENOBUFS:
			f.fair.full = now
			packets := 0
			for _, g := range f.groups[i:] {
				packets += g.n
			}
			f.unsent(packets)
			return
		}
		g := &f.groups[i]
		i++
		f.m.stats.swallowed.Add(1)
		if g.n > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE || errno == unix.ENOPROTOOPT) {
			// EIO: the interface cannot segment at all. The others are of this
			// route, whose MTU the segments exceed; the next may do.
			f.gso = f.gso && errno != unix.EIO
			f.sendSingly(g)
		}
	}
}

// sendmmsg does not block.
func (f *forwarder) sendmmsg(out []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&out[0])),
		uintptr(len(out)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func (f *forwarder) sendSingly(g *group) {
	for s := g.first; s >= 0; s = f.segments[s].next {
		f.m.send(g.to, f.segments[s].data)
	}
}

// prepare fills the vectors of sendmmsg(2). They are grown before any of them is
// pointed to.
func (f *forwarder) prepare() {
	f.out = grown(f.out, len(f.groups))
	f.outName = grown(f.outName, len(f.groups))
	f.outOOB = grown(f.outOOB, len(f.groups))
	f.outIov = grown(f.outIov, len(f.segments))
	iov := 0
	for i := range f.groups {
		g := &f.groups[i]
		start := iov
		for s := g.first; s >= 0; s = f.segments[s].next {
			d := f.segments[s].data
			if iov > start {
				// Segments that the kernel had joined lie side by side already.
				v := &f.outIov[iov-1]
				if unsafe.Add(unsafe.Pointer(v.Base), v.Len) == unsafe.Pointer(&d[0]) {
					v.SetLen(int(v.Len) + len(d))
					continue
				}
			}
			f.outIov[iov].Base = &d[0]
			f.outIov[iov].SetLen(len(d))
			iov++
		}
		h := &f.out[i]
		*h = mmsghdr{}
		h.hdr.Name = (*byte)(unsafe.Pointer(&f.outName[i]))
		h.hdr.Namelen = f.setAddr(&f.outName[i], g.to)
		h.hdr.Iov = &f.outIov[start]
		h.hdr.SetIovlen(iov - start)
		if g.n > 1 {
			f.m.stats.segmented.Add(1)
			oob := &f.outOOB[i]
			c := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
			c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
			c.SetLen(unix.CmsgLen(2))
			binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(g.size))
			h.hdr.Control = &oob[0]
			h.hdr.SetControllen(unix.CmsgSpace(2))
		}
	}
	runtime.KeepAlive(f)
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, 2*n)
	}
	return s[:n]
}

// addrOf returns an address as the rest of the package writes it: IPv4 is never
// mapped. Zones are left out: relays do not serve link-local addresses.
func addrOf(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	if sa.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port(&v4.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port(&sa.Port))
}

func (f *forwarder) setAddr(sa *unix.RawSockaddrInet6, to netip.AddrPort) uint32 {
	*sa = unix.RawSockaddrInet6{}
	if !f.v6 {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		v4.Family = unix.AF_INET
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&v4.Port))[:], to.Port())
		v4.Addr = to.Addr().Unmap().As4()
		return unix.SizeofSockaddrInet4
	}
	sa.Family = unix.AF_INET6
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], to.Port())
	sa.Addr = to.Addr().As16()
	return unix.SizeofSockaddrInet6
}
