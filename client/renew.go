package client

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

// This file heals conversations of which one side, or both, went back to an old
// copy of its disk, or lost its sessions (spec §8.30).

// Contexts (spec §8.30, §8.4).
const (
	contextPrekeyInbox = "SREMP v1 prekey inbox"
	contextPrekeyToken = "SREMP v1 prekey inbox token"
)

// Tuning of renewals.
const (
	// failuresBefore is how many messages in a row cannot be read before we ask
	// for prekeys: one may be a repeat that is older than what the ratchet keeps.
	failuresBefore = 3
	renewMin       = time.Minute // between two renewals with one contact,
	renewMax       = 6 * time.Hour
	// prekeyTokenTTL is how long a relay gives our prekeys to contacts; it is
	// renewed with every visit.
	prekeyTokenTTL = 60 * 24 * time.Hour
)

// A renewal is the volatile side of healing a session.
type renewal struct {
	failures int       // messages in a row that could not be read
	next     time.Time // not before
	wait     time.Duration
	asked    bool // for prekeys
}

// unreadable takes note of a message of the contact that its session cannot
// read: by its connection or its own inbox, so that nobody else can send it.
func (k *core) unreadable(c *contact, err error) {
	r := &c.renewal
	if r.failures++; !errors.Is(err, ratchet.ErrReused) && r.failures < failuresBefore {
		return
	}
	k.askPrekeys(c)
}

// askPrekeys gets prekeys of a contact for another session, at most so often
// that a contact who sends junk costs next to nothing.
func (k *core) askPrekeys(c *contact) {
	r := &c.renewal
	if c.card == nil || c.info.Trust != Trusted || k.steady().Before(r.next) {
		return
	}
	if k.steady().Sub(r.next) > renewMax {
		r.wait = 0
	}
	if r.wait = min(max(2*r.wait, renewMin), renewMax); c.sessionLost() || c.unanswerable() {
		r.wait = min(r.wait, mailRetryMax) // there is nothing to disturb
	}
	r.next, r.failures, r.asked = k.steady().Add(r.wait), 0, true
	if c.link != nil {
		c.link.send(wire.FrameGetBundle, wire.GetBundle{}.Append(nil))
		return
	}
	lookup, epoch := c.card.Lookup, c.epoch()
	from := prekeySource{id: c.info.ID, lookup: lookup}
	from.take = func(ctx context.Context, s *relay.Sender, at identity.ServerID) (sealed, oneTime []byte, err error) {
		inbox, token := prekeyInbox(lookup, at, epoch)
		return s.FetchPrekeys(ctx, inbox, token)
	}
	from.relays = c.relays()
	k.then(func() {
		k.c.net.run(func() { k.c.net.wantPrekeys(from) })
	})
}

// epoch returns that of the contact's record, 0 if none is known.
func (c *contact) epoch() uint32 {
	if c.record == nil {
		return 0
	}
	return c.record.Epoch
}

// prekeyInbox derives where a relay keeps prekeys for those who have a card, and
// the token to get them. A restored device has others: the lost one owned them.
func prekeyInbox(lookup [32]byte, id identity.ServerID, epoch uint32) (inbox, token [32]byte) {
	salt := binary.BigEndian.AppendUint32(bytes.Clone(id[:]), epoch)
	derive := func(context string) [32]byte {
		b, err := hkdf.Key(sha256.New, lookup[:], salt, context, 32)
		if err != nil {
			panic(err)
		}
		return [32]byte(b)
	}
	return derive(contextPrekeyInbox), derive(contextPrekeyToken)
}

// furnishPrekeys gives a relay prekeys for contacts that have lost their session
// while we are away. They get no one-time key: the last-resort one will do.
func (n *network) furnishPrekeys(ctx context.Context, cl *relay.Client, f *furniture) error {
	if err := cl.CreateInbox(ctx, relay.InboxParams{ID: f.prekeys, Knock: true}); err != nil {
		return err
	}
	if err := cl.PutPrekeys(ctx, f.prekeys, f.bundle, nil); err != nil {
		return err
	}
	if err := cl.AllowWork(ctx, f.prekeys, knockWork); err != nil {
		return err
	}
	return cl.AllowKnock(ctx, f.prekeys, f.prekeyToken, n.c.cfg.Now().Add(prekeyTokenTTL))
}

// renewWith starts another session with a contact that we cannot read.
func (k *core) renewWith(c *contact, b *ratchet.Bundle, oneTime []byte) error {
	err := c.session.Renew(k.now(), k.local, b, oneTime, [32]byte{})
	if e := b.Record().Epoch; errors.Is(err, ratchet.ErrWrongPeer) && e >= c.epoch() && c.isNews(e) {
		// It was restored elsewhere, and we did not hear from there yet.
		var p *ratchet.Peer
		if p, err = ratchet.Initiate(k.now(), k.local, b, oneTime, [32]byte{}); err == nil {
			c.session = p
			c.flow.forgetTheirs()
			k.tellWhere(c)
		}
	}
	if err != nil {
		return err
	}
	k.rewrite(c)
	k.ackDue(c) // the contact learns of the session by its first message
	return nil
}

