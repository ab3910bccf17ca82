package client

import (
	"context"
	"time"
)

// keyLifetime is how long the X25519 keys of an identity are used (spec §2.5).
const keyLifetime = 30 * 24 * time.Hour

// rotateKeys replaces the keys of the identity if they are too old, and erases
// those whose time to answer is over. It runs before anything is connected; the
// contacts get the new record in new cards (heal).
func (k *core) rotateKeys(ctx context.Context) error {
	now := k.now()
	local := k.local.Expire(now)
	rotated := now.Sub(k.keysSince()) >= keyLifetime
	if rotated {
		next, err := local.Rotate(now)
		if err != nil {
			k.c.log.Error("keys not replaced", "err", err)
			rotated = false
		} else {
			local = next
		}
	}
	if local == k.local {
		return nil
	}
	prekeys, err := k.prekeys.Replenish(local, now, oneTimePrekeys)
	if err != nil {
		return err
	}
	k.local, k.profile.Local, k.dirtyProfile = local, newHidden(local.MarshalSecret()), true
	k.dirtyPrekeys = k.dirtyPrekeys || prekeys
	if rotated {
		k.profile.CardVersion++
		k.profile.KeysSince = now
	}
	k.finish()
	changes := k.changes
	k.changes, k.dirtyProfile, k.dirtyPrekeys = nil, false, false
	return k.v.store.Apply(ctx, changes)
}
