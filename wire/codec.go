package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of every decoder (spec §1.1). They are matched with errors.Is.
var (
	ErrTruncated    = errors.New("wire: truncated")
	ErrTrailing     = errors.New("wire: bytes after the end")
	ErrTooLarge     = errors.New("wire: larger than its limit")
	ErrNotCanonical = errors.New("wire: not in canonical form")
)

// AppendVec8 appends v as an opaque<0..2^8-1>. A longer v is a programming
// error: it panics.
func AppendVec8(b, v []byte) []byte {
	if len(v) > 1<<8-1 {
		panic(fmt.Sprintf("wire: vector of %d bytes in one length byte", len(v)))
	}
	return append(append(b, byte(len(v))), v...)
}

// AppendVec16 appends v as an opaque<0..2^16-1>; a longer v panics.
func AppendVec16(b, v []byte) []byte {
	if len(v) > 1<<16-1 {
		panic(fmt.Sprintf("wire: vector of %d bytes in two length bytes", len(v)))
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
}

// AppendVec24 appends v as an opaque<0..2^24-1>; a longer v panics.
func AppendVec24(b, v []byte) []byte {
	if len(v) > 1<<24-1 {
		panic(fmt.Sprintf("wire: vector of %d bytes in three length bytes", len(v)))
	}
	n := len(v)
	return append(append(b, byte(n>>16), byte(n>>8), byte(n)), v...)
}

// A Reader takes fields off the front of a buffer. The first failure sticks:
// later calls return zero values, and [Reader.Done] returns the error. Slices
// that it returns alias the buffer.
type Reader struct {
	b   []byte
	err error
}

// NewReader returns a reader of b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Fail makes err the reader's error if it has none.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// Err returns the first error so far.
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.b) }

// Bytes takes n bytes.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || len(r.b) < n {
		r.Fail(ErrTruncated)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Copy fills dst.
func (r *Reader) Copy(dst []byte) { copy(dst, r.Bytes(len(dst))) }

// Array16 takes 16 bytes.
func (r *Reader) Array16() (a [16]byte) { r.Copy(a[:]); return a }

// Array32 takes 32 bytes.
func (r *Reader) Array32() (a [32]byte) { r.Copy(a[:]); return a }

// Array64 takes 64 bytes.
func (r *Reader) Array64() (a [64]byte) { r.Copy(a[:]); return a }

// Uint8 takes one byte.
func (r *Reader) Uint8() uint8 {
	if v := r.Bytes(1); v != nil {
		return v[0]
	}
	return 0
}

// Bool takes a byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	v := r.Uint8()
	if v > 1 {
		r.Fail(ErrNotCanonical)
	}
	return v == 1
}

// Uint16 takes two bytes.
func (r *Reader) Uint16() uint16 {
	if v := r.Bytes(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// Uint32 takes four bytes.
func (r *Reader) Uint32() uint32 {
	if v := r.Bytes(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// Uint64 takes eight bytes.
func (r *Reader) Uint64() uint64 {
	if v := r.Bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Vec8 takes an opaque<min..max> with one length byte.
func (r *Reader) Vec8(min, max int) []byte { return r.vec(int(r.Uint8()), min, max) }

// Vec16 takes an opaque<min..max> with two length bytes.
func (r *Reader) Vec16(min, max int) []byte { return r.vec(int(r.Uint16()), min, max) }

// Vec24 takes an opaque<min..max> with three length bytes.
func (r *Reader) Vec24(min, max int) []byte {
	h := r.Bytes(3)
	if h == nil {
		return nil
	}
	return r.vec(int(h[0])<<16|int(h[1])<<8|int(h[2]), min, max)
}

func (r *Reader) vec(n, min, max int) []byte {
	switch {
	case r.err != nil:
		return nil
	case n > max:
		r.Fail(ErrTooLarge)
		return nil
	case n < min:
		r.Fail(ErrNotCanonical)
		return nil
	}
	return r.Bytes(n)
}

// Rest takes what is left.
func (r *Reader) Rest() []byte { return r.Bytes(len(r.b)) }

// Done returns the first error, or [ErrTrailing] if bytes are left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		return ErrTrailing
	}
	return r.err
}

// An Extension is one entry of the extensions vector that ends every structure
// that may grow (spec §1.3).
type Extension struct {
	Type uint16
	Data []byte
}

// MaxExtensions is the most bytes an extensions vector may have.
const MaxExtensions = 32 << 10

// AppendExtensions appends the vector. Types must ascend strictly.
func AppendExtensions(b []byte, exts []Extension) []byte {
	var v []byte
	for i, e := range exts {
		if i > 0 && exts[i-1].Type >= e.Type {
			panic("wire: extensions out of order")
		}
		v = AppendVec16(binary.BigEndian.AppendUint16(v, e.Type), e.Data)
	}
	return AppendVec16(b, v)
}

// Extensions takes the vector; unknown types are kept.
func (r *Reader) Extensions() []Extension {
	in := NewReader(r.Vec16(0, MaxExtensions))
	var exts []Extension
	for in.Len() > 0 {
		e := Extension{Type: in.Uint16(), Data: in.Vec16(0, MaxExtensions)}
		if n := len(exts); n > 0 && exts[n-1].Type >= e.Type {
			in.Fail(ErrNotCanonical)
		}
		exts = append(exts, e)
	}
	if err := in.Done(); err != nil {
		r.Fail(err)
		return nil
	}
	return exts
}

// A frame on a stream is type(uint16) length(uint24) payload (spec §1.2).
const (
	FrameHeaderLen  = 5
	MaxFramePayload = 1<<24 - 1
)

// AppendFrame appends a frame.
func AppendFrame(b []byte, typ uint16, payload []byte) []byte {
	return AppendVec24(binary.BigEndian.AppendUint16(b, typ), payload)
}

// AppendFrameHeader appends what precedes a payload of n bytes.
func AppendFrameHeader(b []byte, typ uint16, n int) []byte {
	if n > MaxFramePayload {
		panic("wire: frame over its limit")
	}
	return append(binary.BigEndian.AppendUint16(b, typ), byte(n>>16), byte(n>>8), byte(n))
}

// ParseFrameHeader returns the type and the length of the payload that follows
// the FrameHeaderLen bytes h.
func ParseFrameHeader(h [FrameHeaderLen]byte) (typ uint16, length int) {
	return binary.BigEndian.Uint16(h[:2]), int(h[2])<<16 | int(h[3])<<8 | int(h[4])
}
