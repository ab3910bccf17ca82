package transfer

import (
	"bytes"
	"encoding/binary"
	"image"
)

// How a camera held a picture stands beside its pixels, and is lost with all else
// that does: what is made of a picture is turned first.

// exifRead is how much of a file is looked at for it.
const exifRead = 128 << 10

// Markers of JPEG (ITU-T T.81, table B.1) and the tag of Exif 2.3, §4.6.4.
const (
	markerAPP1     = 0xe1
	markerScan     = 0xda
	tagOrientation = 0x0112
	typeShort      = 3
)

// orientation returns 1 to 8, as Exif numbers them, for the beginning of a file; 1,
// upright, also for what says nothing.
func orientation(head []byte) int {
	if !bytes.HasPrefix(head, []byte("\xff\xd8")) {
		return 1
	}
	for b := head[2:]; len(b) >= 4 && b[0] == 0xff && b[1] != markerScan; {
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < 2 || len(b) < 2+size {
			return 1
		}
		if tiff, ok := bytes.CutPrefix(b[4:2+size], []byte("Exif\x00\x00")); ok && b[1] == markerAPP1 {
			return tiffOrientation(tiff)
		}
		b = b[2+size:]
	}
	return 1
}

// tiffOrientation looks into the first directory (TIFF 6.0, section 2).
func tiffOrientation(b []byte) int {
	var order binary.ByteOrder = binary.BigEndian
	switch {
	case len(b) < 8:
		return 1
	case string(b[:2]) == "II":
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return 1
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort {
			if o := order.Uint16(entries[8:]); o >= 1 && o <= 8 {
				return int(o)
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// upright turns a picture that was held so.
func upright(m *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return m
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	if orientation >= 5 {
		out = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			fx, fy := x, y
			switch orientation {
			case 2:
				fx = w - 1 - x
			case 3:
				fx, fy = w-1-x, h-1-y
			case 4:
				fy = h - 1 - y
			case 5:
				fx, fy = y, x
			case 6:
				fx, fy = y, h-1-x
			case 7:
				fx, fy = w-1-y, h-1-x
			case 8:
				fx, fy = w-1-y, x
			}
			out.SetRGBA(x, y, m.RGBAAt(fx, fy))
		}
	}
	return out
}
