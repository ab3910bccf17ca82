package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/identity"
)

// errNeedXX: IK's first message was not for a key of ours, the QUIC client's.
var errNeedXX = errors.New("transport: the other side does not know our key; XX is needed")

// authenticate runs a Noise handshake over a stream (spec §5.2.3): every message
// is length(uint16) message. It must be over within handshakeTimeout. early, if
// not nil, is called when [handshake.Handshake.MayWriteEarly] allows it.
func authenticate(q *quic.Conn, s *quic.Stream, c handshake.Config, early func()) (handshake.Result, error) {
	state := q.ConnectionState().TLS
	c.Version = version
	c.ALPN = state.NegotiatedProtocol
	var err error
	if c.Exporter, err = export(state, exporterHandshake); err != nil {
		return handshake.Result{}, err
	}
	hs, err := handshake.New(c)
	if err != nil {
		return handshake.Result{}, err
	}
	if err := s.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return handshake.Result{}, translate(err)
	}
	for {
		switch hs.Turn() {
		case handshake.Write:
			msg, err := hs.WriteMessage()
			if err != nil {
				return handshake.Result{}, err
			}
			if _, err := s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
				return handshake.Result{}, streamError(err)
			}
			if early != nil && hs.MayWriteEarly() {
				early()
			}
		case handshake.Read:
			msg, err := readMessage(s)
			if err != nil {
				return handshake.Result{}, err
			}
			if err := hs.ReadMessage(msg); err != nil {
				return handshake.Result{}, err
			}
		case handshake.Done:
			return hs.Result(), streamError(s.SetDeadline(time.Time{}))
		default:
			return handshake.Result{}, handshake.ErrHandshake
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, streamError(err)
	}
	n := int(binary.BigEndian.Uint16(h[:]))
	if n == 0 || n > handshake.MaxMessage {
		return nil, handshake.ErrHandshake
	}
	b, err := readExactly(r, n)
	return b, streamError(err)
}

// isHandshakeError reports whether the other side failed to prove itself, as
// opposed to having gone.
func isHandshakeError(err error) bool {
	return errors.Is(err, handshake.ErrHandshake) || errors.Is(err, handshake.ErrWrongPeer)
}

// refuse closes a connection whose handshake failed with err. The other side
// learns no more than the code.
func refuse(q *quic.Conn, err error) {
	code := uint64(codeHandshake)
	switch {
	case errors.Is(err, handshake.ErrNeedXX):
		code = codeNeedXX
	case errors.Is(err, identity.ErrOldEpoch):
		code = codeLeftBehind
	case isHandshakeError(err):
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		code = codeTimeout
	}
	closeQUIC(q, code, "")
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// handshakeFailure is what the dialling side reports.
func handshakeFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, handshake.ErrNeedXX):
		return errNeedXX
	case isHandshakeError(err):
		return fmt.Errorf("%w: %w", ErrAuthentication, err)
	case isTimeout(err):
		return ErrUnreachable
	}
	return err
}
