package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sremp/sremp/wire"
)

// Rotation of the X25519 keys (spec §2.7).
const (
	// OldKeyLifetime is how long a replaced private half still answers.
	OldKeyLifetime = 30 * 24 * time.Hour
	// MaxOldKeys bounds the replaced halves that are kept, and so how often keys
	// can be rotated within OldKeyLifetime.
	MaxOldKeys = 32
)

// Errors of local identities.
var (
	ErrBadLocal        = errors.New("identity: not a valid secret identity")
	ErrTooManyOldKeys  = errors.New("identity: keys were rotated too often in 30 days")
	ErrWrongRecovery   = errors.New("identity: the recovery kit of another identity")
	ErrEpochsExhausted = errors.New("identity: no higher epoch")
)

// A Local is one identity on one device: its record and the private halves. It
// is not changed: rotation returns another. It never prints its secrets.
type Local struct {
	identity, signer SecretKey // the same in epoch 0
	noise, agreement DHKey
	old              []oldKeys // newest first
	device           DeviceID
	record           *Record
}

// oldKeys are replaced halves.
type oldKeys struct {
	noise, agreement DHKey
	until            time.Time // whole seconds
}

// NewLocal makes a new identity with its first record. The recovery key belongs
// on the recovery kit and nowhere else: it is the only copy.
func NewLocal(name string, now time.Time) (l *Local, recovery SecretKey, err error) {
	recovery = GenerateSecretKey()
	l, err = newLocal(name, now, GenerateSecretKey(), GenerateDHKey(), GenerateDHKey(), NewDeviceID(), recovery.Public())
	if err != nil {
		return nil, SecretKey{}, err
	}
	return l, recovery, nil
}

// NewDeviceID returns a random device id.
func NewDeviceID() (d DeviceID) {
	rand.Read(d[:]) // never fails, see crypto/rand.Read
	return d
}

func newLocal(name string, now time.Time, id SecretKey, noise, agreement DHKey, d DeviceID, recovery [32]byte) (*Local, error) {
	l := &Local{identity: id, signer: id, noise: noise, agreement: agreement, device: d}
	return l.signed(wire.Record{Name: name, Version: 1, Recovery: recovery}, now)
}

// signed completes x with l's keys, signs it and makes it l's record.
func (l *Local) signed(x wire.Record, now time.Time) (*Local, error) {
	t := now.Unix()
	if t < 0 || t > wire.MaxTime {
		return nil, fmt.Errorf("identity: the clock says %s", now.UTC().Format(time.DateOnly))
	}
	if err := CheckName(x.Name); err != nil {
		return nil, err
	}
	x.Identity, x.Noise, x.Agreement = l.identity.Public(), l.noise.Public(), l.agreement.Public()
	x.Created = uint64(t)
	x.Signature = l.signer.Sign(contextRecord, x.AppendUnsigned(nil))
	r, err := ParseRecord(x.Append(nil))
	if err != nil {
		return nil, err
	}
	l.record = r
	return l, nil
}

// PeerID returns the owner's id.
func (l *Local) PeerID() PeerID { return l.record.Identity }

// Record returns the newest record.
func (l *Local) Record() *Record { return l.record }

// Device returns the id of this device.
func (l *Local) Device() DeviceID { return l.device }

// Sign signs msg in the given context with the key that [Record.Verify] checks.
// Nothing that names a contact, an inbox or a conversation may be signed.
func (l *Local) Sign(context string, msg []byte) [64]byte { return l.signer.Sign(context, msg) }

// IdentityKey returns the private half of the PeerID, for key blinding (spec
// §7). It is not the signing key once the epoch was raised.
func (l *Local) IdentityKey() SecretKey { return l.identity }

// NoiseKey returns the private half of the record's Noise key.
func (l *Local) NoiseKey() DHKey { return l.noise }

// AgreementKey returns the private half of the record's agreement key.
func (l *Local) AgreementKey() DHKey { return l.agreement }

