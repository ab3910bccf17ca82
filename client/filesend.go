package client

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

// treeShift is how many bits of a row's Seq in TableTrees number a group; the
// last number is the row of the groups' tops.
const (
	treeShift = 20
	treeTops  = 1<<treeShift - 1
)

func treeSeq(seq int64, group uint64) int64 { return seq<<treeShift | int64(group) }

// A prepared file is one that was read, ready to be offered.
type prepared struct {
	info    os.FileInfo
	kind    FileKind
	tree    *transfer.Tree
	leaves  [][]byte // of each group
	preview []byte
}

// prepare reads a file: its tree, and a preview if it is an image. Memory is 32
// bytes for each chunk, 0.0125 % of the file.
func prepare(ctx context.Context, d FileDraft) (p prepared, err error) {
	f, err := openRegular(d.Path)
	if err != nil {
		return p, err
	}
	defer f.Close()
	if p.info, err = f.Stat(); err != nil {
		return p, err
	}
	p.tree, err = transfer.Build(ctx, f, func(_ uint64, leaves []byte) error {
		p.leaves = append(p.leaves, leaves)
		return nil
	})
	if err != nil {
		return p, err
	}
	after, err := f.Stat()
	if err != nil {
		return p, err
	}
	if !sameContent(after, p.tree.Size, p.info.ModTime()) {
		return p, ErrFileChanged
	}
	if p.kind = d.Kind; p.kind != FileVoice {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return p, err
		}
		switch p.preview, err = transfer.Preview(f); {
		case err == nil:
			p.kind = FileImage
		case !errors.Is(err, transfer.ErrNoImage):
			return p, err
		}
	}
	return p, nil
}

// openRegular opens a file to read it; a directory or a pipe is none.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path) // before: to open a pipe would wait
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoFile, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoFile, err)
	}
	return f, nil
}

func sameContent(info os.FileInfo, size uint64, modified time.Time) bool {
	return uint64(info.Size()) == size && info.ModTime().Equal(modified)
}

