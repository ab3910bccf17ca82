package identity

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sremp/sremp/wire"
)

// localFormat is the first byte of the encoding of a [Local].
const localFormat = 1

// MarshalSecret encodes everything, private keys included, for sealed storage
// only (spec §2.7):
//
//	struct {
//	    uint8 format = 1;
//	    opaque device[16];
//	    opaque identity_seed[32];
//	    opaque signer_seed<0..32>;     // empty in epoch 0
//	    opaque noise_key[32], agreement_key[32];
//	    uint8 count;                   // at most 32
//	    struct { opaque noise_key[32], agreement_key[32]; uint64 until; } old[count];
//	    opaque record<1..8192>;
//	} Local;
func (l *Local) MarshalSecret() []byte {
	b := append([]byte{localFormat}, l.device[:]...)
	b = append(b, l.identity.Seed()...)
	if l.record.Epoch == 0 {
		b = wire.AppendVec8(b, nil)
	} else {
		b = wire.AppendVec8(b, l.signer.Seed())
	}
	b = append(append(b, l.noise.Seed()...), l.agreement.Seed()...)
	b = append(b, byte(len(l.old)))
	for _, o := range l.old {
		b = append(append(b, o.noise.Seed()...), o.agreement.Seed()...)
		b = binary.BigEndian.AppendUint64(b, uint64(o.until.Unix()))
	}
	return wire.AppendVec16(b, l.record.raw)
}

// ParseLocal is the inverse of MarshalSecret. It checks that the keys are those
// of the record.
func ParseLocal(b []byte) (*Local, error) {
	r := wire.NewReader(b)
	if r.Uint8() != localFormat {
		r.Fail(wire.ErrNotCanonical)
	}
	l := &Local{device: DeviceID(r.Array16())}
	l.identity = readSecretKey(r, r.Bytes(32))
	l.signer = l.identity
	signer := r.Vec8(0, 32)
	if len(signer) > 0 {
		l.signer = readSecretKey(r, signer)
	}
	l.noise, l.agreement = readDHKey(r), readDHKey(r)
	n := int(r.Uint8())
	if n > MaxOldKeys {
		r.Fail(wire.ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		o := oldKeys{noise: readDHKey(r), agreement: readDHKey(r), until: time.Unix(int64(r.Time()), 0).UTC()}
		l.old = append(l.old, o)
	}
	raw := r.Vec16(1, MaxRecord)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadLocal, err)
	}
	var err error
	if l.record, err = ParseRecord(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadLocal, err)
	}
	rec := l.record
	if (rec.Epoch == 0) != (len(signer) == 0) || l.identity.Public() != rec.Identity || l.signer.Public() != rec.Signer ||
		l.noise.Public() != rec.Noise || l.agreement.Public() != rec.Agreement {
		return nil, fmt.Errorf("%w: its keys are not those of its record", ErrBadLocal)
	}
	return l, nil
}

func readSecretKey(r *wire.Reader, seed []byte) SecretKey {
	k, err := NewSecretKey(seed)
	if err != nil {
		r.Fail(wire.ErrTruncated)
		// A key, so that the caller need not look before Done.
		k, _ = NewSecretKey(make([]byte, 32))
	}
	return k
}

func readDHKey(r *wire.Reader) DHKey {
	k, err := NewDHKey(r.Bytes(32))
	if err != nil {
		r.Fail(wire.ErrTruncated)
		k, _ = NewDHKey(make([]byte, 32))
	}
	return k
}
