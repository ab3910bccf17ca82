package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Tuning of receiving files.
const (
	maxFetches  = 2 // streams that one connection's files are asked for on
	syncEvery   = 2 * time.Second
	fetchRetry  = 3 * time.Second // after the other side refused or the stream broke
	fetchStalls = 20 * time.Second
)

// A fetch is one stream that gets the chunks of a file.
type fetch struct {
	n      *network
	l      *link
	peer   identity.PeerID
	seq    int64
	row    fileRow
	have   transfer.Set // written
	stored transfer.Set // durable, and told to the core
	f      *os.File

	syncing *syncing // nil if none is under way
	stopped bool     // by the core, when it has ended
}

// startFiles asks for files that are wanted, as far as the connection and the
// limits allow, and finishes those that are whole.
func (k *core) startFiles(c *contact) {
	if c.info.Trust != Trusted {
		return
	}
	running := 0
	for _, f := range c.files {
		if !f.Mine {
			running += f.run.streams
		}
	}
	for _, f := range c.sortedFiles() {
		switch {
		case !f.wanted() || f.run.streams > 0 || f.run.placing || k.steady().Before(f.run.next):
		case f.complete():
			k.placeFile(c, f)
		case c.link != nil && running < maxFetches:
			running++
			k.fetchFile(c, f)
		}
	}
}

func (k *core) fetchFile(c *contact, f *file) {
	if c.link.conn.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(k.c.net.ctx)
	f.run.stop, f.run.streams = cancel, 1
	x := &fetch{n: k.c.net, l: c.link, peer: c.info.ID, seq: f.seq, row: f.fileRow}
	x.have = append(x.have, f.Have...)
	k.then(func() {
		if !x.n.run(func() {
			defer cancel()
			err := x.get(ctx)
			x.stopped = ctx.Err() != nil
			x.n.c.post(func(k *core) { k.fetched(x, err) })
		}) {
			cancel()
		}
	})
}

// get runs until the stream ends. What was received is durable, and the core
// knows of it, when it returns.
func (x *fetch) get(ctx context.Context) error {
	d, err := openFolder(x.row.Folder)
	if err != nil {
		return err
	}
	defer d.close()
	if err := x.openPart(ctx, d); err != nil {
		return err
	}
	defer x.f.Close()
	s, err := x.l.conn.OpenStream(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.CancelRead(fileStopped) }) // unblocks Read
	defer stop()
	x.moving(ctx)
	err = x.ask(ctx, s)
	code := fetchCode(err)
	s.CancelRead(code)
	s.CancelWrite(code)
	if syncErr := x.sync(); err == nil || syncErr != nil {
		err = syncErr
	}
	return err
}

// fetchCode is what the other side is told of the end of a stream.
func fetchCode(err error) uint64 {
	if errors.Is(err, transfer.ErrMismatch) {
		return fileChanged
	}
	return fileStopped
}

// openPart opens what there is, or begins anew.
func (x *fetch) openPart(ctx context.Context, d folder) (err error) {
	if x.row.Part != "" {
		if x.f, err = d.openPart(x.row.Part); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		x.have = nil // somebody deleted it
	}
	var name string
	if x.f, name, err = d.newPart(partName(x.row.Name, x.row.ID)); err != nil {
		return err
	}
	return x.n.c.do(ctx, func(k *core) error {
		c, f := x.file(k)
		if f == nil {
			return context.Canceled
		}
		x.row.Part, f.Part, f.Have = name, name, nil
		c.setFile(k, f)
		return nil
	})
}

// file returns the file that x gets, nil if it is no longer wanted.
func (x *fetch) file(k *core) (*contact, *file) {
	c := k.contacts[x.peer]
	if c == nil || c.files[x.seq] == nil {
		return nil, nil
	}
	return c, c.files[x.seq]
}

func (x *fetch) moving(ctx context.Context) {
	x.n.c.post(func(k *core) {
		if c, f := x.file(k); f != nil && f.State == FileWaiting && ctx.Err() == nil {
			k.setFileState(c, f, FileMoving, "")
		}
	})
}

// ask asks for all that is missing and takes the answer.
func (x *fetch) ask(ctx context.Context, s *transport.Stream) error {
	want := x.have.Missing(transfer.Chunks(x.row.Size), wire.MaxFileRanges)
	get := wire.FileGet{
		ID: x.row.ID, Token: fileToken(x.row.Key.bytes(), x.l.conn.Binding()), Want: want,
	}
	if err := transport.WriteFrame(s, wire.FrameFileGet, get.Append(nil)); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	return x.take(ctx, s, want)
}

// A syncing is an fsync under way.
type syncing struct {
	have transfer.Set // what it makes durable
	done chan error   // capacity 1
}

// syncLater makes what was written durable, and then known, while more is
// received: a disk may take its time.
func (x *fetch) syncLater() error {
	if s := x.syncing; s != nil {
		select {
		case err := <-s.done:
			return x.synced(s.have, err)
		default:
			return nil
		}
	}
	s := &syncing{append(transfer.Set(nil), x.have...), make(chan error, 1)}
	if x.n.run(func() { s.done <- x.f.Sync() }) {
		x.syncing = s
	}
	return nil
}

