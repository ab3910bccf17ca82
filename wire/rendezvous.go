package wire

import (
	"encoding/binary"
	"net/netip"
)

// Frames between a client and a rendezvous (spec §7.4).
const (
	FrameRendezvousHello      uint16 = 0x0200
	FrameRendezvousWelcome    uint16 = 0x0201
	FrameRendezvousRegister   uint16 = 0x0202
	FrameRendezvousRegistered uint16 = 0x0203
	FrameRendezvousLookup     uint16 = 0x0204
	FrameRendezvousFound      uint16 = 0x0205
	FrameRendezvousIntroduce  uint16 = 0x0206
	FrameRendezvousIntroduced uint16 = 0x0207
	FrameRendezvousOffer      uint16 = 0x0208
	FrameRendezvousAnswer     uint16 = 0x0209
	FrameRendezvousGo         uint16 = 0x020a
)

// Sizes of the rendezvous (spec §7.3, §7.5).
const (
	MaxRendezvousSealed = 24 + 16384 + 16 // a sealed record in the largest bucket
	RendezvousBlob      = 24 + 4096 + 16  // a sealed offer or answer, always
	MaxRendezvousFrame  = MaxRendezvousSealed + 1024
)

// A RendezvousStatus answers a request.
type RendezvousStatus uint8

// The answers.
const (
	RendezvousOK       RendezvousStatus = 0
	RendezvousNotFound RendezvousStatus = 1 // or not to be told
	RendezvousBusy     RendezvousStatus = 2 // too many requests, or full
	RendezvousRefused  RendezvousStatus = 3 // signature or limits
	RendezvousPeriod   RendezvousStatus = 4 // not the server's day: somebody's clock is wrong
	RendezvousOffline  RendezvousStatus = 5 // absent, hidden, offline
	RendezvousTimeout  RendezvousStatus = 6 // no answer came
	RendezvousFailure  RendezvousStatus = 7 // of the server

	maxRendezvousStatus = RendezvousFailure
)

// RendezvousStatus takes a status.
func (r *Reader) RendezvousStatus() RendezvousStatus {
	s := RendezvousStatus(r.Uint8())
	if s > maxRendezvousStatus {
		r.Fail(ErrNotCanonical)
	}
	return s
}

// A RendezvousHello opens the client's stream.
//
//	struct { uint16 version; Extension extensions<0..2^15>; } Hello;
type RendezvousHello struct {
	Version    uint16
	Extensions []Extension
}

// Append appends the payload of the frame.
func (x RendezvousHello) Append(b []byte) []byte {
	return AppendExtensions(binary.BigEndian.AppendUint16(b, x.Version), x.Extensions)
}

// ParseRendezvousHello decodes the payload of the frame.
func ParseRendezvousHello(b []byte) (RendezvousHello, error) {
	r := NewReader(b)
	x := RendezvousHello{Version: r.Uint16(), Extensions: r.Extensions()}
	return done(r, x)
}

// A RendezvousWelcome is the server's first answer.
//
//	struct {
//	    uint16 version;
//	    uint64 time;            // the server's, Unix milliseconds
//	    Address observed;       // the client's, as the server sees it
//	    uint32 max_ttl;         // seconds
//	    Extension extensions<0..2^15>;
//	} Welcome;
type RendezvousWelcome struct {
	Version    uint16
	Time       uint64
	Observed   netip.AddrPort
	MaxTTL     uint32
	Extensions []Extension
}

// Append appends the payload of the frame.
func (x RendezvousWelcome) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(b, x.Version), x.Time)
	b = binary.BigEndian.AppendUint32(AppendAddrPort(b, x.Observed), x.MaxTTL)
	return AppendExtensions(b, x.Extensions)
}

// ParseRendezvousWelcome decodes the payload of the frame.
func ParseRendezvousWelcome(b []byte) (RendezvousWelcome, error) {
	r := NewReader(b)
	x := RendezvousWelcome{Version: r.Uint16(), Time: r.Uint64(), Observed: r.AddrPort(), MaxTTL: r.Uint32(), Extensions: r.Extensions()}
	return done(r, x)
}

