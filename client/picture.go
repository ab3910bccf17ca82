package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transfer"
	"github.com/sremp/sremp/wire"
)

// Rows of TablePictures, under a contact's number, or 0 for our own.
const (
	pictureShown = 0 // a JPEG of our own making
	pictureWaits = 1 // as the contact sent it: it is opened later
)

// Tuning of pictures (spec §8.15).
const (
	// pictureEvery is the pause between two pictures to one contact, and between
	// two of one contact that are opened: of several the last one counts.
	pictureEvery = time.Minute
	// pictureUnknown stands for a version that a contact may have, and we do not
	// know which.
	pictureUnknown = 1
)

// A pictureState is what is known of a picture, ours or a contact's.
type pictureState struct {
	Epoch   uint32 `json:"epoch,omitempty"`   // of the contact that said so
	Version uint64 `json:"version,omitempty"` // of the newest; 0: there never was one
	Name    string `json:"name,omitempty"`    // of what is shown; empty: nothing is
	Waits   bool   `json:"waits,omitempty"`   // the newest is in the row pictureWaits
}

// pictureName tells pictures from each other.
func pictureName(jpeg []byte) string {
	if len(jpeg) == 0 {
		return ""
	}
	h := sha256.Sum256(jpeg)
	return hex.EncodeToString(h[:8])
}

// shownPicture names the picture that faces may show of a contact.
func (c *contact) shownPicture() string {
	if c.info.Trust != Trusted {
		return ""
	}
	return c.info.Picture.Name
}

// putPicture replaces the picture that is shown under a number, or with nil removes it.
func (k *core) putPicture(num int64, jpeg []byte) {
	if len(jpeg) > 0 {
		k.changes = append(k.changes, k.v.put(TablePictures, num, pictureShown, 0, jpeg))
		return
	}
	k.dropPicture(num, pictureShown)
}

func (k *core) dropPicture(num, seq int64) {
	k.changes = append(k.changes, Change{
		Kind: Delete, Table: TablePictures, Row: Row{Owner: num, Seq: seq}, Through: seq,
	})
}

// SetPicture implements [API].
func (c *Client) SetPicture(ctx context.Context, path string) (me Me, err error) {
	var jpeg []byte
	if path != "" {
		if jpeg, err = readPortrait(path); err != nil {
			return Me{}, err
		}
	}
	err = c.do(ctx, func(k *core) error {
		p := &k.profile.Picture
		if name := pictureName(jpeg); name != p.Name {
			p.Name, p.Version = name, max(p.Version+1, millis(k.now()))
			k.dirtyProfile = true
			k.putPicture(0, jpeg)
			if notes := k.contacts[k.local.PeerID()]; notes != nil {
				notes.info.Picture.Name = name
				notes.setInfo(k)
				k.emit(ContactEvent{Contact: notes.view()})
			}
			for _, c := range k.contacts {
				k.offerPicture(c)
			}
		}
		return nil
	})
	if err != nil {
		return Me{}, err
	}
	return c.WhoAmI(ctx)
}

func readPortrait(path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, ErrNoFile
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	jpeg, err := transfer.Portrait(f)
	switch {
	case errors.Is(err, transfer.ErrNoImage):
		return nil, ErrBadPicture
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", ErrNoFile, err)
	}
	return jpeg, nil
}

