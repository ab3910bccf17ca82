package present

import (
	"bytes"
	"errors"
	"image"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

var errNoCode = errors.New("present: no QR code that can be read")

// scan reads the QR code in a picture: a photo of a screen, or a screenshot.
func scan(m image.Image) (text string, err error) {
	defer func() {
		if recover() != nil { // the reader is not made for every picture that strangers can make
			text, err = "", errNoCode
		}
	}()
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	source := gozxing.NewLuminanceSourceFromImage(m)
	for _, bin := range []gozxing.Binarizer{gozxing.NewHybridBinarizer(source), gozxing.NewGlobalHistgramBinarizer(source)} {
		bitmap, err := gozxing.NewBinaryBitmap(bin)
		if err != nil {
			continue
		}
		if r, err := qrcode.NewQRCodeReader().Decode(bitmap, hints); err == nil {
			return r.GetText(), nil
		}
	}
	return "", errNoCode
}

// scanFile reads the QR code in an image file, scanPNG that of the clipboard.
func scanFile(path string) (string, error) {
	m, err := openImage(path)
	if err != nil {
		return "", err
	}
	return scan(m)
}

func scanPNG(b []byte) (string, error) {
	m, err := readImage(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	return scan(m)
}