// A RendezvousRegister stores a record under a blinded key, or removes it.
//
//	struct {
//	    uint32 request;
//	    opaque blinded[32];
//	    uint64 period;
//	    uint32 ttl;                 // seconds; 0 removes
//	    opaque sealed<0..16424>;    // empty if and only if ttl is 0
//	    opaque signature[64];       // spec §7.4.2
//	    Extension extensions<0..2^15>;
//	} Register;
type RendezvousRegister struct {
	Request    uint32
	Blinded    [32]byte
	Period     uint64
	TTL        uint32
	Sealed     []byte
	Signature  [64]byte
	Extensions []Extension
}

// Append appends the payload of the frame.
func (x RendezvousRegister) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), x.Blinded[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Period)
	b = AppendVec16(binary.BigEndian.AppendUint32(b, x.TTL), x.Sealed)
	return AppendExtensions(append(b, x.Signature[:]...), x.Extensions)
}

// ParseRendezvousRegister decodes the payload of the frame.
func ParseRendezvousRegister(b []byte) (RendezvousRegister, error) {
	r := NewReader(b)
	x := RendezvousRegister{
		Request: r.Uint32(), Blinded: r.Array32(), Period: r.Uint64(), TTL: r.Uint32(),
		Sealed: r.Vec16(0, MaxRendezvousSealed), Signature: r.Array64(), Extensions: r.Extensions(),
	}
	if (x.TTL == 0) != (len(x.Sealed) == 0) {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A RendezvousRegistered answers a Register.
//
//	struct { uint32 request; uint8 status; uint32 ttl; uint64 time; } Registered;
type RendezvousRegistered struct {
	Request uint32
	Status  RendezvousStatus
	TTL     uint32 // granted, seconds
	Time    uint64 // the server's, Unix milliseconds
}

// Append appends the payload of the frame.
func (x RendezvousRegistered) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Status))
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, x.TTL), x.Time)
}

// ParseRendezvousRegistered decodes the payload of the frame.
func ParseRendezvousRegistered(b []byte) (RendezvousRegistered, error) {
	r := NewReader(b)
	x := RendezvousRegistered{Request: r.Uint32(), Status: r.RendezvousStatus(), TTL: r.Uint32(), Time: r.Uint64()}
	return done(r, x)
}

// A RendezvousLookup asks for the record under a blinded key.
//
//	struct { uint32 request; opaque blinded[32]; } Lookup;
type RendezvousLookup struct {
	Request uint32
	Blinded [32]byte
}

// Append appends the payload of the frame.
func (x RendezvousLookup) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, x.Request), x.Blinded[:]...)
}

// ParseRendezvousLookup decodes the payload of the frame.
func ParseRendezvousLookup(b []byte) (RendezvousLookup, error) {
	r := NewReader(b)
	x := RendezvousLookup{Request: r.Uint32(), Blinded: r.Array32()}
	return done(r, x)
}

// A RendezvousFound answers a Lookup. All have one size, whatever they say.
//
//	struct {
//	    uint32 request;
//	    uint8 status;
//	    uint8 online;               // 0 or 1
//	    opaque sealed<0..16424>;    // empty unless status is OK
//	    opaque padding[16424 - length of sealed];   // zero
//	} Found;
type RendezvousFound struct {
	Request uint32
	Status  RendezvousStatus
	Online  bool
	Sealed  []byte
}

// Append appends the payload of the frame.
func (x RendezvousFound) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Status), 0)
	if x.Online {
		b[len(b)-1] = 1
	}
	b = AppendVec16(b, x.Sealed)
	return append(b, make([]byte, MaxRendezvousSealed-len(x.Sealed))...)
}

// ParseRendezvousFound decodes the payload of the frame.
func ParseRendezvousFound(b []byte) (RendezvousFound, error) {
	r := NewReader(b)
	x := RendezvousFound{Request: r.Uint32(), Status: r.RendezvousStatus(), Online: r.Bool(), Sealed: r.Vec16(0, MaxRendezvousSealed)}
	if (x.Status == RendezvousOK) != (len(x.Sealed) > 0) || x.Online && x.Status != RendezvousOK {
		r.Fail(ErrNotCanonical)
	}
	r.zeros(MaxRendezvousSealed - len(x.Sealed))
	return done(r, x)
}

// zeros takes n bytes of padding.
func (r *Reader) zeros(n int) {
	for _, c := range r.Bytes(n) {
		if c != 0 {
			r.Fail(ErrNotCanonical)
			return
		}
	}
}

// done ends the decoding of x.
func done[T any](r *Reader, x T) (T, error) {
	if err := r.Done(); err != nil {
		var zero T
		return zero, err
	}
	return x, nil
}
