package client

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Limits of invites.
const (
	defaultInviteTTL = 7 * 24 * time.Hour
	maxInviteTTL     = 30 * 24 * time.Hour
	maxInvites       = 1000 // open at the same time
	// inviteGrace is how long a bound invite still answers retries of the one
	// who used it.
	inviteGrace = 30 * 24 * time.Hour
)

// An invite is one of ours. It is one sealed row.
type invite struct {
	num    int64
	parsed identity.Invite

	URI   hidden          `json:"uri"`
	Bound identity.PeerID `json:"bound,omitzero"` // who used it; zero if nobody did
	Ask   bool            `json:"ask,omitempty"`  // who uses it is a request
	// Nearby: it is announced on the local network while nobody has used it.
	Nearby bool   `json:"nearby,omitempty"`
	Words  hidden `json:"words,omitzero"` // its 8 words, if it lies with relays
}

func (i *invite) parse() (err error) {
	if i.parsed, err = identity.ParseInvite(string(i.URI.bytes())); err != nil {
		return fmt.Errorf("%w (invite %d: %w)", ErrDamaged, i.num, err)
	}
	return nil
}

// open reports whether peer may use the invite now.
func (i *invite) open(peer identity.PeerID, now time.Time) bool {
	if i.Bound.IsZero() {
		return now.Before(i.parsed.Expires)
	}
	return i.Bound == peer && now.Before(i.parsed.Expires.Add(inviteGrace))
}

// live reports whether the invite is of any use still.
func (i *invite) live(now time.Time) bool { return i.open(i.Bound, now) }

// inviteByToken returns the invite of a knock token.
func (k *core) inviteByToken(token [32]byte) *invite {
	for _, i := range k.invites {
		if i.parsed.Knock() == token {
			return i
		}
	}
	return nil
}

// Invite implements [API].
func (c *Client) Invite(ctx context.Context, o InviteOptions) (Invite, error) {
	ttl := o.TTL
	if ttl <= 0 {
		ttl = defaultInviteTTL
	}
	ttl = min(ttl, maxInviteTTL)
	addrs := c.net.inviteAddrs(ctx)
	code := identity.NewInviteCode()
	var out Invite
	var made identity.Invite
	err := c.do(ctx, func(k *core) error {
		k.dropInvites()
		if len(k.invites) >= maxInvites {
			return ErrTooManyInvites
		}
		k.profile.LastInvite++
		k.dirtyProfile = true
		made = k.newInvite(addrs, k.now().Add(ttl))
		i := &invite{num: k.profile.LastInvite, parsed: made, URI: newHidden([]byte(made.URI())), Ask: o.Ask}
		if o.Words {
			i.Words = newHidden([]byte(code.Words()))
		}
		k.invites[i.num] = i
		k.changes = append(k.changes, k.v.putJSON(TableInvites, 0, i.num, i))
		out = Invite{URI: made.URI(), Expires: made.Expires}
		if o.Words {
			out.Words = code.Words()
		}
		k.then(func() { c.net.invited(made) })
		return nil
	})
	if err != nil {
		return Invite{}, err
	}
	// The relay should know the invite before its URI is handed on; if it is not
	// there now, it is told when it is.
	c.net.announce(ctx, made)
	if o.Words {
		if err := c.net.leaveInvite(ctx, code, made); err != nil {
			return Invite{}, err
		}
	}
	return out, nil
}

func (k *core) newInvite(addrs []netip.AddrPort, expires time.Time) identity.Invite {
	i := identity.Invite{
		Peer: k.local.PeerID(), Name: k.local.Record().Name, Secret: identity.NewInviteSecret(),
		Lookup: k.profile.Lookup.bytes(), Expires: expires.Truncate(time.Second), Addrs: addrs,
	}
	i.Addrs = i.Addrs[:min(len(i.Addrs), wire.MaxInviteAddrs)]
	i.Relays, i.Rendezvous = k.ownServers()
	if len(i.Relays) > 0 {
		i.KnockInbox = k.profile.KnockInbox.bytes()
	}
	return i
}

// ownServers returns the servers to tell others, of each kind.
func (k *core) ownServers() (relays, rendezvous []identity.ServerAddr) {
	for _, s := range k.profile.Servers {
		if !s.Left.IsZero() {
			continue
		}
		if !s.NoRelay && len(relays) < wire.MaxInviteServers {
			relays = append(relays, s.Address)
		}
		if !s.NoRendezvous && len(rendezvous) < wire.MaxInviteServers {
			rendezvous = append(rendezvous, s.Address)
		}
	}
	return relays, rendezvous
}

// dropInvites deletes those of no more use.
func (k *core) dropInvites() {
	for n, i := range k.invites {
		if !i.live(k.now()) {
			delete(k.invites, n)
			k.then(func() { k.c.net.uninvited(i.parsed) })
			k.takeWords(i)
			k.changes = append(k.changes, Change{Kind: Delete, Table: TableInvites, Row: Row{Seq: n}, Through: n})
		}
	}
}

// Add implements [API].
func (c *Client) Add(ctx context.Context, uri, nick string) (Contact, error) {
	if code, err := identity.ParseInviteCode(uri); err == nil {
		if uri, err = c.net.findInvite(ctx, code); err != nil {
			return Contact{}, err
		}
	}
	i, err := identity.ParseInvite(uri)
	if err != nil {
		return Contact{}, ErrBadInvite
	}
	if nick != "" && identity.CheckName(nick) != nil {
		return Contact{}, ErrBadName
	}
	var out Contact
	err = c.do(ctx, func(k *core) error {
		switch {
		case i.Peer == k.local.PeerID():
			return ErrOwnInvite
		case !k.now().Before(i.Expires):
			return ErrInviteExpired
		}
		p := k.contacts[i.Peer]
		if p != nil && p.session != nil {
			// Known already: only the nick is new, or that we want it.
			if p.info.Trust != Trusted {
				p.info.Trust = Trusted
				p.setInfo(k)
				if err := k.accept(p); err != nil {
					return err
				}
			}
			if nick != "" {
				p.info.Nick = nick
				p.setInfo(k)
			}
			out = p.view()
			return nil
		}
		isNew := p == nil
		if isNew {
			p = k.newContact(i.Peer, i.Name)
		}
		p.info.Joined, p.info.PSK = newHidden([]byte(i.URI())), newSecret(i.PSK())
		if nick != "" {
			p.info.Nick = nick
		}
		p.setInfo(k)
		if isNew {
			if err := k.sendCard(p); err != nil {
				return err
			}
		}
		out = p.view()
		k.emit(ContactEvent{Contact: out})
		id := i.Peer
		k.then(func() { c.net.contactChanged(k, k.contacts[id]) })
		return nil
	})
	if err != nil {
		return Contact{}, err
	}
	return out, nil
}

// joined returns the invite by which we became the contact's, until its card is
// here.
func (c *contact) joined() (identity.Invite, bool) {
	uri := c.info.Joined.bytes()
	if len(uri) == 0 || c.card != nil {
		return identity.Invite{}, false
	}
	i, err := identity.ParseInvite(string(uri))
	return i, err == nil
}
