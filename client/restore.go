package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// Restore makes a profile in cfg.Store from a backup. cfg.Kit or cfg.Passphrase
// opens the backup; cfg.Passphrase, or cfg.KeyringKey, opens the new profile. The identity
// gets a higher epoch, which shuts out the computer that the backup is of: it
// takes the kit, or a backup from before the kit was written down
// ([ErrNeedKit]). The store stays open, for Open.
func Restore(ctx context.Context, cfg Config, backup io.Reader) error {
	cfg = cfg.withDefaults()
	header, err := cfg.Store.Header(ctx)
	switch {
	case err != nil:
		return err
	case header != nil:
		return ErrProfileExists
	}
	r := bufio.NewReaderSize(backup, 1<<20)
	key, err := openBackup(r, cfg)
	if err != nil {
		return err
	}
	v := newVault(cfg.Store, randomKey())
	re := &restorer{cfg: cfg, v: v}
	in := &backupReader{r: r, aead: newVault(nil, key)}
	for {
		row, err := in.next()
		if err != nil {
			return err
		}
		if row.table == 0 {
			break
		}
		if err := re.take(ctx, row); err != nil {
			return err
		}
	}
	if re.profile == nil {
		return ErrBadBackup
	}
	re.changes = append(re.changes, v.put(TableSettings, 0, settingTagged, 0, []byte{1}))
	if err := cfg.Store.Apply(ctx, re.changes); err != nil {
		return err
	}
	return cfg.Store.SetHeader(ctx, cfg.newHeader(v, re.profile.KitKey.bytes()))
}

func openBackup(r io.Reader, cfg Config) ([]byte, error) {
	start := make([]byte, len(backupMagic)+2)
	if _, err := io.ReadFull(r, start); err != nil || string(start[:len(backupMagic)]) != backupMagic {
		return nil, ErrBadBackup
	}
	header := make([]byte, binary.BigEndian.Uint16(start[len(backupMagic):]))
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, ErrBadBackup
	}
	key, err := openHolders(header, cfg.Passphrase, cfg.Kit, nil)
	if err != nil {
		return nil, err
	}
	return key, nil
}

// A restorer turns the rows of a backup into those of a new device.
type restorer struct {
	cfg     Config
	v       *vault
	profile *profile
	changes []Change
}

func (re *restorer) take(ctx context.Context, row backupRow) (err error) {
	bad := func(err error) error { return fmt.Errorf("%w (%w)", ErrBadBackup, err) }
	if (re.profile == nil) != (row.table == TableSettings) {
		return ErrBadBackup
	}
	switch row.table {
	case TableSettings:
		var p profile
		if err := json.Unmarshal(row.body, &p); err != nil {
			return bad(err)
		}
		return re.takeProfile(p)
	case TableContacts:
		var c contactInfo
		if err := json.Unmarshal(row.body, &c); err != nil {
			return bad(err)
		}
		c.Inbox, c.Token, c.Intro, c.Hello = randomSecret(), randomSecret(), randomSecret(), randomSecret()
		c.CardSent = 0
		re.changes = append(re.changes, re.v.putJSON(TableContacts, 0, row.seq, c))
	case TableFlows:
		var f flow
		if err := json.Unmarshal(row.body, &f); err != nil {
			return bad(err)
		}
		f.AckedSum = digest{}
		f.NextOut, f.Acked, f.ReadThrough, f.ReadTold, f.AckDue = 1, counterSet{Next: 1}, 0, 0, false
		re.changes = append(re.changes, re.v.putJSON(TableFlows, row.owner, 0, f))
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
	case TableExpiries:
		re.changes = append(re.changes, re.v.put(TableExpiries, row.owner, row.seq, 0, row.body))
	}
	if len(re.changes) < 4*backupPage {
		return nil
	}
	err, re.changes = re.v.store.Apply(ctx, re.changes), nil
	return err
}

// takeProfile raises the epoch and replaces every secret that the lost computer
// could use against us: its inboxes, and the keys that own them, are not ours.
func (re *restorer) takeProfile(p profile) error {
	now := re.cfg.Now()
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
	p.NoteSecret, p.Instances, p.CopySeen = randomSecret(), nil, time.Time{} // a copy no more
	p.rotateKnockKey(now)
	p.CardVersion = max(p.CardVersion, millis(now)) + 1
	for i := range p.Servers {
		p.Servers[i].Owner = randomSecret()
	}
	re.profile = &p
	re.changes = append(re.changes,
		re.v.putJSON(TableSettings, 0, settingProfile, p), re.v.put(TableSettings, 0, settingPrekeys, 0, state))
	return nil
}
