package client

import (
	"context"
	"fmt"
)

// A Keyring keeps one key for one profile outside of it, as a desktop does for
// the time somebody is logged in. Its errors match [ErrKeyring].
type Keyring interface {
	// Load returns the key; ok is false if there is none.
	Load(ctx context.Context) (key [32]byte, ok bool, err error)
	// Store keeps a key, in place of an earlier one.
	Store(ctx context.Context, key [32]byte) error
	// Remove forgets the key, if there is one.
	Remove(ctx context.Context) error
}

// HeldBy returns who can open the profile in a store, as far as can be seen
// without opening it. [ErrNoProfile] if there is none.
func HeldBy(ctx context.Context, s Store) (out Keys, err error) {
	header, err := s.Header(ctx)
	switch {
	case err != nil:
		return out, err
	case header == nil:
		return out, ErrNoProfile
	}
	hs, err := parseHolders(header)
	if err != nil {
		return out, fmt.Errorf("%w (its keys: %w)", ErrDamaged, err)
	}
	return keysOf(hs), nil
}

func keysOf(hs []holder) (out Keys) {
	for _, h := range hs {
		out.Passphrase = out.Passphrase || h.kind == holdsPassphrase
		out.Keyring = out.Keyring || h.kind == holdsKeyring
	}
	return out
}

// Keys implements [API].
func (c *Client) Keys(ctx context.Context) (out Keys, err error) {
	err = c.do(ctx, func(k *core) error {
		hs, err := k.holders()
		if err != nil {
			return err
		}
		out = keysOf(hs)
		out.CopySeen, out.LeftBehind = k.profile.CopySeen, k.profile.LeftBehind
		out.KitHere = len(k.profile.Recovery.bytes()) == 32
		return nil
	})
	return out, err
}

// holders returns who holds the database key.
func (k *core) holders() ([]holder, error) {
	header, err := k.v.store.Header(k.c.ctx)
	if err != nil {
		return nil, err
	}
	hs, err := parseHolders(header)
	if err != nil {
		return nil, fmt.Errorf("%w (its keys: %w)", ErrDamaged, err)
	}
	return hs, nil
}

// setHolder puts a holder in the place of those of its kind; sealed nil removes
// them.
func (k *core) setHolder(h holder) error {
	hs, err := k.holders()
	if err != nil {
		return err
	}
	var out []holder
	if h.sealed != nil {
		out = append(out, h)
	}
	for _, old := range hs {
		if old.kind != h.kind {
			out = append(out, old)
		}
	}
	return k.v.store.SetHeader(k.c.ctx, appendHolders(out))
}

// UseKeyring implements [API].
func (c *Client) UseKeyring(ctx context.Context, on bool) error {
	ring := c.cfg.Keyring
	if ring == nil {
		return ErrKeyring
	}
	if !on {
		err := c.do(ctx, func(k *core) error {
			hs, err := k.holders()
			if err != nil {
				return err
			}
			for _, h := range hs {
				if h.kind == holdsPassphrase {
					return k.setHolder(holder{kind: holdsKeyring})
				}
			}
			return ErrNoHolder
		})
		if err != nil {
			return err
		}
		return ring.Remove(ctx)
	}
	// The keyring first: a holder without its key would be of no use.
	key := randomSecret()
	if err := ring.Store(ctx, key.bytes()); err != nil {
		return err
	}
	return c.do(ctx, func(k *core) error {
		return k.setHolder(keyHolder(holdsKeyring, derive(key.bytes(), contextKeyringKey), k.v.key()))
	})
}
