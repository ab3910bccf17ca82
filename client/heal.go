package client

import (
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/wire"
)

// heal gives every contact that has no session, because this profile was
// restored, or an older card than there is, a card to come; and goes on with what
// a crash interrupted.
func (k *core) heal() {
	for _, c := range k.contacts {
		if c.self || c.info.Trust != Trusted {
			continue
		}
		if c.card != nil && (c.session == nil || c.info.CardSent < k.profile.CardVersion) {
			if err := k.sendCard(c); err != nil {
				k.c.log.Error("card not sent", "contact", c.info.ID.Short(), "err", err)
			}
		}
		if c.flow.Rewrite {
			peer := c.info.ID
			k.then(func() { k.rewriteOutbox(k.contacts[peer]) })
		}
	}
}

// mayAskPrekeys reports whether somebody connected may have our prekeys: who has
// an invite, and any contact, which may have lost its sessions.
func (k *core) mayAskPrekeys(l *link, x wire.GetBundle) bool {
	if i := k.inviteByToken(x.Token); i != nil && i.open(l.peer, k.now()) {
		return true
	}
	c := k.contacts[l.peer]
	return c != nil && c.link == l && c.info.Trust == Trusted && x.Token == [32]byte{}
}

// reborn takes the first message of a contact that lost its device: of another
// device, with a record of a higher epoch than anything it said before. The old
// session ends: whoever holds the lost device reads nothing new.
func (k *core) reborn(c *contact, msg []byte) ([]byte, error) {
	r, err := ratchet.PeekInitial(msg)
	if err != nil || r.Identity != c.info.ID || r.Epoch <= c.flow.InEpoch || c.record != nil && r.Epoch < c.record.Epoch {
		return nil, ratchet.ErrWrongPeer
	}
	p, r, plain, err := ratchet.Accept(k.now(), k.local, k.prekeys, [32]byte{}, msg)
	if err != nil {
		return nil, err
	}
	k.dirtyPrekeys = true
	c.session = p
	c.setSession(k)
	k.takeRecord(c, r.Bytes())
	c.flow.Rewrite = true
	c.setFlow(k)
	peer := c.info.ID
	k.then(func() { k.rewriteOutbox(k.contacts[peer]) })
	return plain, nil
}

// rewriteOutbox makes what waits for a contact readable for its new device:
// texts and cards are encrypted anew, in order; other changes, which are not
// kept in clear, are given up. It runs after a batch was stored.
func (k *core) rewriteOutbox(c *contact) {
	if c == nil || !c.flow.Rewrite {
		return
	}
	all := k.eachOutbox(c, c.flow.Acked.Next, c.flow.NextOut, func(r outRow) bool {
		if r.state == outPlain {
			return true
		}
		var plain []byte
		switch m, _, found := k.findMessage(c, r.id); {
		case r.typ == wire.PayloadText && found:
			plain = k.payload(c, r.typ, r.id, r.counter, []byte(m.text), m.extensions())
		case r.typ == wire.PayloadCard:
			plain = k.payload(c, r.typ, r.id, r.counter, k.card(c).Append(nil), nil)
		default:
			c.flow.Acked.add(r.counter)
			n := int64(r.counter)
			k.changes = append(k.changes, Change{
				Kind: Delete, Table: TableOutbox, Row: Row{Owner: c.num, Seq: n}, Through: n,
			})
			return true
		}
		k.putOutbox(c, r.counter, outPlain, r.typ, r.id, plain)
		c.sending.plain = true
		return true
	})
	if !all {
		return
	}
	c.flow.Rewrite = false
	c.sending.recent, c.sending.cursor = nil, 0
	c.setFlow(k)
	peer := c.info.ID
	k.then(func() { k.encryptWaiting(k.contacts[peer]) })
}
