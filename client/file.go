package client

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

// downloads returns the folder of received files, empty if there is none.
func (k *core) downloads() string {
	return cmp.Or(k.c.settings.Load().Files.Downloads, k.c.cfg.Downloads)
}

// autoAccept reports whether a file is taken without asking.
func (k *core) autoAccept(c *contact, size uint64) bool {
	limit := k.c.settings.Load().Files.Accept
	return k.downloads() != "" && c.info.Trust == Trusted && limit > 0 && size <= uint64(limit)
}

// A fileInfo is what a message's row says of its file.
type fileInfo struct {
	kind     FileKind
	size     uint64
	duration uint32 // milliseconds
	preview  bool
}

// append encodes kind(1) size(8) duration(4) preview(1).
func (i fileInfo) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, byte(i.kind)), i.size)
	b = binary.BigEndian.AppendUint32(b, i.duration)
	if i.preview {
		return append(b, 1)
	}
	return append(b, 0)
}

// parseFileInfo returns nil for what is none.
func parseFileInfo(b []byte) *fileInfo {
	r := wire.NewReader(b)
	i := fileInfo{FileKind(r.Uint8()), r.Uint64(), r.Uint32(), r.Bool()}
	if r.Done() != nil || i.kind > FileVoice {
		return nil
	}
	return &i
}

// view is what is known without the file's row: one that was restored from a
// backup has none, nor anybody who offers it.
func (i fileInfo) view() File {
	return File{
		Kind: i.kind, Size: int64(i.size), Duration: time.Duration(i.duration) * time.Millisecond,
		Preview: i.preview, State: FileWithdrawn,
	}
}

// A fileRow is the body of a row of TableFiles.
type fileRow struct {
	ID       MessageID `json:"id"`
	Mine     bool      `json:"mine"`
	Kind     FileKind  `json:"kind"`
	Name     string    `json:"name"`
	Size     uint64    `json:"size"`
	Root     secret    `json:"root"`
	Key      secret    `json:"key"`
	Duration uint32    `json:"duration,omitempty"` // milliseconds
	Preview  bool      `json:"preview,omitempty"`

	State   FileState `json:"state"`
	ByPeer  bool      `json:"by_peer,omitempty"` // it is the other side that paused
	Problem string    `json:"problem,omitempty"`

	// Where it is: ours; or theirs, once all of it is here. Modified is as the
	// disk said then.
	Path     string    `json:"path,omitempty"`
	Modified time.Time `json:"modified,omitzero"`

	Folder string       `json:"folder,omitempty"` // theirs: the download folder when it began
	Part   string       `json:"part,omitempty"`   // theirs: the file in it that is not whole yet
	Have   transfer.Set `json:"have,omitempty"`   // theirs: verified and durable; ours: as the receiver said
	Round  uint32       `json:"round,omitempty"`  // of chunks by mail: ours the present one, theirs the newest seen
	Mailed transfer.Set `json:"mailed,omitempty"` // ours: of that round
	At     time.Time    `json:"at,omitzero"`      // ours: of the last chunk mailed; theirs: of the last report
}

// over reports whether nothing happens to the file any more by itself.
func (s FileState) over() bool { return s >= FileDone }

// clearParts goes on with what a crash interrupted.
func (k *core) clearParts() {
	for _, c := range k.contacts {
		for seq, f := range c.files {
			if f.State == FileDone {
				delete(c.files, seq)
				row, owner := f.fileRow, c.num
				k.then(func() { k.c.net.run(func() { k.c.clearPart(owner, seq, row) }) })
			}
		}
	}
}

// A file is one whose transfer is not over. The core owns it.
type file struct {
	seq int64 // of its message
	fileRow
	run   *fileRun
	dirty bool
}

// A fileRun is the volatile side of a file: it outlives a failed transaction.
type fileRun struct {
	stop    context.CancelFunc // ends our stream, or all that are served; nil if none is, or it ends already
	streams int                // that have not ended
	placing bool               // it is whole and gets its name
	done    uint64             // bytes, for people
	next    time.Time          // not asked for before
	mailed  time.Time          // theirs: when a chunk came by mail that was not reported yet
}

func (c *contact) setFile(k *core, f *file) { f.dirty = true; k.touched[c] = true }

