package transport

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// A Stream is a bidirectional stream of a connection. Read and Write may run at
// the same time, each on one goroutine.
type Stream struct {
	s *quic.Stream
	c *Conn
}

// Read returns io.EOF when the other side has closed its direction.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.s.Read(b)
	if n > 0 {
		s.c.used.Store(s.c.e.m.now())
	}
	return n, streamError(err)
}

// Write blocks while flow control does.
func (s *Stream) Write(b []byte) (int, error) {
	n, err := s.s.Write(b)
	if n > 0 {
		s.c.used.Store(s.c.e.m.now())
	}
	return n, streamError(err)
}

// Close ends our direction: the other side reads io.EOF. Reading goes on.
func (s *Stream) Close() error { return streamError(s.s.Close()) }

// SetDeadline bounds reads and writes; os.ErrDeadlineExceeded follows it.
func (s *Stream) SetDeadline(t time.Time) error { return streamError(s.s.SetDeadline(t)) }

// SetReadDeadline bounds reads.
func (s *Stream) SetReadDeadline(t time.Time) error { return streamError(s.s.SetReadDeadline(t)) }

// CancelRead tells the other side that we read no further.
func (s *Stream) CancelRead(code uint64) { s.s.CancelRead(quic.StreamErrorCode(code)) }

// CancelWrite gives up our direction, what is not delivered yet included.
func (s *Stream) CancelWrite(code uint64) { s.s.CancelWrite(quic.StreamErrorCode(code)) }

// Context ends when our direction is closed or the connection has ended.
func (s *Stream) Context() context.Context { return s.s.Context() }

func streamError(err error) error {
	if err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return translate(err)
}
