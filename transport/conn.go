package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/identity"
)

// A Conn is an authenticated connection to a server, at either end of it; a
// server does not know who its clients are. All methods are safe for concurrent
// use.
type Conn struct {
	e      *Endpoint
	q      *quic.Conn
	tls    tls.ConnectionState // constant: quic-go's own getter races with migration
	server identity.ServerID   // the one proven to us; zero at its own end
	result handshake.Result
	used   atomic.Int64 // when a stream last moved bytes, by the endpoint's clock
}

func newConn(e *Endpoint, q *quic.Conn, r handshake.Result) *Conn {
	return &Conn{e: e, q: q, tls: q.ConnectionState().TLS, server: r.ServerID, result: r}
}

// ServerID returns the server that the other end proved to be.
func (c *Conn) ServerID() identity.ServerID { return c.server }

// ALPN returns the negotiated protocol.
func (c *Conn) ALPN() string { return c.tls.NegotiatedProtocol }

// OpenStream opens a bidirectional stream. The other side hears of it with the
// first bytes written.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) {
	s, err := c.q.OpenStreamSync(ctx)
	if err != nil {
		return nil, translate(err)
	}
	return &Stream{s, c}, nil
}

// AcceptStream waits for the next stream of the other side.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	s, err := c.q.AcceptStream(ctx)
	if err != nil {
		return nil, translate(err)
	}
	return &Stream{s, c}, nil
}

// Binding is a value that the two ends of this connection share and that no
// other connection has (TLS exporter, spec §5.2.4). It is not secret to either.
func (c *Conn) Binding() (b [32]byte) {
	b, err := export(c.tls, exporterBinding)
	if err != nil {
		// Both ends have completed the TLS handshake before there is a Conn.
		panic(err)
	}
	return b
}

func export(state tls.ConnectionState, label string) (b [32]byte, err error) {
	k, err := state.ExportKeyingMaterial(label, nil, len(b))
	if err != nil {
		return b, fmt.Errorf("transport: %w", err)
	}
	copy(b[:], k)
	return b, nil
}

// RemoteAddr returns the address that packets go to now.
func (c *Conn) RemoteAddr() netip.AddrPort { return addrPort(c.q.RemoteAddr()) }

// RTT returns the connection's smoothed round trip, 0 if none was measured yet.
func (c *Conn) RTT() time.Duration {
	if d := c.q.ConnectionStats().SmoothedRTT; d != noRTT {
		return d
	}
	return 0
}

// Done is closed when the connection has ended, for whatever reason.
func (c *Conn) Done() <-chan struct{} { return c.q.Context().Done() }

// Err returns why the connection ended, nil while it lives.
func (c *Conn) Err() error {
	if c.q.Context().Err() == nil {
		return nil
	}
	return translate(context.Cause(c.q.Context()))
}

// Close ends the connection. The other side gets code and at most 200 bytes of
// reason; code 0 is a plain goodbye.
func (c *Conn) Close(code uint64, reason string) error {
	closeQUIC(c.q, code, reason)
	return nil
}

func closeQUIC(q *quic.Conn, code uint64, reason string) {
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	// The error says that the connection has ended already.
	_ = q.CloseWithError(quic.ApplicationErrorCode(code), reason)
}

// A CloseError says that one side closed the connection with a code. It is
// ErrClosed or ErrRemoteClosed; the codes of spec §5.3.3 are more.
type CloseError struct {
	Code   uint64
	Reason string // the other side's words: show them as a quotation
	Remote bool
}

func (e *CloseError) Error() string {
	if !e.Remote {
		return ErrClosed.Error()
	}
	if e.Reason == "" {
		return fmt.Sprintf("%v (code %d)", ErrRemoteClosed, e.Code)
	}
	return fmt.Sprintf("%v (code %d): %q", ErrRemoteClosed, e.Code, e.Reason)
}

// Is implements the interface of errors.Is.
func (e *CloseError) Is(target error) bool {
	if !e.Remote {
		return target == ErrClosed
	}
	switch target {
	case ErrRemoteClosed:
		return true
	case ErrRefused:
		return e.Code == codeRefused || e.Code == codeUnavailable
	case ErrAuthentication:
		return e.Code == codeHandshake || e.Code == codeLeftBehind
	case ErrLeftBehind:
		return e.Code == codeLeftBehind
	}
	return false
}

// A StreamError says that one side gave up one direction of a stream.
type StreamError struct {
	Code   uint64
	Remote bool
}

func (e *StreamError) Error() string {
	who := "this side"
	if e.Remote {
		who = "the other side"
	}
	return fmt.Sprintf("transport: stream cancelled by %s (code %d)", who, e.Code)
}

// noApplicationProtocol is TLS alert 120 as a QUIC error (RFC 9001, section
// 4.8): the other side does not offer what we came for.
const noApplicationProtocol = 0x100 + 120

// translate gives quic-go's errors the package's types.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		if !e.Remote && e.ErrorCode == codeLost {
			return ErrLost
		}
		return &CloseError{Code: uint64(e.ErrorCode), Reason: e.ErrorMessage, Remote: e.Remote}
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return &StreamError{Code: uint64(e.ErrorCode), Remote: e.Remote}
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return ErrUnreachable
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return ErrLost
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return ErrLost
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		switch {
		case e.ErrorCode == quic.ConnectionRefused, e.ErrorCode == noApplicationProtocol:
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	if errors.Is(err, quic.ErrTransportClosed) || errors.Is(err, quic.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return ErrClosed
	}
	return err
}
