package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// Tuning of a restore: how many changes share a transaction, and how many bytes of
// them are kept in memory. Messages are found by tags, which lie anywhere in their
// index: the fewer transactions, the less often its pages are written.
const (
	restorePage  = 1 << 14
	restoreBytes = 8 << 20
)

// A Restored says what came out of a backup.
type Restored struct {
	Made     time.Time // when the backup was last added to: what came later is not in it
	Damaged  bool      // the end of the file was unreadable; what stood before it is restored
	Contacts int
}

// Restore makes a profile in cfg.Store from a backup. cfg.Kit or cfg.Passphrase
// opens the backup; cfg.Passphrase, or cfg.KeyringKey, opens the new profile. The identity
// gets a higher epoch, which shuts out the computer that the backup is of: it
// takes the kit, or a backup from before the kit was written down
// ([ErrNeedKit]). The store stays open, for Open.
func Restore(ctx context.Context, cfg Config, backup io.ReadSeeker) (Restored, error) {
	cfg = cfg.withDefaults()
	header, err := cfg.Store.Header(ctx)
	switch {
	case err != nil:
		return Restored{}, err
	case header != nil:
		return Restored{}, ErrProfileExists
	}
	// What is not whole must change nothing: it is read twice.
	in, err := openBackup(backup, cfg)
	if err != nil {
		return Restored{}, err
	}
	whole, damaged, err := in.segments(func(backupRow) error { return nil })
	if err != nil || whole == 0 {
		return Restored{}, errors.Join(err, ErrBadBackup)
	}
	if _, err := backup.Seek(0, io.SeekStart); err != nil {
		return Restored{}, fmt.Errorf("client: reading the backup: %w", err)
	}
	again, err := openBackup(backup, cfg)
	if err != nil {
		return Restored{}, err
	}
	v := newVault(cfg.Store, randomKey())
	re := &restorer{cfg: cfg, v: v, contacts: map[int64]bool{}}
	if err := re.forget(ctx); err != nil {
		return Restored{}, err
	}
	for range whole {
		for row, err := again.next(); row.table != 0 || err != nil; row, err = again.next() {
			if err == nil {
				err = re.take(ctx, row)
			}
			if err != nil {
				return Restored{}, err
			}
		}
	}
	if err := re.takeProfile(); err != nil {
		return Restored{}, err
	}
	re.changes = append(re.changes, v.put(TableSettings, 0, settingTagged, 0, []byte{1}))
	if err := cfg.Store.Apply(ctx, re.changes); err != nil {
		return Restored{}, err
	}
	out := Restored{Made: re.made, Damaged: damaged, Contacts: len(re.contacts)}
	return out, cfg.Store.SetHeader(ctx, cfg.newHeader(v, re.profile.KitKey.bytes()))
}

// openBackup reads what stands before the segments.
func openBackup(backup io.Reader, cfg Config) (*backupReader, error) {
	r := bufio.NewReaderSize(backup, 1<<20)
	header, _, err := readBackupHeader(r)
	if err != nil {
		return nil, err
	}
	key, err := openHolders(header, cfg.Passphrase, cfg.Kit, nil)
	if err != nil {
		return nil, err
	}
	return &backupReader{r: r, aead: newVault(nil, key)}, nil
}

// A restorer turns the rows of a backup into those of a new device.
type restorer struct {
	cfg      Config
	v        *vault
	profile  *profile
	made     time.Time
	contacts map[int64]bool
	changes  []Change
	size     int // of their bodies, bytes
}

// forget removes what a restore left that was interrupted: its key is lost.
func (re *restorer) forget(ctx context.Context) error {
	contacts, err := re.v.store.Rows(ctx, Query{Table: TableContacts})
	if err != nil {
		return err
	}
	owners := []int64{0}
	for _, r := range contacts {
		owners = append(owners, r.Seq)
	}
	for _, owner := range owners {
		for t := TableSettings; t <= TablePictures; t++ {
			re.changes = append(re.changes, Change{Kind: Delete, Table: t, Row: Row{Owner: owner}, Through: math.MaxInt64})
		}
	}
	return nil
}

