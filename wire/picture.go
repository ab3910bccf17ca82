package wire

import "encoding/binary"

// PayloadPicture is what a contact looks like (spec §8.15): a Picture.
const PayloadPicture PayloadType = 8

// MaxPicture bounds the bytes of a picture: its payload fits the bucket of 16384.
const MaxPicture = 12 << 10

// A Picture is what its sender looks like; without an image it shows none any
// more. Of two the one with the higher version counts.
//
//	struct {
//	    uint64 version;
//	    opaque image<0..12288>;      // a small JPEG
//	    Extension extensions<0..2^15>;
//	} Picture;
type Picture struct {
	Version    uint64
	Image      []byte
	Extensions []Extension
}

// Append appends the picture.
func (x Picture) Append(b []byte) []byte {
	if len(x.Image) > MaxPicture {
		panic("wire: picture over its limit")
	}
	b = AppendVec16(binary.BigEndian.AppendUint64(b, x.Version), x.Image)
	return AppendExtensions(b, x.Extensions)
}

// ParsePicture decodes a picture; the image is not looked into.
func ParsePicture(b []byte) (Picture, error) {
	r := NewReader(b)
	x := Picture{Version: r.Uint64(), Image: r.Vec16(0, MaxPicture), Extensions: r.Extensions()}
	return done(r, x)
}
