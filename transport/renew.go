package transport

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// Tuning of the socket's replacement (spec §5.1.4).
const (
	// renewAfter is how long every write must have failed, for want of a route or
	// an address, before the socket is blamed for it; it doubles up to maxRenewAfter
	// until a write succeeds.
	renewAfter    = 5 * time.Second
	maxRenewAfter = 5 * time.Minute
	// renewRetry lies between two attempts to open a socket; it doubles up to
	// maxRenewRetry.
	renewRetry    = 200 * time.Millisecond
	maxRenewRetry = 10 * time.Second
	// A port that was ours may be taken a moment longer.
	renewPause = 10 * time.Millisecond
	renewTries = 30
	// suspectSocket is how long after a change of network, or a sleep, nothing may
	// come although suspectSent packets have left: then another port is tried.
	suspectSocket = 3 * time.Second
	suspectSent   = 3
)

// A boundSocket is a socket in use, until it is replaced.
type boundSocket struct {
	pc       net.PacketConn
	sock     socket
	replaced chan struct{} // closed when another one is in its place
}

// renewals notice that the socket is of no use any more.
type renewals struct {
	able     atomic.Bool                 // a broken socket is replaced
	wake     chan struct{}               // holds one token: useless is set
	poked    chan struct{}               // holds one token: the reader has reason to look
	useless  atomic.Pointer[boundSocket] // to be replaced, if it is still in use
	another  atomic.Bool                 // on another port
	failing  atomic.Int64                // since when every write has failed, by the mux's clock; 0: they do not
	patience atomic.Int64                // how long that may last
	sent     atomic.Int64                // writes that succeeded
	received atomic.Int64                // reads that did
	looking  atomic.Bool                 // suspect is under way
	done     atomic.Int64                // sockets replaced
}

func (r *renewals) init() {
	r.wake, r.poked = make(chan struct{}, 1), make(chan struct{}, 1)
	r.patience.Store(int64(renewAfter))
}

// broken reports whether an error says that a socket will never work again.
func broken(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.ENOTSOCK) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// astray reports whether an error may be of the network, or of a socket that
// belongs to a network that is gone.
func astray(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETDOWN) ||
		errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM)
}

func (r *renewals) ask(s *boundSocket) {
	r.useless.Store(s)
	notify(r.wake)
}

// await waits until the reader's socket, which is broken, is replaced, or there is
// another reason to look. It reports false if nobody will replace it.
func (r *renewals) await(s *boundSocket) bool {
	if !r.able.Load() {
		return false
	}
	r.ask(s)
	select {
	case <-s.replaced:
	case <-r.poked:
	}
	return true
}

// wrote takes the result of a write to s.
func (r *renewals) wrote(s *boundSocket, err error, now int64) {
	switch {
	case err == nil:
		r.sent.Add(1)
		if r.failing.Load() != 0 {
			r.failing.Store(0)
			r.patience.Store(int64(renewAfter))
		}
	case !r.able.Load():
	case broken(err):
		r.ask(s)
	case astray(err):
		since := r.failing.Load()
		if since == 0 {
			r.failing.CompareAndSwap(0, now)
		} else if now-since >= r.patience.Load() && r.failing.CompareAndSwap(since, now) {
			r.patience.Store(min(2*r.patience.Load(), int64(maxRenewAfter)))
			r.ask(s)
		}
	}
}

// bind prepares a socket for the mux.
func (m *mux) bind(pc net.PacketConn) *boundSocket {
	b := &boundSocket{pc: pc, replaced: make(chan struct{})}
	if b.sock = newBatchSocket(pc, &m.stats); b.sock == nil {
		b.sock = newPlainSocket(pc)
	}
	return b
}

// transmit is every write to the socket.
func (m *mux) transmit(b, oob []byte, to netip.AddrPort) error {
	s := m.current.Load()
	err := s.sock.write(b, oob, to)
	m.renewals.wrote(s, err, m.now())
	return err
}

// setReadDeadline sets it for the socket in use, and wakes a reader that waits for
// another one.
func (m *mux) setReadDeadline(t time.Time) (err error) {
	for s := m.current.Load(); ; {
		err = s.pc.SetReadDeadline(t)
		now := m.current.Load()
		if now == s {
			break
		}
		s = now
	}
	notify(m.renewals.poked)
	return err
}

// renewable makes the endpoint replace a socket that is of no use any more, if it
// can open another one.
func (e *Endpoint) renewable() {
	if _, udp := e.c.PacketConn.(*net.UDPConn); !udp && e.c.Reopen == nil {
		return
	}
	e.m.renewals.able.Store(e.run(e.renewSockets))
}

// renewSockets replaces the socket whenever that is asked for, until the endpoint
// ends. Connections do not notice: they know of the mux alone.
func (e *Endpoint) renewSockets() {
	r := &e.m.renewals
	for {
		select {
		case <-r.wake:
		case <-e.ctx.Done():
			return
		}
		another := r.another.Swap(false) && e.c.ServerKey == nil
		for wait := renewRetry; r.useless.Load() == e.m.current.Load(); wait = min(2*wait, maxRenewRetry) {
			err := e.renewSocket(another)
			if err == nil {
				r.done.Add(1)
				e.log.Info("the socket was replaced", slog.String("address", e.LocalAddr().String()))
				e.pathsChanged()
				break
			}
			e.log.Warn("no other socket", slog.Any("err", err))
			select {
			case <-time.After(wait):
			case <-e.ctx.Done():
				return
			}
		}
	}
}

// renewSocket opens another socket in the place of the one in use: on its port,
// where others expect us, else on any; on any at once if another is true. The
// port of a server is the only one at which it is found.
func (e *Endpoint) renewSocket(another bool) error {
	old := e.m.current.Load()
	at := addrPort(old.pc.LocalAddr())
	var pc net.PacketConn
	var err error
	if !another {
		old.pc.Close() // its port is needed
		pc, err = e.reopen(at)
		// The system closes a socket when nobody reads from it any more.
		for try := 0; errors.Is(err, syscall.EADDRINUSE) && try < renewTries && e.ctx.Err() == nil; try++ {
			time.Sleep(renewPause)
			pc, err = e.reopen(at)
		}
	}
	if another || err != nil && e.c.ServerKey == nil {
		pc, err = e.reopen(netip.AddrPortFrom(at.Addr(), 0))
	}
	if err != nil {
		return err
	}
	inheritOptions(pc)
	e.m.current.Store(e.m.bind(pc))
	close(old.replaced)
	old.pc.Close()
	return nil
}

func (e *Endpoint) reopen(at netip.AddrPort) (net.PacketConn, error) {
	if e.c.Reopen != nil {
		return e.c.Reopen(at)
	}
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
}

// suspectSocket replaces the socket by one on another port if nothing comes
// although something was sent: after a sleep, or in another network, a mapping or a
// firewall's rule for the old port may be in the way.
func (e *Endpoint) suspectSocket() {
	r := &e.m.renewals
	if !r.able.Load() || e.c.ServerKey != nil || r.looking.Swap(true) {
		return
	}
	if !e.run(func() {
		defer r.looking.Store(false)
		s, sent, received := e.m.current.Load(), r.sent.Load(), r.received.Load()
		select {
		case <-time.After(suspectSocket):
		case <-e.ctx.Done():
			return
		}
		if r.received.Load() == received && r.sent.Load() >= sent+suspectSent {
			r.another.Store(true)
			r.ask(s)
		}
	}) {
		r.looking.Store(false)
	}
}