// finishFiles writes the rows of files that the batch changed.
func (k *core) finishFiles(c *contact) {
	for seq, f := range c.files {
		if f.dirty {
			k.changes = append(k.changes, k.v.putJSON(TableFiles, c.num, seq, f.fileRow))
			f.dirty = false
		}
		if f.State.over() {
			delete(c.files, seq)
		}
	}
}

// loadFiles reads the files of a contact whose transfer is not over, and those
// that have their name but not yet only that (clearParts).
func (c *contact) loadFiles(ctx context.Context, v *vault) error {
	c.files = map[int64]*file{}
	rows, err := v.rows(ctx, Query{Table: TableFiles, Owner: c.num})
	if err != nil {
		return err
	}
	for _, r := range rows {
		f, err := parseFile(r)
		if err != nil {
			return err
		}
		if f.State == FileMoving {
			f.State = FileWaiting
		}
		if !f.State.over() || f.State == FileDone && f.Part != "" {
			c.files[r.Seq] = f
		}
	}
	return nil
}

func (f *file) chunks() uint64  { return transfer.Chunks(f.Size) }
func (f *file) complete() bool  { return f.Have.Count() == f.chunks() }
func (f *file) announced() bool { return f.Mine && !f.State.over() && f.State != FilePaused }
func (f *file) wanted() bool    { return !f.Mine && (f.State == FileWaiting || f.State == FileMoving) }
func (f *file) info() *fileInfo { return &fileInfo{f.Kind, f.Size, f.Duration, f.Preview} }
func (f *file) offer() wire.FileOffer {
	return wire.FileOffer{
		Kind: uint8(f.Kind), Size: f.Size, Root: f.Root.bytes(), Key: f.Key.bytes(), Duration: f.Duration, Name: f.Name,
	}
}

// view is what faces see.
func (f *file) view(contact identity.PeerID) File {
	v := f.info().view()
	v.ID, v.Contact, v.Mine, v.Name, v.State, v.Problem = f.ID, contact, f.Mine, f.Name, f.State, f.Problem
	v.Path = f.Path
	if f.Mine && !f.State.over() {
		held := append(transfer.Set(nil), f.Have...)
		held.Union(f.Mailed)
		v.Held = int64(held.Bytes(f.Size) - f.Have.Bytes(f.Size))
	}
	switch {
	case f.State == FileDone:
		v.Done = v.Size
	case f.run != nil:
		v.Done = int64(max(f.run.done, f.Have.Bytes(f.Size)))
	default:
		v.Done = int64(f.Have.Bytes(f.Size))
	}
	return v
}

// emitFile tells how a file is now.
func (k *core) emitFile(c *contact, f *file) { k.emit(FileEvent{File: f.view(c.info.ID)}) }

// setFileState also stores it and tells it.
func (k *core) setFileState(c *contact, f *file, s FileState, problem string) {
	f.State, f.Problem = s, problem
	if s != FilePaused {
		f.ByPeer = false
	}
	c.setFile(k, f)
	k.emitFile(c, f)
	if s.over() {
		k.stopFile(f)
	}
}

// stopFile ends the streams of a file.
func (k *core) stopFile(f *file) {
	if stop := f.run.stop; stop != nil {
		f.run.stop = nil
		k.then(stop)
	}
}

// fileByID returns a file whose transfer is not over, nil if there is none.
func (c *contact) fileByID(id MessageID) *file {
	for _, f := range c.files {
		if f.ID == id {
			return f
		}
	}
	return nil
}

// sortedFiles returns the files in the order of their messages.
func (c *contact) sortedFiles() []*file {
	out := slices.Collect(maps.Values(c.files))
	slices.SortFunc(out, func(a, b *file) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// tellFile says to the other side how a file stands.
func (k *core) tellFile(c *contact, f *file, what uint8) {
	if c.self || c.info.Trust != Trusted {
		return
	}
	x := wire.FileState{ID: f.ID, What: what}
	if what == wire.FileWanted {
		x.Round, x.Have = f.Round, f.Have.Clip(wire.MaxFileRanges)
		f.At, f.run.mailed = k.now(), time.Time{}
		c.setFile(k, f)
	}
	if err := k.tell(c, wire.PayloadFileState, x.Append(nil)); err != nil {
		k.c.log.Error("the state of a file was not sent", "contact", c.info.ID.Short(), "err", err)
	}
}
