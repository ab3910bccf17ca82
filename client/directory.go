package client

import (
	"context"
	"errors"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

// ErrNote is returned for a note that cannot be listed.
var ErrNote = errors.New("client: a note has at most 512 bytes, one line, and no control characters")

// A listState says what stands of us on the public lists (spec §7.10.4).
type listState uint8

const (
	neverListed listState = iota
	isListed
	wasListed // taken off; servers that were not there then are told when they are
)

// SetListed puts the profile's owner, with a note, on the public lists of all its
// rendezvous, or takes it off. It returns how many of the connected ones did so;
// the others follow when they connect. Off means at once: no one of the returned
// number shows the entry any more.
func (c *Client) SetListed(ctx context.Context, listed bool, note string) (done int, err error) {
	if rendezvous.CheckNote(note) != nil {
		return 0, ErrNote
	}
	err = c.do(ctx, func(k *core) error {
		switch {
		case listed:
			k.profile.Listed = isListed
		case k.profile.Listed != neverListed:
			k.profile.Listed = wasListed
		}
		k.profile.ListNote = note
		k.dirtyProfile = true
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, cl := range c.net.connectedRendezvous() {
		if e := c.net.register(ctx, cl); e != nil {
			err = errors.Join(err, e)
			continue
		}
		done++
	}
	if done > 0 {
		err = nil // the others follow
	}
	return done, err
}

// connectedRendezvous returns the connections that stand.
func (n *network) connectedRendezvous() (cs []*rendezvous.Client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if s.rendezvous != nil {
			cs = append(cs, s.rendezvous)
		}
	}
	return cs
}

// list brings a server's public list up to date.
func (n *network) list(ctx context.Context, cl *rendezvous.Client, l *identity.Local, state listState, content rendezvous.Content, note string) error {
	switch state {
	case isListed:
		return cl.List(ctx, n.c.cfg.Now(), l, rendezvous.Listing{Content: content, Note: note}, 0)
	case wasListed:
		return cl.Unlist(ctx, l)
	}
	return nil
}
