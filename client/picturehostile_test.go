package client

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/sremp/sremp/wire"
)

// squareImage is an image of one grey.
func squareImage(t testing.TB, side int, grey uint8) image.Image {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, side, side))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	return m
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// show has b send a picture to a, whatever a program of ours would send.
func (p *postman) show(version uint64, image []byte) {
	p.t.Helper()
	body := wire.AppendVec16(wire.AppendVec16(make([]byte, 8), image), nil)
	for i := range 8 {
		body[i] = byte(version >> (56 - 8*i))
	}
	p.do(p.b, func(k *core) {
		if _, _, err := k.enqueue(p.other(k), wire.PayloadPicture, body); err != nil {
			p.t.Error(err)
		}
	})
	all := p.outbox(p.b)
	if err := p.deliver(p.a, all[len(all)-1]); err != nil {
		p.t.Error(err)
	}
}

// shown returns how bright the picture is that a shows of b, -1 if there is none.
func (p *postman) shown() int {
	p.t.Helper()
	b, err := p.a.Picture(p.t.Context(), p.partner(p.a))
	if errors.Is(err, ErrNoPicture) {
		return -1
	}
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || len(b) > wire.MaxPicture || m.Bounds().Dx() != 128 || m.Bounds().Dy() != 128 {
		p.t.Fatalf("a picture of %d bytes, %v", len(b), err)
	}
	return int(color.GrayModel.Convert(m.At(64, 64)).(color.Gray).Y)
}

func (p *postman) rows() (n int) {
	p.do(p.a, func(k *core) {
		rows, err := k.v.rows(p.t.Context(), Query{Table: TablePictures, Owner: p.other(k).num})
		if err != nil {
			p.t.Error(err)
		}
		n = len(rows)
	})
	return n
}

func (p *postman) unhurried() {
	p.do(p.a, func(k *core) {
		c := p.other(k)
		c.pictureOpened = c.pictureOpened.Add(-pictureEvery)
		k.then(func() { k.tickPicture(c) })
	})
	p.do(p.a, func(k *core) {})
}

// What is no picture, or over the limits, is none, and changes nothing: the initials
// stay, or the picture before it.
func TestHostilePictures(t *testing.T) {
	p := newPostman(t)
	small := asPNG(t, squareImage(t, 9, 100))
	bomb := bytes.Clone(small)
	copy(bomb[16:24], "\x00\x00\xff\xff\x00\x00\xff\xff")
	hostile := map[string][]byte{
		"a script": []byte("<svg onload='alert(1)'>"), "a bomb": bomb, "a program": append([]byte("\x7fELF"), make([]byte, 1000)...),
		"half a picture": small[:len(small)/2], "too many pixels": asPNG(t, squareImage(t, 257, 3)),
		"too many bytes": append(bytes.Clone(small), make([]byte, wire.MaxPicture)...),
	}
	version := uint64(0)
	for _, want := range []int{-1, 100} {
		for name, b := range hostile {
			version++
			p.show(version, b)
			p.unhurried()
			if got := p.shown(); got != want {
				t.Errorf("%s: shown is %d, want %d", name, got, want)
			}
		}
		p.unhurried()
		version++
		p.show(version, small)
	}
	if got, rows := p.shown(), p.rows(); got != 100 || rows != 1 {
		t.Errorf("shown is %d in %d rows, want 100 in 1", got, rows)
	}
	b, err := p.a.Picture(t.Context(), p.partner(p.a))
	if err != nil || !bytes.HasPrefix(b, []byte("\xff\xd8")) {
		t.Errorf("the picture is not one of our own making: %v", err)
	}
}

// A contact that sends one after the other has the last one shown, later; one is
// opened in a minute, and one waits. Older ones than were seen count no more.
func TestManyPictures(t *testing.T) {
	p := newPostman(t)
	p.show(1000, asPNG(t, squareImage(t, 9, 10)))
	for i := range 50 {
		p.show(uint64(1001+i), asPNG(t, squareImage(t, 9, uint8(100+i))))
	}
	if got, rows := p.shown(), p.rows(); got != 10 || rows != 2 {
		t.Errorf("shown is %d in %d rows, want the first, and one that waits", got, rows)
	}
	p.unhurried()
	if got, rows := p.shown(), p.rows(); got != 149 || rows != 1 {
		t.Errorf("a minute later: shown is %d in %d rows, want the last one, 149, alone", got, rows)
	}
	p.unhurried()
	p.show(1049, asPNG(t, squareImage(t, 9, 10)))
	p.show(1050, nil)
	if got := p.shown(); got != 149 {
		t.Errorf("an older version is shown: %d", got)
	}
	p.show(1051, asPNG(t, squareImage(t, 9, 50)))
	p.show(1052, asPNG(t, squareImage(t, 9, 60)))
	p.show(1053, nil)
	if got, rows := p.shown(), p.rows(); got != -1 || rows != 0 {
		t.Errorf("taken back: shown is %d in %d rows, want none", got, rows)
	}
	p.unhurried()
	if got := p.shown(); got != -1 {
		t.Errorf("what waited when the picture was taken back is shown: %d", got)
	}
}

// Somebody blocked changes nothing, a restart neither; and a contact that asks over
// and over, by cards, is told once in a minute.
func TestPictureSentSeldom(t *testing.T) {
	p := newPostman(t)
	p.do(p.a, func(k *core) {
		k.profile.Picture = pictureState{Version: 5, Name: "x"}
		k.putPicture(0, asPNG(t, squareImage(t, 9, 10)))
		k.dirtyProfile = true
	})
	sent := func() (n int) {
		p.do(p.a, func(k *core) {
			for _, r := range k.outbox(p.other(k), 1, 1<<40, 0) {
				if r.typ == wire.PayloadPicture {
					n++
				}
			}
		})
		return n
	}
	for i := range 20 {
		p.do(p.a, func(k *core) {
			c := p.other(k)
			card := *c.card
			card.Intro[0]++
			card.Version += uint64(i)
			k.takeCard(c, card.Append(nil))
		})
	}
	if got := sent(); got != 1 {
		t.Errorf("%d pictures were sent, want 1", got)
	}
	p.do(p.a, func(k *core) { p.other(k).info.Trust = TrustUnknown })
	p.do(p.a, func(k *core) {
		c := p.other(k)
		c.pictureSent = c.pictureSent.Add(-pictureEvery)
		k.offerPicture(c)
		k.tickContact(c, k.now())
	})
	if got := sent(); got != 1 {
		t.Errorf("%d pictures were sent to a stranger, want none more", got-1)
	}
}
