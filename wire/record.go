package wire

import "encoding/binary"

// Limits and the format of an identity record (spec §2.4).
const (
	RecordFormat  = 1
	MaxName       = 160 // bytes: 40 characters of 4 bytes
	MaxRecord     = 8192
	EpochGrantLen = 32 + 64
)

// MaxTime is the last second that any structure may name: the end of year 9999.
const MaxTime = 253402300799

// A Record is what a person signs about itself (spec §2.4).
//
//	struct {
//	    uint8 format = 1;
//	    opaque identity[32], noise[32], agreement[32], recovery[32];
//	    opaque name<1..160>;
//	    uint32 flags, epoch;
//	    uint64 version, created;
//	    opaque prev[32];
//	    opaque grant<0..96>;          // 0 bytes in epoch 0, else signer[32] signature[64]
//	    Extension extensions<0..2^15>;
//	    opaque signature[64];
//	} Record;
type Record struct {
	Identity, Noise, Agreement, Recovery [32]byte

	Name           string
	Flags, Epoch   uint32
	Version        uint64
	Created        uint64 // Unix seconds
	Prev           [32]byte
	Signer         [32]byte // key that signs in this epoch; zero in epoch 0, where Identity does
	GrantSignature [64]byte // by Recovery; zero in epoch 0
	Extensions     []Extension
	Signature      [64]byte // by Signer or Identity over everything before it
}

// AppendUnsigned appends what Signature covers.
func (x Record) AppendUnsigned(b []byte) []byte {
	b = append(b, RecordFormat)
	for _, k := range [][32]byte{x.Identity, x.Noise, x.Agreement, x.Recovery} {
		b = append(b, k[:]...)
	}
	b = AppendVec8(b, []byte(x.Name))
	b = binary.BigEndian.AppendUint32(b, x.Flags)
	b = binary.BigEndian.AppendUint32(b, x.Epoch)
	b = binary.BigEndian.AppendUint64(b, x.Version)
	b = binary.BigEndian.AppendUint64(b, x.Created)
	b = append(b, x.Prev[:]...)
	var grant []byte
	if x.Epoch > 0 {
		grant = append(x.Signer[:], x.GrantSignature[:]...)
	}
	b = AppendVec8(b, grant)
	return AppendExtensions(b, x.Extensions)
}

// Append appends the whole record.
func (x Record) Append(b []byte) []byte { return append(x.AppendUnsigned(b), x.Signature[:]...) }

// ParseRecord decodes a record; package identity checks its meaning.
func ParseRecord(b []byte) (x Record, err error) {
	if len(b) > MaxRecord {
		return Record{}, ErrTooLarge
	}
	r := NewReader(b)
	if r.Uint8() != RecordFormat {
		r.Fail(ErrNotCanonical)
	}
	x.Identity, x.Noise, x.Agreement, x.Recovery = r.Array32(), r.Array32(), r.Array32(), r.Array32()
	x.Name = string(r.Vec8(1, MaxName))
	x.Flags, x.Epoch = r.Uint32(), r.Uint32()
	x.Version, x.Created = r.Uint64(), r.Time()
	x.Prev = r.Array32()
	n := 0
	if x.Epoch > 0 {
		n = EpochGrantLen
	}
	if grant := r.Vec8(n, n); len(grant) > 0 {
		x.Signer, x.GrantSignature = [32]byte(grant), [64]byte(grant[32:])
	}
	x.Extensions = r.Extensions()
	x.Signature = r.Array64()
	if err := r.Done(); err != nil {
		return Record{}, err
	}
	return x, nil
}

// Time takes a uint64 of Unix seconds, at most MaxTime.
func (r *Reader) Time() uint64 {
	t := r.Uint64()
	if t > MaxTime {
		r.Fail(ErrTooLarge)
		return 0
	}
	return t
}
