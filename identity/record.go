package identity

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sremp/sremp/wire"
)

// MaxRecord is the most bytes an encoded record has.
const MaxRecord = wire.MaxRecord

// Contexts of the signatures and hashes of records (spec §2.11).
const (
	contextRecord     = "SREMP v1 identity record"
	contextGrant      = "SREMP v1 epoch grant"
	contextRecordHash = "SREMP v1 record hash"
)

// Errors of records.
var (
	ErrBadRecord        = errors.New("identity: not a valid identity record")
	ErrOldRecord        = errors.New("identity: an older record than the one known")
	ErrOldEpoch         = fmt.Errorf("%w, of a device that was left behind", ErrOldRecord) // it is an [ErrOldRecord]
	ErrForkedRecord     = errors.New("identity: a record that contradicts the one known")
	ErrOtherIdentity    = errors.New("identity: a record of somebody else")
	ErrOtherRecovery    = errors.New("identity: a record with another recovery key than the one known")
	ErrVersionExhausted = errors.New("identity: no higher version; restore with the recovery kit to start a new epoch")
)

// A Record is what a person signs about itself (spec §2.4). It comes from
// [ParseRecord] or from a [Local], is verified, and must not be changed.
type Record struct {
	Identity         PeerID
	Noise, Agreement [32]byte // X25519: online handshakes; prekey agreement
	Name             string
	Flags            uint32
	Epoch            uint32
	Version          uint64
	Created          time.Time // whole seconds, UTC
	Prev             [32]byte  // Hash of the record before, zero in the first
	Recovery         [32]byte  // Ed25519 recovery key, the same in all records
	Signer           [32]byte  // Ed25519 key that signs in this epoch: Identity in epoch 0, else granted by Recovery
	Extensions       []wire.Extension

	raw []byte
}

// ParseRecord decodes and verifies a record: keys, name, grant, signature. It
// does not copy b's meaning into trust: see [CheckSuccessor].
func ParseRecord(b []byte) (*Record, error) {
	x, err := wire.ParseRecord(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRecord, err)
	}
	r := fromWire(x)
	r.raw = bytes.Clone(b)
	// What is kept must not alias the caller's buffer.
	for i, e := range r.Extensions {
		r.Extensions[i].Data = bytes.Clone(e.Data)
	}
	if err := r.check(x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRecord, err)
	}
	return r, nil
}

func fromWire(x wire.Record) *Record {
	r := &Record{
		Identity: x.Identity, Noise: x.Noise, Agreement: x.Agreement, Name: x.Name, Flags: x.Flags,
		Epoch: x.Epoch, Version: x.Version, Created: time.Unix(int64(x.Created), 0).UTC(),
		Prev: x.Prev, Recovery: x.Recovery, Signer: x.Signer, Extensions: x.Extensions,
	}
	if r.Epoch == 0 {
		r.Signer = r.Identity
	}
	return r
}

var (
	errSignature   = errors.New("wrong signature")
	errVersionZero = errors.New("version 0")
	errPrev        = errors.New("only the first record has no predecessor")
	errSameKeys    = errors.New("one key in two roles")
)

// check verifies everything that a record says by itself.
func (r *Record) check(x wire.Record) error {
	for _, k := range [][32]byte{r.Identity, r.Recovery, r.Signer} {
		if err := CheckEd25519(k); err != nil {
			return err
		}
	}
	for _, k := range [][32]byte{r.Noise, r.Agreement} {
		if err := CheckX25519(k); err != nil {
			return err
		}
	}
	// A key in two roles would let one protocol answer for the other.
	if r.Noise == r.Agreement || r.Recovery == r.Identity || r.Recovery == r.Signer ||
		r.Epoch > 0 && r.Signer == r.Identity {
		return errSameKeys
	}
	if err := CheckName(r.Name); err != nil {
		return err
	}
	if r.Version == 0 {
		return errVersionZero
	}
	if first := r.Epoch == 0 && r.Version == 1; first != (r.Prev == [32]byte{}) {
		return errPrev
	}
	if r.Epoch > 0 && !Verify(r.Recovery, contextGrant, grantMessage(r.Identity, r.Epoch, r.Signer), x.GrantSignature) {
		return errSignature
	}
	if !r.Verify(contextRecord, x.AppendUnsigned(nil), x.Signature) {
		return errSignature
	}
	return nil
}

// grantMessage is identity(32) epoch(uint32) signer(32).
func grantMessage(id PeerID, epoch uint32, signer [32]byte) []byte {
	b := append([]byte(nil), id[:]...)
	b = append(b, byte(epoch>>24), byte(epoch>>16), byte(epoch>>8), byte(epoch))
	return append(b, signer[:]...)
}

// Verify reports whether sig is a signature by the record's owner, made by
// [Local.Sign] in this record's epoch.
func (r *Record) Verify(context string, msg []byte, sig [64]byte) bool {
	return Verify(r.Signer, context, msg, sig)
}

// Bytes returns a copy of the exact encoding that was signed.
func (r *Record) Bytes() []byte { return bytes.Clone(r.raw) }

// Hash returns the record's hash, which its successor names.
func (r *Record) Hash() [32]byte {
	h := sha256.New()
	h.Write([]byte(contextRecordHash))
	h.Write(r.raw)
	return [32]byte(h.Sum(nil))
}

// Equal reports whether both are the same bytes.
func (r *Record) Equal(o *Record) bool { return bytes.Equal(r.raw, o.raw) }

// CheckSuccessor reports whether new may take the place of old (spec §2.6). It
// returns nil for a newer record and for the same one. Both are verified.
//
// A thief of the signing key can use up the versions of an epoch, but only the
// recovery key reaches the next, and with it comes another signing key.
func CheckSuccessor(old, new *Record) error {
	switch {
	case new.Identity != old.Identity:
		return ErrOtherIdentity
	case new.Recovery != old.Recovery:
		return ErrOtherRecovery
	case new.Epoch > old.Epoch:
		return nil // the grant was verified with the pinned recovery key
	case new.Epoch < old.Epoch:
		return ErrOldEpoch
	case new.Signer != old.Signer:
		return ErrForkedRecord
	case new.Version < old.Version:
		return ErrOldRecord
	case new.Version == old.Version && !new.Equal(old):
		return ErrForkedRecord
	case old.Version < math.MaxUint64 && new.Version == old.Version+1 && new.Prev != old.Hash():
		return ErrForkedRecord
	}
	return nil
}
