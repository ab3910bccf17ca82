// Package websocket carries a relay's datagrams over WebSocket on TCP, for
// networks that let no UDP through (docs/spec/60-relay.md, section 6.6.7). Each
// binary message is one datagram as it would stand on the relay's UDP port: QUIC,
// with the same handshake and the same keys, and forwarding frames.
package websocket

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Protocol is the WebSocket subprotocol, and Path the relay's path.
const (
	Protocol = "sremp-relay.1"
	Path     = "/sremp-relay"
)

const (
	// maxDatagram is the longest message: QUIC's packets over it are not longer.
	maxDatagram = 2048
	// queue is how many datagrams wait for a slow reader; the rest is dropped, as
	// a router drops.
	queue = 256
	// writeTime bounds one message: a peer who reads nothing is cut off.
	writeTime = 10 * time.Second
	// idle ends a connection on which nothing comes: QUIC keeps itself alive.
	idle = time.Minute
)

// A Handler joins WebSocket connections to a relay's UDP port on this machine.
// Each has a socket of its own, whose address in 127.0.0.0/8 stands for the
// client's prefix, so that the relay's limits by prefix go on to hold.
type Handler struct {
	relay netip.AddrPort // constant
	max   int
	seed  maphash.Seed

	mu    sync.Mutex
	conns int
	ends  map[*websocket.Conn]struct{}
	stop  bool
	wg    sync.WaitGroup
}

// NewHandler returns a handler for at most max connections at a time. relay is
// the relay's address on loopback.
func NewHandler(relay netip.AddrPort, max int) *Handler {
	return &Handler{relay: relay, max: max, seed: maphash.MakeSeed(), ends: map[*websocket.Conn]struct{}{}}
}

// Close ends all connections and waits for them.
func (h *Handler) Close() error {
	h.mu.Lock()
	h.stop = true
	for c := range h.ends {
		c.CloseNow()
	}
	h.mu.Unlock()
	h.wg.Wait()
	return nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	full := h.stop || h.conns >= h.max
	if !full {
		h.conns++
		h.wg.Add(1)
	}
	h.mu.Unlock()
	if full {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		h.mu.Lock()
		h.conns--
		h.mu.Unlock()
		h.wg.Done()
	}()
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, "no address", http.StatusInternalServerError)
		return
	}
	udp, err := net.DialUDP("udp4", &net.UDPAddr{IP: h.standIn(from.Addr())}, net.UDPAddrFromAddrPort(h.relay))
	if err != nil {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	defer udp.Close()
	// Nobody's browser has anything to steal here: no cookie counts.
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{Protocol}, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	if c.Subprotocol() != Protocol {
		c.Close(websocket.StatusPolicyViolation, "subprotocol")
		return
	}
	h.mu.Lock()
	h.ends[c] = struct{}{}
	stop := h.stop
	h.mu.Unlock()
	defer func() {
		c.CloseNow()
		h.mu.Lock()
		delete(h.ends, c)
		h.mu.Unlock()
	}()
	if !stop {
		join(c, udp)
	}
}

// standIn returns the loopback address of a client's prefix.
func (h *Handler) standIn(a netip.Addr) net.IP {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 56
	}
	p, err := a.Prefix(bits)
	if err != nil {
		p = netip.Prefix{}
	}
	v := maphash.Comparable(h.seed, p)
	return net.IPv4(127, byte(v>>8)|1, byte(v>>16), byte(v>>24)%254+1).To4()
}

// join carries datagrams both ways until one end is gone.
func join(c *websocket.Conn, udp *net.UDPConn) {
	c.SetReadLimit(maxDatagram)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer cancel()
		b := make([]byte, maxDatagram)
		for {
			n, err := udp.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // of one datagram: an ICMP answer
			}
			if write(ctx, c, b[:n]) != nil {
				return
			}
		}
	})
	for {
		read, end := context.WithTimeout(ctx, idle)
		typ, b, err := c.Read(read)
		end()
		if err != nil || typ != websocket.MessageBinary {
			break
		}
		// Lost, as a datagram may be.
		_, _ = udp.Write(b)
	}
	udp.Close()
}

func write(ctx context.Context, c *websocket.Conn, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return c.Write(ctx, websocket.MessageBinary, b)
}

// A Conn is the client's end: a net.PacketConn that leads to the relay alone.
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

// Dial connects to a relay's WebSocket, such as wss://host/sremp-relay. server is
// the relay's UDP address, which packets are sent to and come from by name;
// nothing is sent to it by UDP. Who the relay is, the handshake inside says, not
// TLS: client may accept any certificate. It may be nil.
func Dial(ctx context.Context, url string, server netip.AddrPort, client *http.Client) (*Conn, error) {
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{Protocol}})
	if err != nil {
		return nil, fmt.Errorf("relay/websocket: %w", err)
	}
	if c.Subprotocol() != Protocol {
		c.CloseNow()
		return nil, errors.New("relay/websocket: the other end is no relay")
	}
	c.SetReadLimit(maxDatagram)
	x := &Conn{
		c: c, server: net.UDPAddrFromAddrPort(server), out: make(chan []byte, queue), in: make(chan []byte, queue), changed: make(chan struct{}),
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	x.wg.Go(x.write)
	x.wg.Go(x.read)
	return x, nil
}

func (x *Conn) write() {
	defer x.cancel()
	for {
		select {
		case b := <-x.out:
			if write(x.ctx, x.c, b) != nil {
				return
			}
		case <-x.ctx.Done():
			return
		}
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

// WriteTo implements net.PacketConn. What is not for the relay goes nowhere.
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
