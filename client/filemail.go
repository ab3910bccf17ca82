package client

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

// Tuning of the way of chunks through mailboxes (spec §8.14).
const (
	fileMailWindow = 24 << 20 // bytes in a mailbox that no report has answered
	fileUnasked    = 8 << 20  // size of the largest file that is mailed before it is wanted
	reportAfter    = 2 * time.Second
	reportEvery    = time.Hour
	roundOver      = 30 * time.Second
	roundLost      = 10 * time.Minute
)

// fileMailing is the volatile side of a contact's files on their way through its
// mailbox.
type fileMailing struct {
	busy bool
	next time.Time // not before
}

// filesDue reports whether time alone may make something of the files due.
func (c *contact) filesDue() bool {
	for _, f := range c.files {
		if f.wanted() || f.mailable() && c.link == nil {
			return true
		}
	}
	return false
}

// wantsFiles reports whether a connection is worth an effort.
func (c *contact) wantsFiles() bool {
	for _, f := range c.files {
		if f.wanted() || f.Mine && (f.State == FileWaiting || f.State == FileMoving) {
			return true
		}
	}
	return false
}

// tickFiles does what is due.
func (k *core) tickFiles(c *contact) {
	if len(c.files) == 0 {
		return
	}
	k.startFiles(c)
	k.reportFiles(c)
	k.mailFiles(c)
}

// mailable reports whether a chunk may go to a mailbox now.
func (f *file) mailable() bool {
	if !f.announced() || f.State == FileOffered && f.Size > fileUnasked {
		return false
	}
	_, ok := f.nextMailed()
	return ok
}

// nextMailed returns the next chunk to mail.
func (f *file) nextMailed() (index uint64, ok bool) {
	all := append(transfer.Set(nil), f.Have...)
	all.Union(f.Mailed)
	missing := all.Missing(f.chunks(), 1)
	if len(missing) == 0 || all.Bytes(f.Size)-f.Have.Bytes(f.Size) >= fileMailWindow {
		return 0, false
	}
	return missing[0].First, true
}

// mailFiles has chunks put into the contact's mailbox while it is away: after
// all messages, and one file at a time.
func (k *core) mailFiles(c *contact) {
	m := &c.sending.files
	if m.busy || c.link != nil || c.session == nil || c.info.Trust != Trusted || k.steady().Before(m.next) ||
		c.flow.NextOut > c.flow.Acked.Next && c.sending.mail.cursor < c.flow.NextOut || c.sending.plain ||
		k.c.net.connecting(c.info.ID, connectGrace) {
		return
	}
	if box := k.mailTarget(c); box == nil || box.knockKey != nil {
		return
	}
	for _, f := range c.sortedFiles() {
		if !f.mailable() {
			continue
		}
		m.busy = true
		peer, owner, seq, row := c.info.ID, c.num, f.seq, f.fileRow
		k.then(func() {
			if !k.c.net.run(func() {
				box, err := k.c.net.mailFile(peer, owner, seq, row)
				k.c.post(func(k *core) { k.filesMailed(peer, seq, box, err) })
			}) {
				m.busy = false
			}
		})
		return
	}
}

// errNotNow ends a courier whose work is done, or no longer wanted.
var errNotNow = errors.New("client: nothing to mail now")

// mailFile puts chunks into a mailbox, one after another, until the window is
// full, the contact is connected, or something fails. It returns the relay last used.
func (n *network) mailFile(peer identity.PeerID, owner, seq int64, row fileRow) (used identity.ServerID, err error) {
	src, err := openSource(n.ctx, n.c.vault, owner, seq, row)
	if err != nil {
		return used, err
	}
	defer src.close()
	buf := make([]byte, wire.FileChunkLen)
	var left *wire.FileChunk // the one that the relay holds, to be noted
	for {
		var next wire.FileChunk
		err := n.c.do(n.ctx, func(k *core) (err error) {
			next, err = k.chunkMailed(peer, seq, left)
			return err
		})
		if err != nil {
			return used, err
		}
		if next.Round == 0 {
			return used, errNotNow
		}
		if next.Chunk, err = src.chunk(n.ctx, next.Chunk.Index, buf); err != nil {
			return used, err
		}
		var msg []byte
		var box mailBox
		if err := n.c.do(n.ctx, func(k *core) (err error) {
			msg, box, err = k.encryptChunk(peer, next)
			return err
		}); err != nil {
			return used, err
		}
		used = box.relay.ID
		if err := n.leave(box, msg); err != nil {
			return used, err
		}
		left = &next
	}
}

