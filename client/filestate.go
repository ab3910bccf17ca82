package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

func parseFile(r Row) (*file, error) {
	f := &file{seq: r.Seq, run: &fileRun{}}
	if err := json.Unmarshal(r.Body, &f.fileRow); err != nil {
		return nil, fmt.Errorf("%w (file %d: %w)", ErrDamaged, r.Seq, err)
	}
	return f, nil
}

// showFile appends an offer to the conversation.
func (k *core) showFile(c *contact, m waitingMessage) {
	x, err := wire.ParseFileOffer(m.payload.Body)
	if err != nil {
		k.c.log.Warn("offer of a file ignored", "contact", c.info.ID.Short(), "err", err)
		return
	}
	f := &file{run: &fileRun{}, fileRow: fileRow{
		ID: m.payload.ID, Kind: FileKind(x.Kind), Name: transfer.CleanName(x.Name), Size: x.Size,
		Root: newSecret(x.Root), Key: newSecret(x.Key), State: FileOffered,
	}}
	if f.Kind == FileVoice {
		f.Duration = x.Duration
	}
	var preview []byte
	if f.Kind == FileImage && len(x.Preview) > 0 {
		if preview, err = transfer.CleanPreview(x.Preview); err != nil {
			k.c.log.Warn("preview of a file ignored", "contact", c.info.ID.Short(), "err", err)
		}
		f.Preview = err == nil
	}
	if k.autoAccept(c, f.Size) {
		f.State, f.Folder = FileWaiting, k.downloads()
	}
	if !k.showMessage(c, m, f.Name, f) {
		return
	}
	c.files[f.seq] = f
	c.setFile(k, f)
	if f.Preview {
		k.changes = append(k.changes, k.v.put(TablePreviews, c.num, f.seq, 0, preview))
	}
	if f.State == FileWaiting {
		k.goOn(c, f)
	}
}

// goOn has a wanted file move: over the connection, or else by asking for chunks
// through the mailbox.
func (k *core) goOn(c *contact, f *file) {
	if c.link == nil {
		k.tellFile(c, f, wire.FileWanted)
	}
	peer := c.info.ID
	k.then(func() {
		if c := k.contacts[peer]; c != nil {
			k.startFiles(c)
			if c.link == nil {
				k.c.net.poke(peer)
			}
		}
	})
}

// takeFileState takes what the other side says of a file.
func (k *core) takeFileState(c *contact, body []byte) {
	x, err := wire.ParseFileState(body)
	if err != nil {
		return
	}
	f := c.fileByID(x.ID)
	if f == nil || !transfer.Set(x.Have).Within(f.chunks()) {
		return
	}
	if f.Mine {
		switch x.What {
		case wire.FileWanted:
			k.fileWanted(c, f, x)
		case wire.FilePaused:
			k.stopFile(f)
			f.ByPeer = true
			if f.State != FilePaused {
				k.setFileState(c, f, FilePaused, "")
				f.ByPeer = true
			}
		case wire.FileDeclined:
			k.setFileState(c, f, FileDeclined, "")
		case wire.FileComplete:
			k.setFileState(c, f, FileDone, "")
		case wire.FileFailed:
			k.setFileState(c, f, FileFailed, "it did not arrive as it was offered")
		}
		if f.State == FileDone || f.State == FileDeclined {
			k.dropTree(c, f.seq)
		}
		return
	}
	switch x.What {
	case wire.FilePaused:
		if f.State != FilePaused {
			k.stopFile(f)
			k.setFileState(c, f, FilePaused, "")
			f.ByPeer = true
		}
	case wire.FileReady:
		if f.State == FilePaused && f.ByPeer {
			k.setFileState(c, f, FileWaiting, "")
			k.goOn(c, f)
		}
	case wire.FileWithdrawn:
		k.setFileState(c, f, FileWithdrawn, "")
		k.dropPart(f)
	case wire.FileFailed:
		k.setFileState(c, f, FileFailed, "the other side no longer has this file as it was")
	}
}

// dropPart deletes what there is of a file that nobody wants any more.
func (k *core) dropPart(f *file) {
	if f.Mine || f.Part == "" {
		return
	}
	dir, part := f.Folder, f.Part
	f.Part, f.Have = "", nil
	k.then(func() {
		k.c.net.run(func() {
			if err := removePart(dir, part); err != nil {
				k.c.log.Warn("what there was of a file was not deleted", "err", err)
			}
		})
	})
}

