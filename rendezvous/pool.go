package rendezvous

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
)

// Tuning of a [Pool].
const (
	poolDialTime = 10 * time.Second
	poolRetryMin = 2 * time.Second
	poolRetryMax = 30 * time.Second
	// poolReturn spreads the return of everybody after a server's restart.
	poolReturn = 15 * time.Second
	// poolRefresh is how often records are signed anew: well before tomorrow's
	// name, which was registered with today's, is the only one left.
	poolRefresh = 6 * time.Hour
	poolQueue   = 64
)

// A PoolConfig configures a [Pool]. Dial is required.
type PoolConfig struct {
	Dial   func(context.Context, identity.ServerAddr) (*Client, error)
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: none
}

// A Pool is a person's connections to several rendezvous at once: what is
// registered stands at all of them, lookups ask all of them, and the first valid
// and newest answer counts. One that is dead, or lies, is not noticed. Its
// methods may be used concurrently.
type Pool struct {
	c       PoolConfig
	intros  chan Introduction
	changes chan Change
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	servers map[identity.ServerID]*poolServer
	own     *Presence
	subs    map[subject]int // how many want it
	cache   map[subject]cached
}

// A Presence is what stands at every server of a pool.
type Presence struct {
	Local   *identity.Local
	Lookup  [32]byte
	Content Content
	Listing *Listing      // nil: unlisted
	TTL     time.Duration // 0: the longest
}

// A subject is whom a lookup is about.
type subject struct {
	id     identity.PeerID
	lookup [32]byte
}

// A poolServer is one server of a pool.
type poolServer struct {
	addr   identity.ServerAddr
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1: what should stand there has changed

	// Guarded by the pool's mutex.
	client  *Client // nil while there is no connection
	problem error   // why there is none
}

// A PoolStatus says how one server of a pool is doing.
type PoolStatus struct {
	Server    identity.ServerAddr
	Connected bool
	Err       error // why it is not connected, if it was tried
}

// NewPool returns a pool without servers. It must be closed.
func NewPool(c PoolConfig) *Pool {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		c: c, intros: make(chan Introduction, poolQueue), changes: make(chan Change, poolQueue),
		servers: make(map[identity.ServerID]*poolServer), subs: make(map[subject]int), cache: make(map[subject]cached),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close ends all connections and waits for their goroutines.
func (p *Pool) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
	if !closed {
		close(p.intros)
		close(p.changes)
	}
	return nil
}

// Use makes addrs the servers of the pool: others are left.
func (p *Pool) Use(addrs ...identity.ServerAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for id, s := range p.servers {
		if !slices.Contains(addrs, s.addr) {
			s.cancel()
			delete(p.servers, id)
		}
	}
	for _, a := range addrs {
		if p.servers[a.ID] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(p.ctx)
		s := &poolServer{addr: a, cancel: cancel, wake: make(chan struct{}, 1)}
		p.servers[a.ID] = s
		p.wg.Go(func() { p.keep(ctx, s) })
	}
}

// Status returns the servers, in no order.
func (p *Pool) Status() (out []PoolStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.servers {
		out = append(out, PoolStatus{s.addr, s.client != nil, s.problem})
	}
	return out
}

// Introductions returns offers to us from all servers. The same offer may come
// through several. It is closed by Close.
func (p *Pool) Introductions() <-chan Introduction { return p.intros }

// Register makes x stand at every server, now and for as long as the pool does,
// in place of what was registered before; nil removes it. It does not wait.
func (p *Pool) Register(x *Presence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = x
	for _, s := range p.servers {
		notify(s.wake)
	}
}

