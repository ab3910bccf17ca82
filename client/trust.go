package client

import (
	"context"
	"strings"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// verifyScheme begins the code that both sides of a verification show.
const verifyScheme = "sremp-verify:"

// verifyCode holds both ids, the lower first.
func verifyCode(a, b identity.PeerID) string {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return verifyScheme + a.String() + ":" + b.String()
}

// Verification implements [API].
func (c *Client) Verification(ctx context.Context, id identity.PeerID) (v Verification, err error) {
	var me identity.PeerID
	err = c.do(ctx, func(k *core) error {
		p, err := k.contact(id)
		if err != nil {
			return err
		}
		if p.self {
			return ErrUnknownContact
		}
		me, v.Verified = k.local.PeerID(), p.info.Verified
		return nil
	})
	if err != nil {
		return Verification{}, err
	}
	v.Words, v.Code = identity.VerificationWords(me, id), verifyCode(me, id)
	return v, nil
}

// Verify implements [API].
func (c *Client) Verify(ctx context.Context, id identity.PeerID, proof string) error {
	want, err := c.Verification(ctx, id)
	if err != nil {
		return err
	}
	proof = strings.Join(strings.Fields(strings.ToLower(proof)), " ")
	if proof != "" && proof != strings.Join(want.Words[:], " ") && proof != strings.ToLower(want.Code) {
		return ErrNotSame
	}
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(id)
		if err != nil {
			return err
		}
		p.info.Verified = time.Time{}
		if proof != "" {
			p.info.Verified = k.now()
		}
		p.setInfo(k)
		k.emit(ContactEvent{Contact: p.view()})
		return nil
	})
}

// SetTrust implements [API].
func (c *Client) SetTrust(ctx context.Context, id identity.PeerID, t TrustState) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(id)
		if err != nil {
			return err
		}
		if p.self || t != Trusted && t != Rejected {
			return ErrUnknownContact
		}
		if p.info.Trust == t {
			return nil
		}
		p.info.Trust = t
		p.setInfo(k)
		if t == Trusted {
			err = k.accept(p)
		} else {
			k.block(p)
		}
		k.emit(ContactEvent{Contact: p.view()})
		return err
	})
}

// accept begins what a contact gets: cards, acknowledgements, a connection.
func (k *core) accept(c *contact) error {
	if c.flow.In.Next > 1 || len(c.flow.In.Ranges) > 0 {
		k.ackDue(c)
	}
	if err := k.sendCard(c); err != nil {
		return err
	}
	k.offerPicture(c)
	id := c.info.ID
	if g := k.guests[id]; g != nil {
		delete(k.guests, id)
		k.attach(c, g)
	}
	k.then(func() {
		c := k.contacts[id]
		k.c.net.contactChanged(k, c)
		k.encryptWaiting(c)
	})
	return nil
}

// block ends everything with a contact. The lookup secret is replaced, so that
// it no longer finds us by our rendezvous; the others are told the new one.
func (k *core) block(c *contact) {
	for _, t := range []Table{TableOutbox, TableWaiting} {
		k.changes = append(k.changes, Change{Kind: Delete, Table: t, Row: Row{Owner: c.num}, Through: 1<<63 - 1})
	}
	clear(c.waiting)
	clear(c.early)
	c.flow.Acked = counterSet{Next: c.flow.NextOut}
	c.flow.forgetTheirs()
	c.flow.AckDue, c.readDue = false, false
	c.sending = sending{mail: mailing{busy: c.sending.mail.busy}}
	c.setFlow(k)
	c.info.PictureSent = min(c.info.PictureSent, pictureUnknown) // it may have been in the outbox
	c.setInfo(k)
	l := c.link
	c.link = nil
	if g := k.guests[c.info.ID]; g != nil {
		delete(k.guests, c.info.ID)
		l = g
	}
	k.blockFiles(c)
	k.setPath(c, Path{Kind: PathNone, Reason: textBlocked, Why: WhyBlocked})
	k.profile.LookupOld, k.dirtyProfile = true, true
	k.renewLookup()
	k.then(func() {
		if l != nil {
			l.conn.Close(0, "")
		}
		k.c.net.forget(k, c)
	})
}

