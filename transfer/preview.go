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

	portraitSide    = 128 // of what is made
	maxPortraitSide = 256 // of what is taken
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

// Portrait returns the middle of an image as a square JPEG of 128 by 128 pixels,
// with nothing but them, at most wire.MaxPicture bytes. It returns ErrNoImage for
// what Preview does.
func Portrait(r io.ReadSeeker) ([]byte, error) {
	return portrait(r, maxImagePixels)
}

// CleanPortrait makes a portrait that somebody sent one of our own making, as
// CleanPreview does: of at most 256 times 256 pixels.
func CleanPortrait(b []byte) ([]byte, error) {
	if len(b) > wire.MaxPicture {
		return nil, ErrNoImage
	}
	return portrait(bytes.NewReader(b), maxPortraitSide*maxPortraitSide)
}

func portrait(r io.ReadSeeker, maxPixels int) ([]byte, error) {
	img, held, err := decode(r, maxPixels)
	if err != nil {
		return nil, err
	}
	b := img.Bounds()
	side := min(b.Dx(), b.Dy())
	corner := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	middle := image.Rectangle{Min: corner, Max: corner.Add(image.Pt(side, side))}
	out := white(portraitSide, portraitSide)
	draw.BiLinear.Scale(out, out.Bounds(), img, middle, draw.Over, nil)
	out = upright(out, held)
	for quality := 90; quality > 10; quality -= 15 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: quality}); err != nil {
			return nil, ErrNoImage
		}
		if b.Len() <= wire.MaxPicture {
			return b.Bytes(), nil
		}
	}
	return nil, ErrNoImage
}

func shrink(r io.ReadSeeker, maxPixels, side int) ([]byte, error) {
	img, held, err := decode(r, maxPixels)
	if err != nil {
		return nil, err
	}
	for quality := 75; quality > 10; quality -= 20 {
		var out bytes.Buffer
		if err := jpeg.Encode(&out, upright(scaled(img, side), held), &jpeg.Options{Quality: quality}); err != nil {
			return nil, ErrNoImage
		}
		if out.Len() <= wire.MaxFilePreview {
			return out.Bytes(), nil
		}
		side = side * 3 / 4
	}
	return nil, ErrNoImage
}

// decode reads the header first: an image over the limit is never decoded. held is
// its orientation.
func decode(r io.ReadSeeker, maxPixels int) (img image.Image, held int, err error) {
	head, err := io.ReadAll(io.LimitReader(r, exifRead))
	if err != nil {
		return nil, 0, ErrNoImage
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	limited := &io.LimitedReader{R: r, N: maxImageBytes}
	cfg, _, err := image.DecodeConfig(limited)
	if err != nil || cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > maxPixels/cfg.Height {
		return nil, 0, ErrNoImage
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	limited.N = maxImageBytes
	img, _, err = image.Decode(limited)
	if err != nil || img.Bounds().Dx() > cfg.Width || img.Bounds().Dy() > cfg.Height || img.Bounds().Empty() {
		return nil, 0, ErrNoImage
	}
	return img, orientation(head), nil
}

// scaled draws img on white, no side longer than side.
func scaled(img image.Image, side int) *image.RGBA {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if longer := max(w, h); longer > side {
		w, h = max(1, w*side/longer), max(1, h*side/longer)
	}
	out := white(w, h)
	draw.ApproxBiLinear.Scale(out, out.Bounds(), img, img.Bounds(), draw.Over, nil)
	return out
}

func white(w, h int) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	return out
}
