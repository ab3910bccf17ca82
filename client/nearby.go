package client

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/lan"
)

// Tuning of the local network.
const (
	nearbyWait = time.Second // for answers of those who announce themselves
	// foundInterval lies between two attempts because of announcements.
	foundInterval = 500 * time.Millisecond
	// maxNeighbours bounds those that are shown.
	maxNeighbours = 64
	// An open invite that nobody used is announced for nearbyTTL, and replaced
	// when half of that is over; at most nearbyInvites are made in an hour, for
	// each is one request by anybody.
	nearbyTTL     = 2 * time.Hour
	nearbyInvites = 20
)

// Nearby is the part of [API] about people on the same network.
type Nearby interface {
	// Neighbours asks who announces itself on the local network, and waits for a
	// second. [API.Add] with a neighbour's invite sends it a request.
	Neighbours(ctx context.Context) ([]Neighbour, error)
	// SetVisible announces our name and an invite to everybody on the local
	// network from now on, or no longer. Who uses the invite is a request.
	SetVisible(ctx context.Context, on bool) error
	// Visible reports what SetVisible said.
	Visible(ctx context.Context) (bool, error)
}

// A Neighbour announces itself on the local network. Nothing of it is proven.
type Neighbour struct {
	ID        identity.PeerID `json:"id"`
	Name      string          `json:"name"`
	Invite    string          `json:"invite"`    // for [API.Add], good on this network only
	Interface string          `json:"interface"` // of ours
	Contact   bool            `json:"contact"`   // somebody with this id is one already
	Seen      time.Time       `json:"seen"`
}

// nearby is what the network knows of the local one. network.mu guards it.
type nearby struct {
	service    *lan.Service                  // nil: not looked at
	neighbours map[identity.PeerID]Neighbour // by what they say
	invite     string                        // ours to announce; empty: invisible
}

// startLAN begins to find contacts on the local network, if that is wanted.
func (n *network) startLAN() {
	if !n.c.cfg.LAN || !n.c.settings.Load().Network.LAN {
		return
	}
	a := n.ep.LocalAddr()
	s, err := lan.Start(lan.Config{Port: a.Port(), Local: a.Addr(), Announce: n.announcements, Found: n.foundNear, Logger: n.c.log})
	if err != nil {
		n.c.log.Info("the local network is not looked at", "err", err)
		return
	}
	n.mu.Lock()
	n.near.service = s
	n.mu.Unlock()
	s.Update() // what came in between
	n.c.post(func(k *core) { k.offerNearby() })
}

func (n *network) lan() *lan.Service {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.near.service
}

func (n *network) stopLAN() {
	if s := n.lan(); s != nil {
		s.Close()
	}
}

// announcements returns what we say where we have these addresses: sealed, for
// contacts and who has an invite of ours; and, if that is wanted, who we are.
// It runs on the service's goroutine.
func (n *network) announcements(addrs []netip.AddrPort) (out []lan.Announcement) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var keys []lan.TagKey
	for _, t := range n.targets {
		if !t.blocked && !t.relayOnly {
			keys = append(keys, lan.NewTagKey(t.ownHello.bytes()))
		}
	}
	for _, i := range n.invites {
		keys = append(keys, lan.NewTagKey(i.invite.HelloKey()))
	}
	for _, b := range lan.Seal(n.c.cfg.Now(), keys, addrs) {
		out = append(out, lan.Announcement{Kind: lan.Sealed, Body: b})
	}
	if n.near.invite != "" {
		out = append(out, lan.Announcement{Kind: lan.Open, Body: []byte(n.near.invite)})
	}
	return out
}

// foundNear takes what others say. It runs on the service's goroutine.
func (n *network) foundNear(f lan.Found) {
	if f.Kind == lan.Open {
		n.neighbour(f)
		return
	}
	b, ok := lan.ParseSealed(n.c.cfg.Now(), f.Body, f.Addrs)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.targets {
		if t.blocked || t.relayOnly || t.hello.isZero() || !b.Means(lan.NewTagKey(t.hello.bytes())) {
			continue
		}
		if f.Gone {
			if slices.Equal(t.near, f.Near) {
				t.near = nil
			}
			continue
		}
		fresh := !slices.Equal(t.near, f.Near)
		t.near = f.Near
		if t.linked || !fresh {
			continue
		}
		t.found = true
		if t.offering && t.cancel != nil && len(t.rendezvous) == 0 {
			t.cancel() // it asks at addresses that are no longer true
		}
		notify(t.wake)
	}
}

// foundNow reports, once, whether a contact was found on the local network since
// the last attempt.
func (n *network) foundNow(id identity.PeerID) (found bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.targets[id]; t != nil {
		found, t.found = t.found, false
	}
	return found
}