// SendFile implements [API].
func (c *Client) SendFile(ctx context.Context, to identity.PeerID, d FileDraft) (m Message, err error) {
	if !filepath.IsAbs(d.Path) || d.Kind > FileVoice || d.Duration < 0 || d.Duration.Milliseconds() >= 1<<32 {
		return Message{}, ErrNoFile
	}
	if !goodTimer(max(d.Timer, 0)) {
		return Message{}, ErrBadTimer
	}
	err = c.do(ctx, func(k *core) error { // before the disk is kept busy
		_, err := k.fileTarget(to)
		return err
	})
	if err != nil {
		return Message{}, err
	}
	p, err := prepare(ctx, d)
	if err != nil {
		return Message{}, err
	}
	err = c.do(ctx, func(k *core) error {
		contact, err := k.fileTarget(to)
		if err != nil {
			return err
		}
		m, err = k.sendFile(contact, d, p)
		return err
	})
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

func (k *core) fileTarget(to identity.PeerID) (*contact, error) {
	if to == k.local.PeerID() {
		k.selfContact()
	}
	return k.writable(to)
}

// sendFile offers what was prepared.
func (k *core) sendFile(c *contact, d FileDraft, p prepared) (Message, error) {
	name := d.Name
	if name == "" {
		name = filepath.Base(d.Path)
	}
	f := &file{run: &fileRun{}, fileRow: fileRow{
		Mine: true, Kind: p.kind, Name: transfer.CleanName(name), Size: p.tree.Size,
		Root: newSecret(p.tree.Root()), Key: randomSecret(), Preview: p.preview != nil,
		State: FileOffered, Path: d.Path, Modified: p.info.ModTime(),
	}}
	if f.Kind == FileVoice {
		f.Duration = uint32(d.Duration.Milliseconds())
	}
	stored := storedMessage{mine: true, sent: k.now(), text: f.Name, file: f.info()}
	quote := ""
	if d.ReplyTo != (MessageID{}) {
		q, _, ok := k.findMessage(c, d.ReplyTo)
		if !ok {
			return Message{}, ErrNoMessage
		}
		stored.reply, quote = d.ReplyTo, preview(q.text)
	}
	if t := timerOf(c.info.Timer, d.Timer); t > 0 {
		stored.expires = stored.sent.Add(t)
	}
	state := Queued
	if c.self {
		rand.Read(stored.id[:])
		f.State, state = FileDone, Delivered
	} else {
		offer := f.offer()
		offer.Preview = p.preview
		var err error
		stored.id, stored.counter, err = k.enqueueWith(c, wire.PayloadFile, offer.Append(nil), stored.extensions())
		if err != nil {
			return Message{}, err
		}
	}
	f.ID = stored.id
	f.seq = k.storeMessage(c, stored)
	c.files[f.seq] = f
	c.setFile(k, f)
	if !c.self {
		for i, leaves := range p.leaves {
			k.changes = append(k.changes, k.v.put(TableTrees, c.num, treeSeq(f.seq, uint64(i)), 0, leaves))
		}
		k.changes = append(k.changes, k.v.put(TableTrees, c.num, treeSeq(f.seq, treeTops), 0, p.tree.Tops()))
	}
	if p.preview != nil {
		k.changes = append(k.changes, k.v.put(TablePreviews, c.num, f.seq, 0, p.preview))
	}
	m := stored.view(k.viewOf(c), f.seq, state)
	view := f.view(c.info.ID)
	m.Quote, m.File = quote, &view
	k.emit(MessageEvent{Message: m})
	return m, nil
}

// A source is a file of ours from which chunks are taken.
type source struct {
	v     *vault
	owner int64
	seq   int64
	row   fileRow
	f     *os.File
	tree  *transfer.Tree
	group *transfer.Group // the one used last
	at    uint64          // its number
}

// openSource opens a file that was offered, if it is what it was then.
// [ErrFileChanged], [ErrNoFile].
func openSource(ctx context.Context, v *vault, owner, seq int64, row fileRow) (*source, error) {
	tops, err := v.row(ctx, TableTrees, owner, treeSeq(seq, treeTops))
	if err != nil {
		return nil, err
	}
	hashes := make([]transfer.Hash, len(tops)/32)
	for i := range hashes {
		hashes[i] = transfer.Hash(tops[32*i:])
	}
	s := &source{v: v, owner: owner, seq: seq, row: row}
	if s.tree, err = transfer.ParseTree(row.Size, hashes); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	if s.f, err = openRegular(row.Path); err != nil {
		return nil, err
	}
	info, err := s.f.Stat()
	if err == nil && !sameContent(info, row.Size, row.Modified) {
		err = ErrFileChanged
	}
	if err != nil {
		s.f.Close()
		return nil, err
	}
	return s, nil
}

func (s *source) close() { s.f.Close() }

// chunk reads one chunk into buf, which is long enough, and proves it.
func (s *source) chunk(ctx context.Context, index uint64, buf []byte) (x wire.FileData, err error) {
	x = wire.FileData{Index: index, Data: buf[:transfer.ChunkLen(s.row.Size, index)]}
	if x.Proof, err = s.proof(ctx, index); err != nil {
		return x, err
	}
	return x, s.fill(index, x.Data)
}

// proof returns the proof of a chunk.
func (s *source) proof(ctx context.Context, index uint64) ([]transfer.Hash, error) {
	if number := index / transfer.GroupLen; s.group == nil || s.at != number {
		leaves, err := s.v.row(ctx, TableTrees, s.owner, treeSeq(s.seq, number))
		if err != nil {
			return nil, err
		}
		g, err := transfer.ParseGroup(s.row.Size, number, leaves)
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
		}
		s.group, s.at = g, number
	}
	return s.tree.Proof(s.group, index), nil
}

// fill reads the chunk into b, which is as long.
func (s *source) fill(index uint64, b []byte) error {
	if _, err := s.f.ReadAt(b, int64(index*wire.FileChunkLen)); err != nil {
		return fmt.Errorf("%w (%w)", ErrFileChanged, err)
	}
	return nil
}

// contextFileRequest derives what shows, on one connection, that its sender read
// the offer (spec §8.14).
const contextFileRequest = "SREMP v1 file request"

func fileToken(key, binding [32]byte) [32]byte {
	b, err := hkdf.Key(sha256.New, key[:], binding[:], contextFileRequest, 32)
	if err != nil {
		panic(err)
	}
	return [32]byte(b)
}
