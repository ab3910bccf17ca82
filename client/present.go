package client

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

const (
	// maxIntroducing bounds the introductions answered at the same time.
	maxIntroducing = 16
	// foundPause is what a contact that has just come online gets to reach us, as
	// it does, before we reach for it.
	foundPause = 2 * time.Second
)

// newPool makes our connections to all rendezvous of ours: they are registered
// at together, and asked together (spec §7.11.1).
func (n *network) newPool() *rendezvous.Pool {
	return rendezvous.NewPool(rendezvous.PoolConfig{
		Dial: n.dialRendezvous, Now: n.c.cfg.Now, Logger: n.c.log,
		Up: func(a identity.ServerAddr, cl *rendezvous.Client) {
			problem := ""
			if off := cl.ServerTime().Sub(n.c.cfg.Now()).Abs(); off > clockTolerance {
				problem = ErrClock.Error()
			}
			n.c.post(func(k *core) { k.serverUp(a.ID, roleRendezvous, problem) })
			n.hurry(func(s *server) bool { return s.addr.ID == a.ID }) // its relay is there again, too
			n.pokeAll()
		},
		Down: func(a identity.ServerAddr, err error) {
			n.c.post(func(k *core) { k.serverDown(a.ID, roleRendezvous, err) })
		},
	})
}

// dialRendezvous also finds where the server answers STUN.
func (n *network) dialRendezvous(ctx context.Context, a identity.ServerAddr) (*rendezvous.Client, error) {
	cl, err := rendezvous.Dial(ctx, n.ep, a)
	if err != nil {
		return nil, err
	}
	stun := resolve(ctx, a)
	n.mu.Lock()
	if s := n.servers[a.ID]; s != nil {
		s.stun = stun
	}
	n.mu.Unlock()
	return cl, nil
}

// presence is what stands at our rendezvous now.
func (k *core) presence() *rendezvous.Presence {
	p := &rendezvous.Presence{Local: k.local, Lookup: k.profile.Lookup.bytes()}
	p.Content.Record = k.local.Record()
	p.Content.Relays, p.Content.Rendezvous = k.ownServers()
	if len(p.Content.Relays) > 0 {
		p.Content.KnockInbox = k.profile.KnockInbox.bytes()
	}
	switch k.profile.Listed {
	case isListed:
		p.Listing = &rendezvous.Listing{Content: p.Content, Note: k.profile.ListNote, Picture: k.profile.ListPicture}
	case wasListed:
		p.Unlist = true
	}
	return p
}

// present has our records written again. It runs on the core.
func (n *network) present(k *core) { n.pool.Register(k.presence()) }

// answerIntroductions takes the offers that come through our rendezvous. One
// that finds no room is sent again by the other side.
func (n *network) answerIntroductions() {
	slots := make(chan struct{}, maxIntroducing)
	for in := range n.pool.Introductions() {
		select {
		case slots <- struct{}{}:
			n.run(func() {
				defer func() { <-slots }()
				n.introduced(n.ctx, in)
			})
		default:
		}
	}
}

// watchRecords takes what contacts change in their records.
func (n *network) watchRecords() {
	for ch := range n.pool.Changes() {
		n.c.post(func(k *core) { k.found(ch) })
	}
}

// found takes a contact's record from a rendezvous: its identity, and where it is
// to be found, which may be elsewhere than its last card said.
func (k *core) found(ch rendezvous.Change) {
	c := k.contacts[ch.ID]
	if c == nil || c.info.Trust != Trusted || ch.Content == nil || !rendezvous.Newer(ch.Content, c.found) {
		return
	}
	moved := c.found == nil || !slices.Equal(c.found.Rendezvous, ch.Content.Rendezvous)
	c.found = ch.Content
	epoch := c.epoch()
	k.takeRecord(c, ch.Content.Record.Bytes())
	if c.epoch() > epoch && c.sessionLost() {
		// What was asked for, if anything, were prekeys of the computer that it lost.
		c.renewal.next = time.Time{}
		k.askPrekeys(c)
	}
	id := c.info.ID
	if moved && !k.c.net.knowsServers(id, ch.Content.Rendezvous) {
		k.then(func() { k.c.net.contactChanged(k, k.contacts[id]) })
	} else if ch.Online && c.link == nil {
		k.then(func() {
			k.c.net.run(func() {
				k.c.net.sleep(foundPause + rand.N(foundPause))
				k.c.net.poke(id)
			})
		})
	}
}

// knowsServers reports whether a contact is looked for at all of these.
func (n *network) knowsServers(id identity.PeerID, servers []identity.ServerAddr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[id]
	return t != nil && !slices.ContainsFunc(servers, func(a identity.ServerAddr) bool { return !slices.Contains(t.rendezvous, a) })
}

// watch subscribes to a contact's record under the lookup secret that it has now,
// instead of the one before. The network's mutex is held.
func (t *target) watchLocked(n *network, old *target) {
	if old != nil && old.unwatch != nil && old.lookup == t.lookup {
		t.unwatch = old.unwatch
		return
	}
	old.unwatchLocked()
	if t.lookup != [32]byte{} {
		t.unwatch = n.pool.Subscribe(t.id, t.lookup)
	}
}

// unwatchLocked ends it.
func (t *target) unwatchLocked() {
	if t != nil && t.unwatch != nil {
		t.unwatch()
		t.unwatch = nil
	}
}

// resolve returns a server's addresses, for STUN.
func resolve(ctx context.Context, a identity.ServerAddr) (out []netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host)
	if err != nil {
		return nil // then there are no reflexive candidates
	}
	for _, ip := range ips[:min(len(ips), 2)] {
		out = append(out, netip.AddrPortFrom(ip.Unmap(), a.Port))
		if a.Port < 65535 {
			out = append(out, netip.AddrPortFrom(ip.Unmap(), a.Port+1)) // its second STUN port, if it has one
		}
	}
	return out
}

func (n *network) stunServers() (out []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if n.pool.Connection(s.addr.ID) != nil {
			out = append(out, s.stun...)
		}
	}
	return out
}

// observed returns where our rendezvous see us.
func (n *network) observed() (out []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if cl := n.pool.Connection(s.addr.ID); cl != nil && !n.tunnelled(s) {
			if a := cl.Observed(); a.IsValid() {
				out = append(out, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
			}
		}
	}
	return out
}
