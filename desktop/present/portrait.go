package present

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // decoders of what a person may have
	"image/jpeg"
	_ "image/png"
	"io"
	"os"
)

const (
	// maxImageFile and maxImagePixels bound what is decoded.
	maxImageFile   = 32 << 20
	maxImagePixels = 24 << 20
	// portraitSide and portraitBytes bound a picture on the public lists (spec
	// §7.10): it is made to fit.
	portraitSide  = 128
	portraitBytes = 4096
)

var errImage = errors.New("present: no image that can be read")

// readImage decodes an image of a reasonable size.
func readImage(r io.Reader) (image.Image, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxImageFile+1))
	if err != nil || len(b) > maxImageFile {
		return nil, errImage
	}
	head, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil || head.Width <= 0 || head.Height <= 0 || head.Width > maxImagePixels/head.Height {
		return nil, errImage
	}
	m, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, errImage
	}
	return m, nil
}

func openImage(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("present: %w", err)
	}
	defer f.Close()
	return readImage(f)
}

// portrait makes the small JPEG of a picture's middle that fits a public list.
func portrait(path string) ([]byte, error) {
	m, err := openImage(path)
	if err != nil {
		return nil, err
	}
	small := square(m, portraitSide)
	for quality := 90; quality > 0; quality -= 10 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, small, &jpeg.Options{Quality: quality}); err != nil {
			return nil, fmt.Errorf("present: %w", err)
		}
		if b.Len() <= portraitBytes {
			return b.Bytes(), nil
		}
	}
	return nil, errImage
}

// square shrinks the middle of an image: each pixel is the mean of those that it
// stands for.
func square(m image.Image, side int) image.Image {
	b := m.Bounds()
	size := min(b.Dx(), b.Dy())
	left, top := b.Min.X+(b.Dx()-size)/2, b.Min.Y+(b.Dy()-size)/2
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			x0, x1 := left+x*size/side, left+max((x+1)*size/side, x*size/side+1)
			y0, y1 := top+y*size/side, top+max((y+1)*size/side, y*size/side+1)
			var r, g, bl, n uint64
			for sy := y0; sy < y1; sy++ {
				for sx := x0; sx < x1; sx++ {
					pr, pg, pb, pa := m.At(sx, sy).RGBA()
					white := uint64(0xffff - pa) // what shines through is white
					r, g, bl, n = r+uint64(pr)+white, g+uint64(pg)+white, bl+uint64(pb)+white, n+1
				}
			}
			out.SetRGBA(x, y, color.RGBA{uint8(r / n >> 8), uint8(g / n >> 8), uint8(bl / n >> 8), 255})
		}
	}
	return out
}
