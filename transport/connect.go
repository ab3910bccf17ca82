package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/identity"
)

// Tuning of Connect.
const (
	// redialPause lies between two dials that nobody answered: the other side
	// may have joined the relay session a moment later.
	redialPause = 200 * time.Millisecond
	// relayPatience is how long a dial through the relay may take once a direct
	// path is proven.
	relayPatience = 3 * time.Second
)

// An attempt is one running Connect.
type attempt struct {
	Attempt
	link   *link
	cancel context.CancelCauseFunc
	// result is for the side that is dialled. Who takes the attempt out of
	// Endpoint.attempts sends exactly one value.
	result chan *PeerConn
}

// errSuperseded ends a Connect when another one to the same peer starts.
var errSuperseded = fmt.Errorf("%w: another attempt has begun", ErrClosed)

// Connect reaches a peer: through a.Relay at once, directly as soon as a
// candidate is proven. The side with the lower PeerID dials, the other waits
// for it. Connect returns when this side has authenticated the peer, or with an
// error when ctx ends or the peer proves not to be a.Peer. A later Connect to
// the same peer ends an earlier one.
func (e *Endpoint) Connect(ctx context.Context, a Attempt) (*PeerConn, error) {
	if e.c.Identity == nil {
		return nil, ErrNoIdentity
	}
	order := e.c.Identity.PeerID().Compare(a.Peer)
	if order == 0 || a.Peer.IsZero() {
		return nil, errors.New("transport: no peer to connect to")
	}
	if a.Record == nil && e.c.Known != nil {
		a.Record = e.c.Known(a.Peer)
	}
	if a.Record != nil && a.Record.Identity != a.Peer {
		return nil, errors.New("transport: the record is another peer's")
	}
	ctx, stop := e.bind(ctx)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	at := &attempt{Attempt: a, cancel: cancel, result: make(chan *PeerConn, 1)}
	e.begin(at, order < 0)
	// A PeerConn is a user of the link by itself.
	defer e.m.paths.release(at.link)
	var p *PeerConn
	var err error
	if order < 0 {
		p, err = e.dialPeer(ctx, at)
		e.withdraw(at)
	} else {
		p, err = e.await(ctx, at)
	}
	switch {
	case err == nil:
		return p, nil
	case e.ctx.Err() != nil:
		return nil, ErrClosed
	case errors.Is(context.Cause(ctx), errSuperseded):
		return nil, errSuperseded
	}
	return nil, err
}

// begin makes at the attempt at its peer and starts its probes.
func (e *Endpoint) begin(at *attempt, client bool) {
	at.link = e.newLink(&link{peer: at.Peer, record: at.Record, client: client, relayOnly: at.RelayOnly})
	if at.Relay != nil {
		e.m.paths.setLeg(at.link, *at.Relay)
	}
	e.mu.Lock()
	if old := e.attempts[at.Peer]; old != nil {
		old.cancel(errSuperseded)
	}
	e.attempts[at.Peer] = at
	e.mu.Unlock()
	if at.ProbeKey != [32]byte{} && !at.RelayOnly {
		at.link.prober.search(search{at.ProbeKey, at.Remote, at.Answering, at.Attested})
	}
}

func (e *Endpoint) newLink(l *link) *link {
	l.prober = e.newProber(l)
	return e.m.paths.add(l)
}

// withdraw reports whether nobody has taken at to serve it.
func (e *Endpoint) withdraw(at *attempt) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attempts[at.Peer] != at {
		return false
	}
	delete(e.attempts, at.Peer)
	return true
}

// take returns the attempt at peer, if there is one, for the caller to serve.
func (e *Endpoint) take(peer identity.PeerID) *attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.attempts[peer]
	if at == nil || at.link.client {
		return nil
	}
	delete(e.attempts, peer)
	return at
}

