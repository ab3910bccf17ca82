package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

// SetName implements [API].
func (c *Client) SetName(ctx context.Context, name string) (me Me, err error) {
	if identity.CheckName(name) != nil {
		return Me{}, ErrBadName
	}
	err = c.do(ctx, func(k *core) error {
		if k.local.Record().Name == name {
			return nil
		}
		// A new record has a new date: when the keys were made must not go with it.
		since := k.keysSince()
		next, err := k.local.Rename(name, k.now())
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		if err := k.setLocal(next); err != nil {
			return err
		}
		k.profile.KeysSince = since
		if notes := k.contacts[k.local.PeerID()]; notes != nil {
			notes.info.Name = name
			notes.setInfo(k)
			k.emit(ContactEvent{Contact: notes.view()})
		}
		return nil
	})
	if err != nil {
		return Me{}, err
	}
	return c.WhoAmI(ctx)
}

// RotateKeys implements [API].
func (c *Client) RotateKeys(ctx context.Context) error {
	return c.do(ctx, func(k *core) error {
		next, err := k.local.Rotate(k.now())
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		if err := k.setLocal(next); err != nil {
			return err
		}
		k.profile.KeysSince = k.now()
		return nil
	})
}

// keysSince is when the X25519 keys were made.
func (k *core) keysSince() time.Time {
	if s := k.profile.KeysSince; !s.IsZero() {
		return s
	}
	return k.local.Record().Created
}

// setLocal makes the next record of the identity the one that others get: in
// cards, handshakes, prekeys and at rendezvous.
func (k *core) setLocal(next *identity.Local) error {
	prekeys, err := k.prekeys.Replenish(next, k.now(), oneTimePrekeys)
	if err != nil {
		return fmt.Errorf("client: making prekeys: %w", err)
	}
	k.local, k.profile.Local, k.dirtyProfile = next, newHidden(next.MarshalSecret()), true
	k.dirtyPrekeys = k.dirtyPrekeys || prekeys
	k.cardsChanged()
	k.then(func() {
		k.c.net.setLocal(next)
		k.c.net.refurnish(k)
	})
	return nil
}

// MarkRead implements [API].
func (c *Client) MarkRead(ctx context.Context, with identity.PeerID, unread bool) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(with)
		switch {
		case err != nil:
			return err
		case !unread:
			k.markRead(p)
		case p.flow.Unread == 0:
			p.flow.Unread = 1
			p.setFlow(k)
			k.emit(ContactEvent{Contact: p.view()})
		}
		return nil
	})
}

// contactTables are those whose rows belong to one contact, by its number.
var contactTables = []Table{
	TableFlows, TableSessions, TableMessages, TableOutbox, TableWaiting, TableExpiries,
	TableFiles, TableTrees, TablePreviews, TableSegments, TablePictures,
}

// DeleteContact implements [API].
func (c *Client) DeleteContact(ctx context.Context, id identity.PeerID) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(id)
		if err != nil {
			return err
		}
		if !p.self && p.info.Trust != Rejected {
			k.block(p)
		}
		for _, t := range contactTables {
			k.changes = append(k.changes, Change{Kind: Delete, Table: t, Row: Row{Owner: p.num}, Through: 1<<63 - 1})
		}
		k.changes = append(k.changes, Change{Kind: Delete, Table: TableContacts, Row: Row{Seq: p.num}, Through: p.num})
		if i := k.invites[p.info.Invited]; i != nil {
			delete(k.invites, i.num)
			k.changes = append(k.changes, Change{Kind: Delete, Table: TableInvites, Row: Row{Seq: i.num}, Through: i.num})
			k.then(func() { k.c.net.uninvited(i.parsed) })
			k.takeWords(i)
		}
		k.texts++
		delete(k.touched, p)
		delete(k.contacts, id)
		clear(k.inboxes)
		k.then(func() { k.c.net.removed(id) })
		k.emit(RemovalEvent{Contact: id})
		k.emit(WithdrawEvent{Contact: id})
		k.emit(ContactGoneEvent{Contact: id})
		return nil
	})
}

// removed makes a contact that was deleted a stranger.
func (n *network) removed(id identity.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.targets[id]; t != nil {
		t.blocked, t.gone = true, true
	}
}

// DeleteAllHistory implements [API].
func (c *Client) DeleteAllHistory(ctx context.Context) error {
	return c.do(ctx, func(k *core) error {
		for _, p := range k.contacts {
			k.forgetHistory(p)
		}
		return nil
	})
}

// eraseTime bounds what Erase waits for servers.
const eraseTime = 10 * time.Second

// A Destroyer is a [Store] that can remove itself for good. Destroy also closes it.
type Destroyer interface{ Destroy() error }

// Erase implements [API].
func (c *Client) Erase(ctx context.Context) error {
	var inboxes = map[identity.ServerID][][32]byte{}
	err := c.do(ctx, func(k *core) error {
		for _, s := range k.profile.Servers {
			list := [][32]byte{k.profile.KnockInbox.bytes()}
			for _, p := range k.contacts {
				if !p.self {
					inbox, _ := p.mailboxAt(s.Address.ID)
					list = append(list, inbox)
				}
			}
			inboxes[s.Address.ID] = list
		}
		return nil
	})
	if err != nil {
		return err
	}
	atServers, cancel := context.WithTimeout(ctx, eraseTime)
	defer cancel()
	c.net.awaitServers(atServers, eraseTime/2)
	for _, s := range c.net.relays() {
		c.net.mu.Lock()
		cl := s.relay
		c.net.mu.Unlock()
		for _, inbox := range inboxes[s.addr.ID] {
			if cl == nil {
				break
			}
			if err := cl.DeleteInbox(atServers, inbox); err != nil && !errors.Is(err, relay.ErrNoInbox) {
				c.log.Info("an inbox was not deleted", "server", s.addr.HostPort(), "err", err)
				break
			}
		}
	}
	c.net.pool.Register(nil)
	c.net.pool.Registered(atServers)
	// Without the header nobody opens what the disk may still hold.
	if err := c.vault.store.SetHeader(ctx, randomKey()); err != nil {
		return err
	}
	c.destroy.Store(true)
	return c.Close()
}

// maxSuccessor bounds the invite in a successor payload.
const maxSuccessor = 4096

// Introduce implements [API].
func (c *Client) Introduce(ctx context.Context, to identity.PeerID, uri string) error {
	i, err := identity.ParseInvite(uri)
	if err != nil || len(uri) > maxSuccessor {
		return ErrBadInvite
	}
	return c.do(ctx, func(k *core) error {
		p, err := k.writable(to)
		switch {
		case err != nil:
			return err
		case i.Peer == k.local.PeerID() || p.self:
			return ErrOwnInvite
		}
		return k.tell(p, wire.PayloadSuccessor, []byte(uri))
	})
}

// takeSuccessor takes a contact's word that it has another identity. Who stole
// its key could say the same: it is shown, and nothing follows by itself.
func (k *core) takeSuccessor(c *contact, body []byte) {
	i, err := identity.ParseInvite(string(body))
	if err != nil || len(body) > maxSuccessor || i.Peer == c.info.ID || i.Peer == k.local.PeerID() {
		return
	}
	c.info.Successor = newHidden([]byte(i.URI()))
	c.setInfo(k)
	k.emit(ContactEvent{Contact: c.view()})
	k.notify(c, NotifySuccessor, Message{})
}
