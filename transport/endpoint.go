package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
)

// An Endpoint owns one UDP socket. All methods are safe for concurrent use.
type Endpoint struct {
	c    Config
	log  *slog.Logger
	m    *mux
	main *quic.Transport
	ln   *quic.EarlyListener

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine; added to under mu while not closed

	halfOpen atomic.Int64
	accepted chan *PeerConn

	mu       sync.Mutex
	closed   bool
	attempts map[identity.PeerID]*attempt
	probers  map[*prober]struct{}
	local    []nat.Candidate // the last Gather's result

	mapped []netip.AddrPort // that the gateway forwards to us

	netChanges atomic.Int64 // of this machine's network, seen so far
	mappings   atomic.Int64 // made so far

	identity  atomic.Pointer[identity.Local] // c.Identity at first, see SetIdentity
	stunPlace atomic.Pointer[stunPlace]      // those that answer STUN with us, if any

	stun    stunClient
	later   laterTable
	keeping keeping
	budgets budgetTable
	hello   helloState
}

// New starts an endpoint. It owns c.PacketConn from then on, also when it fails.
func New(c Config) (*Endpoint, error) {
	if c.PacketConn == nil {
		return nil, errors.New("transport: Config without a PacketConn")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Endpoint{
		c:        c,
		log:      c.Logger,
		m:        newMux(c.PacketConn),
		accepted: make(chan *PeerConn, acceptQueue),
		attempts: make(map[identity.PeerID]*attempt),
		probers:  make(map[*prober]struct{}),
	}
	e.identity.Store(c.Identity)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.hello.init()
	e.m.stun, e.m.probe, e.m.hello, e.m.forward = e.handleSTUN, e.handleProbe, e.handleHello, c.Forward
	e.watch()
	if err := e.listen(); err != nil {
		e.cancel()
		c.PacketConn.Close()
		return nil, err
	}
	return e, nil
}

func (e *Endpoint) listen() error {
	cert, err := throwAwayCertificate()
	if err != nil {
		return err
	}
	e.main = &quic.Transport{
		Conn:               (&quicConn{m: e.m, slot: anySlot}).forQUIC(),
		ConnectionIDLength: connectionIDLen,
		VerifySourceAddress: func(a net.Addr) bool {
			u, _ := a.(*net.UDPAddr)
			_, _, virtual := parseVirtual(u)
			if virtual || e.c.AddressProven != nil && e.c.AddressProven(addrPort(a).Addr()) {
				return false
			}
			return e.c.ValidateAddresses || e.halfOpen.Load() >= retryAbove
		},
		ConnContext: func(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
			if !e.accepts() || e.halfOpen.Load() >= maxHalfOpen {
				return nil, errors.New("transport: not accepting")
			}
			return ctx, nil
		},
	}
	e.ln, err = e.main.ListenEarly(serverTLS(cert, e.protocols), quicConfig())
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	e.renewable()
	e.wg.Go(e.serve)
	e.wg.Go(func() { e.m.silence.run(e.ctx, e.m) })
	return nil
}

// SetIdentity has handshakes from now on made with another record and other X25519
// keys of the same identity. Connections that stand are left alone.
func (e *Endpoint) SetIdentity(l *identity.Local) {
	if e.c.Identity == nil || l.PeerID() != e.c.Identity.PeerID() {
		panic("transport: SetIdentity with another identity")
	}
	e.identity.Store(l)
}

func (e *Endpoint) accepts() bool {
	return e.c.Identity != nil || e.c.ServerKey != nil && len(e.c.Services) > 0
}

// protocols returns what is offered to a dialler: IK only to one whom the path
// names, as the first message of IK is for one key.
func (e *Endpoint) protocols(chi *tls.ClientHelloInfo) (ps []string) {
	if e.c.ServerKey != nil {
		for p := range e.c.Services {
			ps = append(ps, p)
		}
	}
	if e.c.Identity != nil {
		if l := e.linkOf(chi.Conn.RemoteAddr()); l != nil && l.record != nil {
			ps = append(ps, alpnIK)
		}
		ps = append(ps, alpnXX)
	}
	return ps
}

// linkOf returns the link whose virtual address a is, or nil.
func (e *Endpoint) linkOf(a net.Addr) *link {
	u, _ := a.(*net.UDPAddr)
	if id, _, ok := parseVirtual(u); ok {
		return e.m.paths.byID(id)
	}
	return nil
}

// run starts a goroutine that Close waits for. It reports false when the
// endpoint is closed.
func (e *Endpoint) run(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.wg.Go(f)
	return true
}

// Close ends all connections, waits for every goroutine (handlers of services
// included) and closes the socket.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	e.ln.Close()
	e.wg.Wait()
	err := errors.Join(e.main.Close(), e.m.current.Load().pc.Close())
	if err != nil && !errors.Is(err, net.ErrClosed) { // it may have broken
		return fmt.Errorf("transport: closing: %w", err)
	}
	return nil
}

// LocalAddr returns the socket's address. Its port is another one when the socket
// had to be replaced and the old port was not to be had.
func (e *Endpoint) LocalAddr() netip.AddrPort { return addrPort(e.m.current.Load().pc.LocalAddr()) }

// WritePacket sends one datagram, best effort: for relay framing and other raw
// packets of servers.
func (e *Endpoint) WritePacket(to netip.AddrPort, b []byte) { e.m.send(to, b) }

// serve accepts connections until the endpoint closes.
func (e *Endpoint) serve() {
	for {
		q, err := e.ln.Accept(e.ctx)
		if err != nil {
			return
		}
		e.halfOpen.Add(1)
		if !e.run(func() { e.serveConn(q) }) {
			e.halfOpen.Add(-1)
			closeQUIC(q, codeClosed, "")
		}
	}
}

// serveConn owns an inbound connection until it is authenticated and, if it is
// of a service, until its end.
func (e *Endpoint) serveConn(q *quic.Conn) {
	stop := context.AfterFunc(e.ctx, func() { closeQUIC(q, codeClosed, "") })
	half := true
	opened := func() {
		if half {
			e.halfOpen.Add(-1)
			half = false
		}
	}
	defer opened()
	switch p := q.ConnectionState().TLS.NegotiatedProtocol; p {
	case alpnIK, alpnXX:
		// The PeerConn's own goroutine closes it with the endpoint.
		defer stop()
		e.servePeer(q, p)
	default:
		defer stop()
		c, err := e.serveClient(q)
		if err != nil {
			e.log.Debug("inbound connection refused", slog.String("alpn", p), slog.Any("err", err))
			refuse(q, err)
			return
		}
		opened()
		c.e.c.Services[p](q.Context(), c)
		closeQUIC(q, codeClosed, "")
	}
}
