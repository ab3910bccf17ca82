package client

import (
	"slices"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

// This file is for contacts who both lost their computers: what their cards tell
// of each other is of the lost ones (spec §8.30).

// cardLost reports whether the contact's card is of a computer that it lost since:
// nobody fetches what comes into the card's mailboxes.
func (c *contact) cardLost() bool { return c.card != nil && c.cardEpoch < c.epoch() }

// sessionLost reports whether we have no session with the contact, or one with a
// computer that it lost since.
func (c *contact) sessionLost() bool {
	return c.session == nil || c.card != nil && c.session.Epoch() < c.epoch()
}

// unanswerable reports whether the contact began the session that we have, and told
// us in none of its messages where its new computer is: what we write in that session
// can go nowhere. Another one that we begin ourselves can, and our card with it.
func (c *contact) unanswerable() bool {
	return c.cardLost() && c.session != nil && c.session.Answered()
}

// tellWhere sends our card to a new computer of a contact's: the backup that it begins
// again from may be older than the newest card that the lost one had.
func (k *core) tellWhere(c *contact) {
	if c.info.Trust != Trusted {
		return // it gets one when that ends
	}
	if err := k.sendCard(c); err != nil {
		k.c.log.Error("card not sent", "contact", c.info.ID.Short(), "err", err)
	}
}

// isNews reports whether an epoch is above that of all that a contact's computer
// told us itself.
func (c *contact) isNews(epoch uint32) bool {
	return epoch > max(c.cardEpoch, c.flow.InEpoch) && (c.session == nil || epoch > c.session.Epoch())
}

// cardEpoch returns the epoch of the record in a card, 0 if there is none.
func cardEpoch(card *wire.Card) uint32 {
	r, err := identity.ParseRecord(card.Record)
	if err != nil {
		return 0
	}
	return r.Epoch
}

// relays returns those at which a contact with a card may be: of the card, then of
// its record at a rendezvous.
func (c *contact) relays() (out []identity.ServerAddr) {
	for _, m := range c.card.Mailboxes {
		if a, ok := fromServer(m.Relay); ok {
			out = append(out, a)
		}
	}
	if c.found != nil {
		for _, a := range c.found.Relays {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// returnBoxes are where a contact whose card is lost finds the messages that begin
// a session: where its relays keep its prekeys.
func (c *contact) returnBoxes() (out []mailBox) {
	if len(c.info.KnockKey) == 0 || c.sessionLost() {
		return nil // its prekeys come first
	}
	for _, a := range c.relays() {
		inbox, token := prekeyInbox(c.card.Lookup, a.ID, c.epoch())
		out = append(out, mailBox{relay: a, inbox: inbox, token: token, knockKey: c.info.KnockKey})
	}
	return out
}

// isPrekeyInbox reports whether an inbox at a relay is the one of our prekeys.
func (k *core) isPrekeyInbox(id identity.ServerID, inbox [32]byte) bool {
	own, _ := prekeyInbox(k.profile.Lookup.bytes(), id, k.local.Record().Epoch)
	return inbox == own
}

// returned takes what came into the inbox of our prekeys: a message that begins a
// session, of a contact who does not know our inboxes.
func (k *core) returned(m relay.Mail) {
	x, err := k.openKnock(m.Blob)
	if err != nil {
		k.c.log.Warn("mail of a restored contact dropped", "err", err)
		return
	}
	r, err := ratchet.PeekInitial(x.Message)
	if err != nil {
		k.c.log.Warn("mail of a restored contact dropped", "err", err)
		return
	}
	c := k.contacts[r.Identity]
	if c == nil || c.self || c.info.Trust != Trusted {
		k.c.log.Warn("mail of a restored contact dropped: nobody we know", "by", r.Identity.Short())
		return
	}
	if err := k.incoming(c, x.Message); err != nil {
		k.c.log.Warn("mail of a restored contact dropped", "contact", c.info.ID.Short(), "err", err)
	}
}

// firstAgain takes the message by which a contact begins a session with us who
// have lost ours: of its newest computer that we know.
func (k *core) firstAgain(c *contact, msg []byte) ([]byte, error) {
	r, err := ratchet.PeekInitial(msg)
	if err != nil || r.Identity != c.info.ID || c.card == nil || r.Epoch < max(c.epoch(), c.flow.InEpoch) {
		return nil, ratchet.ErrDecrypt
	}
	return k.acceptAnew(c, msg)
}

// acceptAnew begins the session of an initial message in the place of whatever
// there was.
func (k *core) acceptAnew(c *contact, msg []byte) ([]byte, error) {
	p, r, plain, err := ratchet.Accept(k.now(), k.local, k.prekeys, [32]byte{}, msg)
	if err != nil {
		return nil, err
	}
	k.dirtyPrekeys = true
	c.session = p
	c.flow.forgetTheirs() // its new computer has what was in a backup
	c.hasRead(msg)
	k.sessionBegan(c, false)
	c.setSession(k)
	k.takeRecord(c, r.Bytes())
	k.rewrite(c)
	return plain, nil
}
