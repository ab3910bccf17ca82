package client

import (
	"context"
	"crypto/hpke"
	"fmt"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// Numbers of the settings (spec §8.7).
const (
	settingProfile = 1
	settingPrekeys = 2
	settingTagged  = 3 // exists once every message has a tag
	settingIndexed = 4 // exists once all messages of before are in segments
)

// Prekeys and the knock key (spec §8.3).
const (
	oneTimePrekeys   = 40
	knockKeyLifetime = 14 * 24 * time.Hour // the one before it still opens
)

// A profile is what belongs to nobody else but its owner. It is one sealed row.
type profile struct {
	Local    hidden `json:"local"`    // identity.Local
	Recovery hidden `json:"recovery"` // seed of the recovery key, until the kit is made

	KitKey     secret    `json:"kit_key"`              // wraps keys, derived from the kit; raises no epoch
	Lookup     secret    `json:"lookup"`               // of our rendezvous records
	LookupOld  bool      `json:"lookup_old,omitempty"` // it is to be replaced
	KnockInbox secret    `json:"knock_inbox"`          // where first contacts arrive, at every relay of ours
	KnockKeys  []hidden  `json:"knock_keys"`           // HPKE private keys, newest first
	KnockSince time.Time `json:"knock_since"`          // when the newest was made

	Servers     []serverInfo `json:"servers"`
	CardVersion uint64       `json:"card_version"` // grows with everything that cards say
	LastContact int64        `json:"last_contact"`
	LastInvite  int64        `json:"last_invite"`

	KeysSince time.Time `json:"keys_since,omitzero"` // when the X25519 keys were made; zero: with the record

	Port uint16 `json:"port,omitempty"` // of our own choice, kept while there is no server; 0: none yet

	Visible    bool       `json:"visible,omitempty"`    // on the local network, to everybody
	Listed     listState  `json:"listed,omitempty"`     // on the public lists
	NoteSecret secret     `json:"note_secret"`          // of our notes to ourselves, see copies.go
	Instances  []instance `json:"instances,omitempty"`  // the last openings of the profile, newest last
	CopySeen   time.Time  `json:"copy_seen,omitzero"`   // when another copy of it was noticed last
	LeftBehind time.Time  `json:"left_behind,omitzero"` // when a contact said that the identity was restored elsewhere

	StatesBound bool `json:"states_bound,omitempty"` // rows are sealed with their state

	ListNote string `json:"list_note,omitempty"`

	ListPicture []byte `json:"list_picture,omitempty"`

	Picture pictureState `json:"picture,omitzero"` // that contacts see
}

// A serverInfo is one server that the profile uses.
type serverInfo struct {
	Address identity.ServerAddr `json:"address"`
	Owner   secret              `json:"owner"` // seed of the key that owns our inboxes there
	// What it answered that it is not.
	NoRelay      bool `json:"no_relay"`
	NoRendezvous bool `json:"no_rendezvous"`
	// When it was left: contacts are no longer told of it.
	Left time.Time `json:"left,omitzero"`
}

// newProfile makes the rows of a new identity, and the key of its kit.
func newProfile(v *vault, name string, now time.Time) (rows []Change, kit [32]byte, err error) {
	local, recovery, err := identity.NewLocal(name, now)
	if err != nil {
		return nil, kit, err
	}
	kit = kitKey([32]byte(recovery.Seed()))
	p := profile{
		KitKey: newSecret(kit), StatesBound: true,
		Local: newHidden(local.MarshalSecret()), Recovery: newHidden(recovery.Seed()),
		Lookup: randomSecret(), KnockInbox: randomSecret(), CardVersion: 1,
	}
	p.rotateKnockKey(now)
	prekeys, err := ratchet.NewPrekeyStore(local, now, oneTimePrekeys)
	if err != nil {
		return nil, kit, fmt.Errorf("client: making prekeys: %w", err)
	}
	state, err := prekeys.MarshalBinary()
	if err != nil {
		return nil, kit, fmt.Errorf("client: storing prekeys: %w", err)
	}
	return []Change{
		v.putJSON(TableSettings, 0, settingProfile, p),
		v.put(TableSettings, 0, settingPrekeys, 0, state),
		v.put(TableSettings, 0, settingTagged, 0, []byte{1}),
		v.put(TableSettings, 0, settingIndexed, 0, []byte{1}),
	}, kit, nil
}

// rotateKnockKey makes a new knock key if the newest is over its age, and keeps
// the one before. It reports whether it did.
func (p *profile) rotateKnockKey(now time.Time) bool {
	if len(p.KnockKeys) > 0 && now.Before(p.KnockSince.Add(knockKeyLifetime)) {
		return false
	}
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		panic(err) // only for want of randomness, which Go treats as fatal itself
	}
	b, err := key.Bytes()
	if err != nil {
		panic(err)
	}
	p.KnockKeys = slices.Insert(p.KnockKeys, 0, newHidden(b))
	p.KnockKeys = p.KnockKeys[:min(len(p.KnockKeys), 2)]
	p.KnockSince = now
	return true
}

// loadProfile reads the settings.
func loadProfile(ctx context.Context, v *vault) (p profile, local *identity.Local, prekeys *ratchet.PrekeyStore, err error) {
	ok, err := v.rowJSON(ctx, TableSettings, 0, settingProfile, &p)
	if err == nil && !ok {
		err = fmt.Errorf("%w (no identity in it)", ErrDamaged)
	}
	if err != nil {
		return p, nil, nil, err
	}
	if local, err = identity.ParseLocal(p.Local.bytes()); err != nil {
		return p, nil, nil, fmt.Errorf("%w (identity: %w)", ErrDamaged, err)
	}
	state, err := v.row(ctx, TableSettings, 0, settingPrekeys)
	if err != nil {
		return p, nil, nil, err
	}
	if prekeys, err = ratchet.ParsePrekeyStore(state); err != nil {
		return p, nil, nil, fmt.Errorf("%w (prekeys: %w)", ErrDamaged, err)
	}
	return p, local, prekeys, nil
}
