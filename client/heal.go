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
		_, meeting := c.joined() // the card is all that says who used the invite
		if meeting && c.info.CardSent == 0 || c.card != nil && (c.session == nil || c.info.CardSent < k.profile.CardVersion) {
			if err := k.sendCard(c); err != nil {
				k.c.log.Error("card not sent", "contact", c.info.ID.Short(), "err", err)
			}
		}
		k.offerPicture(c)
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
	plain, err := k.acceptAnew(c, msg)
	if err == nil {
		k.tellWhere(c)
	}
	return plain, err
}
