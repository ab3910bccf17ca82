package present

import (
	"fmt"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// A QR is a QR code (ISO/IEC 18004): a square of modules with a quiet zone.
type QR struct {
	Size int
	dark []bool // row by row
}

// quietZone is the margin in modules that the standard asks for.
const quietZone = 4

// NewQR encodes text. It fails if the text is too long for a QR code, which
// ends at 2953 bytes, or 4296 characters of its alphanumeric set.
func NewQR(text string) (*QR, error) {
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0,
		map[gozxing.EncodeHintType]any{gozxing.EncodeHintType_MARGIN: quietZone})
	if err != nil {
		return nil, fmt.Errorf("present: no QR code: %w", err)
	}
	q := &QR{Size: m.GetWidth(), dark: make([]bool, m.GetWidth()*m.GetWidth())}
	for y := range q.Size {
		for x := range q.Size {
			q.dark[y*q.Size+x] = m.Get(x, y)
		}
	}
	return q, nil
}

// Dark reports whether a module is dark.
func (q *QR) Dark(x, y int) bool { return q.dark[y*q.Size+x] }

// RGB returns the picture with scale pixels a module, three bytes a pixel.
func (q *QR) RGB(scale int) (pixels []byte, side int) {
	side = q.Size * scale
	pixels = make([]byte, 0, 3*side*side)
	for y := range side {
		for x := range side {
			v := byte(0xff)
			if q.Dark(x/scale, y/scale) {
				v = 0
			}
			pixels = append(pixels, v, v, v)
		}
	}
	return pixels, side
}
