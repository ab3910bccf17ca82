package client

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

// Contexts of first contact (spec §8.3).
const (
	contextKnock     = "SREMP v1 knock"
	contextBundleKey = "SREMP v1 sealed prekeys key"
	contextBundle    = "SREMP v1 sealed bundle"
	contextOneTime   = "SREMP v1 sealed one-time prekey"
)

// knock takes an initial message that uses an invite of ours. from is who sent
// it over a link, zero if it came through a relay.
func (k *core) knock(from identity.PeerID, x wire.Knock) {
	i := k.inviteByToken(x.Token)
	r, err := ratchet.PeekInitial(x.Message)
	if i == nil || err != nil || r.Identity == k.local.PeerID() || !from.IsZero() && r.Identity != from {
		return
	}
	if !i.open(r.Identity, k.now()) {
		k.c.log.Warn("an invite was used by somebody else, or is over", "by", r.Identity.Short())
		return
	}
	c := k.contacts[r.Identity]
	if c != nil && c.info.Trust == Rejected || r.Identity == k.local.PeerID() {
		return
	}
	if c != nil && c.session != nil {
		c.info.PSK = newSecret(i.parsed.PSK())
		if err := k.incoming(c, x.Message); err != nil {
			k.c.log.Warn("knock dropped", "contact", r.Identity.Short(), "err", err)
		}
		return
	}
	p, r, plain, err := ratchet.Accept(k.now(), k.local, k.prekeys, i.parsed.PSK(), x.Message)
	if err != nil {
		k.c.log.Warn("knock dropped", "by", r2short(r), "err", err)
		return
	}
	k.dirtyPrekeys = true
	if c == nil {
		c = k.newContact(r.Identity, r.Name)
		if i.Ask {
			c.info.Trust = TrustUnknown
		}
	}
	k.sayLastResort(c, x.Message)
	c.session = p
	c.hasRead(x.Message)
	k.sessionBegan(c, false)
	c.setSession(k)
	c.info.Invited, c.info.PSK = i.num, newSecret(i.parsed.PSK())
	c.setInfo(k)
	i.Bound = r.Identity
	k.takeWords(i)
	k.offerNearby()
	k.changes = append(k.changes, k.v.putJSON(TableInvites, 0, i.num, i))
	k.takeRecord(c, r.Bytes())
	if c.info.CardSent == 0 && c.info.Trust == Trusted {
		if err := k.sendCard(c); err != nil {
			k.c.log.Error("card not sent", "contact", c.info.ID.Short(), "err", err)
		}
	}
	k.plaintext(c, plain)
	k.emit(ContactEvent{Contact: c.view()})
	id := c.info.ID
	if g := k.guests[id]; g != nil && c.info.Trust == Trusted {
		delete(k.guests, id)
		k.attach(c, g)
	}
	k.then(func() {
		c := k.contacts[id]
		k.c.net.contactChanged(k, c)
		k.encryptWaiting(c)
	})
}

func r2short(r *identity.Record) string {
	if r == nil {
		return "?"
	}
	return r.Identity.Short()
}

// giveBundle answers somebody who shows an invite, or a contact.
func (k *core) giveBundle(l *link, x wire.GetBundle) {
	if !k.mayAskPrekeys(l, x) {
		return
	}
	box := k.prekeyBox()
	if one := k.prekeys.OneTime(); len(one) > 0 {
		box.OneTime = one[0].Bytes
		k.prekeys.Published([]uint32{one[0].ID})
		k.dirtyPrekeys = true
	}
	k.then(func() { l.send(wire.FrameBundle, box.Append(nil)) })
}

func (k *core) prekeyBox() wire.PrekeyBox {
	pub, err := knockPublic(k.profile.KnockKeys[0])
	if err != nil {
		panic(err) // newProfile made it
	}
	return wire.PrekeyBox{Bundle: k.prekeys.Bundle(), KnockKey: pub}
}

func knockPublic(h hidden) ([]byte, error) {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(h.bytes())
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes(), nil
}

// takeBundle starts the session with somebody whose invite we use, or with a
// contact with whom we have none that works. byHand tells that the contact gave
// the bundle itself, over its connection.
func (k *core) takeBundle(c *contact, x wire.PrekeyBox, byHand bool) {
	if _, ok := c.joined(); !ok && c.card == nil || c.session != nil && !c.renewal.asked || c.info.Trust != Trusted {
		return
	}
	c.renewal.asked = false
	psk := c.info.PSK.bytes()
	if c.card != nil {
		psk = [32]byte{} // an invite's is for the first session only
	}
	b, err := ratchet.ParseBundle(x.Bundle, c.info.ID, k.now())
	// A contact whose disk is an old copy is at a lower serial, which is no
	// reason to believe a relay. Another computer of its counts anew.
	if err != nil || b.Serial() < c.info.Serial && !(byHand && c.card != nil) && !c.isNews(b.Record().Epoch) {
		k.c.log.Warn("prekeys refused", "contact", c.info.ID.Short(), "err", err)
		k.refuse(c)
		return
	}
	if c.session != nil {
		err = k.renewWith(c, b, x.OneTime)
	} else if c.session, err = ratchet.Initiate(k.now(), k.local, b, x.OneTime, psk); err == nil {
		k.rewrite(c) // what a session encrypted that is lost
	}
	if err != nil {
		k.c.log.Warn("prekeys refused", "contact", c.info.ID.Short(), "err", err)
		return
	}
	if len(x.OneTime) == 0 {
		k.c.log.Info("no one-time prekey was left: the last-resort key serves", "contact", c.info.ID.Short())
	}
	k.sessionBegan(c, true)
	c.refused = false
	c.setSession(k)
	c.info.Serial, c.info.KnockKey = b.Serial(), x.KnockKey
	c.setInfo(k)
	k.takeRecord(c, b.Record().Bytes())
	id := c.info.ID
	k.then(func() {
		c := k.contacts[id]
		k.c.net.contactChanged(k, c)
		k.encryptWaiting(c)
	})
}