// neighbour takes an open announcement. Of the invite in it counts who made it;
// addresses and servers do not, so that nobody sends us elsewhere.
func (n *network) neighbour(f lan.Found) {
	i, err := identity.ParseInvite(string(f.Body))
	now := n.c.cfg.Now()
	if err != nil || i.Peer == n.local.Load().PeerID() || !now.Before(i.Expires) {
		return
	}
	i.Addrs, i.Relays, i.Rendezvous, i.KnockInbox, i.Lookup = f.Near, nil, nil, [32]byte{}, [32]byte{}
	if i.Check() != nil {
		return
	}
	x := Neighbour{ID: i.Peer, Name: i.Name, Invite: i.URI(), Interface: f.Interface, Seen: now}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.near.neighbours == nil {
		n.near.neighbours = map[identity.PeerID]Neighbour{}
	}
	old, known := n.near.neighbours[x.ID]
	switch {
	case f.Gone:
		if known && old.Invite == x.Invite {
			delete(n.near.neighbours, x.ID)
		}
	case known || len(n.near.neighbours) < maxNeighbours:
		n.near.neighbours[x.ID] = x
	}
}

// updateLAN announces anew, after contacts or invites have changed.
func (n *network) updateLAN() {
	if s := n.lan(); s != nil {
		n.run(s.Update)
	}
}

// Neighbours implements [API].
func (c *Client) Neighbours(ctx context.Context) ([]Neighbour, error) {
	s := c.net.lan()
	if s == nil {
		return nil, ErrNoLAN
	}
	s.Query(nearbyWait)
	select {
	case <-time.After(nearbyWait + nearbyWait/4):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := []Neighbour{}
	c.net.mu.Lock()
	for _, x := range c.net.near.neighbours {
		out = append(out, x)
	}
	c.net.mu.Unlock()
	err := c.do(ctx, func(k *core) error {
		for i := range out {
			_, out[i].Contact = k.contacts[out[i].ID]
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Neighbour) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.ID.Compare(b.ID)) })
	return out, err
}

// Visible implements [API].
func (c *Client) Visible(ctx context.Context) (on bool, err error) {
	err = c.do(ctx, func(k *core) error {
		on = k.profile.Visible
		return nil
	})
	return on, err
}

// SetVisible implements [API].
func (c *Client) SetVisible(ctx context.Context, on bool) error {
	if c.net.lan() == nil && on {
		return ErrNoLAN
	}
	return c.do(ctx, func(k *core) error {
		k.profile.Visible, k.dirtyProfile = on, true
		k.offerNearby()
		return nil
	})
}

// offerNearby announces an open invite, if we are visible, and makes another
// when it was used or is about to expire; else it takes back what is announced.
func (k *core) offerNearby() {
	network := k.c.net
	var fresh *invite
	for num, i := range k.invites {
		switch {
		case !i.Nearby || !i.Bound.IsZero():
		case !k.profile.Visible || i.parsed.Expires.Sub(k.now()) < nearbyTTL/2:
			delete(k.invites, num)
			k.changes = append(k.changes, Change{Kind: Delete, Table: TableInvites, Row: Row{Seq: num}, Through: num})
			k.then(func() { network.uninvited(i.parsed) })
		default:
			fresh = i
		}
	}
	if k.profile.Visible && fresh == nil && network.lan() != nil && k.mayOfferNearby() {
		fresh = k.newNearby()
	}
	uri := ""
	if fresh != nil {
		uri = string(fresh.URI.bytes())
	}
	k.then(func() {
		network.mu.Lock()
		changed := network.near.invite != uri
		network.near.invite = uri
		network.mu.Unlock()
		if changed {
			network.updateLAN()
		}
	})
}

// newNearby makes an invite that tells nobody our servers: it is good where it
// is announced.
func (k *core) newNearby() *invite {
	k.profile.LastInvite++
	k.dirtyProfile = true
	made := identity.Invite{
		Peer: k.local.PeerID(), Name: k.local.Record().Name, Secret: identity.NewInviteSecret(),
		Expires: k.now().Add(nearbyTTL).Truncate(time.Second),
	}
	i := &invite{num: k.profile.LastInvite, parsed: made, URI: newHidden([]byte(made.URI())), Ask: true, Nearby: true}
	k.invites[i.num] = i
	k.changes = append(k.changes, k.v.putJSON(TableInvites, 0, i.num, i))
	k.nearbyMade = append(k.nearbyMade, k.now())
	k.then(func() { k.c.net.invited(made) })
	return i
}

// mayOfferNearby bounds the requests that strangers of the local network can make.
func (k *core) mayOfferNearby() bool {
	k.nearbyMade = slices.DeleteFunc(k.nearbyMade, func(t time.Time) bool { return k.now().Sub(t).Abs() > time.Hour })
	return len(k.nearbyMade) < nearbyInvites && len(k.invites) < maxInvites
}

// textLocal ends the reason of a direct path that leaves no local network.
const textLocal = ", on the local network"

// onLocalNetwork reports whether an address is of a network that an interface of
// this machine is on.
func onLocalNetwork(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil || a.IsLoopback() {
		return false
	}
	for _, x := range addrs {
		n, ok := x.(*net.IPNet)
		if !ok {
			continue
		}
		if p, ok := netip.AddrFromSlice(n.IP); ok {
			bits, _ := n.Mask.Size()
			if p = p.Unmap(); netip.PrefixFrom(p, bits).Masked().Contains(a.Unmap()) && bits > 0 {
				return true
			}
		}
	}
	return false
}