// synced notes the end of an fsync.
func (x *fetch) synced(have transfer.Set, err error) error {
	x.syncing = nil
	if err != nil {
		return noSpace(err)
	}
	x.stored = have
	x.n.c.post(func(k *core) {
		if c, f := x.file(k); f != nil {
			f.Have = have
			c.setFile(k, f)
		}
	})
	return nil
}

// sync makes all that was written durable, and then known.
func (x *fetch) sync() error {
	if s := x.syncing; s != nil {
		if err := x.synced(s.have, <-s.done); err != nil {
			return err
		}
	}
	if x.have.Count() == x.stored.Count() {
		return nil
	}
	return x.synced(append(transfer.Set(nil), x.have...), x.f.Sync())
}

// fetching notes progress.
func (k *core) fetching(x *fetch, done uint64) {
	if c, f := x.file(k); f != nil {
		f.run.done = done
		k.emitFile(c, f)
	}
}

// fetched takes the end of a stream.
func (k *core) fetched(x *fetch, err error) {
	c, f := x.file(k)
	if f == nil {
		return
	}
	f.run.stop, f.run.streams, f.run.done = nil, 0, 0
	if !f.wanted() {
		return
	}
	refused, _ := errors.AsType[*transport.StreamError](err)
	switch {
	case f.complete():
	case errors.Is(err, transfer.ErrMismatch):
		k.fileLie(c, f)
		return
	case refused != nil && refused.Remote && (refused.Code == fileUnknown || refused.Code == fileChanged):
		k.setFileState(c, f, FileFailed, "the other side no longer has this file as it was")
		return
	case refused != nil && refused.Remote && refused.Code == filePaused:
		k.setFileState(c, f, FilePaused, "")
		f.ByPeer = true
	case errors.Is(err, ErrDiskFull):
		f.run.next = k.steady().Add(tickMax)
		k.setFileState(c, f, FileWaiting, ErrDiskFull.Error())
	case localError(err):
		f.run.next = k.steady().Add(tickMax)
		k.setFileState(c, f, FileWaiting, err.Error())
	default:
		f.run.next = k.steady().Add(fetchRetry)
		if x.stopped || x.l.conn.Err() != nil {
			f.run.next = time.Time{}
		}
		k.setFileState(c, f, FileWaiting, "")
	}
	k.startFiles(c)
}

// localError reports errors of our own disk.
func localError(err error) bool {
	_, ok := errors.AsType[*fs.PathError](err)
	return ok || errors.Is(err, ErrNoDownloads)
}

// fileLie gives a file up whose content is not what was offered.
func (k *core) fileLie(c *contact, f *file) {
	k.c.log.Warn("a file is not what was offered", "contact", c.info.ID.Short())
	k.setFileState(c, f, FileFailed, "what was sent is not what was offered")
	k.tellFile(c, f, wire.FileFailed)
}

// placeFile gives a file that is whole its name.
func (k *core) placeFile(c *contact, f *file) {
	if f.Size == 0 && !transfer.IsEmpty(f.Root.bytes()) {
		k.fileLie(c, f)
		return
	}
	f.run.placing = true
	row, peer, seq := f.fileRow, c.info.ID, f.seq
	k.then(func() {
		k.c.net.run(func() {
			err := placeRow(&row)
			k.c.post(func(k *core) { k.placed(peer, seq, row, err) })
		})
	})
}

// placeRow sets the row's Path and Modified.
func placeRow(row *fileRow) error {
	d, err := openFolder(row.Folder)
	if err != nil {
		return err
	}
	defer d.close()
	if row.Size == 0 {
		var f *os.File
		if f, row.Part, err = d.newPart(partName(row.Name, row.ID)); err != nil {
			return err
		}
		f.Close()
	}
	row.Path, row.Modified, err = d.place(row.Part, row.Name)
	return err
}

func (k *core) placed(peer identity.PeerID, seq int64, row fileRow, err error) {
	c := k.contacts[peer]
	if c == nil || c.files[seq] == nil {
		return
	}
	f := c.files[seq]
	f.run.placing = false
	if !f.wanted() {
		return
	}
	if errors.Is(err, fs.ErrNotExist) { // somebody deleted it: once more
		f.Have, f.Part = nil, ""
		k.setFileState(c, f, FileWaiting, "")
		k.startFiles(c)
		return
	}
	if err != nil {
		f.run.next = k.steady().Add(tickMax)
		k.setFileState(c, f, FileWaiting, err.Error())
		return
	}
	f.Path, f.Modified, f.Part = row.Path, row.Modified, row.Part
	k.setFileState(c, f, FileDone, "")
	k.tellFile(c, f, wire.FileComplete)
	row, owner := f.fileRow, c.num
	k.then(func() { k.c.net.run(func() { k.c.clearPart(owner, seq, row) }) })
}

// clearPart removes the second name that a whole file has until its row says
// that it is whole.
func (c *Client) clearPart(owner, seq int64, row fileRow) {
	if err := removePart(row.Folder, row.Part); err != nil {
		c.log.Warn("the part of a received file was not removed", "err", err)
		return
	}
	row.Part = ""
	c.post(func(k *core) {
		if old, err := k.v.row(k.c.ctx, TableFiles, owner, seq); err == nil && old != nil { // not deleted since
			k.changes = append(k.changes, k.v.putJSON(TableFiles, owner, seq, row))
		}
	})
}
