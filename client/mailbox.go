package client

import (
	"errors"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

// A mailBox is where a contact's mail goes now.
type mailBox struct {
	relay        identity.ServerAddr
	inbox, token [32]byte
	knockKey     []byte // seals first messages; nil for a contact's own inbox
	first        secret // of such a one: seals those of a session, which name their sender
}

// mailTargets returns the contact's mailboxes, its favourite first: of its card, or
// before there is one of the invite, or, when the card is of a lost computer, of
// its prekeys.
func (k *core) mailTargets(c *contact) (out []mailBox) {
	if c.cardLost() {
		return c.returnBoxes()
	}
	if c.card != nil {
		for _, m := range c.card.Mailboxes {
			if a, ok := fromServer(m.Relay); ok {
				out = append(out, mailBox{relay: a, inbox: m.Inbox, token: m.Token, first: newSecret(c.card.Intro)})
			}
		}
		return out
	}
	i, ok := c.joined()
	if !ok || i.KnockInbox == [32]byte{} || len(c.info.KnockKey) == 0 {
		return nil
	}
	for _, a := range i.Relays {
		out = append(out, mailBox{relay: a, inbox: i.KnockInbox, token: i.Knock(), knockKey: c.info.KnockKey})
	}
	return out
}

// A boxState is what is known of a mailbox that failed lately.
type boxState struct {
	next time.Time     // not asked before
	wait time.Duration // the last pause
	from time.Time     // of the first failure
}

// mailTarget returns the mailbox to use now: the first that did not fail lately,
// else the one that is asked again first; nil if the contact has none.
func (k *core) mailTarget(c *contact) *mailBox {
	var best *mailBox
	var at time.Time
	now := k.steady()
	for _, b := range k.mailTargets(c) {
		next := c.sending.mail.boxes[b.relay.ID].next
		if !next.After(now) {
			return &b
		}
		if best == nil || next.Before(at) {
			best, at = &b, next
		}
	}
	return best
}

// boxFailed notes that a mailbox took no mail: after a pause, which doubles, it is
// asked again, and until then the next one is. What the relay that went away may
// hold alone goes to the next one as well.
func (k *core) boxFailed(c *contact, id identity.ServerID, err error) {
	m := &c.sending.mail
	if m.boxes == nil {
		m.boxes = map[identity.ServerID]boxState{}
	}
	before := m.boxes[id]
	first := before.wait == 0
	if first {
		before.from = k.steady()
	}
	m.wait = max(mailRetryMin, transport.RedialAfter(before.wait, k.steady().Sub(before.from), mailRetryMax))
	m.boxes[id] = boxState{k.steady().Add(m.wait), m.wait, before.from}
	m.next = k.steady().Add(m.wait)
	if to := k.mailTarget(c); to != nil {
		m.next = m.boxes[to.relay.ID].next
		if first && to.relay.ID != id && !errors.Is(err, relay.ErrQuota) && !errors.Is(err, relay.ErrBusy) {
			m.again, m.cursor, m.remail = c.flow.NextOut, 0, k.now()
		}
	}
}

// boxWorks forgets what was held against a mailbox.
func (k *core) boxWorks(c *contact, id identity.ServerID) {
	m := &c.sending.mail
	delete(m.boxes, id)
	m.wait, m.next = 0, time.Time{}
}
