package transfer

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"testing"
)

// withExif puts an Exif segment behind the start of a JPEG.
func withExif(photo []byte, order binary.AppendByteOrder, orientation uint16) []byte {
	name := "MM"
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		name = "II"
	}
	tiff := order.AppendUint32(order.AppendUint16([]byte(name), 42), 8)
	tiff = order.AppendUint16(tiff, 2)
	for tag, value := range map[uint16]uint16{tagOrientation: orientation, 0x0128: 2} {
		tiff = order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, tag), typeShort), 1)
		tiff = order.AppendUint16(order.AppendUint16(tiff, value), 0)
	}
	body := append([]byte("Exif\x00\x00"), order.AppendUint32(tiff, 0)...)
	b := append(bytes.Clone(photo[:2]), 0xff, 0xe0, 0, 4, 'J', 'F', 0xff, markerAPP1) // another segment first
	b = append(binary.BigEndian.AppendUint16(b, uint16(2+len(body))), body...)
	return append(b, photo[2:]...)
}

// heldImage has a red corner at the top left when a camera that was held so is
// turned back: where it is in the file is what Exif 2.3, §4.6.4, says.
func heldImage(orientation int) image.Image {
	w, h := 300, 200
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	// Where row 0 and column 0 of the file are: at the top or the bottom, and left or
	// right; from 5 on rows are columns.
	left := orientation == 1 || orientation >= 4 && orientation <= 6
	top := orientation == 1 || orientation == 2 || orientation == 5 || orientation == 8
	for y := range h {
		for x := range w {
			c := color.RGBA{20, 20, 220, 255}
			if (x < w/2) == left && (y < h/2) == top {
				c = color.RGBA{220, 20, 20, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

// A photo is shown as it was seen, whichever way the camera was held.
func TestOrientation(t *testing.T) {
	for o := 1; o <= 8; o++ {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			photo := withExif(encoded(t, "jpeg", heldImage(o)), order, uint16(o))
			preview, err := Preview(bytes.NewReader(photo))
			if err != nil {
				t.Fatal(err)
			}
			portrait, err := Portrait(bytes.NewReader(photo))
			if err != nil {
				t.Fatal(err)
			}
			for what, b := range map[string][]byte{"preview": preview, "portrait": portrait} {
				m, err := jpeg.Decode(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				w, h := m.Bounds().Dx(), m.Bounds().Dy()
				if what == "preview" && (w > h) != (o < 5) {
					t.Errorf("%d %s: %d by %d", o, what, w, h)
				}
				for _, p := range []image.Point{{w / 4, h / 4}, {3 * w / 4, h / 4}, {w / 4, 3 * h / 4}, {3 * w / 4, 3 * h / 4}} {
					r, _, blue, _ := m.At(p.X, p.Y).RGBA()
					if first := p == (image.Point{w / 4, h / 4}); (r > blue) != first {
						t.Errorf("%d %s: at %v red is %d and blue %d", o, what, p, r>>8, blue>>8)
					}
				}
			}
		}
	}
}

// Whatever stands where an orientation could: it is one of eight, and what says
// nothing is upright.
func TestOrientationOfNothing(t *testing.T) {
	photo := withExif(encoded(t, "jpeg", noise(8, 8)), binary.LittleEndian, 6)
	if got := orientation(photo); got != 6 {
		t.Fatalf("got %d, want 6", got)
	}
	for n := range photo {
		if got := orientation(photo[:n]); got != 1 && got != 6 {
			t.Errorf("the first %d bytes: %d", n, got)
		}
	}
	for i := range min(len(photo), 120) {
		for _, c := range []byte{0, 1, 0x7f, 0xff} {
			b := bytes.Clone(photo)
			b[i] = c
			if got := orientation(b); got < 1 || got > 8 {
				t.Errorf("byte %d is %d: %d", i, c, got)
			}
		}
	}
	for _, o := range []uint16{0, 9, 1 << 15} {
		if got := orientation(withExif(encoded(t, "jpeg", noise(8, 8)), binary.BigEndian, o)); got != 1 {
			t.Errorf("orientation %d is taken for %d, want 1", o, got)
		}
	}
}
