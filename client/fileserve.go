package client

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Codes with which a stream of a file is reset, by either side (spec §8.14).
const (
	fileStopped = 0
	fileUnknown = 1
	fileChanged = 2
	filePaused  = 3
	fileBusy    = 4
)

// Tuning of transfers.
const (
	maxFileStreams = 8 // served on one connection
	progressEvery  = 200 * time.Millisecond
)

// A fileRefusal is a request that gets no chunk; its value is the code.
type fileRefusal uint64

func (r fileRefusal) Error() string {
	return fmt.Sprintf("client: the file was refused, code %d", uint64(r))
}

// A served file is what serving needs of it.
type served struct {
	owner int64
	seq   int64
	row   fileRow
}

// serveFile answers a stream that began with get.
func (n *network) serveFile(l *link, s *transport.Stream, get wire.FileGet) {
	code := uint64(fileStopped)
	if l.files.Add(1) > maxFileStreams {
		code = fileBusy
	} else if err := n.serve(l, s, get); err == nil {
		l.files.Add(-1)
		s.Close()
		s.CancelRead(fileStopped)
		return
	} else if r, ok := errors.AsType[fileRefusal](err); ok {
		code = uint64(r)
	} else if errors.Is(err, ErrFileChanged) || errors.Is(err, ErrNoFile) {
		code = fileChanged
	}
	l.files.Add(-1)
	s.CancelWrite(code)
	s.CancelRead(code)
}

func (n *network) serve(l *link, s *transport.Stream, get wire.FileGet) error {
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel()
	var x served
	err := n.c.do(ctx, func(k *core) (err error) {
		x, err = k.beginServing(l, get, cancel)
		return err
	})
	if err != nil {
		return err
	}
	left := transfer.Set(get.Want).Bytes(x.row.Size)
	report := func(left uint64, last bool, err error) {
		n.c.post(func(k *core) { k.serving(l.peer, x.seq, x.row.Size-left, last, err) })
	}
	src, err := openSource(ctx, n.c.vault, x.owner, x.seq, x.row)
	if err != nil {
		report(left, true, err)
		return err
	}
	defer src.close()
	stop := context.AfterFunc(ctx, func() { s.CancelWrite(fileStopped) }) // unblocks Write
	defer stop()
	next := time.Now().Add(progressEvery)
	err = sendChunks(ctx, src, s, get.Want, func(n int) {
		left -= uint64(n)
		if now := time.Now(); now.After(next) {
			next = now.Add(progressEvery)
			report(left, false, nil)
		}
	})
	report(left, true, err)
	return err
}

// beginServing finds the file that is asked for.
func (k *core) beginServing(l *link, get wire.FileGet, cancel context.CancelFunc) (x served, err error) {
	c := k.contacts[l.peer]
	if c == nil || c.info.Trust != Trusted {
		return x, fileRefusal(fileUnknown)
	}
	f := c.fileByID(get.ID)
	if f == nil || !f.Mine {
		return x, fileRefusal(fileUnknown)
	}
	want := fileToken(f.Key.bytes(), l.conn.Binding())
	if subtle.ConstantTimeCompare(want[:], get.Token[:]) != 1 || !transfer.Set(get.Want).Within(f.chunks()) {
		return x, fileRefusal(fileUnknown)
	}
	if f.State == FilePaused && !f.ByPeer {
		return x, fileRefusal(filePaused)
	}
	f.run.streams++
	before := f.run.stop
	f.run.stop = func() {
		if before != nil {
			before()
		}
		cancel()
	}
	f.run.done = f.Size - transfer.Set(get.Want).Bytes(f.Size)
	k.setFileState(c, f, FileMoving, "")
	return served{c.num, f.seq, f.fileRow}, nil
}

// serving notes how far a stream is, and its end.
func (k *core) serving(peer identity.PeerID, seq int64, done uint64, last bool, err error) {
	c := k.contacts[peer]
	if c == nil || c.files[seq] == nil {
		return
	}
	f := c.files[seq]
	f.run.done = done
	if !last {
		k.emitFile(c, f)
		return
	}
	if f.run.streams--; f.run.streams > 0 {
		return
	}
	f.run.stop = nil
	switch {
	case errors.Is(err, ErrFileChanged), errors.Is(err, ErrNoFile):
		k.failFile(c, f, err)
	case f.State == FileMoving:
		k.setFileState(c, f, FileWaiting, "")
	}
}

// failFile ends a file of ours that is no longer what was offered.
func (k *core) failFile(c *contact, f *file, err error) {
	k.c.log.Info("a file cannot be sent", "contact", c.info.ID.Short(), "err", err)
	problem := ErrFileChanged.Error()
	if errors.Is(err, ErrNoFile) {
		problem = ErrNoFile.Error()
	}
	k.setFileState(c, f, FileFailed, problem)
	k.tellFile(c, f, wire.FileFailed)
}

// sendChunks writes the wanted chunks. One is read while another is written, so
// that the connection never waits for the disk.
func sendChunks(ctx context.Context, src *source, s *transport.Stream, want []wire.Range, sent func(int)) error {
	type block struct {
		frame []byte
		n     int
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	free, full := make(chan []byte, 3), make(chan block, 3)
	for range cap(free) {
		free <- make([]byte, 0, wire.FrameHeaderLen+wire.MaxFileData)
	}
	done := make(chan struct{})
	defer func() {
		cancel()
		<-done
	}()
	go func() { // ends with ctx, or when all is read
		defer close(done)
		defer close(full)
		for _, g := range want {
			for i := g.First; i <= g.Last; i++ {
				var b block
				select {
				case b.frame = <-free:
				case <-ctx.Done():
					return
				}
				b.frame, b.n, b.err = chunkFrame(ctx, src, i, b.frame[:0])
				select {
				case full <- b:
				case <-ctx.Done():
					return
				}
				if b.err != nil {
					return
				}
			}
		}
	}()
	for b := range full {
		if b.err != nil {
			return b.err
		}
		if _, err := s.Write(b.frame); err != nil {
			return err
		}
		sent(b.n)
		free <- b.frame
	}
	return ctx.Err()
}

// chunkFrame encodes a frame with one chunk into b, which has room for it. The data
// is read to where it stays.
func chunkFrame(ctx context.Context, src *source, index uint64, b []byte) ([]byte, int, error) {
	n := transfer.ChunkLen(src.row.Size, index)
	proof, err := src.proof(ctx, index)
	if err != nil {
		return b, 0, err
	}
	room := b[:cap(b)]
	head := wire.FileData{Index: index, Proof: proof, Data: room[:n]}.AppendHeader(nil) // of the data its length
	b = append(wire.AppendFrameHeader(b, wire.FrameFileChunk, len(head)+n), head...)
	b = b[:len(b)+n]
	return b, n, src.fill(index, b[len(b)-n:])
}