// keep holds a connection to one server.
func (p *Pool) keep(ctx context.Context, s *poolServer) {
	wait := poolRetryMin
	for ctx.Err() == nil {
		stood, err := p.session(ctx, s)
		p.mu.Lock()
		s.client, s.problem = nil, err
		p.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		p.c.Logger.Debug("rendezvous session ended", "server", s.addr.HostPort(), "err", err)
		pause := wait/2 + rand.N(wait)
		wait = min(2*wait, poolRetryMax)
		if stood {
			pause, wait = rand.N(poolReturn), poolRetryMin
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// session is one connection. stood reports that it came about.
func (p *Pool) session(ctx context.Context, s *poolServer) (stood bool, err error) {
	dial, cancel := context.WithTimeout(ctx, poolDialTime)
	c, err := p.c.Dial(dial, s.addr)
	cancel()
	if err != nil {
		return false, err
	}
	defer c.Close()
	have := standing{client: c}
	next, err := p.apply(ctx, &have)
	if err != nil {
		return true, err
	}
	p.mu.Lock()
	s.client, s.problem = c, nil
	p.mu.Unlock()
	timer := time.NewTimer(next)
	defer timer.Stop()
	changes := c.Changes()
	intros := c.Introductions()
	for {
		select {
		case <-timer.C:
			if next, err = p.apply(ctx, &have); err != nil {
				return true, err
			}
			timer.Reset(next)
		case <-s.wake:
			if next, err = p.apply(ctx, &have); err != nil {
				return true, err
			}
			timer.Reset(next)
		case in, ok := <-intros:
			if !ok {
				intros = nil
				continue
			}
			select {
			case p.intros <- in:
			default: // the application does not keep up; the offerer tries again
			}
		case ch, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			p.changed(ch, have.subs[ch.ID])
		case <-c.Done():
			return true, c.Err()
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

// standing is what one connection has been told.
type standing struct {
	client *Client
	own    *Presence
	signed time.Time // when own was registered
	period uint64    // of the subscriptions
	subs   map[identity.PeerID]subject
}

// apply brings a server up to date with what the pool wants there, and returns
// when to look again.
func (p *Pool) apply(ctx context.Context, have *standing) (next time.Duration, err error) {
	now := p.c.Now()
	p.mu.Lock()
	own := p.own
	var want []subject
	for s := range p.subs {
		want = append(want, s)
	}
	p.mu.Unlock()
	next = poolRefresh
	if have.own != nil && have.own != own {
		if err := p.withdraw(ctx, now, have, own); err != nil {
			return 0, err
		}
	}
	if own != nil {
		ttl, err := p.present(ctx, now, have, own)
		if err != nil {
			return 0, err
		}
		// Before half of the lifetime is over, and not with everybody else.
		next = min(next, ttl/4+rand.N(ttl/4+1))
	}
	return next, p.subscribeAll(ctx, now, have, want)
}

// withdraw removes what is not to stand any more.
func (p *Pool) withdraw(ctx context.Context, now time.Time, have *standing, own *Presence) error {
	old := have.own
	gone := own == nil || own.Lookup != old.Lookup || own.Local.PeerID() != old.Local.PeerID()
	if gone {
		if err := have.client.Unregister(ctx, now, old.Local, old.Lookup); err != nil {
			return err
		}
	}
	if old.Listing != nil && (gone || own.Listing == nil) {
		if err := have.client.Unlist(ctx, old.Local); err != nil {
			return err
		}
	}
	have.own = nil
	return nil
}

// present registers own, or renews it, and returns for how long it stands.
func (p *Pool) present(ctx context.Context, now time.Time, have *standing, own *Presence) (time.Duration, error) {
	if have.own == own && now.Sub(have.signed).Abs() < poolRefresh {
		ttl, err := have.client.Renew(ctx)
		if !errors.Is(err, ErrNotFound) {
			return ttl, err
		}
	}
	c := have.client
	if err := c.Register(ctx, now, own.Local, own.Lookup, own.Content, own.TTL); err != nil {
		return 0, err
	}
	if own.Listing != nil {
		if err := c.List(ctx, now, own.Local, *own.Listing, own.TTL); err != nil {
			return 0, err
		}
	}
	have.own, have.signed = own, now
	if own.TTL > 0 && own.TTL < c.MaxTTL() {
		return own.TTL, nil
	}
	return c.MaxTTL(), nil
}
