package websocket

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// A Conn is the client's end: a net.PacketConn that leads to the server alone.
type Conn struct {
	c      *websocket.Conn
	server *net.UDPAddr // constant: whose address packets come from
	out    chan []byte
	in     chan []byte
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed when deadline changes
}

// newConn returns the end of c that stands for the server's UDP address.
func newConn(c *websocket.Conn, server netip.AddrPort) *Conn {
	c.SetReadLimit(maxDatagram)
	x := &Conn{
		c: c, server: net.UDPAddrFromAddrPort(server), out: make(chan []byte, queue), in: make(chan []byte, queue), changed: make(chan struct{}),
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	x.wg.Go(x.write)
	x.wg.Go(x.read)
	return x
}

func (x *Conn) write() {
	defer x.cancel()
	alive := time.NewTimer(keepAlive)
	defer alive.Stop()
	for {
		var b []byte
		select {
		case b = <-x.out:
		case <-alive.C: // an empty message
		case <-x.ctx.Done():
			return
		}
		if write(x.ctx, x.c, b) != nil {
			return
		}
		alive.Reset(keepAlive)
	}
}

func (x *Conn) read() {
	defer x.cancel()
	for {
		typ, b, err := x.c.Read(x.ctx)
		if err != nil || typ != websocket.MessageBinary {
			return
		}
		select {
		case x.in <- b:
		default: // dropped, as a full socket buffer drops
		}
	}
}

// ReadFrom implements net.PacketConn.
func (x *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		x.mu.Lock()
		deadline, changed := x.deadline, x.changed
		x.mu.Unlock()
		var due <-chan time.Time
		if !deadline.IsZero() {
			d := time.Until(deadline)
			if d <= 0 {
				return 0, nil, os.ErrDeadlineExceeded
			}
			t := time.NewTimer(d)
			defer t.Stop()
			due = t.C
		}
		select {
		case p := <-x.in:
			return copy(b, p), x.server, nil
		case <-x.ctx.Done():
			return 0, nil, net.ErrClosed
		case <-due:
			return 0, nil, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

// WriteTo implements net.PacketConn. What is not for the server goes nowhere.
func (x *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	if x.ctx.Err() != nil {
		return 0, net.ErrClosed
	}
	u, ok := to.(*net.UDPAddr)
	if !ok || u.Port != x.server.Port || !u.IP.Equal(x.server.IP) {
		return len(b), nil
	}
	select {
	case x.out <- append([]byte(nil), b...):
	default: // dropped, as a full socket buffer drops
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (x *Conn) Close() error {
	x.cancel()
	x.c.CloseNow()
	x.wg.Wait()
	return nil
}

// LocalAddr implements net.PacketConn: an address that leads nowhere, for nobody
// can reach this end by it.
func (x *Conn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero.To4()} }

// SetReadDeadline implements net.PacketConn.
func (x *Conn) SetReadDeadline(t time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deadline = t
	close(x.changed)
	x.changed = make(chan struct{})
	return nil
}

// SetDeadline implements net.PacketConn; writes never wait.
func (x *Conn) SetDeadline(t time.Time) error { return x.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn; writes never wait.
func (x *Conn) SetWriteDeadline(time.Time) error { return nil }
