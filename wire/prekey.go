package wire

import (
	"encoding/binary"
	"fmt"
)

// Sizes of prekey structures (spec §4.1).
const (
	PrekeyVersion         = 1
	MaxRecordLen          = 8192
	MLKEMKeyLen           = 1184 // ML-KEM-768 encapsulation key, FIPS 203
	MLKEMCiphertextLen    = 1088 // ML-KEM-768 ciphertext, FIPS 203
	MaxPrekeyBundle       = 16 << 10
	maxBundleVersionCount = 16
)

// A PrekeyBundle is what a stranger needs to write to a device that is away
// (spec §4.1.1). Record is the owner's signed identity record.
type PrekeyBundle struct {
	Record         []byte
	Device         [16]byte
	Versions       []byte // ratchet versions, ascending
	Capabilities   uint32
	Serial         uint64
	Expiry         uint64 // Unix seconds
	Agreement      [32]byte
	SignedPrekeyID uint32
	SignedPrekey   [32]byte
	LastResortID   uint32
	LastResort     [MLKEMKeyLen]byte
	Extensions     []Extension
	Signature      [64]byte
}

// AppendSigned appends what the signature covers: everything before it.
func (x PrekeyBundle) AppendSigned(b []byte) []byte {
	b = AppendVec16(append(b, PrekeyVersion), x.Record)
	b = AppendVec8(append(b, x.Device[:]...), x.Versions)
	b = binary.BigEndian.AppendUint32(b, x.Capabilities)
	b = binary.BigEndian.AppendUint64(b, x.Serial)
	b = binary.BigEndian.AppendUint64(b, x.Expiry)
	b = append(b, x.Agreement[:]...)
	b = binary.BigEndian.AppendUint32(b, x.SignedPrekeyID)
	b = append(b, x.SignedPrekey[:]...)
	b = binary.BigEndian.AppendUint32(b, x.LastResortID)
	b = append(b, x.LastResort[:]...)
	return AppendExtensions(b, x.Extensions)
}

// Append appends the whole bundle.
func (x PrekeyBundle) Append(b []byte) []byte {
	return append(x.AppendSigned(b), x.Signature[:]...)
}

// ParsePrekeyBundle parses what Append wrote; it checks no signature. Slices
// alias b.
func ParsePrekeyBundle(b []byte) (x PrekeyBundle, err error) {
	if len(b) > MaxPrekeyBundle {
		return x, fmt.Errorf("wire: prekey bundle: %w", ErrTooLarge)
	}
	r := NewReader(b)
	takeVersion(r, PrekeyVersion)
	x.Record = r.Vec16(1, MaxRecordLen)
	x.Device = r.Array16()
	x.Versions = r.Vec8(1, maxBundleVersionCount)
	for i := 1; i < len(x.Versions); i++ {
		if x.Versions[i-1] >= x.Versions[i] {
			r.Fail(ErrNotCanonical)
		}
	}
	x.Capabilities = r.Uint32()
	x.Serial, x.Expiry = r.Uint64(), r.Uint64()
	x.Agreement = r.Array32()
	x.SignedPrekeyID, x.SignedPrekey = r.Uint32(), r.Array32()
	x.LastResortID = r.Uint32()
	r.Copy(x.LastResort[:])
	x.Extensions = r.Extensions()
	x.Signature = r.Array64()
	if err := r.Done(); err != nil {
		return PrekeyBundle{}, fmt.Errorf("wire: prekey bundle: %w", err)
	}
	return x, nil
}

// takeVersion takes a version byte that must be want.
func takeVersion(r *Reader, want uint8) {
	if v := r.Uint8(); r.Err() == nil && v != want {
		r.Fail(fmt.Errorf("%w: version %d", ErrNotCanonical, v))
	}
}

// A OneTimePrekey is a pair of keys for one agreement, signed by the owner of
// the bundle (spec §4.1.2).
type OneTimePrekey struct {
	Device    [16]byte
	ID        uint32 // not 0
	Expiry    uint64 // Unix seconds
	X25519    [32]byte
	MLKEM     [MLKEMKeyLen]byte
	Signature [64]byte
}

// AppendSigned appends what the signature covers: everything before it.
func (x OneTimePrekey) AppendSigned(b []byte) []byte {
	b = append(append(b, PrekeyVersion), x.Device[:]...)
	b = binary.BigEndian.AppendUint32(b, x.ID)
	b = binary.BigEndian.AppendUint64(b, x.Expiry)
	return append(append(b, x.X25519[:]...), x.MLKEM[:]...)
}

// Append appends the whole structure.
func (x OneTimePrekey) Append(b []byte) []byte {
	return append(x.AppendSigned(b), x.Signature[:]...)
}

// ParseOneTimePrekey parses what Append wrote; it checks no signature.
func ParseOneTimePrekey(b []byte) (x OneTimePrekey, err error) {
	r := NewReader(b)
	takeVersion(r, PrekeyVersion)
	x.Device = r.Array16()
	x.ID, x.Expiry = r.Uint32(), r.Uint64()
	if r.Err() == nil && x.ID == 0 {
		r.Fail(ErrNotCanonical)
	}
	x.X25519 = r.Array32()
	r.Copy(x.MLKEM[:])
	x.Signature = r.Array64()
	if err := r.Done(); err != nil {
		return OneTimePrekey{}, fmt.Errorf("wire: one-time prekey: %w", err)
	}
	return x, nil
}

// An Agreement is the part of an initial message that lets the receiver compute
// the session's keys (spec §4.2.1).
type Agreement struct {
	Version      uint8  // ratchet version chosen from the bundle's
	Capabilities uint32 // common to both sides
	Record       []byte // the sender's signed identity record
	Device       [16]byte
	Created      uint64 // Unix milliseconds, orders one sender's sessions
	Serial       uint64 // of the bundle
	OneTime      uint32 // id, 0 if none was to be had
	PSK          bool   // an invite's secret is mixed in
	Ephemeral    [32]byte
	Ciphertext   [MLKEMCiphertextLen]byte
	Extensions   []Extension
}

// Append appends the agreement.
func (x Agreement) Append(b []byte) []byte {
	b = append(b, x.Version)
	b = binary.BigEndian.AppendUint32(b, x.Capabilities)
	b = append(AppendVec16(b, x.Record), x.Device[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Created)
	b = binary.BigEndian.AppendUint64(b, x.Serial)
	b = binary.BigEndian.AppendUint32(b, x.OneTime)
	if x.PSK {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(append(b, x.Ephemeral[:]...), x.Ciphertext[:]...)
	return AppendExtensions(b, x.Extensions)
}

func (r *Reader) agreement() (x Agreement) {
	x.Version, x.Capabilities = r.Uint8(), r.Uint32()
	x.Record = r.Vec16(1, MaxRecordLen)
	x.Device = r.Array16()
	x.Created, x.Serial = r.Uint64(), r.Uint64()
	x.OneTime, x.PSK = r.Uint32(), r.Bool()
	x.Ephemeral = r.Array32()
	r.Copy(x.Ciphertext[:])
	x.Extensions = r.Extensions()
	return x
}

// ParseAgreement parses what Append wrote. Slices alias b.
func ParseAgreement(b []byte) (Agreement, error) {
	if len(b) > MaxAgreement {
		return Agreement{}, fmt.Errorf("wire: agreement: %w", ErrTooLarge)
	}
	r := NewReader(b)
	x := r.agreement()
	if err := r.Done(); err != nil {
		return Agreement{}, fmt.Errorf("wire: agreement: %w", err)
	}
	return x, nil
}

// MaxAgreement is the most bytes an agreement may have.
const MaxAgreement = 14 << 10
