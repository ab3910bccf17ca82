package rendezvous

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
)

const (
	// lookupGrace is how long the answers of other servers are waited for after
	// the first valid one: a newer record may be among them.
	lookupGrace = 300 * time.Millisecond
	browseGrace = 2 * time.Second
	// browseDialTime is how long a dead server may hold up a single search.
	browseDialTime = 5 * time.Second
	maxPages       = 200 // of one search, so that no server makes us turn pages for ever
	maxCacheTTL    = time.Hour
	maxCached      = 4096
	// maxPoolSubscriptions is what a server takes of one connection; the others
	// are looked up.
	maxPoolSubscriptions = 512
)

// cached is what is known of a subject.
type cached struct {
	found Change
	until time.Time // for how long it may be used; it is compared with for longer
}

// Newer reports whether a is a newer record of one identity than b: by what the
// identity signed, then by when. Nothing is older than anything.
func Newer(a, b *Content) bool {
	if a == nil || b == nil {
		return a != nil
	}
	return cmp.Or(cmp.Compare(a.Record.Epoch, b.Record.Epoch), cmp.Compare(a.Record.Version, b.Record.Version), a.Issued.Compare(b.Issued)) > 0
}

// connected returns the connections that stand.
func (p *Pool) connected() (cs []*Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.servers {
		if s.client != nil {
			cs = append(cs, s.client)
		}
	}
	return cs
}

// Lookup returns what id tells those who know its lookup secret: what was found
// before, while it lives, or what all servers together answer now. Online is as
// of then. The errors are those of [Client.Lookup]; ErrClosed means that no
// server is connected.
func (p *Pool) Lookup(ctx context.Context, id identity.PeerID, lookup [32]byte) (Change, error) {
	p.mu.Lock()
	c, ok := p.cache[subject{id, lookup}]
	p.mu.Unlock()
	if ok && p.c.Now().Before(c.until) {
		return c.found, nil
	}
	return p.LookupNow(ctx, id, lookup)
}

// LookupNow is [Pool.Lookup] past the cache.
func (p *Pool) LookupNow(ctx context.Context, id identity.PeerID, lookup [32]byte) (Change, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		found Change
		err   error
	}
	cs := p.connected()
	answers := make(chan answer, len(cs))
	for _, c := range cs {
		go func() { // ends with ctx at the latest; the channel has room
			found, err := c.find(ctx, p.c.Now(), id, lookup)
			answers <- answer{found, err}
		}()
	}
	var best Change
	err := ErrClosed
	var grace <-chan time.Time
wait:
	for range cs {
		select {
		case a := <-answers:
			switch {
			case a.err == nil:
				online := best.Online || a.found.Online
				if Newer(a.found.Content, best.Content) {
					best = a.found
				}
				best.Online = online
				if grace == nil {
					grace = time.After(lookupGrace)
				}
			case errors.Is(a.err, ErrNotFound), errors.Is(err, ErrClosed):
				err = a.err // an answer counts more than none
			}
		case <-grace:
			break wait
		case <-ctx.Done():
			if best.Content == nil {
				return Change{}, ctx.Err()
			}
			break wait
		}
	}
	if best.Content == nil {
		return Change{}, err
	}
	return p.remember(subject{id, lookup}, best)
}

// remember puts what was found into the cache. What is older than what was seen
// before was held back by a server: it is as good as not found.
func (p *Pool) remember(s subject, found Change) (Change, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.c.Now()
	old, ok := p.cache[s]
	if ok && Newer(old.found.Content, found.Content) {
		if now.Before(old.until) {
			old.found.Online = found.Online
			return old.found, nil
		}
		return Change{}, ErrNotFound
	}
	if !ok && len(p.cache) >= maxCached {
		for k := range p.cache { // in Go's order, which is none
			delete(p.cache, k)
			break
		}
	}
	p.cache[s] = cached{found, now.Add(min(found.TTL, maxCacheTTL))}
	return found, nil
}

// Subscribe makes changes of id's record come through [Pool.Changes], from all
// servers, and keeps what Lookup returns up to date. stop ends it.
func (p *Pool) Subscribe(id identity.PeerID, lookup [32]byte) (stop func()) {
	s := subject{id, lookup}
	add := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.subs[s] += n; p.subs[s] <= 0 {
			delete(p.subs, s)
		}
		for _, server := range p.servers {
			notify(server.wake)
		}
	}
	add(1)
	return func() { add(-1) }
}

// Changes returns the changes of what was subscribed to, each once. Those that
// nobody takes are dropped, the oldest first. It is closed by Close.
func (p *Pool) Changes() <-chan Change { return p.changes }

// subscribeAll brings a connection's subscriptions up to date. ErrBusy: not all,
// try again later.
func (p *Pool) subscribeAll(ctx context.Context, now time.Time, have *standing, want []subject) error {
	c := have.client
	today := c.period(now)
	if have.subs == nil {
		have.period, have.subs = today, make(map[identity.PeerID]subject)
	}
	for id, s := range have.subs {
		if have.period != today || !slices.Contains(want, s) {
			if err := c.Unsubscribe(ctx, id, s.lookup); err != nil {
				return err
			}
			delete(have.subs, id)
		}
	}
	have.period = today
	for _, s := range want {
		if _, ok := have.subs[s.id]; ok || len(have.subs) >= maxPoolSubscriptions {
			continue
		}
		found, err := c.Subscribe(ctx, now, s.id, s.lookup)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		default:
			p.changed(found, s)
		}
		have.subs[s.id] = s
	}
	return nil
}