// Picture implements [API].
func (c *Client) Picture(ctx context.Context, of identity.PeerID) (jpeg []byte, err error) {
	var num int64
	err = c.do(ctx, func(k *core) error {
		name := k.profile.Picture.Name
		if of != k.local.PeerID() {
			p, err := k.contact(of)
			if err != nil {
				return err
			}
			num, name = p.num, p.shownPicture()
		}
		if name == "" {
			return ErrNoPicture
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	jpeg, err = c.vault.row(ctx, TablePictures, num, pictureShown)
	if err == nil && jpeg == nil {
		err = ErrNoPicture
	}
	return jpeg, err
}

// pictureDue reports whether a contact is to be told what we look like: one that
// was accepted, on both sides, for it has told us in a card where it is.
func (k *core) pictureDue(c *contact) bool {
	return !c.self && c.info.Trust == Trusted && c.card != nil && c.info.PictureSent != k.profile.Picture.Version
}

// offerPicture sends our picture to a contact, once the batch is stored, if it is due.
func (k *core) offerPicture(c *contact) {
	if !k.pictureDue(c) {
		return
	}
	k.touched[c] = true // it is looked at again if this comes to nothing
	peer := c.info.ID
	k.then(func() {
		if c := k.contacts[peer]; c != nil {
			k.tickPicture(c)
		}
	})
}

// askedPicture notes that a contact may not know our picture, or not the newest:
// it is new, or another computer of its.
func (k *core) askedPicture(c *contact) {
	c.info.PictureSent = min(c.info.PictureSent, pictureUnknown)
	c.setInfo(k)
	k.offerPicture(c)
}

// tickPicture does what is due with pictures and was not done within pictureEvery.
// What it reads is stored: it runs before the jobs of a batch, or after it.
func (k *core) tickPicture(c *contact) {
	now := k.steady()
	if k.pictureDue(c) && now.Sub(c.pictureSent) >= pictureEvery {
		k.sendPicture(c)
	}
	if c.info.Picture.Waits && now.Sub(c.pictureOpened) >= pictureEvery {
		image, err := k.v.row(k.c.ctx, TablePictures, c.num, pictureWaits)
		if err != nil {
			k.c.log.Error("reading a picture failed", "err", err)
			return
		}
		k.openPicture(c, image)
	}
}

func (k *core) sendPicture(c *contact) {
	image, err := k.v.row(k.c.ctx, TablePictures, 0, pictureShown)
	if err != nil {
		k.c.log.Error("reading the picture failed", "err", err)
		return
	}
	if len(image) > 0 || c.info.PictureSent != 0 { // who never had one need not hear that it is gone
		x := wire.Picture{Version: k.profile.Picture.Version, Image: image}
		if _, _, err := k.enqueue(c, wire.PayloadPicture, x.Append(nil)); err != nil {
			k.c.log.Error("picture not sent", "contact", c.info.ID.Short(), "err", err)
			return
		}
		c.pictureSent = k.steady()
	}
	c.info.PictureSent = k.profile.Picture.Version
	c.setInfo(k)
}

// takePicture takes what an accepted contact looks like.
func (k *core) takePicture(c *contact, p wire.Payload) {
	x, err := wire.ParsePicture(p.Body)
	known := &c.info.Picture
	if err != nil || c.info.Trust != Trusted || c.self ||
		p.Epoch < known.Epoch || p.Epoch == known.Epoch && x.Version <= known.Version {
		return
	}
	known.Epoch, known.Version = p.Epoch, x.Version
	c.setInfo(k)
	if len(x.Image) > 0 && k.steady().Sub(c.pictureOpened) < pictureEvery {
		known.Waits = true
		k.changes = append(k.changes, k.v.put(TablePictures, c.num, pictureWaits, 0, x.Image))
		return
	}
	k.openPicture(c, x.Image)
}

// openPicture has what a contact sent shown, encoded anew; nothing takes the picture
// away. What is none changes nothing.
func (k *core) openPicture(c *contact, image []byte) {
	known := &c.info.Picture
	if known.Waits {
		known.Waits = false
		k.dropPicture(c.num, pictureWaits)
		c.setInfo(k)
	}
	var jpeg []byte
	if len(image) > 0 {
		c.pictureOpened = k.steady()
		var err error
		if jpeg, err = transfer.CleanPortrait(image); err != nil {
			k.c.log.Warn("picture ignored", "contact", c.info.ID.Short(), "err", err)
			return
		}
	}
	name := pictureName(jpeg)
	if name == known.Name {
		return
	}
	known.Name = name
	k.putPicture(c.num, jpeg)
	c.setInfo(k)
	k.emit(ContactEvent{Contact: c.view()})
}
