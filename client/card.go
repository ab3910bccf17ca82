package client

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"net/netip"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Contexts of mailboxes (spec §8.3).
const (
	contextInbox = "SREMP v1 contact inbox"
	contextToken = "SREMP v1 contact inbox token"
)

// mailboxAt derives the inbox that we have for a contact at one relay and its
// delivery token: relays that compare notes see nothing in common.
func (c *contact) mailboxAt(relay identity.ServerID) (inbox, token [32]byte) {
	derive := func(s secret, context string) [32]byte {
		b := s.bytes()
		k, err := hkdf.Key(sha256.New, b[:], relay[:], context, 32)
		if err != nil {
			panic(err)
		}
		return [32]byte(k)
	}
	return derive(c.info.Inbox, contextInbox), derive(c.info.Token, contextToken)
}

// sendCard puts a card for the contact into the outbox.
func (k *core) sendCard(c *contact) error {
	card := k.card(c)
	if _, _, err := k.enqueue(c, wire.PayloadCard, card.Append(nil)); err != nil {
		return err
	}
	c.info.CardSent = card.Version
	c.setInfo(k)
	return nil
}

// card returns how a contact reaches us now.
func (k *core) card(c *contact) wire.Card {
	relays, rendezvous := k.ownServers()
	card := wire.Card{
		Version: k.profile.CardVersion, Lookup: k.profile.Lookup.bytes(), Intro: c.info.Intro.bytes(),
		Hello: c.info.Hello.bytes(), Addrs: k.c.net.cardAddrs(), Record: k.local.Record().Bytes(),
	}
	if c.info.RelayOnly {
		card.Addrs = nil
	}
	for _, r := range relays {
		inbox, token := c.mailboxAt(r.ID)
		card.Mailboxes = append(card.Mailboxes, wire.Mailbox{Relay: toServer(r), Inbox: inbox, Token: token})
	}
	for _, r := range rendezvous {
		card.Rendezvous = append(card.Rendezvous, toServer(r))
	}
	return card
}

// takeCard takes a card from the contact, by its session.
func (k *core) takeCard(c *contact, body []byte) {
	card, err := wire.ParseCard(body)
	if err != nil {
		k.c.log.Warn("card ignored", "contact", c.info.ID.Short(), "err", err)
		return
	}
	if len(card.Record) > 0 {
		k.takeRecord(c, card.Record)
	}
	epoch := cardEpoch(&card)
	if c.card != nil && (epoch < c.cardEpoch || epoch == c.cardEpoch && card.Version < c.card.Version) {
		return
	}
	isNew := c.card == nil || c.card.Intro != card.Intro
	body = bytes.Clone(body)
	if card, err = wire.ParseCard(body); err != nil {
		return
	}
	c.card, c.cardEpoch, c.info.Card = &card, epoch, newHidden(body)
	c.setInfo(k)
	if isNew { // its secrets are made with what it keeps of us
		k.askedPicture(c)
	}
	k.emit(ContactEvent{Contact: c.view()})
	peer := c.info.ID
	k.then(func() { k.c.net.contactChanged(k, k.contacts[peer]) })
}

// takeRecord takes a contact's record if it is a valid successor of the one known.
func (k *core) takeRecord(c *contact, raw []byte) {
	r, err := identity.ParseRecord(raw)
	if err != nil || r.Identity != c.info.ID {
		k.c.log.Warn("record ignored", "contact", c.info.ID.Short(), "err", err)
		return
	}
	if c.record != nil {
		if r.Hash() == c.record.Hash() {
			return
		}
		if err := identity.CheckSuccessor(c.record, r); err != nil {
			k.c.log.Warn("record ignored", "contact", c.info.ID.Short(), "err", err)
			return
		}
	}
	if c.record != nil && !sameKeys(c.record, r) {
		c.info.KeysChanged = k.now()
		k.notify(c, NotifyKeys, Message{})
	}
	if c.record != nil && c.record.Name != r.Name {
		c.info.FormerName = c.record.Name
	}
	c.record, c.info.Record, c.info.Name = r, r.Bytes(), r.Name
	c.setInfo(k)
	k.emit(ContactEvent{Contact: c.view()})
	peer := c.info.ID
	k.then(func() { k.c.net.contactChanged(k, k.contacts[peer]) })
}

// sameKeys reports whether two records of one identity differ in words only.
func sameKeys(a, b *identity.Record) bool {
	return a.Noise == b.Noise && a.Agreement == b.Agreement && a.Epoch == b.Epoch
}

// cardsChanged sends new cards to everyone.
func (k *core) cardsChanged() {
	k.profile.CardVersion++
	k.dirtyProfile = true
	for _, c := range k.contacts {
		if c.self || c.info.Trust != Trusted {
			continue // a request, or somebody blocked, gets one when that ends
		}
		if err := k.sendCard(c); err != nil {
			k.c.log.Error("card not sent", "contact", c.info.ID.Short(), "err", err)
		}
	}
}

func toServer(a identity.ServerAddr) wire.Server {
	return wire.Server{ID: a.ID, Host: a.Host, Port: a.Port}
}

// fromServer checks what wire does not; ok is false for what nobody may dial.
func fromServer(x wire.Server) (a identity.ServerAddr, ok bool) {
	a = identity.ServerAddr{ID: x.ID, Host: x.Host, Port: x.Port}
	return a, identity.CheckEd25519(a.ID) == nil && identity.CheckHost(a.Host) == nil
}

// clipAddrs bounds a list for a card.
func clipAddrs(a []netip.AddrPort) []netip.AddrPort { return a[:min(len(a), wire.MaxCardAddrs)] }