// await waits for the peer to dial.
func (e *Endpoint) await(ctx context.Context, at *attempt) (*PeerConn, error) {
	select {
	case p := <-at.result:
		return p, nilIsClosed(p)
	case <-ctx.Done():
	}
	// A superseded attempt is withdrawn already; one that was taken is about to
	// be served.
	if e.withdraw(at) || errors.Is(context.Cause(ctx), errSuperseded) {
		return nil, context.Cause(ctx)
	}
	p := <-at.result
	return p, nilIsClosed(p)
}

func nilIsClosed(p *PeerConn) error {
	if p == nil {
		return ErrClosed
	}
	return nil
}

// dialPeer dials until the peer is authenticated, fails to be, or ctx ends.
func (e *Endpoint) dialPeer(ctx context.Context, at *attempt) (*PeerConn, error) {
	protocols := []string{alpnXX}
	if at.Record != nil {
		protocols = []string{alpnIK, alpnXX}
	}
	var last error
	for slot := slotRelay; ; slot = slots - 1 - slot {
		slot, err := e.route(ctx, at, slot)
		if err != nil {
			if last != nil {
				err = fmt.Errorf("%w (%w)", err, last)
			}
			return nil, err
		}
		p, err := e.dialSlot(ctx, at, slot, protocols)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, errNeedXX) && len(protocols) > 1:
			protocols = []string{alpnXX}
			continue
		case errors.Is(err, ErrAuthentication), errors.Is(err, ErrRefused):
			return nil, err
		}
		last = err
		e.log.Debug("dialling a peer failed", slog.String("peer", at.Peer.Short()), slog.Int("slot", slot), slog.Any("err", err))
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
}

// route returns a slot that leads somewhere, first if it does, or waits until
// there is one.
func (e *Endpoint) route(ctx context.Context, at *attempt, first int) (int, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		direct := at.directReady()
		relay := at.link.leg.Load() != nil
		switch {
		case relay && (first == slotRelay || !direct):
			return slotRelay, nil
		case direct:
			return slotDirect, nil
		}
		select {
		case <-at.link.prober.changed:
		case <-ctx.Done():
		}
	}
}

// directReady points slot 1 to the proven address, if there is one.
func (at *attempt) directReady() bool {
	addr, ok := at.link.prober.validated()
	if ok {
		at.link.direct.Store(&addr)
	}
	return ok
}

func (e *Endpoint) dialSlot(ctx context.Context, at *attempt, slot int, protocols []string) (*PeerConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if slot == slotRelay {
		// Do not wait for a dead relay beside a path that is known to work.
		stop := e.cancelWhenDirect(ctx, cancel, at)
		defer stop()
	}
	q, err := e.main.Dial(ctx, at.link.virtual[slot], clientTLS(protocols...), quicConfig())
	if err != nil {
		return nil, dialFailure(err)
	}
	stop := context.AfterFunc(ctx, func() { closeQUIC(q, codeClosed, "") })
	control, r, err := e.provePeer(ctx, q, at)
	if !stop() && err == nil {
		err = ErrUnreachable
	}
	if err != nil {
		refuse(q, err)
		return nil, handshakeFailure(err)
	}
	e.m.paths.acquire(at.link) // never gone: Connect is a user
	return e.startPeer(q, at.link, control, r, slot)
}

// cancelWhenDirect gives up relayPatience after a direct path is proven.
func (e *Endpoint) cancelWhenDirect(ctx context.Context, cancel func(), at *attempt) (stop func()) {
	done := make(chan struct{})
	ctx, stopWaiting := context.WithCancel(ctx)
	if !e.run(func() {
		defer close(done)
		for !at.directReady() {
			select {
			case <-at.link.prober.changed:
			case <-ctx.Done():
				return
			}
		}
		// The token belongs to whoever looks after the connection next.
		notify(at.link.prober.changed)
		select {
		case <-time.After(relayPatience):
			cancel()
		case <-ctx.Done():
		}
	}) {
		close(done)
	}
	return func() { stopWaiting(); <-done }
}

