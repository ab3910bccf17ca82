package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

// A listState says what stands of us on the public lists (spec §7.10.4).
type listState uint8

const (
	neverListed listState = iota
	isListed
	wasListed // taken off; servers that were not there then are told when they are
)

const (
	// registerTime bounds what SetListing waits for the servers.
	registerTime = 10 * time.Second
	// browseTime bounds a search, and browseIdle is how long its connections wait
	// for the next page.
	browseTime = 10 * time.Second
	browseIdle = time.Minute
)

// Listing implements [API].
func (c *Client) Listing(ctx context.Context) (l Listing, err error) {
	err = c.do(ctx, func(k *core) error {
		l = Listing{Listed: k.profile.Listed == isListed, Note: k.profile.ListNote, Picture: k.profile.ListPicture}
		return nil
	})
	return l, err
}

// SetListing implements [API].
func (c *Client) SetListing(ctx context.Context, l Listing) (servers int, err error) {
	if rendezvous.CheckNote(l.Note) != nil || rendezvous.CheckPicture(l.Picture) != nil {
		return 0, ErrNote
	}
	told := make(chan struct{})
	err = c.do(ctx, func(k *core) error {
		switch {
		case l.Listed:
			k.profile.Listed = isListed
		case k.profile.Listed != neverListed:
			k.profile.Listed = wasListed
		}
		k.profile.ListNote, k.profile.ListPicture = l.Note, l.Picture
		k.dirtyProfile = true
		k.then(func() {
			c.net.present(k)
			close(told)
		})
		return nil
	})
	if err != nil {
		return 0, err
	}
	select {
	case <-told:
	case <-c.ended:
		return 0, ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, registerTime)
	defer cancel()
	if c.net.pool.Ready(ctx) != nil {
		return 0, nil // they learn it when they stand
	}
	return c.net.pool.Registered(ctx), nil
}

// A browser is what searches of public lists go through: connections of nobody,
// from the socket that is not ours to the servers' eyes, for as long as somebody
// turns pages.
type browser struct {
	mu     sync.Mutex
	closed bool
	pool   *rendezvous.Pool // nil while nobody searches
	users  int
	idle   *time.Timer
}

// browse returns the pool, asking these servers; done gives it back.
func (n *network) browse(servers []identity.ServerAddr) (p *rendezvous.Pool, done func(), err error) {
	b := &n.browser
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, nil, ErrClosed
	case b.pool == nil:
		b.pool = rendezvous.NewPool(rendezvous.PoolConfig{
			Dial: func(ctx context.Context, a identity.ServerAddr) (*rendezvous.Client, error) {
				return rendezvous.Dial(ctx, n.anon, a)
			},
			Now: n.c.cfg.Now, Logger: n.c.log,
		})
	}
	if b.idle != nil {
		b.idle.Stop()
	}
	b.users++
	b.pool.Use(servers...)
	return b.pool, b.done, nil
}

func (b *browser) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users--; b.users == 0 && !b.closed {
		b.idle = time.AfterFunc(browseIdle, b.leave)
	}
}

// leave ends the connections if nobody uses them.
func (b *browser) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users == 0 && b.pool != nil {
		b.pool.Close()
		b.pool = nil
	}
}

func (b *browser) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.idle != nil {
		b.idle.Stop()
	}
	if b.pool != nil {
		b.pool.Close()
	}
}

// ask runs f on connections of nobody to our servers.
func (c *Client) ask(ctx context.Context, f func(context.Context, *rendezvous.Pool) error) error {
	var servers []identity.ServerAddr
	err := c.do(ctx, func(k *core) error {
		for _, s := range k.profile.Servers {
			if !s.NoRendezvous {
				servers = append(servers, s.Address)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(servers) == 0 {
		return ErrNoServer
	}
	p, done, err := c.net.browse(servers)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, browseTime)
	defer cancel()
	if err = p.Ready(ctx); err == nil {
		err = f(ctx, p)
	}
	if errors.Is(err, rendezvous.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		return ErrNoServer
	}
	return err
}

// Browse implements [API].
func (c *Client) Browse(ctx context.Context, q BrowseQuery) (out BrowsePage, err error) {
	err = c.ask(ctx, func(ctx context.Context, p *rendezvous.Pool) error {
		page, err := p.BrowsePage(ctx, rendezvous.Search{Name: q.Name, Substring: q.Anywhere, Limit: q.Limit, After: q.After})
		out.Next = page.Next
		for _, x := range page.People {
			out.People = append(out.People, ListedPerson{
				ID: x.Record.Identity, Name: x.Record.Name, Note: x.Note, Picture: x.Picture,
				Online: x.Online, Seen: x.Seen.UTC(), Suspect: x.Suspect,
			})
		}
		return err
	})
	return out, err
}

// Announced implements [API].
func (c *Client) Announced(ctx context.Context) (out []AnnouncedServer, err error) {
	used := map[identity.ServerID]bool{}
	if err := c.do(ctx, func(k *core) error {
		for _, s := range k.profile.Servers {
			used[s.Address.ID] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	err = c.ask(ctx, func(ctx context.Context, p *rendezvous.Pool) error {
		all, err := p.Announced(ctx)
		for _, a := range all {
			out = append(out, AnnouncedServer{Address: a.Server, Expires: a.Expires.UTC(), Used: used[a.Server.ID]})
		}
		return err
	})
	return out, err
}

// Discover implements [API].
func (c *Client) Discover(ctx context.Context, from string) (out []identity.ServerAddr, err error) {
	found := slices.Clone(rendezvous.BuiltIn())
	if i, notInvite := identity.ParseInvite(from); notInvite == nil {
		found = append(append(found, i.Rendezvous...), i.Relays...)
	} else if from != "" {
		ctx, cancel := context.WithTimeout(ctx, browseTime)
		defer cancel()
		var named []identity.ServerAddr
		named, err = rendezvous.Bootstrap(ctx, c.cfg.Resolver, from)
		found = append(found, named...)
	}
	for _, a := range found {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, err
}