// leave stores one blob.
func (n *network) leave(box mailBox, blob []byte) error {
	ctx, cancel := context.WithTimeout(n.ctx, mailTime)
	defer cancel()
	s, err := n.sender(ctx, box.relay)
	if err != nil {
		return err
	}
	if err := leave(ctx, s, box, blob); err != nil {
		n.senderFailed(box.relay, s, err)
		return err
	}
	return nil
}

// chunkMailed notes that the relay holds a chunk, if there is one, and returns
// which one is next; none if its round is 0.
func (k *core) chunkMailed(peer identity.PeerID, seq int64, left *wire.FileChunk) (x wire.FileChunk, err error) {
	c := k.contacts[peer]
	if c == nil || c.files[seq] == nil {
		return x, errNotNow
	}
	f := c.files[seq]
	if left != nil && left.Round == f.Round {
		f.Mailed.Add(left.Chunk.Index)
		f.At = k.now()
		c.setFile(k, f)
		k.emitFile(c, f)
	}
	index, ok := f.nextMailed()
	if !ok || !f.mailable() || c.link != nil || c.flow.NextOut > c.flow.Acked.Next && c.sending.mail.cursor < c.flow.NextOut {
		return x, nil // Round 0: nothing
	}
	if f.Round == 0 {
		f.Round = 1
		c.setFile(k, f)
	}
	return wire.FileChunk{ID: f.ID, Round: f.Round, Chunk: wire.FileData{Index: index}}, nil
}

// encryptChunk returns a chunk as the mailbox gets it.
func (k *core) encryptChunk(peer identity.PeerID, x wire.FileChunk) (msg []byte, box mailBox, err error) {
	c := k.contacts[peer]
	if c == nil || c.session == nil || c.info.Trust != Trusted || c.fileByID(x.ID) == nil {
		return nil, box, errNotNow
	}
	to := k.mailTarget(c)
	if to == nil || to.knockKey != nil {
		return nil, box, errNotNow
	}
	msg, err = k.encryptNotice(c, wire.PayloadFileChunk, x.Append(nil))
	return msg, *to, err
}

// filesMailed takes the end of a courier.
func (k *core) filesMailed(peer identity.PeerID, seq int64, box identity.ServerID, err error) {
	c := k.contacts[peer]
	if c == nil {
		return
	}
	m := &c.sending.files
	m.busy = false
	k.active(c)
	switch {
	case errors.Is(err, errNotNow):
	case errors.Is(err, ErrFileChanged), errors.Is(err, ErrNoFile):
		if f := c.files[seq]; f != nil {
			k.failFile(c, f, err)
		}
	case box == identity.ServerID{}: // not the mailbox's fault
		m.next = k.steady().Add(mailRetryMax)
		k.c.log.Error("a file was not read", "err", err)
	default:
		k.boxFailed(c, box, err)
		m.next = c.sending.mail.next
		k.c.log.Info("chunks of a file not mailed", "contact", c.info.ID.Short(), "err", err)
	}
	k.mailFiles(c)
}

