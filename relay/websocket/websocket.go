// Package websocket carries a server's datagrams over WebSocket on TCP, for
// networks that let no UDP through (docs/spec/60-relay.md, section 6.6.7). Each
// binary message is one datagram as it would stand on the server's UDP port: QUIC,
// with the same handshake and the same keys, and forwarding frames.
package websocket

import (
	"context"
	"errors"
	"hash/maphash"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sremp/sremp/identity"
)

// Protocol is the WebSocket subprotocol, and Path the path of the URL.
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
	// idle ends a connection on which nothing comes; a client without anything to
	// say sends an empty message every keepAlive, for what is in between.
	idle      = 3 * time.Minute
	keepAlive = 45 * time.Second
	// maxPerPrefix bounds the connections of one IPv4 address or IPv6 /56.
	maxPerPrefix = 64
)

// A Handler joins WebSocket connections to a server's UDP port on this machine.
// Each has a socket of its own, whose address in 127.0.0.0/8 stands for the
// client's prefix, so that limits by prefix go on to hold. (IPv6 has one loopback
// address only: there all clients count as one.)
type Handler struct {
	server netip.AddrPort // constant
	max    int
	key    *identity.ServerKey
	seed   maphash.Seed

	mu    sync.Mutex
	conns int
	per   map[netip.Prefix]int
	ends  map[*websocket.Conn]struct{}
	stop  bool
	wg    sync.WaitGroup
}

// NewHandler returns a handler for at most max connections at a time, which
// proves key to each client. server is the server's UDP address, as seen from
// this machine.
func NewHandler(server netip.AddrPort, max int, key *identity.ServerKey) *Handler {
	return &Handler{
		server: server, max: max, key: key, seed: maphash.MakeSeed(), per: map[netip.Prefix]int{}, ends: map[*websocket.Conn]struct{}{},
	}
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
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || r.TLS == nil {
		http.Error(w, "no address, or no TLS", http.StatusInternalServerError)
		return
	}
	prefix := prefixOf(from.Addr())
	h.mu.Lock()
	full := h.stop || h.conns >= h.max || h.per[prefix] >= maxPerPrefix
	if !full {
		h.conns++
		h.per[prefix]++
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
		if h.per[prefix]--; h.per[prefix] == 0 {
			delete(h.per, prefix)
		}
		h.mu.Unlock()
		h.wg.Done()
	}()
	proof, err := prove(h.key, r.TLS)
	if err != nil {
		http.Error(w, "no TLS exporter", http.StatusInternalServerError)
		return
	}
	udp, err := h.dial(prefix)
	if err != nil {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	defer udp.Close()
	w.Header().Set(proofHeader, proof)
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

// prefixOf returns what counts as one client: an IPv4 address or an IPv6 /56.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 56
	}
	p, _ := a.Prefix(bits) // of a valid address: no error
	return p
}

// StandIn reports whether a is one of the addresses that stand for clients:
// nobody but a Handler sends from there, as all of it is this machine's.
func StandIn(a netip.Addr) bool {
	b := a.Unmap().As16()
	return a.Unmap().Is4() && b[12] == 127 && b[13]&1 == 1
}

// dial opens a socket to the server, from the loopback address of a client's
// prefix.
func (h *Handler) dial(p netip.Prefix) (*net.UDPConn, error) {
	if h.server.Addr().Unmap().Is6() {
		return net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(h.server))
	}
	v := maphash.Comparable(h.seed, p)
	from := net.IPv4(127, byte(v>>8)|1, byte(v>>16), byte(v>>24)%254+1).To4()
	return net.DialUDP("udp4", &net.UDPAddr{IP: from}, net.UDPAddrFromAddrPort(h.server))
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
		if len(b) > 0 {
			_, _ = udp.Write(b) // lost, as a datagram may be
		}
	}
	udp.Close()
}

func write(ctx context.Context, c *websocket.Conn, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return c.Write(ctx, websocket.MessageBinary, b)
}
