package relay

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// conn is what the package needs of a [transport.Conn].
type conn interface {
	OpenStream(ctx context.Context) (stream, error)
	AcceptStream(ctx context.Context) (stream, error)
	Binding() [32]byte
	RemoteAddr() netip.AddrPort
	Done() <-chan struct{}
	Err() error
	Close(code uint64, reason string) error
}

// stream is what it needs of a [transport.Stream]. Close ends the writing half.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
	CancelRead(code uint64)
	CancelWrite(code uint64)
}

// past is a deadline that unblocks at once.
var past = time.Unix(1, 0)

// call sends one request on a stream of its own and returns the payload of the
// answer, which must be of type want.
func call(ctx context.Context, c conn, typ uint16, payload []byte, want uint16) ([]byte, error) {
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("relay: opening a stream: %w", err)
	}
	defer s.CancelRead(0)
	stop := context.AfterFunc(ctx, func() { s.SetDeadline(past) })
	defer stop()
	// A relay may answer before it has seen the end of the request, and stop
	// reading: what counts is whether there is an answer.
	writeErr := transport.WriteFrame(s, typ, payload)
	if writeErr == nil {
		s.Close()
	}
	got, answer, err := transport.ReadFrame(s, wire.MaxRelayFrame)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		s.CancelWrite(0)
		return nil, fmt.Errorf("relay: %w", ctx.Err())
	case writeErr != nil:
		return nil, fmt.Errorf("relay: sending a request: %w", writeErr)
	default:
		return nil, fmt.Errorf("relay: waiting for an answer: %w", err)
	}
	switch got {
	case want:
		return answer, nil
	case wire.FrameRelayError:
		return nil, remoteError(answer)
	}
	return nil, fmt.Errorf("%w: frame %#04x", ErrProtocol, got)
}

// callOK is call for requests that are answered by FrameRelayOK.
func callOK(ctx context.Context, c conn, typ uint16, payload []byte) error {
	_, err := call(ctx, c, typ, payload, wire.FrameRelayOK)
	return err
}

// parsed decodes an answer; what cannot be read is ErrProtocol.
func parsed[T any](parse func([]byte) (T, error), b []byte, err error) (T, error) {
	var zero T
	if err != nil {
		return zero, err
	}
	x, err := parse(b)
	if err != nil {
		return zero, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return x, nil
}

// network makes a transport's connection a conn.
type network struct{ *transport.Conn }

func (c network) OpenStream(ctx context.Context) (stream, error) {
	s, err := c.Conn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c network) AcceptStream(ctx context.Context) (stream, error) {
	s, err := c.Conn.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func dialServer(ctx context.Context, ep *transport.Endpoint, a identity.ServerAddr) (conn, error) {
	c, err := ep.DialServer(ctx, a, ALPN)
	if err != nil {
		return nil, fmt.Errorf("relay: dialling: %w", err)
	}
	return network{c}, nil
}
