package wire

import (
	"encoding/binary"
	"slices"
)

// Limits and the format of payloads (spec §8.1).
const (
	PayloadFormat = 1
	MaxText       = 64 << 10 // bytes of a text message
	MaxAckRanges  = 64
	MaxMailboxes  = 4
	MaxCardAddrs  = 16
)

// payloadBuckets are the sizes of all payloads. The smallest leaves room for a
// post-quantum key beside a short text (spec §8.1).
var payloadBuckets = [...]int{1536, 4096, 16384, 65536, 262144}

// A PayloadType says what the body of a payload is (spec §8.2).
type PayloadType uint8

// The types in use; others are reserved in the spec. Those below
// PayloadUnnumbered are numbered: they have a counter, are acknowledged, and
// are sent again until they are.
const (
	PayloadText PayloadType = 1 // UTF-8
	PayloadCard PayloadType = 2 // Card

	PayloadUnnumbered PayloadType = 0x80
	PayloadAck        PayloadType = 0x80 // Ack
	PayloadRead       PayloadType = 0x81 // ReadMark
)

// Numbered reports whether payloads of the type have a counter.
func (t PayloadType) Numbered() bool { return t < PayloadUnnumbered }

// A Payload is the plaintext of one ratchet message (spec §8.1), followed by
// zeros up to the next size.
//
//	struct {
//	    uint8 format = 1;
//	    uint8 type;
//	    opaque id[16];
//	    opaque conversation[32];
//	    opaque device[16];
//	    uint32 epoch;
//	    uint64 counter;              // 0 if and only if the type is unnumbered
//	    uint64 sent_at;              // Unix milliseconds
//	    opaque body<0..2^24-1>;
//	    Extension extensions<0..2^15>;
//	} Payload;
type Payload struct {
	Type         PayloadType
	ID           [16]byte
	Conversation [32]byte
	Device       [16]byte
	Epoch        uint32
	Counter      uint64
	SentAt       uint64
	Body         []byte
	Extensions   []Extension
}

// payloadOverhead is the length of a payload with an empty body and no
// extensions.
const payloadOverhead = 1 + 1 + 16 + 32 + 16 + 4 + 8 + 8 + 3 + 2

// MaxPayloadBody is the longest body that fits without extensions.
const MaxPayloadBody = 262144 - payloadOverhead

// Append appends the payload and its padding. One that is over the largest
// bucket, or whose counter does not agree with its type, panics.
func (x Payload) Append(b []byte) []byte {
	if x.Type.Numbered() != (x.Counter != 0) {
		panic("wire: payload's counter and type disagree")
	}
	start := len(b)
	b = append(b, PayloadFormat, byte(x.Type))
	b = append(append(append(b, x.ID[:]...), x.Conversation[:]...), x.Device[:]...)
	b = binary.BigEndian.AppendUint32(b, x.Epoch)
	b = binary.BigEndian.AppendUint64(b, x.Counter)
	b = binary.BigEndian.AppendUint64(b, x.SentAt)
	b = AppendVec24(b, x.Body)
	b = AppendExtensions(b, x.Extensions)
	size, ok := payloadBucket(len(b) - start)
	if !ok {
		panic("wire: payload over its limit")
	}
	pad := size - (len(b) - start)
	b = slices.Grow(b, pad)
	clear(b[len(b) : len(b)+pad])
	return b[:len(b)+pad]
}

func payloadBucket(n int) (size int, ok bool) {
	for _, size := range payloadBuckets {
		if n <= size {
			return size, true
		}
	}
	return 0, false
}

// ParsePayload decodes a payload with its padding.
func ParsePayload(b []byte) (x Payload, err error) {
	if len(b) > payloadBuckets[len(payloadBuckets)-1] {
		return Payload{}, ErrTooLarge
	}
	r := NewReader(b)
	if r.Uint8() != PayloadFormat {
		r.Fail(ErrNotCanonical)
	}
	x.Type = PayloadType(r.Uint8())
	x.ID, x.Conversation, x.Device = r.Array16(), r.Array32(), r.Array16()
	x.Epoch, x.Counter, x.SentAt = r.Uint32(), r.Uint64(), r.Uint64()
	if x.Type.Numbered() != (x.Counter != 0) {
		r.Fail(ErrNotCanonical)
	}
	x.Body = r.Vec24(0, MaxPayloadBody)
	x.Extensions = r.Extensions()
	if size, ok := payloadBucket(len(b) - r.Len()); r.Err() == nil && (!ok || size != len(b)) {
		r.Fail(ErrNotCanonical)
	}
	for _, c := range r.Rest() {
		if c != 0 {
			r.Fail(ErrNotCanonical)
		}
	}
	return done(r, x)
}

// A Range is a closed interval of counters.
type Range struct{ First, Last uint64 }

// An Ack is the body of a PayloadAck: which counters of the reader's arrived
// (spec §8.4).
//
//	struct {
//	    uint32 epoch;
//	    uint64 next;                 // at least 1: all below it arrived
//	    uint8 count; Range ranges[count];   // at most 64, those above next
//	    opaque digest[16];           // of all that arrived (spec §8.4); zero with more ranges
//	} Ack;
//
// The digest tells a sender whose disk went back in time that the receiver means
// other messages than it does.
type Ack struct {
	Epoch  uint32
	Next   uint64
	Ranges []Range // ascending, apart by at least one counter, the first above Next
	Digest [16]byte
}

// Append appends the ack.
func (x Ack) Append(b []byte) []byte {
	if len(x.Ranges) > MaxAckRanges {
		panic("wire: too many ranges in an ack")
	}
	b = binary.BigEndian.AppendUint32(b, x.Epoch)
	b = binary.BigEndian.AppendUint64(b, x.Next)
	b = append(b, byte(len(x.Ranges)))
	for _, g := range x.Ranges {
		b = binary.BigEndian.AppendUint64(b, g.First)
		b = binary.BigEndian.AppendUint64(b, g.Last)
	}
	return append(b, x.Digest[:]...)
}

// ParseAck decodes an ack.
func ParseAck(b []byte) (x Ack, err error) {
	r := NewReader(b)
	x.Epoch, x.Next = r.Uint32(), r.Uint64()
	n := int(r.Uint8())
	if n > MaxAckRanges {
		r.Fail(ErrTooLarge)
	}
	low := x.Next // the next range starts above it
	if low == 0 {
		r.Fail(ErrNotCanonical)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		g := Range{r.Uint64(), r.Uint64()}
		if r.Err() == nil && (g.First <= low || g.Last < g.First || g.Last == 1<<64-1) {
			r.Fail(ErrNotCanonical)
		}
		low = g.Last + 1
		x.Ranges = append(x.Ranges, g)
	}
	x.Digest = r.Array16()
	return done(r, x)
}

// A ReadMark is the body of a PayloadRead: its sender has read the reader's
// messages of the epoch up to a counter.
//
//	struct { uint32 epoch; uint64 through; } ReadMark;
type ReadMark struct {
	Epoch   uint32
	Through uint64
}

// Append appends the mark.
func (x ReadMark) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, x.Epoch), x.Through)
}

// ParseReadMark decodes a mark.
func ParseReadMark(b []byte) (ReadMark, error) {
	r := NewReader(b)
	x := ReadMark{r.Uint32(), r.Uint64()}
	return done(r, x)
}
