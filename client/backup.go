package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Tuning of backups.
const (
	backupBits     = 8    // a batch has 256 positions: what is written anew when one of them changes
	backupSegments = 64   // with more a backup is written anew
	backupSlack    = 2    // and with that many times the bytes that count
	backupHeld     = 1024 // rows kept until the segment is known to be whole
)

// errBackupAnew: to append to the file is not enough.
var errBackupAnew = errors.New("client: the backup is to be written anew")

// A backupSource is what a backup is made of.
type backupSource struct {
	few     []backupRow // the profile first
	waiting []backupRow // behind gaps
	views   []*contactView
	ends    []int64 // positions below them, of each view

	kit        *[32]byte // the kit's key, nil if there is no kit
	passphrase []byte    // nil if it is not known
	hasSeed    bool      // the profile still has the kit itself
	id         identity.PeerID
}

// Backup implements [API].
func (c *Client) Backup(ctx context.Context, path string) error {
	c.backup.Lock()
	defer c.backup.Unlock()
	var src backupSource
	err := c.do(ctx, func(k *core) error {
		if c.cfg.Kit == nil && c.cfg.KeyringKey == nil { // else the passphrase is not known
			src.passphrase = append([]byte{}, c.cfg.Passphrase...)
		}
		if !k.profile.KitKey.isZero() {
			key := k.profile.KitKey.bytes()
			src.kit = &key
		}
		src.id = k.local.PeerID()
		src.hasSeed = len(k.profile.Recovery.bytes()) > 0
		now := binary.BigEndian.AppendUint64(nil, millis(k.now()))
		src.few = append(src.few, backupRow{TableSettings, 0, backupTime, now}, jsonRow(TableSettings, 0, settingProfile, k.profile))
		for _, p := range k.contacts {
			src.few = append(src.few, jsonRow(TableContacts, 0, p.num, p.info), jsonRow(TableFlows, p.num, 0, p.flow))
			for _, from := range []map[uint64]waitingMessage{p.waiting, p.early} {
				for _, counter := range slices.Sorted(maps.Keys(from)) {
					src.waiting = append(src.waiting, backupRow{TableWaiting, p.num, int64(counter), from[counter].append(nil)})
				}
			}
			src.views, src.ends = append(src.views, k.viewOf(p)), append(src.ends, p.flow.NextSeq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.backupPictures(ctx, &src); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return c.backupAnew(ctx, src, path, false)
	}
	if err != nil {
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	defer f.Close()
	err = c.backupNews(ctx, src, f)
	if errors.Is(err, errBackupAnew) {
		return c.backupAnew(ctx, src, path, true)
	}
	return err
}

// backupPictures adds our own picture and those of all contacts.
func (c *Client) backupPictures(ctx context.Context, src *backupSource) error {
	owners := []int64{0}
	for _, v := range src.views {
		owners = append(owners, v.num)
	}
	for _, num := range owners {
		jpeg, err := c.vault.row(ctx, TablePictures, num, pictureShown)
		if err != nil {
			return err
		}
		if jpeg != nil {
			src.few = append(src.few, backupRow{TablePictures, num, pictureShown, jpeg})
		}
	}
	return nil
}

// backupAnew writes all of it, with a key of its own.
func (c *Client) backupAnew(ctx context.Context, src backupSource, path string, replace bool) error {
	key := randomKey()
	var hs []holder
	if src.passphrase != nil {
		hs = append(hs, passphraseHolder(src.passphrase, c.cfg.KDF, key))
	}
	if src.kit != nil {
		hs = append(hs, keyHolder(holdsKit, *src.kit, key))
	}
	return writeNew(path, replace, func(w io.Writer) error {
		b := &backupWriter{w: w, aead: newVault(nil, key)}
		if _, err := w.Write(wire.AppendVec16([]byte(backupMagic), appendHolders(hs))); err != nil {
			return err
		}
		return c.backupRows(ctx, src, b, backupState{})
	})
}

// backupNews appends to a backup what it lacks. errBackupAnew if that is not
// enough, [ErrFileExists] if the file is no backup of this profile.
func (c *Client) backupNews(ctx context.Context, src backupSource, f *os.File) error {
	r := bufio.NewReaderSize(f, 1<<20)
	header, start, err := readBackupHeader(r)
	if err != nil {
		return ErrFileExists
	}
	key, err := src.open(header)
	if err != nil {
		return err
	}
	have := backupState{}
	in := &backupReader{r: r, aead: newVault(nil, key)}
	var held []backupRow // of the segment that is being read
	partly := false      // some of it was taken
	n, _, err := in.segments(func(row backupRow) error {
		if held = append(held, row); row.table != 0 && len(held) < backupHeld {
			return nil
		}
		partly = row.table != 0
		err := have.take(held)
		held = held[:0]
		return err
	})
	switch {
	case err != nil:
		return err
	case n > 0 && have.id != src.id: // somebody with the same passphrase
		return ErrFileExists
	case partly, n == 0, n >= backupSegments, have.bytes > backupSlack*have.live()+backupChunk*backupMin, have.seed && !src.hasSeed:
		return errBackupAnew
	}
	end := start + in.read
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	_, err = f.Seek(end, io.SeekStart)
	w := bufio.NewWriterSize(f, 1<<20)
	if err == nil {
		err = c.backupRows(ctx, src, &backupWriter{w: w, aead: in.aead, at: in.at}, have)
	}
	for _, step := range []func() error{w.Flush, f.Sync} {
		if err == nil {
			err = step()
		}
	}
	if err != nil { // what was there counts as before
		_ = f.Truncate(end)
		if errors.Is(err, errBackupAnew) {
			return err
		}
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	return nil
}

// open returns the key of a backup of this profile.
func (src *backupSource) open(header []byte) ([]byte, error) {
	hs, err := parseHolders(header)
	if err != nil {
		return nil, ErrFileExists
	}
	var key []byte
	for _, h := range hs {
		if h.kind == holdsKit && src.kit != nil {
			key, _ = openBox(keyAEAD(*src.kit), contextHolder+string(rune(h.kind)), h.sealed)
		}
	}
	if src.passphrase == nil {
		if key == nil {
			return nil, ErrFileExists
		}
		return key, nil
	}
	same, err := openHolders(header, src.passphrase, nil, nil)
	switch {
	case err == nil:
		return same, nil
	case key != nil: // the passphrase was changed: the old one is to open this no more
		return nil, errBackupAnew
	}
	return nil, ErrFileExists
}

// A backupUnit names rows that are written together.
type backupUnit struct {
	table Table
	owner int64
	batch int64 // seq >> backupBits
}

// A unitSum says what a unit has.
type unitSum struct {
	sum   [16]byte // of all rows, in any order
	seqs  [1 << backupBits / 64]uint64
	bytes int
}

func (u *unitSum) add(r backupRow) {
	h := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, uint64(r.seq)), r.body...))
	for i := range u.sum {
		u.sum[i] ^= h[i]
	}
	in := r.seq & (1<<backupBits - 1)
	u.seqs[in/64] |= 1 << (in % 64)
	u.bytes += len(r.body)
}

// lost reports whether now lacks a row that u has.
func (u unitSum) lost(now unitSum) bool {
	for i := range u.seqs {
		if u.seqs[i]&^now.seqs[i] != 0 {
			return true
		}
	}
	return false
}

// A backupState is what a backup's file has.
type backupState struct {
	units map[backupUnit]unitSum
	bytes int  // of all rows, also of those that later segments replace
	seed  bool // the kit itself is somewhere in it
	id    identity.PeerID
}

func (s *backupState) take(rows []backupRow) error {
	if s.units == nil {
		s.units = map[backupUnit]unitSum{}
	}
	for _, r := range rows {
		if through, ok := r.gone(); ok {
			for u := range s.units {
				if u.table|backupGone == r.table && u.owner == r.owner && u.batch >= r.seq>>backupBits && u.batch <= through>>backupBits {
					delete(s.units, u)
				}
			}
			continue
		}
		s.bytes += len(r.body)
		switch r.table {
		case 0:
			continue
		case TableSettings:
			if r.seq != settingProfile {
				continue
			}
			var p profile
			if json.Unmarshal(r.body, &p) != nil {
				return ErrFileExists
			}
			local, err := identity.ParseLocal(p.Local.bytes())
			if err != nil {
				return ErrFileExists
			}
			s.id, s.seed = local.PeerID(), s.seed || len(p.Recovery.bytes()) > 0
			continue
		}
		u := unitOf(r)
		sum := s.units[u]
		sum.add(r)
		s.units[u] = sum
	}
	return nil
}

// live returns the bytes of rows that nothing has replaced.
func (s *backupState) live() (n int) {
	for _, u := range s.units {
		n += u.bytes
	}
	return n
}

func unitOf(r backupRow) backupUnit {
	if r.table == TableContacts { // one by one
		return backupUnit{r.table, r.seq, 0}
	}
	return backupUnit{r.table, r.owner, r.seq >> backupBits}
}

// backupRows writes what the file lacks: all rows of units that are other than
// there. If a message is gone that the file has, errBackupAnew.
func (c *Client) backupRows(ctx context.Context, src backupSource, b *backupWriter, have backupState) error {
	for _, r := range src.few {
		var u unitSum
		u.add(r)
		if old, ok := have.units[unitOf(r)]; ok && r.table != TableSettings && old.sum == u.sum {
			delete(have.units, unitOf(r))
			continue
		}
		delete(have.units, unitOf(r))
		if err := b.row(r); err != nil {
			return err
		}
	}
	if err := backupWaiting(src, b, have); err != nil {
		return err
	}
	for i, v := range src.views {
		for _, t := range []Table{TableMessages, TableExpiries} {
			if err := c.backupTable(ctx, b, t, v.num, src.ends[i], have); err != nil {
				return err
			}
		}
	}
	if len(have.units) > 0 { // of contacts that are gone
		return errBackupAnew
	}
	return b.close()
}

// backupWaiting writes what waits behind gaps: it was acknowledged, so its senders have
// it no more. If the file has what waits no longer, errBackupAnew: that may be deleted.
func backupWaiting(src backupSource, b *backupWriter, have backupState) error {
	now := map[backupUnit]unitSum{}
	for _, r := range src.waiting {
		u := now[unitOf(r)]
		u.add(r)
		now[unitOf(r)] = u
	}
	for unit, old := range have.units {
		if unit.table == TableWaiting && old.sum != now[unit].sum {
			return errBackupAnew
		}
	}
	for _, r := range src.waiting {
		if _, ok := have.units[unitOf(r)]; ok {
			continue
		}
		if err := b.row(r); err != nil {
			return err
		}
	}
	maps.DeleteFunc(have.units, func(u backupUnit, _ unitSum) bool { return u.table == TableWaiting })
	return nil
}

// backupTable writes the rows of one contact, a batch at a time.
func (c *Client) backupTable(ctx context.Context, b *backupWriter, t Table, owner, below int64, have backupState) error {
	for batch := int64(0); batch<<backupBits < below; batch++ {
		from := batch << backupBits
		rows, err := c.vault.rows(ctx, Query{Table: t, Owner: owner, From: from, Below: min(from+1<<backupBits, below)})
		if err != nil {
			return err
		}
		var now unitSum
		for _, r := range rows {
			now.add(backupRow{t, owner, r.Seq, r.Body})
		}
		unit := backupUnit{t, owner, batch}
		old, known := have.units[unit]
		delete(have.units, unit)
		if old.lost(now) {
			return errBackupAnew
		}
		if old.sum == now.sum {
			continue
		}
		if known {
			if err := b.row(goneRow(t, owner, from, from+1<<backupBits-1)); err != nil {
				return err
			}
		}
		for _, r := range rows {
			if err := b.row(backupRow{t, owner, r.Seq, r.Body}); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeNew writes a file, whole or not at all. Without replace it did not exist.
func writeNew(path string, replace bool, write func(io.Writer) error) (err error) {
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
	switch {
	case err != nil:
	case replace:
		err = os.Rename(part, path)
	default: // a link, unlike a rename, never takes the place of another file
		if err = os.Link(part, path); errors.Is(err, fs.ErrExist) {
			return ErrFileExists
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("client: writing the backup: %w", err)
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
