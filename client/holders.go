package client

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Contexts of who holds a key (spec §8.12).
const (
	contextKitKey     = "SREMP v1 recovery kit key"
	contextKeyringKey = "SREMP v1 keyring key"
	contextHolder     = "SREMP v1 key holder"
)

// Kinds of holders. Each of them alone opens what is sealed.
const (
	holdsPassphrase = 1 // SealSecret
	holdsKit        = 2 // under a key derived from the recovery kit
	holdsKeyring    = 3 // under a random key that a keyring keeps
)

const (
	headerHolders = 2 // format; the first was a passphrase's seal alone, which begins with 1
	maxHolders    = 8
)

// A holder is one way to a key.
type holder struct {
	kind   uint8
	sealed []byte
}

// appendHolders encodes a header: format(1), count(1), and for each
// kind(1) and sealed<1..2^16-1>.
func appendHolders(hs []holder) []byte {
	b := []byte{headerHolders, byte(len(hs))}
	for _, h := range hs {
		b = wire.AppendVec16(append(b, h.kind), h.sealed)
	}
	return b
}

func parseHolders(b []byte) (hs []holder, err error) {
	if len(b) > 0 && b[0] != headerHolders {
		return []holder{{holdsPassphrase, b}}, nil
	}
	r := wire.NewReader(b)
	r.Uint8()
	n := int(r.Uint8())
	if n > maxHolders {
		r.Fail(wire.ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		hs = append(hs, holder{r.Uint8(), r.Vec16(1, 4096)})
	}
	return hs, r.Done()
}

// kitKey derives from the kit what wraps keys. It may stay on the device after
// the kit left: it raises no epoch.
func kitKey(seed [32]byte) [32]byte { return derive(seed, contextKitKey) }

func derive(secret [32]byte, context string) [32]byte {
	k, err := hkdf.Key(sha256.New, secret[:], nil, context, 32)
	if err != nil {
		panic(err)
	}
	return [32]byte(k)
}

func keyAEAD(key [32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err)
	}
	return aead
}

func passphraseHolder(passphrase []byte, kdf identity.KDFParams, key []byte) holder {
	return holder{holdsPassphrase, identity.SealSecret(passphrase, kdf, contextDatabaseKey, key)}
}

// keyHolder wraps key under another key.
func keyHolder(kind uint8, wrapping [32]byte, key []byte) holder {
	return holder{kind, sealBox(keyAEAD(wrapping), contextHolder+string(rune(kind)), key)}
}

// openHolders returns the key that a header holds, by the first way of cfg's
// that opens it.
func openHolders(header []byte, passphrase []byte, kit, keyring *[32]byte) ([]byte, error) {
	hs, err := parseHolders(header)
	if err != nil {
		return nil, fmt.Errorf("%w (its keys: %w)", ErrDamaged, err)
	}
	var wrong error = ErrWrongPassphrase
	for _, h := range hs {
		var key []byte
		var err error
		switch {
		case h.kind == holdsKit && kit != nil:
			key, err = openBox(keyAEAD(kitKey(*kit)), contextHolder+string(rune(h.kind)), h.sealed)
			wrong = ErrWrongKit
		case h.kind == holdsKeyring && keyring != nil:
			key, err = openBox(keyAEAD(derive(*keyring, contextKeyringKey)), contextHolder+string(rune(h.kind)), h.sealed)
			wrong = ErrKeyring
		case h.kind == holdsPassphrase && kit == nil && keyring == nil:
			key, err = identity.OpenSecret(passphrase, contextDatabaseKey, h.sealed)
			if err != nil && !errors.Is(err, identity.ErrWrongPassphrase) {
				return nil, fmt.Errorf("%w (its key: %w)", ErrDamaged, err)
			}
		default:
			continue
		}
		if err == nil && len(key) == 32 {
			return key, nil
		}
	}
	return nil, wrong
}

// Keeping is the part of [API] about not losing what is here, and to nobody.
type Keeping interface {
	// RecoveryKit returns the 24 words that open this profile when the
	// passphrase is forgotten, and bring the identity back when the computer is
	// lost. [ErrKitGone] once ForgetKit has run.
	RecoveryKit(ctx context.Context) ([]string, error)
	// ForgetKit removes the kit from this computer, once it is written down: so
	// that nobody who gets at this computer can take over the identity for good.
	ForgetKit(ctx context.Context) error
	// ChangePassphrase sets another passphrase. The old one is not asked for:
	// the profile is open.
	ChangePassphrase(ctx context.Context, passphrase []byte) error
	// Backup writes everything but live sessions to a file, which the passphrase or
	// the recovery kit opens. To a backup of this profile it adds what is new; if
	// something of it is to be gone it is written anew. [ErrFileExists] if path is
	// any other file.
	Backup(ctx context.Context, path string) error
}

// RecoveryKit implements [API].
func (c *Client) RecoveryKit(ctx context.Context) (words []string, err error) {
	err = c.do(ctx, func(k *core) error {
		seed := k.profile.Recovery.bytes()
		if len(seed) != 32 {
			return ErrKitGone
		}
		w := identity.KitWords([32]byte(seed))
		words = w[:]
		return nil
	})
	return words, err
}

// ForgetKit implements [API].
func (c *Client) ForgetKit(ctx context.Context) error {
	return c.do(ctx, func(k *core) error {
		if len(k.profile.Recovery.bytes()) == 0 {
			return ErrKitGone
		}
		k.profile.Recovery, k.dirtyProfile = hidden{}, true
		return nil
	})
}

// ChangePassphrase implements [API].
func (c *Client) ChangePassphrase(ctx context.Context, passphrase []byte) error {
	return c.do(ctx, func(k *core) error {
		if err := k.setHolder(passphraseHolder(passphrase, c.cfg.KDF, k.v.key())); err != nil {
			return err
		}
		c.cfg.Passphrase, c.cfg.Kit, c.cfg.KeyringKey = slices.Clone(passphrase), nil, nil // the core's, once it runs
		return nil
	})
}

// holdByKit gives profiles of the first format the kit as a second holder.
func (v *vault) holdByKit(ctx context.Context, header []byte) error {
	if len(header) > 0 && header[0] == headerHolders {
		return nil
	}
	p, _, _, err := loadProfile(ctx, v)
	if err != nil {
		return err
	}
	seed := p.Recovery.bytes()
	if len(seed) != 32 {
		return nil
	}
	p.KitKey = newSecret(kitKey([32]byte(seed)))
	if err := v.store.Apply(ctx, []Change{v.putJSON(TableSettings, 0, settingProfile, p)}); err != nil {
		return err
	}
	return v.store.SetHeader(ctx, appendHolders([]holder{
		{holdsPassphrase, header}, keyHolder(holdsKit, p.KitKey.bytes(), v.key()),
	}))
}
