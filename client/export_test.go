package client

import (
	"context"
	"time"

	"github.com/sremp/sremp/identity"
)

// What tests of the package from outside look at.

// Mailed returns how many chunks of a file of ours lie in the contact's mailbox.
func Mailed(c *Client, with identity.PeerID, id MessageID) (n int) {
	_ = c.do(context.Background(), func(k *core) error {
		if p := k.contacts[with]; p != nil {
			if f := p.fileByID(id); f != nil {
				n = int(f.Mailed.Count())
			}
		}
		return nil
	})
	return n
}

// Flushed reports whether all that is in the outbox is held or delivered.
func Flushed(c *Client) (ok bool) {
	_ = c.do(context.Background(), func(k *core) error {
		ok = k.flushed()
		return nil
	})
	return ok
}

// Mailboxes returns how many mailboxes of a contact are known.
func Mailboxes(c *Client, with identity.PeerID) (n int) {
	_ = c.do(context.Background(), func(k *core) error {
		if p := k.contacts[with]; p != nil {
			n = len(k.mailTargets(p))
		}
		return nil
	})
	return n
}

// Noted reports whether a note of this opening lies at a relay.
func Noted(c *Client, id identity.ServerID) bool {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	return c.net.noted[id]
}

// PicturesNow ends the pauses between pictures.
func PicturesNow(c *Client) {
	_ = c.do(context.Background(), func(k *core) error {
		for _, p := range k.contacts {
			p.pictureSent, p.pictureOpened = time.Time{}, time.Time{}
			k.then(func() { k.tickPicture(p) })
		}
		return nil
	})
}

// SendPicture sends our picture to who is not to have it yet.
func (c *Client) SendPicture(ctx context.Context, to identity.PeerID) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(to)
		if err == nil {
			k.sendPicture(p)
			p.info.PictureSent = 0
		}
		return err
	})
}

// PictureRows counts the pictures that are stored.
func PictureRows(c *Client) (n int) {
	_ = c.do(context.Background(), func(k *core) error {
		for owner := range k.profile.LastContact + 1 {
			rows, err := k.v.rows(context.Background(), Query{Table: TablePictures, Owner: owner})
			if err != nil {
				n = -1
				return err
			}
			n += len(rows)
		}
		return nil
	})
	return n
}
