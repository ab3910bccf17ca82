package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/wire"
)

// What another end may write to a stream: frames, of the control stream also
// their contents, and messages of the handshake.
func FuzzStream(f *testing.F) {
	var frames []byte
	for _, x := range []struct {
		typ uint16
		b   []byte
	}{
		{wire.FrameControlCandidates, wire.ControlCandidates{Round: 1}.Append(nil)},
		{wire.FrameControlPath, wire.ControlPath{Seq: 1, Path: wire.ControlPathDirect, Reason: "x"}.Append(nil)},
		{wire.FrameControlPing, wire.ControlPing{Nonce: 7}.Append(nil)},
		{wire.FrameControlHindrance, wire.ControlHindrance{What: 1}.Append(nil)},
		{0x00ff, nil},
	} {
		f.Add(wire.AppendFrame(nil, x.typ, x.b))
		frames = wire.AppendFrame(frames, x.typ, x.b)
	}
	f.Add(frames)
	f.Add([]byte{0, 3, 1, 2, 3, 0, 0})
	f.Add([]byte{0, 1, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for r := bytes.NewReader(b); ; {
			before := r.Len()
			typ, payload, err := ReadFrame(r, wire.MaxControlFrame)
			if err != nil {
				if before > 0 && errors.Is(err, io.EOF) {
					t.Errorf("%d bytes of a frame end like none", before)
				}
				break
			}
			if again := wire.AppendFrame(nil, typ, payload); !bytes.Equal(again, b[len(b)-before:len(b)-r.Len()]) {
				t.Errorf("frame %x was read as %x", b[len(b)-before:len(b)-r.Len()], again)
			}
			if ev, err := parseControl(typ, payload); err == nil && ev.candidates != nil && len(ev.candidates.Candidates) > wire.MaxCandidates {
				t.Errorf("%d candidates", len(ev.candidates.Candidates))
			}
		}
		for r := bytes.NewReader(b); ; {
			msg, err := readMessage(r)
			if err != nil {
				break
			}
			if len(msg) == 0 || len(msg) > handshake.MaxMessage {
				t.Errorf("a message of %d bytes", len(msg))
			}
		}
	})
}
