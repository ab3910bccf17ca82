// Package wire holds every byte that leaves the machine: the codec, and one
// file for each frame and record (docs/spec/10-wire.md).
//
// Structures are written in the presentation language of RFC 8446, section 3:
// fixed fields and length-prefixed vectors, big-endian. Encoders append to the
// caller's slice and cannot fail. Decoders accept exactly what the encoders
// emit, so that a parsed structure can be re-encoded and compared or signed.
// Every structure X has
//
//	func (x X) Append(b []byte) []byte
//	func ParseX(b []byte) (X, error)
//
// Nothing here allocates on behalf of a length field, does I/O, reads a clock,
// or touches a key.
package wire