// provePeer is the dialling side's handshake (spec §5.2.3).
func (e *Endpoint) provePeer(ctx context.Context, q *quic.Conn, at *attempt) (*quic.Stream, handshake.Result, error) {
	c := handshake.Config{Local: e.c.Identity, Remote: at.Record, RemoteID: at.Peer}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var s *quic.Stream
	var err error
	if q.ConnectionState().TLS.NegotiatedProtocol == alpnIK {
		// IK's initiator is the QUIC server: its message is here with the first
		// packets. We answer, and trust nothing before its third message.
		c.Pattern = handshake.IK
		s, err = q.AcceptStream(ctx)
	} else {
		c.Pattern, c.Initiator = handshake.XX, true
		s, err = q.OpenStreamSync(ctx)
	}
	if err != nil {
		return nil, handshake.Result{}, translate(err)
	}
	r, err := authenticate(q, s, c)
	return s, r, err
}

// servePeer authenticates an inbound peer and hands it to the Connect that
// waits for it, or to Accept.
func (e *Endpoint) servePeer(q *quic.Conn, alpn string) {
	via := e.linkOf(q.RemoteAddr())
	s, r, err := e.admit(q, alpn, via)
	if err != nil {
		e.log.Debug("inbound peer refused", slog.String("alpn", alpn), slog.Any("err", err))
		if errors.Is(err, ErrRefused) {
			closeQUIC(q, codeRefused, "")
		} else {
			refuse(q, err)
		}
		return
	}
	at := e.take(r.Peer.Identity)
	p, err := e.startPeer(q, e.choose(via, at, r.Peer), s, r, slotOf(q.RemoteAddr()))
	switch {
	case at != nil:
		at.result <- p // nil when the endpoint is closing
	case err != nil:
	default:
		select {
		case e.accepted <- p:
		default:
			closeQUIC(q, codeUnavailable, "")
		}
	}
}

// choose returns the link of an inbound connection, with one user more: the one
// that its packets take, else that of the attempt at its peer, else a new one.
func (e *Endpoint) choose(via *link, at *attempt, peer *identity.Record) *link {
	if via != nil && e.m.paths.acquire(via) {
		return via
	}
	if at != nil && e.m.paths.acquire(at.link) {
		return at.link
	}
	return e.newLink(&link{peer: peer.Identity, record: peer})
}

// slotOf returns the slot by which a connection was accepted.
func slotOf(a net.Addr) int {
	u, _ := a.(*net.UDPAddr)
	if _, slot, ok := parseVirtual(u); ok {
		return slot
	}
	return slotDirect
}

// admit authenticates an inbound peer.
func (e *Endpoint) admit(q *quic.Conn, alpn string, via *link) (*quic.Stream, handshake.Result, error) {
	ctx, cancel := context.WithTimeout(q.Context(), handshakeTimeout)
	defer cancel()
	c := handshake.Config{Pattern: handshake.XX, Local: e.c.Identity}
	if via != nil {
		c.RemoteID, c.Remote = via.peer, via.record
	}
	var s *quic.Stream
	var err error
	if alpn == alpnIK {
		if via == nil || via.record == nil {
			return nil, handshake.Result{}, handshake.ErrHandshake // never offered
		}
		c.Pattern, c.Initiator = handshake.IK, true
		s, err = q.OpenStreamSync(ctx) // in 0.5-RTT data
	} else {
		s, err = q.AcceptStream(ctx)
	}
	if err != nil {
		return nil, handshake.Result{}, translate(err)
	}
	r, err := authenticate(q, s, c)
	if err != nil {
		return nil, r, err
	}
	if e.c.Identity.PeerID().Compare(r.Peer.Identity) <= 0 {
		return nil, handshake.Result{}, fmt.Errorf("%w: the lower id dials", ErrRefused)
	}
	if e.c.Allow != nil {
		if err := e.c.Allow(r.Peer); err != nil {
			return nil, handshake.Result{}, fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return s, r, nil
}

// Accept returns authenticated peers that dialled and that no Connect waits
// for.
func (e *Endpoint) Accept(ctx context.Context) (*PeerConn, error) {
	if e.c.Identity == nil {
		return nil, ErrNoIdentity
	}
	select {
	case p := <-e.accepted:
		return p, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-e.ctx.Done():
		return nil, ErrClosed
	}
}
