package transfer

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	_ "image/gif" // a decoder, as those below
	"image/jpeg"
	_ "image/png"
	"io"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/sremp/sremp/wire"
)

// Limits of images (spec §8.14).
const (
	maxImagePixels = 24_000_000 // of what a preview is made of
	maxImageBytes  = 64 << 20
	previewSide    = 320 // of what is made
	maxPreviewSide = 512 // of what is taken
)

// ErrNoImage: the bytes are no image of a kind that is known, or over the limits.
var ErrNoImage = errors.New("transfer: not an image that can be previewed")

// Preview returns a small JPEG of an image in PNG, JPEG, GIF or WebP, with
// nothing but its pixels, at most wire.MaxFilePreview bytes. It returns
// ErrNoImage for anything else.
func Preview(r io.ReadSeeker) ([]byte, error) {
	return shrink(r, maxImagePixels, previewSide)
}

// CleanPreview makes a preview that somebody sent one of our own making: decoded
// within narrow limits and encoded again. It returns ErrNoImage.
func CleanPreview(b []byte) ([]byte, error) {
	if len(b) > wire.MaxFilePreview {
		return nil, ErrNoImage
	}
	return shrink(bytes.NewReader(b), maxPreviewSide*maxPreviewSide, previewSide)
}

// shrink reads the header first: an image over the limit is never decoded.
func shrink(r io.ReadSeeker, maxPixels, side int) ([]byte, error) {
	limited := &io.LimitedReader{R: r, N: maxImageBytes}
	cfg, _, err := image.DecodeConfig(limited)
	if err != nil || cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > maxPixels/cfg.Height {
		return nil, ErrNoImage
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	limited.N = maxImageBytes
	img, _, err := image.Decode(limited)
	if err != nil || img.Bounds().Dx() > cfg.Width || img.Bounds().Dy() > cfg.Height || img.Bounds().Empty() {
		return nil, ErrNoImage
	}
	for quality := 75; quality > 10; quality -= 20 {
		var out bytes.Buffer
		if err := jpeg.Encode(&out, scaled(img, side), &jpeg.Options{Quality: quality}); err != nil {
			return nil, ErrNoImage
		}
		if out.Len() <= wire.MaxFilePreview {
			return out.Bytes(), nil
		}
		side = side * 3 / 4
	}
	return nil, ErrNoImage
}

// scaled draws img on white, no side longer than side.
func scaled(img image.Image, side int) image.Image {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if longer := max(w, h); longer > side {
		w, h = max(1, w*side/longer), max(1, h*side/longer)
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.ApproxBiLinear.Scale(out, out.Bounds(), img, img.Bounds(), draw.Over, nil)
	return out
}
