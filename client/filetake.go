package client

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

// fetchBuffers is how many chunks are in memory for each stream.
const fetchBuffers = 4

// A chunkStream is what chunks are read from: a stream of a connection.
type chunkStream interface {
	io.Reader
	CancelRead(code uint64)
}

// A piece is a frame as it came, or why none did.
type piece struct {
	index uint64 // of the chunk that comes next
	frame []byte
	err   error
}

// take takes the chunks of want. They are read while those before them are checked
// and written: so the stream's window is never full because a disk takes its time.
func (x *fetch) take(ctx context.Context, s chunkStream, want []wire.Range) (err error) {
	buffers := min(fetchBuffers, transfer.Set(want).Count())
	free, full := make(chan []byte, buffers), make(chan piece, buffers)
	for range buffers {
		free <- make([]byte, wire.MaxFileData)
	}
	done := make(chan struct{}) // nothing is taken any more
	read := make(chan struct{}) // readPieces has ended
	go func() {
		defer close(read)
		readPieces(s, want, free, full, done)
	}()
	defer func() {
		close(done)
		if err != nil {
			s.CancelRead(fetchCode(err)) // unblocks Read
		}
		<-read
	}()
	synced := time.Now()
	told := synced
	for p := range full {
		if p.err != nil {
			return p.err
		}
		if err := x.chunk(p); err != nil {
			return err
		}
		free <- p.frame[:cap(p.frame)]
		now := time.Now()
		if now.Sub(synced) > syncEvery {
			if err := x.syncLater(); err != nil {
				return err
			}
			synced = now
		}
		if now.Sub(told) > progressEvery {
			told = now
			have := x.have.Bytes(x.row.Size)
			x.n.c.post(func(k *core) { k.fetching(x, have) })
		}
	}
	return ctx.Err()
}

// readPieces reads the frames that answer want into buffers of free, and closes full
// behind the last or the error.
func readPieces(s chunkStream, want []wire.Range, free <-chan []byte, full chan<- piece, done <-chan struct{}) {
	defer close(full)
	// A deadline would cost a timer each time that a read waits.
	stalled := time.AfterFunc(fetchStalls, func() { s.CancelRead(fileStopped) })
	defer stalled.Stop()
	r := bufio.NewReaderSize(s, 16<<10)
	for _, g := range want {
		for i := g.First; i <= g.Last; i++ {
			p := piece{index: i}
			select {
			case p.frame = <-free:
			case <-done:
				return
			}
			stalled.Reset(fetchStalls)
			p.frame, p.err = readPiece(r, p.frame)
			full <- p // has room for all buffers
			if p.err != nil {
				return
			}
		}
	}
}

// readPiece reads the frame that comes next into buf.
func readPiece(r io.Reader, buf []byte) ([]byte, error) {
	var h [wire.FrameHeaderLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return buf, err
	}
	typ, n := wire.ParseFrameHeader(h)
	if typ != wire.FrameFileChunk || n > len(buf) {
		return buf, transfer.ErrMismatch
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

// chunk checks and writes the chunk that comes next. Any other one than was asked
// for is an error: so no answer is longer than the question.
func (x *fetch) chunk(p piece) error {
	data, err := wire.ParseFileData(p.frame)
	if err != nil || data.Index != p.index {
		return transfer.ErrMismatch
	}
	if err := transfer.Check(x.row.Size, x.row.Root.bytes(), data); err != nil {
		return err
	}
	if _, err := x.f.WriteAt(data.Data, int64(p.index*wire.FileChunkLen)); err != nil {
		return noSpace(err)
	}
	x.have.Add(p.index)
	return nil
}
