package client

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// typingEvery is how often a contact is told that we write.
const typingEvery = 3 * time.Second

// maxReadEvents bounds the messages that one read mark reports as read.
const maxReadEvents = 1024

// markRead notes that a conversation was looked at. The contact hears of it if
// that is shared with it.
func (k *core) markRead(c *contact) {
	if c.flow.Unread > 0 {
		c.flow.Unread, c.flow.Mentions = 0, 0
		c.setFlow(k)
		k.emit(ContactEvent{Contact: c.view()})
		k.emit(WithdrawEvent{Contact: c.info.ID})
	}
	if through := c.flow.Shown - 1; c.info.ShareRead && c.info.Trust == Trusted && through > c.flow.ReadTold {
		c.flow.ReadTold, c.readDue = through, true
		c.setFlow(k)
	}
}

// encryptRead returns the read mark as it is sent.
func (k *core) encryptRead(c *contact) ([]byte, error) {
	return k.encryptNotice(c, wire.PayloadRead, wire.ReadMark{Epoch: c.flow.InEpoch, Through: c.flow.ReadTold}.Append(nil))
}

// encryptNotice encrypts an unnumbered payload.
func (k *core) encryptNotice(c *contact, typ wire.PayloadType, body []byte) ([]byte, error) {
	var id MessageID
	rand.Read(id[:])
	msg, err := c.session.Encrypt(nil, k.payload(c, typ, id, 0, body, nil))
	if err == nil {
		c.setSession(k)
	}
	return msg, err
}

// finishRead sends a read mark that is due over the link. Without one it goes
// to the mailbox (letters). No answer comes: every new link carries the newest.
func (k *core) finishRead(c *contact) {
	if !c.readDue || c.session == nil || c.link == nil {
		return
	}
	msg, err := k.encryptRead(c)
	if err != nil {
		return
	}
	c.readDue = false
	l := c.link
	k.then(func() { l.send(wire.FrameMessage, msg) })
}

// peerRead takes a read mark of the peer.
func (k *core) peerRead(c *contact, m wire.ReadMark) {
	if m.Epoch != k.local.Record().Epoch || m.Through <= c.flow.ReadThrough || m.Through >= c.flow.NextOut ||
		!c.flow.Acked.has(m.Through) {
		return
	}
	before := c.flow.ReadThrough
	if past := c.flow.ReadPast; len(past) > 0 {
		before = past[0].First - 1 // they may have come since
	}
	c.flow.ReadThrough, c.flow.ReadPast = m.Through, c.flow.Acked.gaps(m.Through)
	c.setFlow(k)
	peer := c.info.ID
	k.then(func() { k.tellRead(k.contacts[peer], before, m.Through) })
}

// tellRead reports the messages of ours between two read marks, newest first.
func (k *core) tellRead(c *contact, after, through uint64) {
	if c == nil {
		return
	}
	for below, n := c.flow.NextSeq, 0; n < maxReadEvents; {
		rows, err := k.v.rows(k.c.ctx, Query{
			Table: TableMessages, Owner: c.num, From: 1, Below: below, Limit: outboxRead, Descending: true,
		})
		if err != nil || len(rows) == 0 {
			return
		}
		for _, r := range rows {
			below, n = r.Seq, n+1
			m, err := parseStored(r.Body)
			if err != nil || !m.mine {
				continue
			}
			if m.counter <= after {
				return
			}
			if isRead(m.counter, through, c.flow.ReadPast) {
				k.c.hub.emit(DeliveryEvent{ID: m.id, Contact: c.info.ID, State: Read})
			}
		}
	}
}

// SetTyping implements [API]. Nothing is said to a contact with whom that is not
// shared, or who is not connected: that is no error.
func (c *Client) SetTyping(ctx context.Context, to identity.PeerID, on bool) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.writable(to)
		if err != nil {
			return err
		}
		if !p.info.ShareTyping || p.link == nil || p.session == nil || p.typing == on && k.now().Sub(p.typingAt).Abs() < typingEvery {
			return nil
		}
		msg, err := k.encryptNotice(p, wire.PayloadTyping, wire.Typing{On: on}.Append(nil))
		if err != nil {
			return nil // too early in the session; it is a courtesy
		}
		p.typing, p.typingAt = on, k.now()
		l := p.link
		k.then(func() { l.send(wire.FrameMessage, msg) })
		return nil
	})
}

// takeTyping takes a notice of a contact.
func (k *core) takeTyping(c *contact, body []byte) {
	if x, err := wire.ParseTyping(body); err == nil && c.info.Trust == Trusted {
		k.emit(TypingEvent{Contact: c.info.ID, On: x.On})
	}
}