// dropTree deletes the leaves of a file that nobody will ask for any more.
func (k *core) dropTree(c *contact, seq int64) {
	k.changes = append(k.changes, Change{
		Kind: Delete, Table: TableTrees, Row: Row{Owner: c.num, Seq: treeSeq(seq, 0)}, Through: treeSeq(seq, treeTops),
	})
}

// ControlFile implements [API].
func (c *Client) ControlFile(ctx context.Context, with identity.PeerID, id MessageID, a FileAction) (out File, err error) {
	err = c.do(ctx, func(k *core) error {
		p, err := k.contact(with)
		if err != nil {
			return err
		}
		f := p.fileByID(id)
		if f == nil {
			if f, err = k.storedFile(ctx, p, id); err != nil {
				return err
			}
		}
		if err := k.controlFile(p, f, a); err != nil {
			return err
		}
		out = f.view(with)
		return nil
	})
	return out, err
}

// storedFile reads a file whose transfer is over.
func (k *core) storedFile(ctx context.Context, c *contact, id MessageID) (*file, error) {
	m, seq, ok := k.findMessage(c, id)
	if !ok {
		return nil, ErrNoMessage
	}
	if m.file == nil {
		return nil, ErrNoFile
	}
	rows, err := k.v.rows(ctx, Query{Table: TableFiles, Owner: c.num, From: seq, Below: seq + 1})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrFileOver
	}
	return parseFile(rows[0])
}

func (k *core) controlFile(c *contact, f *file, a FileAction) error {
	if f.State.over() && !(a == FileResume && f.State == FileFailed) {
		return ErrFileOver
	}
	if f.Mine && a == FileAccept {
		return ErrNotMine
	}
	if c.info.Trust != Trusted && a != FileCancel {
		return ErrRequest
	}
	switch a {
	case FileAccept, FileResume:
		return k.resumeFile(c, f)
	case FilePause:
		if f.State == FilePaused {
			return nil
		}
		k.stopFile(f)
		k.setFileState(c, f, FilePaused, "")
		k.tellFile(c, f, wire.FilePaused)
	case FileCancel:
		what := uint8(wire.FileDeclined)
		state := FileDeclined
		if f.Mine {
			what, state = wire.FileWithdrawn, FileWithdrawn
			k.dropTree(c, f.seq)
		}
		k.setFileState(c, f, state, "")
		k.dropPart(f)
		k.tellFile(c, f, what)
	default:
		return ErrNoFile
	}
	return nil
}

func (k *core) resumeFile(c *contact, f *file) error {
	if f.Mine {
		if f.State == FilePaused && f.ByPeer {
			return nil // it is theirs to go on
		}
		if f.State == FilePaused || f.State == FileFailed {
			k.setFileState(c, f, FileWaiting, "")
			c.files[f.seq] = f
			k.tellFile(c, f, wire.FileReady)
		}
		return nil
	}
	if f.wanted() || f.State == FilePaused && f.ByPeer {
		return nil
	}
	if f.Folder == "" || f.Part == "" {
		if f.Folder = k.downloads(); f.Folder == "" {
			return ErrNoDownloads
		}
	}
	f.run.next = k.steady()
	c.files[f.seq] = f
	k.setFileState(c, f, FileWaiting, "")
	k.goOn(c, f)
	return nil
}

