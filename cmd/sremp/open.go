package main

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/keyring"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// baseConfig is what does not depend on who opens the profile.
func (a *app) baseConfig(db client.Store) client.Config {
	return client.Config{
		Store: db, KDF: a.kdf, Listen: a.listen, Logger: a.logger(), Now: a.now, KeepEvents: a.keepEvents,
		Keyring: keyring.New(a.profile), Settings: a.settingsFile(), MapPorts: a.stays && !a.noPortMapping,
		LAN: (a.stays || a.near) && !a.noLAN, Downloads: a.downloads,
	}
}

// openConfig finds what opens an existing profile: the kit, if the user has
// given it; a passphrase that was given; the keyring; a passphrase asked for.
func (a *app) openConfig(ctx context.Context, db client.Store) (client.Config, error) {
	cfg := a.baseConfig(db)
	if cfg.Kit = a.kit; a.kit != nil {
		return cfg, nil
	}
	held, err := client.HeldBy(ctx, db)
	if err != nil {
		return cfg, err
	}
	if held.Keyring && !(held.Passphrase && a.passphraseGiven()) {
		key, ok, err := cfg.Keyring.Load(ctx)
		if ok {
			cfg.KeyringKey = &key
			return cfg, nil
		}
		if err == nil {
			err = client.ErrKeyring
		}
		if !held.Passphrase {
			return cfg, err
		}
		a.say("%s", sentence(err))
	}
	cfg.Passphrase, err = a.passphrase(false)
	return cfg, err
}

// newConfig decides what is to open a new profile: a passphrase that was given,
// else the desktop's keyring, if there is one, else a passphrase asked for.
func (a *app) newConfig(ctx context.Context, db client.Store) (cfg client.Config, err error) {
	cfg = a.baseConfig(db)
	ring := keyring.New(a.profile)
	if a.passphraseGiven() || !ring.Available(ctx) {
		cfg.Passphrase, err = a.passphrase(true)
		return cfg, err
	}
	var key [32]byte
	rand.Read(key[:]) // never fails, see crypto/rand.Read
	if err := ring.Store(ctx, key); err != nil {
		return cfg, err
	}
	cfg.KeyringKey = &key
	return cfg, nil
}

// unlock is the [client.Opener] of a client that runs: nobody can be asked here.
func (a *app) unlock(ctx context.Context, u client.Unlock) (*client.Client, error) {
	db, err := sqlite.Open(ctx, a.profile)
	if err != nil {
		return nil, err
	}
	cfg := a.baseConfig(db)
	switch {
	case u.Kit != "":
		var seed [32]byte
		if seed, err = identity.ParseKit(u.Kit); err == nil {
			cfg.Kit = &seed
		}
	case u.Passphrase != nil:
		cfg.Passphrase = []byte(*u.Passphrase)
	default:
		var held client.Keys
		if held, err = client.HeldBy(ctx, db); err == nil && !held.Keyring {
			err = client.ErrKeyring
		}
		if err == nil {
			var key [32]byte
			var ok bool
			if key, ok, err = cfg.Keyring.Load(ctx); err == nil && !ok {
				err = client.ErrKeyring
			}
			cfg.KeyringKey = &key
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return client.Open(ctx, cfg)
}
