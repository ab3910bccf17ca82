package client

import (
	"context"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
)

// forget ends the search for a contact that was blocked, its offers' effect and
// its inboxes. What is left of it here only waits to be unblocked.
func (n *network) forget(k *core, c *contact) {
	n.mu.Lock()
	t := n.targets[c.info.ID]
	if t != nil {
		t.blocked = true
		t.unwatchLocked()
		if t.offering {
			t.cancel()
		}
	}
	delete(n.expected, c.info.ID)
	n.mu.Unlock()
	n.updateLAN() // what it could know us by is taken back
	for _, s := range k.profile.Servers {
		inbox, _ := c.mailboxAt(s.Address.ID)
		n.atRelay(s.Address.ID, "inbox not deleted", func(ctx context.Context, cl *relay.Client) error {
			return cl.DeleteInbox(ctx, inbox)
		})
	}
}

// refurnish gives all relays that stand what they should have of ours now, and
// has the rendezvous records written again.
func (n *network) refurnish(k *core) {
	for _, s := range n.relays() {
		n.atRelay(s.addr.ID, "relay not furnished", func(ctx context.Context, cl *relay.Client) error {
			return n.furnish(ctx, s, cl)
		})
	}
	n.present(k)
}

// atRelay does something at a relay that stands; one that does not is furnished
// when it does.
func (n *network) atRelay(id identity.ServerID, otherwise string, f func(context.Context, *relay.Client) error) {
	n.mu.Lock()
	s := n.servers[id]
	stands := s != nil && s.relay != nil
	n.mu.Unlock()
	if !stands {
		return
	}
	select {
	case s.work <- func(ctx context.Context, cl *relay.Client) {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		if err := f(ctx, cl); err != nil {
			n.c.log.Info(otherwise, "server", s.addr.HostPort(), "err", err)
		}
	}:
	default: // done with the next maintenance
	}
}
