package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/identity"
)

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
	p, err := e.startPeer(q, e.choose(via, at, r.Peer), proof{control: s, result: r}, slotOf(q.RemoteAddr()))
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
	c := handshake.Config{Pattern: handshake.XX, Local: e.identity.Load()}
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
	r, err := authenticate(q, s, c, nil)
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
