package ratchet

import (
	"bytes"
	"crypto/mlkem"
	"fmt"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// clockSkew is how far ahead the clock of a bundle's owner may be.
const clockSkew = 24 * time.Hour

// A Bundle is a verified prekey bundle.
type Bundle struct {
	record  *identity.Record
	x       wire.PrekeyBundle
	hash    [32]byte
	version uint8
	kem     *mlkem.EncapsulationKey768
}

// ParseBundle verifies a bundle of want's (spec §4.1.4). Its errors are
// [ErrBundle], or [ErrExpired]. The caller refuses a bundle whose Serial is
// lower than one that it has seen, and compares Record with the one it knows.
func ParseBundle(b []byte, want identity.PeerID, now time.Time) (*Bundle, error) {
	x, err := wire.ParsePrekeyBundle(bytes.Clone(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	record, err := identity.ParseRecord(x.Record)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if record.Identity != want {
		return nil, fmt.Errorf("%w: it is somebody else's", ErrBundle)
	}
	if !record.Verify(contextBundle, x.AppendSigned(nil), x.Signature) || record.Agreement != x.Agreement {
		return nil, fmt.Errorf("%w: wrong signature or key", ErrBundle)
	}
	t := unix(now)
	if t > x.Expiry {
		return nil, ErrExpired
	}
	if x.Expiry-t > seconds(BundleLifetime+clockSkew) {
		return nil, fmt.Errorf("%w: it expires in more than 30 days", ErrBundle)
	}
	if identity.CheckX25519(x.SignedPrekey) != nil {
		return nil, fmt.Errorf("%w: bad prekey", ErrBundle)
	}
	kem, err := mlkem.NewEncapsulationKey768(x.LastResort[:])
	if err != nil {
		return nil, fmt.Errorf("%w: bad ML-KEM key", ErrBundle)
	}
	version := newestCommon(x.Versions)
	if version == 0 {
		return nil, fmt.Errorf("%w: it needs a newer version of this program", ErrBundle)
	}
	return &Bundle{record: record, x: x, hash: tagged(contextBundleHash, b), version: version, kem: kem}, nil
}

// newestCommon returns the highest version that both sides speak, 0 if none.
func newestCommon(theirs []byte) uint8 {
	for _, v := range slices.Backward(versions) {
		if bytes.IndexByte(theirs, v) >= 0 {
			return v
		}
	}
	return 0
}

// Record returns the owner's record.
func (b *Bundle) Record() *identity.Record { return b.record }

// Device returns the owner's device.
func (b *Bundle) Device() identity.DeviceID { return b.x.Device }

// Serial orders the bundles of one device.
func (b *Bundle) Serial() uint64 { return b.x.Serial }

// Expires returns when the bundle must no longer be used.
func (b *Bundle) Expires() time.Time { return time.Unix(int64(b.x.Expiry), 0).UTC() }

// oneTimeKey is a verified one-time pair.
type oneTimeKey struct {
	id     uint32
	x25519 [32]byte
	kem    *mlkem.EncapsulationKey768
	hash   [32]byte
}

// parseOneTime verifies a one-time pair of the bundle's owner.
func (b *Bundle) parseOneTime(enc []byte, now time.Time) (oneTimeKey, error) {
	x, err := wire.ParseOneTimePrekey(enc)
	if err != nil {
		return oneTimeKey{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if x.Device != b.x.Device || !b.record.Verify(contextOneTime, x.AppendSigned(nil), x.Signature) {
		return oneTimeKey{}, fmt.Errorf("%w: one-time prekey of somebody else", ErrBundle)
	}
	if unix(now) > x.Expiry {
		return oneTimeKey{}, ErrExpired
	}
	if identity.CheckX25519(x.X25519) != nil {
		return oneTimeKey{}, fmt.Errorf("%w: bad one-time prekey", ErrBundle)
	}
	kem, err := mlkem.NewEncapsulationKey768(x.MLKEM[:])
	if err != nil {
		return oneTimeKey{}, fmt.Errorf("%w: bad one-time ML-KEM key", ErrBundle)
	}
	return oneTimeKey{x.ID, x.X25519, kem, tagged(contextOneHash, enc)}, nil
}
