package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/identity"
)

// DialServer connects to a server and returns when it has proven the key in its
// address: [ErrServerKey] if it cannot, [ErrUnreachable] if nothing answers,
// [ErrRefused] if it does not offer alpn. The server learns nothing about us.
func (e *Endpoint) DialServer(ctx context.Context, a identity.ServerAddr, alpn string) (*Conn, error) {
	ctx, stop := e.bind(ctx)
	defer stop()
	addrs, err := e.resolve(ctx, a)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		var c *Conn
		if c, err = e.dialByRoute(ctx, a, addr, alpn); err == nil {
			return c, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrServerKey) {
			break
		}
	}
	return nil, e.dialError(ctx, err)
}

// bind returns a context that also ends with the endpoint.
func (e *Endpoint) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// dialError prefers to say that the endpoint was closed.
func (e *Endpoint) dialError(ctx context.Context, err error) error {
	if e.ctx.Err() != nil {
		return ErrClosed
	}
	if err == nil {
		return context.Cause(ctx)
	}
	return err
}

// resolve returns the addresses of a server that our socket can reach, in the
// resolver's order.
func (e *Endpoint) resolve(ctx context.Context, a identity.ServerAddr) ([]netip.AddrPort, error) {
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		ips = []netip.Addr{ip}
	} else if ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	v4only := e.LocalAddr().Addr().Is4()
	var out []netip.AddrPort
	for _, ip := range ips {
		ip = ip.Unmap()
		if (ip.Is4() || !v4only) && !isVirtual(ip) {
			out = append(out, netip.AddrPortFrom(ip, a.Port))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no address of our socket's family", ErrUnreachable, a.Host)
	}
	return out, nil
}

func (e *Endpoint) dialServer(ctx context.Context, id identity.ServerID, addr netip.AddrPort, alpn string) (*Conn, error) {
	q, err := e.main.Dial(ctx, net.UDPAddrFromAddrPort(addr), clientTLS(alpn), quicConfig())
	if err != nil {
		return nil, dialFailure(err)
	}
	// The handshake ends early when ctx does.
	stop := context.AfterFunc(ctx, func() { closeQUIC(q, codeClosed, "") })
	r, err := e.proveServer(ctx, q, id)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		refuse(q, err)
		if isHandshakeError(err) {
			return nil, fmt.Errorf("%w: %w", ErrServerKey, err)
		}
		return nil, handshakeFailure(err)
	}
	c := newConn(e, q, r)
	if !e.run(c.tend) {
		closeQUIC(q, codeClosed, "")
		return nil, ErrClosed
	}
	return c, nil
}

func (e *Endpoint) proveServer(ctx context.Context, q *quic.Conn, id identity.ServerID) (handshake.Result, error) {
	s, err := q.OpenStreamSync(ctx)
	if err != nil {
		return handshake.Result{}, translate(err)
	}
	r, err := authenticate(q, s, handshake.Config{Pattern: handshake.NX, Initiator: true, RemoteServer: id}, nil)
	if err != nil {
		return r, err
	}
	return r, streamError(s.Close())
}

// dialFailure translates an error of quic-go's Dial.
func dialFailure(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if errors.Is(translate(err), ErrLost) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return translate(err)
}

// serveClient proves our server key to an inbound connection.
func (e *Endpoint) serveClient(q *quic.Conn) (*Conn, error) {
	ctx, cancel := context.WithTimeout(q.Context(), handshakeTimeout)
	defer cancel()
	// Nothing is answered before the client's address is validated.
	select {
	case <-q.HandshakeComplete():
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s, err := q.AcceptStream(ctx)
	if err != nil {
		return nil, translate(err)
	}
	r, err := authenticate(q, s, handshake.Config{Pattern: handshake.NX, Server: e.c.ServerKey}, nil)
	if err != nil {
		return nil, err
	}
	s.Close()
	return newConn(e, q, r), nil
}