func (re *restorer) take(ctx context.Context, row backupRow) (err error) {
	bad := func(err error) error { return fmt.Errorf("%w (%w)", ErrBadBackup, err) }
	if through, ok := row.gone(); ok {
		re.changes = append(re.changes, Change{
			Kind: Delete, Table: row.table &^ backupGone, Row: Row{Owner: row.owner, Seq: row.seq}, Through: through,
		})
		return nil
	}
	switch row.table {
	case TableSettings:
		if row.seq == backupTime && len(row.body) == 8 {
			re.made = fromMillis(binary.BigEndian.Uint64(row.body))
			return nil
		}
		var p profile
		if err := json.Unmarshal(row.body, &p); err != nil {
			return bad(err)
		}
		re.profile = &p
	case TableContacts:
		var c contactInfo
		if err := json.Unmarshal(row.body, &c); err != nil {
			return bad(err)
		}
		re.contacts[row.seq] = true
		c.Inbox, c.Token, c.Intro, c.Hello = randomSecret(), randomSecret(), randomSecret(), randomSecret()
		c.CardSent = 0
		// The lost computer may have told more than the backup knows, and been told.
		c.PictureSent = pictureUnknown
		c.Picture = pictureState{Name: c.Picture.Name}
		re.changes = append(re.changes, re.v.putJSON(TableContacts, 0, row.seq, c))
	case TableFlows:
		var f flow
		if err := json.Unmarshal(row.body, &f); err != nil {
			return bad(err)
		}
		f.forgetTheirs()
		f.NextOut, f.Acked, f.ReadThrough, f.ReadPast, f.ReadTold, f.AckDue = 1, counterSet{Next: 1}, 0, nil, 0, false
		re.changes = append(re.changes, re.v.putJSON(TableFlows, row.owner, 0, f))
	case TableWaiting:
		if _, err := parseWaiting(row.body); err != nil {
			return bad(err)
		}
		re.changes = append(re.changes, re.v.put(TableWaiting, row.owner, row.seq, 0, row.body))
	case TableMessages:
		m, err := parseStored(row.body)
		if err != nil {
			return bad(err)
		}
		if m.mine {
			m.counter = 0 // of an epoch that is over
		}
		ch := re.v.put(TableMessages, row.owner, row.seq, 0, m.append(nil))
		ch.Tag = re.v.tag(row.owner, m.id)
		re.changes = append(re.changes, ch)
	case TablePictures:
		re.changes = append(re.changes, re.v.put(TablePictures, row.owner, pictureShown, 0, row.body))
	case TableExpiries:
		re.changes = append(re.changes, re.v.put(TableExpiries, row.owner, row.seq, 0, row.body))
	}
	if re.size += len(row.body); len(re.changes) < restorePage && re.size < restoreBytes {
		return nil
	}
	err, re.changes, re.size = re.v.store.Apply(ctx, re.changes), nil, 0
	return err
}

// takeProfile raises the epoch and replaces every secret that the lost computer
// could use against us: its inboxes, and the keys that own them, are not ours.
func (re *restorer) takeProfile() error {
	if re.profile == nil {
		return ErrBadBackup
	}
	p, now := re.profile, re.cfg.Now()
	old, err := identity.ParseLocal(p.Local.bytes())
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrBadBackup, err)
	}
	seed := p.Recovery.bytes()
	if re.cfg.Kit != nil {
		seed = re.cfg.Kit[:]
	}
	if len(seed) != 32 {
		return ErrNeedKit
	}
	recovery, err := identity.NewSecretKey(seed)
	if err != nil {
		return ErrWrongKit
	}
	local, err := old.Recover(recovery, now)
	if err != nil {
		return ErrWrongKit
	}
	prekeys, err := ratchet.NewPrekeyStore(local, now, oneTimePrekeys)
	if err != nil {
		return fmt.Errorf("client: making prekeys: %w", err)
	}
	state, err := prekeys.MarshalBinary()
	if err != nil {
		return fmt.Errorf("client: storing prekeys: %w", err)
	}
	p.Local, p.KitKey = newHidden(local.MarshalSecret()), newSecret(kitKey([32]byte(seed)))
	p.KnockInbox, p.KnockKeys = randomSecret(), nil
	p.NoteSecret, p.Instances = randomSecret(), nil
	p.CopySeen, p.LeftBehind = time.Time{}, time.Time{} // a copy no more
	p.rotateKnockKey(now)
	p.CardVersion = max(p.CardVersion, millis(now)) + 1
	p.Picture.Version = max(p.Picture.Version, millis(now)) + 1
	for i := range p.Servers {
		p.Servers[i].Owner = randomSecret()
	}
	re.changes = append(re.changes,
		re.v.putJSON(TableSettings, 0, settingProfile, *p), re.v.put(TableSettings, 0, settingPrekeys, 0, state))
	return nil
}