// forgetFiles deletes all that the profile has of files whose messages are
// deleted; seqs are positions, none for the whole conversation.
func (k *core) forgetFiles(c *contact, seqs []int64) {
	forget := func(f *file) {
		live := c.files[f.seq]
		if live != nil {
			f = live
			k.stopFile(f)
			delete(c.files, f.seq)
		}
		if !f.State.over() {
			what := uint8(wire.FileDeclined)
			if f.Mine {
				what = wire.FileWithdrawn
			}
			k.tellFile(c, f, what)
			f.dirty = false
		}
		k.dropPart(f)
		if !f.Mine && f.State == FileDone && k.c.settings.Load().Files.DeleteWithMessage {
			row := f.fileRow
			k.then(func() {
				k.c.net.run(func() {
					if err := removeReceived(row.Folder, row.Path, row.Size, row.Modified); err != nil {
						k.c.log.Warn("a received file was not deleted with its message", "err", err)
					}
				})
			})
		}
	}
	q := Query{Table: TableFiles, Owner: c.num}
	if len(seqs) > 0 {
		q.From, q.Below = slices.Min(seqs), slices.Max(seqs)+1
	}
	rows, err := k.v.rows(k.c.ctx, q)
	if err != nil {
		k.c.log.Error("reading the files of deleted messages failed", "err", err)
	}
	drop := func(from, through int64) {
		for _, t := range []Table{TableFiles, TablePreviews} {
			k.changes = append(k.changes, Change{Kind: Delete, Table: t, Row: Row{Owner: c.num, Seq: from}, Through: through})
		}
		k.changes = append(k.changes, Change{
			Kind: Delete, Table: TableTrees, Row: Row{Owner: c.num, Seq: treeSeq(from, 0)}, Through: treeSeq(through, treeTops),
		})
	}
	for _, r := range rows {
		if len(seqs) > 0 && !slices.Contains(seqs, r.Seq) {
			continue
		}
		if f, err := parseFile(r); err == nil {
			forget(f)
			drop(r.Seq, r.Seq)
		}
	}
	for _, f := range c.sortedFiles() { // offered in this very batch
		if len(seqs) == 0 || slices.Contains(seqs, f.seq) {
			forget(f)
			drop(f.seq, f.seq)
		}
	}
}

// blockFiles ends all transfers with somebody who is blocked.
func (k *core) blockFiles(c *contact) {
	for _, f := range c.sortedFiles() {
		state := FileDeclined
		if f.Mine {
			state = FileWithdrawn
			k.dropTree(c, f.seq)
		}
		k.setFileState(c, f, state, "")
		k.dropPart(f)
	}
}

// Files implements [API].
func (c *Client) Files(ctx context.Context, with identity.PeerID) ([]File, error) {
	type who struct {
		id  identity.PeerID
		num int64
	}
	var of []who
	live := map[MessageID]File{}
	err := c.do(ctx, func(k *core) error {
		for id, p := range k.contacts {
			if with != (identity.PeerID{}) && id != with {
				continue
			}
			of = append(of, who{id, p.num})
			for _, f := range p.files {
				live[f.ID] = f.view(id)
			}
		}
		if len(of) == 0 && with != (identity.PeerID{}) {
			return ErrUnknownContact
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(of, func(a, b who) int { return int(a.num - b.num) })
	out := []File{}
	for _, p := range of {
		rows, err := c.vault.rows(ctx, Query{Table: TableFiles, Owner: p.num})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			f, err := parseFile(r)
			if err != nil {
				return nil, err
			}
			v, ok := live[f.ID]
			if !ok {
				v = f.view(p.id)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// fileStates gives messages that are files their state as of now.
func (c *Client) fileStates(ctx context.Context, view *contactView, ms []Message) error {
	for i, m := range ms {
		if m.File == nil {
			continue
		}
		row, err := c.vault.row(ctx, TableFiles, view.num, m.Seq)
		if err != nil {
			return err
		}
		if row == nil {
			continue
		}
		f, err := parseFile(Row{Seq: m.Seq, Body: row})
		if err != nil {
			return err
		}
		v := f.view(view.id)
		ms[i].File = &v
	}
	return nil
}

// FilePreview implements [API].
func (c *Client) FilePreview(ctx context.Context, with identity.PeerID, id MessageID) (jpeg []byte, err error) {
	var num, seq int64
	err = c.do(ctx, func(k *core) error {
		p, err := k.contact(with)
		if err != nil {
			return err
		}
		m, at, ok := k.findMessage(p, id)
		if !ok {
			return ErrNoMessage
		}
		if m.file == nil || !m.file.preview {
			return ErrNoPreview
		}
		num, seq = p.num, at
		return nil
	})
	if err != nil {
		return nil, err
	}
	jpeg, err = c.vault.row(ctx, TablePreviews, num, seq)
	if err == nil && jpeg == nil {
		err = ErrNoPreview
	}
	return jpeg, err
}
