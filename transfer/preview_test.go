package transfer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/sremp/sremp/wire"
)

func noise(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(rng.Uint32())
	}
	return m
}

func encoded(t testing.TB, kind string, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch kind {
	case "png":
		err = png.Encode(&b, m)
	case "jpeg":
		err = jpeg.Encode(&b, m, nil)
	case "gif":
		err = gif.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// aWebP is one opaque pixel, lossless.
var aWebP = []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")

func TestPreview(t *testing.T) {
	for _, kind := range []string{"png", "jpeg", "gif"} {
		b, err := Preview(bytes.NewReader(encoded(t, kind, noise(1000, 600))))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		m, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil || len(b) > wire.MaxFilePreview || m.Bounds().Dx() > previewSide || m.Bounds().Dy() > previewSide {
			t.Errorf("%s: a preview of %d bytes, %v, %v", kind, len(b), m.Bounds(), err)
		}
	}
	if _, err := Preview(bytes.NewReader(aWebP)); err != nil {
		t.Errorf("webp: %v", err)
	}
	thin := encoded(t, "png", image.NewGray(image.Rect(0, 0, 9000, 1)))
	if _, err := Preview(bytes.NewReader(thin)); err != nil {
		t.Errorf("a thin image: %v", err)
	}
}

// Whatever else a picture says, where it was taken for example, is not in the preview.
func TestPreviewHasNoMetadata(t *testing.T) {
	photo := encoded(t, "jpeg", noise(64, 64))
	exif := append([]byte("\xff\xe1\x00\x1dExif\x00\x00"), []byte("GPS 52.5200 N 13.40")...)
	exif = append(exif, 0, 0)
	photo = append(append(bytes.Clone(photo[:2]), exif...), photo[2:]...)
	b, err := Preview(bytes.NewReader(photo))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("GPS")) || bytes.Contains(b, []byte("Exif")) {
		t.Error("the preview tells where the photo was taken")
	}
}

// pngOf says that it has w times h pixels, and has next to none.
func pngOf(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h)
	head = append(head, 16, 6, 0, 0, 0)
	b = append(b, head...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(head))
	return append(b, "\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e"...)
}

// Bombs and what is no image are refused before anything is allocated for them.
func TestNoPreview(t *testing.T) {
	big := encoded(t, "png", image.NewGray(image.Rect(0, 0, maxPreviewSide+1, maxPreviewSide)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte("<svg onload=alert(1)>"), "a program": []byte("\x7fELF\x02\x01\x01"),
		"a bomb": pngOf(60000, 60000), "a flat bomb": pngOf(1<<31-1, 1), "no pixel": pngOf(0, 5),
		"a header alone": pngOf(10, 10), "over the side": big,
		"too long": append(encoded(t, "jpeg", noise(8, 8)), make([]byte, wire.MaxFilePreview)...),
	} {
		if _, err := CleanPreview(b); !errors.Is(err, ErrNoImage) {
			t.Errorf("%s as a preview: %v, want ErrNoImage", name, err)
		}
	}
	if _, err := Preview(bytes.NewReader(pngOf(60000, 60000))); !errors.Is(err, ErrNoImage) {
		t.Errorf("a bomb as an image: %v, want ErrNoImage", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("refusing took %d bytes of memory", got)
	}
}

func TestCleanPreview(t *testing.T) {
	good, err := Preview(bytes.NewReader(encoded(t, "png", noise(500, 500))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CleanPreview(good); err != nil {
		t.Errorf("a preview of our own making: %v", err)
	}
}

// A portrait is the middle of an image, small, square, on white, and nothing else.
func TestPortrait(t *testing.T) {
	wide := image.NewRGBA(image.Rect(10, 10, 310, 110))
	for y := 10; y < 110; y++ {
		for x := 110; x < 210; x++ {
			wide.Set(x, y, color.RGBA{200, 0, 0, 255}) // the rest can be seen through
		}
	}
	for name, m := range map[string]image.Image{"wide": wide, "noise": noise(900, 700), "a pixel": noise(1, 1), "thin": noise(3, 900)} {
		for _, kind := range []string{"png", "jpeg", "gif"} {
			b, err := Portrait(bytes.NewReader(encoded(t, kind, m)))
			if err != nil || len(b) > wire.MaxPicture {
				t.Errorf("%s as %s: %d bytes, %v", name, kind, len(b), err)
				continue
			}
			got, err := jpeg.Decode(bytes.NewReader(b))
			if err != nil || got.Bounds() != image.Rect(0, 0, portraitSide, portraitSide) {
				t.Errorf("%s as %s: %v, %v", name, kind, got, err)
				continue
			}
			if again, err := CleanPortrait(b); err != nil || len(again) > wire.MaxPicture {
				t.Errorf("%s as %s: made by ourselves, and not taken: %d bytes, %v", name, kind, len(again), err)
			}
			if r, g, _, _ := got.At(4, 64).RGBA(); name == "wide" && kind == "png" && (r>>8 < 180 || g>>8 > 40) {
				t.Errorf("the edge of the middle is %d %d, want red", r>>8, g>>8)
			}
		}
	}
	if _, err := Portrait(bytes.NewReader(pngOf(60000, 60000))); !errors.Is(err, ErrNoImage) {
		t.Errorf("a bomb: %v, want ErrNoImage", err)
	}
	large := encoded(t, "png", image.NewGray(image.Rect(0, 0, maxPortraitSide+1, maxPortraitSide)))
	for name, b := range map[string][]byte{"nothing": nil, "a bomb": pngOf(1<<31-1, 1), "over the side": large, "text": []byte("hello"),
		"too long": append(encoded(t, "jpeg", noise(8, 8)), make([]byte, wire.MaxPicture)...)} {
		if _, err := CleanPortrait(b); !errors.Is(err, ErrNoImage) {
			t.Errorf("%s: %v, want ErrNoImage", name, err)
		}
	}
}

func FuzzCleanPreview(f *testing.F) {
	for _, kind := range []string{"png", "jpeg", "gif"} {
		f.Add(encoded(f, kind, noise(9, 7)))
	}
	f.Add(withExif(encoded(f, "jpeg", noise(9, 7)), binary.LittleEndian, 6))
	f.Add(aWebP)
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := CleanPreview(b)
		if err != nil {
			return
		}
		if m, err := jpeg.DecodeConfig(bytes.NewReader(out)); err != nil || m.Width > previewSide || len(out) > wire.MaxFilePreview {
			t.Errorf("cleaned to %d bytes, %v, %v", len(out), m, err)
		}
		out, err = CleanPortrait(b)
		if m, bad := jpeg.DecodeConfig(bytes.NewReader(out)); err == nil && (bad != nil || m.Width != portraitSide || len(out) > wire.MaxPicture) {
			t.Errorf("a portrait of %d bytes, %v, %v", len(out), m, bad)
		}
	})
}
