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
	FrameRendezvousRenew      uint16 = 0x020b
	FrameRendezvousList       uint16 = 0x020c
	FrameRendezvousBrowse     uint16 = 0x020d
	FrameRendezvousPage       uint16 = 0x020e
	FrameRendezvousSubscribe  uint16 = 0x020f
	FrameRendezvousChanged    uint16 = 0x0210
	FrameRendezvousServers    uint16 = 0x0211
	FrameRendezvousKnown      uint16 = 0x0212
)

// Sizes of the rendezvous (spec §7.3, §7.5).
const (
	MaxRendezvousSealed = 24 + 16384 + 16 // a sealed record in the largest bucket
	MinRendezvousSealed = 24 + 1024 + 16  // and in the smallest, the size of what is not found
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

// A RendezvousFound answers a Lookup. What is not found has the size of a record
// in the smallest bucket.
//
//	struct {
//	    uint32 request;
//	    uint8 status;
//	    uint8 online;               // 0 or 1
//	    uint32 ttl;                 // seconds that the record has left; 0 unless status is OK
//	    opaque sealed<0..16424>;    // empty unless status is OK
//	    opaque padding[max(0, 1064 - length of sealed)];   // zero
//	} Found;
type RendezvousFound struct {
	Request uint32
	Status  RendezvousStatus
	Online  bool
	TTL     uint32
	Sealed  []byte
}

// Append appends the payload of the frame.
func (x RendezvousFound) Append(b []byte) []byte {
	return x.appendState(binary.BigEndian.AppendUint32(b, x.Request))
}

func (x RendezvousFound) appendState(b []byte) []byte {
	b = append(b, byte(x.Status), 0)
	if x.Online {
		b[len(b)-1] = 1
	}
	b = AppendVec16(binary.BigEndian.AppendUint32(b, x.TTL), x.Sealed)
	return append(b, make([]byte, max(0, MinRendezvousSealed-len(x.Sealed)))...)
}

// ParseRendezvousFound decodes the payload of the frame.
func ParseRendezvousFound(b []byte) (RendezvousFound, error) {
	r := NewReader(b)
	x := RendezvousFound{Request: r.Uint32()}
	x.parseState(r)
	return done(r, x)
}

func (x *RendezvousFound) parseState(r *Reader) {
	x.Status, x.Online, x.TTL, x.Sealed = r.RendezvousStatus(), r.Bool(), r.Uint32(), r.Vec16(0, MaxRendezvousSealed)
	if found := x.Status == RendezvousOK; found != (len(x.Sealed) > 0) || !found && (x.Online || x.TTL > 0) {
		r.Fail(ErrNotCanonical)
	}
	r.zeros(max(0, MinRendezvousSealed-len(x.Sealed)))
}

// A RendezvousRenew extends every registration of the connection.
//
//	struct { uint32 request; } Renew;
type RendezvousRenew struct{ Request uint32 }

// Append appends the payload of the frame.
func (x RendezvousRenew) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, x.Request) }

// ParseRendezvousRenew decodes the payload of the frame.
func ParseRendezvousRenew(b []byte) (RendezvousRenew, error) {
	r := NewReader(b)
	return done(r, RendezvousRenew{r.Uint32()})
}

// A RendezvousSubscribe asks to be told of changes of the record under a blinded
// key, or no longer. It is answered by a Found.
//
//	struct { uint32 request; opaque blinded[32]; uint8 on; } Subscribe;
type RendezvousSubscribe struct {
	Request uint32
	Blinded [32]byte
	On      bool
}

// Append appends the payload of the frame.
func (x RendezvousSubscribe) Append(b []byte) []byte {
	b = append(append(binary.BigEndian.AppendUint32(b, x.Request), x.Blinded[:]...), 0)
	if x.On {
		b[len(b)-1] = 1
	}
	return b
}

// ParseRendezvousSubscribe decodes the payload of the frame.
func ParseRendezvousSubscribe(b []byte) (RendezvousSubscribe, error) {
	r := NewReader(b)
	return done(r, RendezvousSubscribe{r.Uint32(), r.Array32(), r.Bool()})
}

// A RendezvousChanged tells a subscriber what stands under a blinded key now. It
// is a Found with the key instead of a request; Request is not used.
type RendezvousChanged struct {
	Blinded [32]byte
	RendezvousFound
}

// Append appends the payload of the frame.
func (x RendezvousChanged) Append(b []byte) []byte { return x.appendState(append(b, x.Blinded[:]...)) }

// ParseRendezvousChanged decodes the payload of the frame.
func ParseRendezvousChanged(b []byte) (RendezvousChanged, error) {
	r := NewReader(b)
	x := RendezvousChanged{Blinded: r.Array32()}
	x.parseState(r)
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
