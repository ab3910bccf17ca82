package main

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"net/netip"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/sremp/sremp/identity"
)

// What is drawn on the terminal is read again, as a camera would.
func TestQR(t *testing.T) {
	const text = "sremp:ag4rzns7s265jfelj4mbnz2aw7f7cyr56mb37tcdmlpr6twyyx4ssa2b"
	var drawn bytes.Buffer
	if err := drawQR(&drawn, text); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(drawn.String(), "\n"), "\n")
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, len([]rune(rows[0]))*scale, len(rows)*2*scale))
	for y, row := range rows {
		for x, c := range []rune(row) {
			for half := range 2 {
				light := c == '█' || half == 0 && c == '▀' || half == 1 && c == '▄'
				if !light {
					continue
				}
				for i := range scale * scale {
					img.SetGray(x*scale+i%scale, (2*y+half)*scale+i/scale, color.Gray{Y: 255})
				}
			}
		}
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ToUpper(text); got.GetText() != want {
		t.Errorf("got %q, want %q", got.GetText(), want)
	}
}

func TestAddrRank(t *testing.T) {
	order := []string{"198.51.100.7", "192.168.1.2", "2001:db8::1", "fd00::1", "127.0.0.1"}
	for i := 1; i < len(order); i++ {
		if a, b := netip.MustParseAddr(order[i-1]), netip.MustParseAddr(order[i]); addrRank(a) <= addrRank(b) {
			t.Errorf("%s is not preferred to %s", a, b)
		}
	}
}

func TestParsePublic(t *testing.T) {
	for s, want := range map[string]identity.ServerAddr{
		"":                      {},
		"chat.example.org:4433": {Host: "chat.example.org", Port: 4433},
		"[2001:db8::1]:1":       {Host: "2001:db8::1", Port: 1},
	} {
		if got, err := parsePublic(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"chat.example.org", ":0", ":4433", "a b:1", "host:65536", "host:x"} {
		if _, err := parsePublic(s); !errors.As(err, new(usageError)) {
			t.Errorf("%q: got %v, want a usage error", s, err)
		}
	}
}