// fileWanted takes a report of the receiver of a file of ours.
func (k *core) fileWanted(c *contact, f *file, x wire.FileState) {
	f.Have = append(transfer.Set(nil), x.Have...)
	lost := false
	for _, g := range f.Mailed {
		for i := g.First; i <= g.Last && !lost; i++ {
			lost = !f.Have.Has(i)
		}
	}
	since := k.now().Sub(f.At).Abs()
	if lost && (x.Round == f.Round && since > roundOver || since > roundLost) {
		f.Round++
		f.Mailed = nil
	}
	if f.State == FileOffered || f.State == FilePaused && f.ByPeer {
		f.State, f.ByPeer = FileWaiting, false
	}
	c.setFile(k, f)
	k.emitFile(c, f)
	c.sending.files.next = time.Time{}
	peer := c.info.ID
	k.then(func() {
		if c := k.contacts[peer]; c != nil {
			k.mailFiles(c)
		}
	})
}

// reportFiles tells the sender, through the mailbox, what arrived by it, and asks
// again now and then.
func (k *core) reportFiles(c *contact) {
	if c.link != nil || c.session == nil {
		return
	}
	for _, f := range c.sortedFiles() {
		if !f.wanted() {
			continue
		}
		quiet := !f.run.mailed.IsZero() && k.now().Sub(f.run.mailed).Abs() > reportAfter
		again := c.flow.NextOut == c.flow.Acked.Next && k.now().Sub(f.At).Abs() > reportEvery
		if quiet || again {
			k.tellFile(c, f, wire.FileWanted)
		}
	}
}

// An openPart is a file that chunks of this batch are written to.
type openPart struct {
	f      *os.File
	before transfer.Set
}

// takeChunk takes a chunk that came through a mailbox. It is written here, and
// durable before the batch is (finishParts): only then does the relay delete it.
func (k *core) takeChunk(c *contact, body []byte) {
	x, err := wire.ParseFileChunk(body)
	if err != nil || c.info.Trust != Trusted {
		return
	}
	f := c.fileByID(x.ID)
	if f == nil || !f.wanted() || f.run.streams > 0 || f.run.placing {
		return
	}
	if x.Round > f.Round {
		f.Round = x.Round
	}
	f.run.mailed = k.now()
	c.setFile(k, f)
	if f.Have.Has(x.Chunk.Index) {
		return
	}
	have := append(transfer.Set(nil), f.Have...)
	if have.Add(x.Chunk.Index); len(have) > wire.MaxFileRanges {
		return // it comes again, when there are fewer gaps
	}
	if err := transfer.Check(f.Size, f.Root.bytes(), x.Chunk); err != nil {
		k.fileLie(c, f)
		return
	}
	if err := k.writeChunk(f, x.Chunk); err != nil {
		k.c.log.Error("a chunk was not written", "err", err)
		k.setFileState(c, f, FileWaiting, noSpace(err).Error())
		return
	}
	f.Have.Add(x.Chunk.Index)
	f.Problem = ""
	k.emitFile(c, f)
	if f.complete() {
		peer := c.info.ID
		k.then(func() { k.startFiles(k.contacts[peer]) })
	}
}

func (k *core) writeChunk(f *file, x wire.FileData) error {
	p := k.parts[f]
	if p == nil {
		d, err := openFolder(f.Folder)
		if err != nil {
			return err
		}
		defer d.close()
		p = &openPart{before: append(transfer.Set(nil), f.Have...)}
		if f.Part != "" {
			p.f, err = d.openPart(f.Part)
		}
		if f.Part == "" || errors.Is(err, os.ErrNotExist) {
			f.Have, p.before = nil, nil
			p.f, f.Part, err = d.newPart(partName(f.Name, f.ID))
		}
		if err != nil {
			return err
		}
		if k.parts == nil {
			k.parts = map[*file]*openPart{}
		}
		k.parts[f] = p
	}
	_, err := p.f.WriteAt(x.Data, int64(x.Index*wire.FileChunkLen))
	return err
}

// finishParts makes durable what the batch says is there.
func (k *core) finishParts() {
	for f, p := range k.parts {
		if err := errors.Join(p.f.Sync(), p.f.Close()); err != nil {
			k.c.log.Error("a chunk was not stored", "err", err)
			f.Have, f.Problem = p.before, noSpace(err).Error()
		}
	}
	clear(k.parts)
}
