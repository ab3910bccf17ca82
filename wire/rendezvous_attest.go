package wire

import (
	"encoding/binary"
	"net/netip"
)

// Frames of attestations (spec §5.22.8).
const (
	FrameRendezvousAttest   uint16 = 0x0220
	FrameRendezvousAttested uint16 = 0x0221
)

// A RendezvousAttest asks the server to sign where it sees us.
//
//	struct { uint32 request; opaque subject[32]; } Attest;
type RendezvousAttest struct {
	Request uint32
	Subject [32]byte
}

// Append appends the payload of the frame.
func (x RendezvousAttest) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, x.Request), x.Subject[:]...)
}

// ParseRendezvousAttest decodes the payload of the frame.
func ParseRendezvousAttest(b []byte) (RendezvousAttest, error) {
	r := NewReader(b)
	x := RendezvousAttest{Request: r.Uint32(), Subject: r.Array32()}
	return done(r, x)
}

// A RendezvousAttested answers an Attest.
//
//	struct { uint32 request; uint8 status; Attestation attestation; } Attested;
//
// The attestation means nothing unless the status is OK.
type RendezvousAttested struct {
	Request     uint32
	Status      RendezvousStatus
	Attestation Attestation
}

// Append appends the payload of the frame.
func (x RendezvousAttested) Append(b []byte) []byte {
	return x.Attestation.Append(append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Status)))
}

// ParseRendezvousAttested decodes the payload of the frame.
func ParseRendezvousAttested(b []byte) (RendezvousAttested, error) {
	r := NewReader(b)
	x := RendezvousAttested{Request: r.Uint32(), Status: r.RendezvousStatus(), Attestation: r.attestation()}
	return done(r, x)
}

// An Attestation is a server's word that it saw somebody at an address.
//
//	struct {
//	    opaque server[32];
//	    opaque address[16];       // IPv4 mapped
//	    uint64 time;              // the server's, Unix milliseconds
//	    opaque signature[64];     // spec §5.22.8
//	} Attestation;                // 120 bytes
type Attestation struct {
	Server    [32]byte
	Address   netip.Addr // never IPv4-mapped
	Time      uint64
	Signature [64]byte
}

// AttestationLen is the length of an [Attestation].
const AttestationLen = 32 + 16 + 8 + 64

// Append appends the attestation.
func (x Attestation) Append(b []byte) []byte {
	b = append(b, x.Server[:]...)
	var a [16]byte
	if x.Address.IsValid() {
		a = x.Address.As16()
	}
	b = binary.BigEndian.AppendUint64(append(b, a[:]...), x.Time)
	return append(b, x.Signature[:]...)
}

// ParseAttestation decodes an attestation.
func ParseAttestation(b []byte) (Attestation, error) {
	r := NewReader(b)
	return done(r, r.attestation())
}

func (r *Reader) attestation() (x Attestation) {
	x.Server = r.Array32()
	if a := netip.AddrFrom16(r.Array16()).Unmap(); a != netip.IPv6Unspecified() {
		x.Address = a
	}
	x.Time = r.Uint64()
	copy(x.Signature[:], r.Bytes(64))
	return x
}