// changed passes a change on if it is news. One server's word that a record is
// gone is none: it may be at others, and what is gone is found out by a lookup.
func (p *Pool) changed(ch Change, s subject) {
	p.mu.Lock()
	old, ok := p.cache[s]
	news := ch.Content != nil && (!ok || Newer(ch.Content, old.found.Content))
	if ch.Content == nil && ok {
		old.until = time.Time{} // ask again
		p.cache[s] = old
	}
	p.mu.Unlock()
	if !news {
		return
	}
	if _, err := p.remember(s, ch); err != nil {
		return
	}
	for {
		select {
		case p.changes <- ch:
			return
		default:
		}
		select {
		case <-p.changes:
		default:
		}
	}
}

// Browse returns up to limit people of the public lists of all servers, sorted by
// folded name; of one person the newest entry.
func (p *Pool) Browse(ctx context.Context, s Search, limit int) ([]Person, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		people []Person
		err    error
	}
	cs := p.connected()
	results := make(chan result, len(cs))
	for _, c := range cs {
		go func() {
			var r result
			r.people, r.err = c.browseAll(ctx, p.c.Now(), s, limit)
			results <- r
		}()
	}
	best := map[identity.PeerID]Person{}
	err := ErrClosed
	answered := false
	var grace <-chan time.Time
wait:
	for range cs {
		select {
		case r := <-results:
			if r.err != nil {
				err = r.err
			} else if !answered {
				answered, grace = true, time.After(browseGrace)
			}
			for _, x := range r.people {
				addPerson(best, x)
			}
		case <-grace:
			break wait
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !answered && len(best) == 0 {
		return nil, err
	}
	return sortPeople(best, limit), nil
}

func sortPeople(best map[identity.PeerID]Person, limit int) (out []Person) {
	for _, x := range best {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Person) int {
		return comparePositions(positionOf(a), positionOf(b))
	})
	if len(out) > limit {
		out = out[:limit]
	}
	markSuspects(out)
	return out
}

// browseAll turns pages until there are limit people.
func (c *Client) browseAll(ctx context.Context, now time.Time, s Search, limit int) (out []Person, err error) {
	s.Limit = min(limit, MaxPage)
	for range maxPages {
		page, err := c.Browse(ctx, now, s)
		if err != nil {
			return out, err
		}
		out = append(out, page.People...)
		if page.Next == nil || len(out) >= limit {
			break
		}
		s.After = page.Next
	}
	return out, nil
}

// BrowseServers is [Pool.Browse] without a pool: each server is dialled for this
// one search.
func BrowseServers(ctx context.Context, dial func(context.Context, identity.ServerAddr) (*Client, error), servers []identity.ServerAddr, s Search, limit int, now time.Time) ([]Person, error) {
	p := NewPool(PoolConfig{Dial: dial, Now: func() time.Time { return now }})
	defer p.Close()
	var wg sync.WaitGroup
	errs := make([]error, len(servers))
	p.mu.Lock()
	for i, a := range servers {
		x := &poolServer{addr: a, cancel: func() {}, wake: make(chan struct{}, 1)}
		p.servers[a.ID] = x
		wg.Go(func() {
			dialling, stop := context.WithTimeout(ctx, browseDialTime)
			defer stop()
			c, err := dial(dialling, a)
			errs[i] = err
			if err != nil {
				return
			}
			p.mu.Lock()
			x.client = c
			p.mu.Unlock()
		})
	}
	p.mu.Unlock()
	wg.Wait()
	defer func() {
		for _, c := range p.connected() {
			c.Close()
		}
	}()
	people, err := p.Browse(ctx, s, limit)
	if errors.Is(err, ErrClosed) {
		err = errors.Join(errs...)
	}
	return people, err
}

// Announced returns what servers those of the pool announce, the newest word of
// each, by name. It is there to be shown.
func (p *Pool) Announced(ctx context.Context) (out []Announcement, err error) {
	ctx, cancel := context.WithTimeout(ctx, browseGrace)
	defer cancel()
	cs := p.connected()
	results := make(chan []Announcement, len(cs))
	errs := make([]error, len(cs))
	for i, c := range cs {
		go func() { // ends with ctx at the latest
			var as []Announcement
			as, errs[i] = c.Servers(ctx, p.c.Now())
			results <- as
		}()
	}
	best := map[identity.ServerID]Announcement{}
	for range cs {
		for _, a := range <-results {
			if old, ok := best[a.Server.ID]; !ok || a.Issued.After(old.Issued) {
				best[a.Server.ID] = a
			}
		}
	}
	for _, a := range best {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Announcement) int {
		return cmp.Or(cmp.Compare(a.Server.Host, b.Server.Host), cmp.Compare(a.Server.Port, b.Server.Port), slices.Compare(a.Server.ID[:], b.Server.ID[:]))
	})
	switch {
	case len(cs) == 0:
		err = ErrClosed
	case len(out) == 0:
		err = errors.Join(errs...)
	}
	return out, err
}
