package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// drawQR draws text as a QR code with two modules a character. Upper case
// halves the size of the code: QR has an alphabet of its own for it, and the
// text of an invite may be written either way.
func drawQR(w io.Writer, text string) error {
	code, err := qrcode.NewQRCodeWriter().Encode(strings.ToUpper(text), gozxing.BarcodeFormat_QR_CODE, 0, 0, nil)
	if err != nil {
		return fmt.Errorf("drawing the QR code: %w", err)
	}
	return drawModules(w, code.GetWidth(), code.GetHeight(), code.Get)
}

// drawModules draws light modules as blocks: terminals are mostly dark, and a
// light frame belongs to the code.
func drawModules(w io.Writer, width, height int, dark func(x, y int) bool) error {
	out := bufio.NewWriter(w)
	for y := 0; y < height; y += 2 {
		for x := range width {
			upper, lower := !dark(x, y), y+1 >= height || !dark(x, y+1)
			switch {
			case upper && lower:
				out.WriteRune('█')
			case upper:
				out.WriteRune('▀')
			case lower:
				out.WriteRune('▄')
			default:
				out.WriteByte(' ')
			}
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}