// renewLookup replaces the lookup secret after somebody was blocked, unless
// invites are out: they carry the old one, and it goes when they are over.
func (k *core) renewLookup() {
	if !k.profile.LookupOld {
		return
	}
	for _, i := range k.invites {
		if i.Bound.IsZero() && i.live(k.now()) {
			return
		}
	}
	k.profile.Lookup, k.profile.LookupOld = randomSecret(), false
	k.cardsChanged()
	k.then(func() { k.c.net.refurnish(k) })
}

// SetContact implements [API].
func (c *Client) SetContact(ctx context.Context, id identity.PeerID, s ContactSettings) (out Contact, err error) {
	switch {
	case s.Nick != nil && *s.Nick != "" && identity.CheckName(*s.Nick) != nil:
		return Contact{}, ErrBadName
	case s.Draft != nil && len(*s.Draft) > wire.MaxText:
		return Contact{}, ErrTooLong
	case s.Timer != nil && (*s.Timer < 0 || !goodTimer(*s.Timer)):
		return Contact{}, ErrBadTimer
	}
	var hidden chan error // tells when the network knows; nil if there is nothing to know
	err = c.do(ctx, func(k *core) error {
		p, err := k.contact(id)
		if err != nil {
			return err
		}
		if s.Timer != nil && *s.Timer != p.info.Timer {
			if p, err = k.writable(id); err != nil {
				return err
			}
			x := wire.Timer{Seconds: uint32(*s.Timer / time.Second)}
			if err := k.tell(p, wire.PayloadTimer, x.Append(nil)); err != nil {
				return err
			}
			p.info.Timer = *s.Timer
		}
		set(&p.info.Nick, s.Nick)
		set(&p.info.Draft, s.Draft)
		set(&p.info.Pinned, s.Pinned)
		set(&p.info.Muted, s.Muted)
		set(&p.info.Archived, s.Archived)
		set(&p.info.ShareRead, s.ShareRead)
		set(&p.info.ShareTyping, s.ShareTyping)
		if s.RelayOnly != nil && *s.RelayOnly != p.info.RelayOnly {
			if p, err = k.writable(id); err != nil {
				return err
			}
			told := make(chan error, 1)
			if err := k.setRelayOnly(p, *s.RelayOnly, told); err != nil {
				return err
			}
			hidden = told
		}
		p.setInfo(k)
		out = p.view()
		k.emit(ContactEvent{Contact: out})
		return nil
	})
	if err != nil || hidden == nil {
		return out, err
	}
	select {
	case err = <-hidden:
	case <-c.ended:
		err = ErrClosed
	}
	return out, err
}

// setRelayOnly keeps our addresses from a contact from now on, or no longer. told
// gets one value, when the network knows it and nothing that waits names one.
func (k *core) setRelayOnly(c *contact, on bool, told chan<- error) error {
	c.info.RelayOnly, c.info.LastAddr = on, ""
	k.profile.CardVersion++
	k.dirtyProfile = true
	before := c.flow.NextOut
	if err := k.sendCard(c); err != nil {
		return err
	}
	id, l := c.info.ID, c.link
	k.then(func() {
		c := k.contacts[id]
		k.c.net.contactChanged(k, c)
		if l != nil {
			l.conn.Close(0, "") // the next one is made as it should be
		}
		if on && c != nil {
			k.hideCards(c, before)
		}
		k.settle(func(err error) { told <- err })
	})
	return nil
}

// hideCards replaces the cards below a counter that wait for a contact, which may name
// addresses, by one of now. It runs after a batch was stored, so that it sees all rows.
// What a relay holds has left.
func (k *core) hideCards(c *contact, below uint64) {
	found := false
	k.eachOutbox(c, c.flow.Acked.Next, below, func(r outRow) bool {
		if r.typ == wire.PayloadCard && r.state != outHeld {
			found = true
			r.content, r.state, r.plain = k.payload(c, r.typ, r.id, r.counter, k.card(c).Append(nil), nil), outPlain, nil
			k.putOutbox(c, r)
		}
		return true
	})
	if found {
		k.outboxChanged(c)
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// selfContact returns the contact that is ourselves: notes, which go nowhere.
func (k *core) selfContact() *contact {
	if c := k.contacts[k.local.PeerID()]; c != nil {
		return c
	}
	c := k.newContact(k.local.PeerID(), k.local.Record().Name)
	c.self, c.info.Picture.Name = true, k.profile.Picture.Name
	c.path.Reason = "it stays on this computer"
	k.emit(ContactEvent{Contact: c.view()})
	return c
}
