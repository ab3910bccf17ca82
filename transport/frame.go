package transport

import (
	"fmt"
	"io"

	"github.com/sremp/sremp/wire"
)

// ReadFrame reads one frame (spec §1.2). A payload of more than max bytes is
// [ErrFrameTooLarge] before anything is allocated for it; the stream is then of
// no further use. io.EOF is returned only between two frames.
func ReadFrame(r io.Reader, max int) (typ uint16, payload []byte, err error) {
	var h [wire.FrameHeaderLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	typ, n := wire.ParseFrameHeader(h)
	if n > max {
		return 0, nil, fmt.Errorf("%w: %d bytes of at most %d", ErrFrameTooLarge, n, max)
	}
	payload, err = readExactly(r, n)
	return typ, payload, err
}

// readChunk bounds what a length field alone makes us allocate.
const readChunk = 64 << 10

// readExactly reads n bytes, allocating only for what has arrived.
func readExactly(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, 0, min(n, readChunk))
	for len(b) < n {
		want := min(n-len(b), readChunk)
		b = append(b, make([]byte, want)...)
		if _, err := io.ReadFull(r, b[len(b)-want:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b, nil
}

// WriteFrame writes one frame in a single Write.
func WriteFrame(w io.Writer, typ uint16, payload []byte) error {
	if len(payload) > wire.MaxFramePayload {
		return ErrFrameTooLarge
	}
	_, err := w.Write(wire.AppendFrame(make([]byte, 0, wire.FrameHeaderLen+len(payload)), typ, payload))
	return err
}