// OldNoiseKeys returns the replaced Noise keys that still answer, newest first.
func (l *Local) OldNoiseKeys() []DHKey {
	keys := make([]DHKey, len(l.old))
	for i, o := range l.old {
		keys[i] = o.noise
	}
	return keys
}

// FindAgreementKey returns the current or a replaced agreement key by its
// public half.
func (l *Local) FindAgreementKey(pub [32]byte) (DHKey, bool) {
	if l.agreement.Public() == pub {
		return l.agreement, true
	}
	for _, o := range l.old {
		if o.agreement.Public() == pub {
			return o.agreement, true
		}
	}
	return DHKey{}, false
}

// NextExpiry returns when the oldest replaced keys must go, zero if there are
// none. [Local.Expire] removes them.
func (l *Local) NextExpiry() time.Time {
	if len(l.old) == 0 {
		return time.Time{}
	}
	return l.old[len(l.old)-1].until
}

// Expire returns l without the replaced keys whose 30 days are over; l itself
// if there are none. The caller stores the result over the old secret.
func (l *Local) Expire(now time.Time) *Local {
	keep := slices.DeleteFunc(slices.Clone(l.old), func(o oldKeys) bool { return !now.Before(o.until) })
	if len(keep) == len(l.old) {
		return l
	}
	n := *l
	n.old = keep
	return &n
}

// next returns x, the next record of the same epoch, not yet signed.
func (l *Local) next() (wire.Record, error) {
	if l.record.Version == math.MaxUint64 {
		return wire.Record{}, ErrVersionExhausted
	}
	x, err := wire.ParseRecord(l.record.raw)
	if err != nil {
		return wire.Record{}, err
	}
	x.Version++
	x.Prev = l.record.Hash()
	return x, nil
}

// Rotate returns the identity with new X25519 keys in a record of the next
// version. The replaced halves answer for another 30 days.
func (l *Local) Rotate(now time.Time) (*Local, error) {
	x, err := l.next()
	if err != nil {
		return nil, err
	}
	n := *l.Expire(now)
	if len(n.old) >= MaxOldKeys {
		return nil, ErrTooManyOldKeys
	}
	until := time.Unix(now.Add(OldKeyLifetime).Unix(), 0).UTC()
	n.old = append([]oldKeys{{n.noise, n.agreement, until}}, n.old...)
	n.noise, n.agreement = GenerateDHKey(), GenerateDHKey()
	return n.signed(x, now)
}

// Rename returns the identity with another name in a record of the next version.
func (l *Local) Rename(name string, now time.Time) (*Local, error) {
	x, err := l.next()
	if err != nil {
		return nil, err
	}
	x.Name = name
	n := *l
	return n.signed(x, now)
}

// Recover returns the identity in a higher epoch, as a device of its own with
// new keys of every kind but the PeerID's; whoever holds the old ones is left
// behind. The epoch follows the clock, in seconds, so that one backup restored
// twice gives two ordered epochs (spec §2.6).
func (l *Local) Recover(recovery SecretKey, now time.Time) (*Local, error) {
	if recovery.Public() != l.record.Recovery {
		return nil, ErrWrongRecovery
	}
	if l.record.Epoch == math.MaxUint32 {
		return nil, ErrEpochsExhausted
	}
	epoch := l.record.Epoch + 1
	if t := now.Unix(); t > int64(epoch) && t <= math.MaxUint32 {
		epoch = uint32(t)
	}
	x, err := wire.ParseRecord(l.record.raw)
	if err != nil {
		return nil, err
	}
	n := &Local{
		identity: l.identity, signer: GenerateSecretKey(),
		noise: GenerateDHKey(), agreement: GenerateDHKey(), device: NewDeviceID(),
	}
	x.Epoch, x.Version, x.Prev = epoch, 1, l.record.Hash()
	x.Signer = n.signer.Public()
	x.GrantSignature = recovery.Sign(contextGrant, grantMessage(l.PeerID(), epoch, x.Signer))
	return n.signed(x, now)
}
