package wire

import (
	"encoding/binary"
	"fmt"
)

// A ratchet message starts with a version and a kind (spec §4.3.1).
const (
	RatchetVersion = 1

	RatchetMessage = 1 // sealed header, sealed body
	RatchetInitial = 2 // agreement, then a whole RatchetMessage
)

// Sizes of ratchet messages (spec §4.3.1).
const (
	RatchetTagLen       = 16
	RatchetPrefixLen    = 2
	RatchetHeaderLen    = 32 + 4 + 4 + 1 + 4 + 1 + 4 + 2
	RatchetSealedHeader = RatchetHeaderLen + RatchetTagLen
	// RatchetOverhead is what a message has beyond its plaintext.
	RatchetOverhead = RatchetPrefixLen + RatchetSealedHeader + RatchetTagLen
	// InitialFixedLen is what an initial message has beyond the sender's record,
	// the agreement's extensions and the ratchet message.
	InitialFixedLen = RatchetPrefixLen + 2 + 1 + 4 + 2 + 16 + 8 + 8 + 4 + 1 + 32 + MLKEMCiphertextLen + 2
)

// Kinds of post-quantum vectors (spec §4.3.4).
const (
	PQNone       = 0
	PQKey        = 1 // an ML-KEM-768 encapsulation key
	PQCiphertext = 2 // an ML-KEM-768 ciphertext
)

// FlagSupersedes in a header says that the sender began to use this session
// after another one worked (spec §4.4.2).
const FlagSupersedes = 1

// A RatchetHeader is the sealed header of a ratchet message (spec §4.3.1).
type RatchetHeader struct {
	DH       [32]byte // sender's ratchet key
	PN       uint32   // messages in the sender's previous chain
	N        uint32   // number of the message in its chain, from 0
	Flags    uint8
	Epoch    uint32 // post-quantum epoch mixed into the chain, 0 for none
	PQKind   uint8
	PQEpoch  uint32 // epoch of the vector
	PQLength uint16 // bytes of the vector that starts the body
}

// Append appends the RatchetHeaderLen bytes of the header.
func (x *RatchetHeader) Append(b []byte) []byte {
	b = append(b, x.DH[:]...)
	b = binary.BigEndian.AppendUint32(b, x.PN)
	b = binary.BigEndian.AppendUint32(b, x.N)
	b = append(b, x.Flags)
	b = binary.BigEndian.AppendUint32(b, x.Epoch)
	b = append(b, x.PQKind)
	b = binary.BigEndian.AppendUint32(b, x.PQEpoch)
	return binary.BigEndian.AppendUint16(b, x.PQLength)
}

// Parse sets x to the header that b holds.
func (x *RatchetHeader) Parse(b []byte) error {
	switch {
	case len(b) < RatchetHeaderLen:
		return fmt.Errorf("wire: ratchet header: %w", ErrTruncated)
	case len(b) > RatchetHeaderLen:
		return fmt.Errorf("wire: ratchet header: %w", ErrTrailing)
	}
	copy(x.DH[:], b)
	x.PN = binary.BigEndian.Uint32(b[32:])
	x.N = binary.BigEndian.Uint32(b[36:])
	x.Flags = b[40]
	x.Epoch = binary.BigEndian.Uint32(b[41:])
	x.PQKind = b[45]
	x.PQEpoch = binary.BigEndian.Uint32(b[46:])
	x.PQLength = binary.BigEndian.Uint16(b[50:])
	if x.Flags&^FlagSupersedes != 0 || !x.canonicalPQ() {
		return fmt.Errorf("wire: ratchet header: %w", ErrNotCanonical)
	}
	return nil
}

func (x *RatchetHeader) canonicalPQ() bool {
	switch x.PQKind {
	case PQNone:
		return x.PQEpoch == 0 && x.PQLength == 0
	case PQKey:
		return x.PQEpoch != 0 && x.PQLength == MLKEMKeyLen
	case PQCiphertext:
		return x.PQEpoch != 0 && x.PQLength == MLKEMCiphertextLen
	}
	return false
}

// A RatchetInitialMessage is the first message of a session, repeated with
// other Message until the first answer (spec §4.2.1).
type RatchetInitialMessage struct {
	Agreement []byte // an encoded [Agreement]
	Message   []byte // a whole ratchet message, version and kind included
}

// Append appends the message.
func (x RatchetInitialMessage) Append(b []byte) []byte {
	b = AppendVec16(append(b, RatchetVersion, RatchetInitial), x.Agreement)
	return append(b, x.Message...)
}

// ParseRatchetInitialMessage parses what Append wrote, the agreement inside
// included. Slices alias b.
func ParseRatchetInitialMessage(b []byte) (x RatchetInitialMessage, a Agreement, err error) {
	r := NewReader(b)
	takeVersion(r, RatchetVersion)
	if kind := r.Uint8(); r.Err() == nil && kind != RatchetInitial {
		r.Fail(ErrNotCanonical)
	}
	x.Agreement = r.Vec16(1, MaxAgreement)
	x.Message = r.Rest()
	if r.Err() == nil && !IsRatchetMessage(x.Message) {
		r.Fail(ErrNotCanonical)
	}
	if err := r.Done(); err != nil {
		return RatchetInitialMessage{}, Agreement{}, fmt.Errorf("wire: initial message: %w", err)
	}
	if a, err = ParseAgreement(x.Agreement); err != nil {
		return RatchetInitialMessage{}, Agreement{}, err
	}
	return x, a, nil
}

// IsRatchetMessage reports whether b has the version, kind and least length of a
// ratchet message.
func IsRatchetMessage(b []byte) bool {
	return len(b) >= RatchetOverhead && b[0] == RatchetVersion && b[1] == RatchetMessage
}