// refuse remembers that a relay gave other prekeys than the contact's. Without a
// session nothing is sent to the contact until its own come.
func (k *core) refuse(c *contact) {
	c.refused = true
	k.unlinkedPath(c, textRefused)
}

// bundleAEAD seals what relays keep of our prekeys: only who has an invite of
// ours, or a card, can tell whose they are.
func bundleAEAD(lookup [32]byte, id identity.PeerID) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, lookup[:], id[:], contextBundleKey, chacha20poly1305.KeySize)
	if err != nil {
		panic(err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic(err)
	}
	return aead
}

func sealBox(aead cipher.AEAD, context string, plain []byte) []byte {
	b := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	rand.Read(b)
	return aead.Seal(b, b, plain, []byte(context))
}

var errSealed = errors.New("client: sealed for somebody else, or changed")

func openBox(aead cipher.AEAD, context string, b []byte) ([]byte, error) {
	n := chacha20poly1305.NonceSizeX
	if len(b) < n {
		return nil, errSealed
	}
	plain, err := aead.Open(nil, b[:n], b[n:], []byte(context))
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// A prekeySource is where somebody's prekeys lie: relays, the secret that they are
// sealed under, and how one of the relays is asked for them.
type prekeySource struct {
	id     identity.PeerID
	lookup [32]byte
	relays []identity.ServerAddr
	take   func(ctx context.Context, s *relay.Sender, at identity.ServerID) (sealed, oneTime []byte, err error)
}

// invitePrekeys are an inviter's.
func invitePrekeys(i identity.Invite) prekeySource {
	return prekeySource{i.Peer, i.Lookup, i.Relays,
		func(ctx context.Context, s *relay.Sender, _ identity.ServerID) (sealed, oneTime []byte, err error) {
			return takePrekeys(ctx, s, i)
		}}
}

// wantPrekeys gets prekeys from the first relay that has them, for a session.
func (n *network) wantPrekeys(from prekeySource) {
	ctx, cancel := context.WithTimeout(n.ctx, connectTime)
	defer cancel()
	err := errNoRelay
	for _, a := range from.relays {
		var box wire.PrekeyBox
		if box, err = n.fetchPrekeys(ctx, from, a); err == nil {
			n.c.post(func(k *core) {
				if c := k.contacts[from.id]; c != nil {
					k.takeBundle(c, box, false)
				}
			})
			return
		}
	}
	n.c.log.Info("prekeys not fetched", "contact", from.id.Short(), "err", err)
	if errors.Is(err, errSealed) {
		n.c.post(func(k *core) {
			if c := k.contacts[from.id]; c != nil {
				k.refuse(c)
			}
		})
	}
}

func (n *network) fetchPrekeys(ctx context.Context, from prekeySource, a identity.ServerAddr) (wire.PrekeyBox, error) {
	s, err := n.sender(ctx, a)
	if err != nil {
		return wire.PrekeyBox{}, err
	}
	sealed, oneTime, err := from.take(ctx, s, a.ID)
	if err != nil {
		n.senderFailed(a, s, err)
		return wire.PrekeyBox{}, err
	}
	return openPrekeys(from.id, from.lookup, sealed, oneTime)
}

var errNoRelay = errors.New("client: no relay is known")

func openPrekeys(id identity.PeerID, lookup [32]byte, sealed, oneTime []byte) (wire.PrekeyBox, error) {
	aead := bundleAEAD(lookup, id)
	b, err := openBox(aead, contextBundle, sealed)
	if err != nil {
		return wire.PrekeyBox{}, err
	}
	box, err := wire.ParsePrekeyBox(b)
	if err != nil {
		return wire.PrekeyBox{}, err
	}
	if oneTime != nil {
		if box.OneTime, err = openBox(aead, contextOneTime, oneTime); err != nil {
			return wire.PrekeyBox{}, err
		}
	}
	return box, nil
}

// sealKnock seals an initial message for its way through a relay.
func sealKnock(knockKey []byte, x wire.Knock) ([]byte, error) {
	pub, err := hpke.MLKEM768X25519().NewPublicKey(knockKey)
	if err != nil {
		return nil, fmt.Errorf("client: knock key: %w", err)
	}
	return hpke.Seal(pub, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(contextKnock), x.Append(nil))
}

// openKnock opens what came into the knock inbox.
func (k *core) openKnock(sealed []byte) (wire.Knock, error) {
	for _, h := range k.profile.KnockKeys {
		key, err := hpke.MLKEM768X25519().NewPrivateKey(h.bytes())
		if err != nil {
			continue
		}
		if b, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(contextKnock), sealed); err == nil {
			return wire.ParseKnock(b)
		}
	}
	return wire.Knock{}, errSealed
}
