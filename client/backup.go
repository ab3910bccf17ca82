package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"

	"github.com/sremp/sremp/wire"
)

// The format of backups (spec §8.13).
const (
	contextBackup = "SREMP v1 backup"
	backupMagic   = "SREMP backup 1\n"
	backupChunk   = 64 << 10
	backupMin     = 4 // chunks
	backupPage    = 256
)

// Backup implements [API].
func (c *Client) Backup(ctx context.Context, path string) error {
	var header []byte
	var few []backupRow
	var views []*contactView
	var ends []int64
	key := randomKey()
	err := c.do(ctx, func(k *core) error {
		var hs []holder
		if c.cfg.Kit == nil && c.cfg.KeyringKey == nil { // else the passphrase is not known
			hs = append(hs, passphraseHolder(c.cfg.Passphrase, c.cfg.KDF, key))
		}
		if !k.profile.KitKey.isZero() {
			hs = append(hs, keyHolder(holdsKit, k.profile.KitKey.bytes(), key))
		}
		header = appendHolders(hs)
		few = append(few, jsonRow(TableSettings, 0, settingProfile, k.profile))
		for _, p := range k.contacts {
			few = append(few, jsonRow(TableContacts, 0, p.num, p.info), jsonRow(TableFlows, p.num, 0, p.flow))
			views, ends = append(views, k.viewOf(p)), append(ends, p.flow.NextSeq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeNew(path, func(w io.Writer) error {
		b := &backupWriter{w: w, aead: newVault(nil, key)}
		if _, err := w.Write(wire.AppendVec16([]byte(backupMagic), header)); err != nil {
			return err
		}
		for _, r := range few {
			if err := b.row(r); err != nil {
				return err
			}
		}
		for i, v := range views {
			for _, t := range []Table{TableMessages, TableExpiries} {
				if err := c.backupTable(ctx, b, t, v.num, ends[i]); err != nil {
					return err
				}
			}
		}
		return b.close()
	})
}

// backupTable writes the rows of one contact, a page at a time.
func (c *Client) backupTable(ctx context.Context, b *backupWriter, t Table, owner, below int64) error {
	for from := int64(1); ; {
		rows, err := c.vault.rows(ctx, Query{Table: t, Owner: owner, From: from, Below: below, Limit: backupPage})
		if err != nil {
			return err
		}
		for _, r := range rows {
			from = r.Seq + 1
			if err := b.row(backupRow{t, owner, r.Seq, r.Body}); err != nil {
				return err
			}
		}
		if len(rows) < backupPage {
			return nil
		}
	}
}

// writeNew writes a file that did not exist, whole or not at all.
func writeNew(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return ErrFileExists
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	defer os.Remove(part)
	w := bufio.NewWriterSize(f, 1<<20)
	err = write(w)
	for _, step := range []func() error{w.Flush, f.Sync, f.Close} {
		if e := step(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	// A link, unlike a rename, never takes the place of another file.
	if err := os.Link(part, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return ErrFileExists
		}
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	return nil
}

// A backupRow is one row in a backup: table(1), owner(8), seq(8), body<0..2^24-1>.
// Table 0 ends them.
type backupRow struct {
	table      Table
	owner, seq int64
	body       []byte
}

func jsonRow(t Table, owner, seq int64, x any) backupRow {
	b, err := json.Marshal(x)
	if err != nil {
		panic(fmt.Sprintf("client: row of table %d does not encode: %v", t, err))
	}
	return backupRow{t, owner, seq, b}
}

// A backupWriter seals rows in chunks of one size.
type backupWriter struct {
	w    io.Writer
	aead *vault
	n    uint64 // chunks written
	buf  []byte
}

func (b *backupWriter) row(r backupRow) error {
	b.buf = append(b.buf, byte(r.table))
	b.buf = binary.BigEndian.AppendUint64(b.buf, uint64(r.owner))
	b.buf = binary.BigEndian.AppendUint64(b.buf, uint64(r.seq))
	b.buf = wire.AppendVec24(b.buf, r.body)
	for len(b.buf) > backupChunk {
		if err := b.chunk(b.buf[:backupChunk], false); err != nil {
			return err
		}
		b.buf = append(b.buf[:0], b.buf[backupChunk:]...)
	}
	return nil
}

// close pads the backup, so that its size says little of what is in it.
func (b *backupWriter) close() error {
	b.buf = append(b.buf, 0)
	total := backupChunks(b.n + uint64(len(b.buf)+backupChunk-1)/backupChunk)
	for b.n < total {
		chunk := make([]byte, backupChunk)
		b.buf = b.buf[copy(chunk, b.buf):]
		if err := b.chunk(chunk, b.n == total-1); err != nil {
			return err
		}
	}
	return nil
}

// backupChunks rounds up to a number with three significant bits.
func backupChunks(n uint64) uint64 {
	n = max(n, backupMin)
	step := uint64(1) << max(bits.Len64(n)-3, 0)
	return (n + step - 1) / step * step
}

func backupData(n uint64, last bool) string {
	ad := binary.BigEndian.AppendUint64([]byte(contextBackup), n)
	if last {
		return string(append(ad, 1))
	}
	return string(append(ad, 0))
}

func (b *backupWriter) chunk(plain []byte, last bool) error {
	_, err := b.w.Write(sealBox(b.aead.aead, backupData(b.n, last), plain))
	b.n++
	return err
}

// A backupReader opens them.
type backupReader struct {
	r    io.Reader
	aead *vault
	n    uint64
	buf  []byte
	last bool
}

func (b *backupReader) need(n int) error {
	for len(b.buf) < n {
		if b.last {
			return ErrBadBackup
		}
		sealed := make([]byte, 24+backupChunk+16)
		if _, err := io.ReadFull(b.r, sealed); err != nil {
			return ErrBadBackup
		}
		plain, err := openBox(b.aead.aead, backupData(b.n, false), sealed)
		if err != nil {
			if plain, err = openBox(b.aead.aead, backupData(b.n, true), sealed); err != nil {
				return ErrBadBackup
			}
			b.last = true
		}
		b.n++
		b.buf = append(b.buf, plain...)
	}
	return nil
}

// next returns a row; one of table 0 is the end, and all chunks were there.
func (b *backupReader) next() (r backupRow, err error) {
	if err := b.need(1); err != nil {
		return r, err
	}
	if r.table = Table(b.buf[0]); r.table == 0 {
		for !b.last {
			b.buf = b.buf[:0]
			if err := b.need(1); err != nil {
				return r, err
			}
		}
		if n, err := b.r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			return r, ErrBadBackup
		}
		return r, nil
	}
	const head = 1 + 8 + 8 + 3
	if err := b.need(head); err != nil {
		return r, err
	}
	r.owner = int64(binary.BigEndian.Uint64(b.buf[1:]))
	r.seq = int64(binary.BigEndian.Uint64(b.buf[9:]))
	n := int(b.buf[17])<<16 | int(b.buf[18])<<8 | int(b.buf[19])
	if err := b.need(head + n); err != nil {
		return r, err
	}
	r.body = append([]byte(nil), b.buf[head:head+n]...)
	b.buf = append(b.buf[:0], b.buf[head+n:]...)
	return r, nil
}