// sessionBegan notes that what is sent to the contact from now on goes over another
// ratchet than before, or the first.
func (k *core) sessionBegan(c *contact, ours bool) {
	k.c.log.Debug("a session began", "contact", c.info.ID.Short(), "ours", ours)
}

// sayLastResort notes that a session began without a one-time prekey.
func (k *core) sayLastResort(c *contact, msg []byte) {
	if ratchet.PeekLastResort(msg) {
		k.c.log.Info("a session began without a one-time prekey: the last-resort key served", "contact", c.info.ID.Short())
	}
}

// rewrite has all that waits for the contact encrypted anew, in its session of
// now.
func (k *core) rewrite(c *contact) {
	if c.flow.NextOut == c.flow.Acked.Next {
		return
	}
	c.flow.Rewrite = true
	c.setFlow(k)
	peer := c.info.ID
	k.then(func() { k.rewriteOutbox(k.contacts[peer]) })
}

// rewriteOutbox turns the outbox of a contact back into payloads, marked as
// repeats, and has them encrypted in order. It runs after a batch was stored.
func (k *core) rewriteOutbox(c *contact) {
	if c == nil || !c.flow.Rewrite {
		return
	}
	all := k.eachOutbox(c, c.flow.Acked.Next, c.flow.NextOut, func(r outRow) bool {
		if r.state != outPlain {
			k.putPlain(c, r, r.counter)
		}
		return true
	})
	if !all {
		return
	}
	c.flow.Rewrite = false
	k.outboxChanged(c)
}

// outboxChanged has the outbox encrypted and sent from its start, once what the
// batch changed is stored: whoever reads it before sees the rows that it had.
func (k *core) outboxChanged(c *contact) {
	c.sending.mail.round++
	c.sending.recent = recentRows{}
	c.setFlow(k)
	peer := c.info.ID
	k.then(func() {
		c := k.contacts[peer]
		c.sending.plain, c.sending.sealed = true, 0
		c.sending.recent, c.sending.cursor = recentRows{}, 0
		c.sending.mail.cursor, c.sending.mail.knocks = 0, nil
		k.encryptWaiting(c)
	})
}

// putPlain stores a row as a payload with a counter, marked as a repeat. A text
// that is in the conversation no more is replaced by a new card: its number must
// not stay a gap.
func (k *core) putPlain(c *contact, r outRow, counter uint64) {
	p, err := wire.ParsePayload(r.plain)
	if r.state == outPlain {
		p, err = wire.ParsePayload(r.content)
	}
	ext := []wire.Extension{{Type: wire.ExtensionAgain}}
	if x, bad := wire.ParseEdit(p.Body); r.typ == wire.PayloadEdit && err == nil && bad == nil {
		// It takes back no later edit, which has arrived already.
		if m, _, found := k.findMessage(c, x.ID); found {
			p.Body = wire.Edit{ID: x.ID, Text: []byte(m.text)}.Append(nil)
		}
	}
	switch {
	case keepsPayload(r.typ) && err == nil, r.state == outPlain && err == nil:
		ext = append(dropExtension(p.Extensions, wire.ExtensionAgain), ext...)
		r.content = k.payload(c, r.typ, r.id, counter, p.Body, ext)
		if m, seq, found := k.findMessage(c, r.id); r.typ == wire.PayloadFile && found && m.counter != counter {
			m.counter = counter
			k.putMessage(c, seq, m)
		}
	case r.typ == wire.PayloadText:
		if m, seq, found := k.findMessage(c, r.id); found {
			r.content = k.payload(c, r.typ, r.id, counter, []byte(m.text), append(m.extensions(), ext...))
			if m.counter != counter {
				m.counter = counter
				k.putMessage(c, seq, m)
			}
			break
		}
		fallthrough
	default:
		r.typ = wire.PayloadCard
		r.content = k.payload(c, r.typ, r.id, counter, k.card(c).Append(nil), nil)
	}
	r.counter, r.state, r.plain = counter, outPlain, nil
	k.putOutbox(c, r)
}

func dropExtension(xs []wire.Extension, typ uint16) (out []wire.Extension) {
	for _, x := range xs {
		if x.Type != typ {
			out = append(out, x)
		}
	}
	return out
}

// isRepeat reports whether the conversation has a message under the id of a text, or
// a file: what came before, under another number, or what a contact that lies sends
// under the id of another message, which edits and ticks would then take for it.
func (k *core) isRepeat(c *contact, p wire.Payload) bool {
	_, _, found := k.findMessage(c, p.ID)
	return found
}
