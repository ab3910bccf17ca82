package rendezvous

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
)

// Tuning of a [Pool].
const (
	poolDialTime = 10 * time.Second
	poolRetryMin = 2 * time.Second
	// poolReturn spreads the return of everybody after a server's restart: ten
	// thousand handshakes are some 15 s of a core, and 30 s is when all shall be
	// back.
	poolReturn = 20 * time.Second
	// poolRefused is between two questions for a service that a server said it
	// does not offer.
	poolRefused = 5 * time.Minute
	// poolSpread is how long after the beginning of a day records are signed
	// under the next day's name, at a random moment: today's stands since
	// yesterday.
	poolSpread = 30 * time.Minute
	// poolBusy is when a server that took no more registrations is asked again.
	poolBusy  = 10 * time.Second
	poolQueue = 64
)

// A PoolConfig configures a [Pool]. Dial is required.
type PoolConfig struct {
	Dial   func(context.Context, identity.ServerAddr) (*Client, error)
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: none
	// Up, if set, is told of a connection that stands, with everything that is
	// to stand there; Down why one ended, or was not made. They run on the
	// goroutine of that server, which waits for them.
	Up   func(identity.ServerAddr, *Client)
	Down func(identity.ServerAddr, error)
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
	moved   chan struct{} // closed, and replaced, when a server's state changes
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
	Unlist  bool          // an entry of before may be on the list: take it off
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
	again  chan struct{} // capacity 1: dial now

	// Guarded by the pool's mutex.
	tries   int       // that have ended, one way or the other
	trying  bool      // one is under way
	client  *Client   // nil while there is no connection
	problem error     // why there is none
	told    *Presence // what stands there, by this connection
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
		moved: make(chan struct{}),
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
	defer p.movedLocked()
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
		s := &poolServer{addr: a, cancel: cancel, wake: make(chan struct{}, 1), again: make(chan struct{}, 1)}
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

// movedLocked wakes who waits for the servers.
func (p *Pool) movedLocked() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// await waits until done, which holds the mutex, or ctx ends.
func (p *Pool) await(ctx context.Context, done func() bool) error {
	for {
		p.mu.Lock()
		ok, moved := done(), p.moved
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ctx.Done():
			return ErrClosed
		}
	}
}

// Tried waits until every server was dialled once, with whatever outcome, or
// ctx ends.
func (p *Pool) Tried(ctx context.Context) error {
	return p.await(ctx, func() bool {
		for _, s := range p.servers {
			if s.tries == 0 {
				return false
			}
		}
		return true
	})
}

// readyGrace is what other servers get to connect after the first.
const readyGrace = 300 * time.Millisecond

// Ready waits until a server is connected, and others had a moment to be, or ctx
// ends. Those that are not are dialled at once. ErrClosed: none is, and each was
// tried.
func (p *Pool) Ready(ctx context.Context) error {
	p.mu.Lock()
	// One that began before may be stuck with a server that was away then.
	enough := map[*poolServer]int{}
	for _, s := range p.servers {
		if s.client != nil {
			continue
		}
		enough[s] = s.tries + 1
		if s.trying {
			enough[s]++
		}
		notify(s.again)
	}
	p.mu.Unlock()
	up, waiting := 0, 0 // servers
	count := func() {
		up, waiting = 0, 0
		for _, s := range p.servers {
			switch {
			case s.client != nil:
				up++
			case s.tries < enough[s]:
				waiting++
			}
		}
	}
	if err := p.await(ctx, func() bool { count(); return up > 0 || waiting == 0 }); err != nil {
		return err
	}
	if up == 0 {
		return ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, readyGrace)
	defer cancel()
	_ = p.await(ctx, func() bool { count(); return waiting == 0 }) // whoever is there by then
	return nil
}

// Registered waits until what Register was given last stands at every server
// that is connected, or ctx ends, and returns at how many it does.
func (p *Pool) Registered(ctx context.Context) (n int) {
	_ = p.await(ctx, func() bool {
		n = 0
		all := true
		for _, s := range p.servers {
			if s.client != nil && s.told == p.own {
				n++
			}
			all = all && (s.client == nil || s.told == p.own)
		}
		return all
	})
	return n
}

// Connection returns the connection to a server, nil while there is none.
func (p *Pool) Connection(id identity.ServerID) *Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.servers[id]; s != nil {
		return s.client
	}
	return nil
}

// Hurry dials at once what waits for its turn: for those whose own network was
// away, and is back.
func (p *Pool) Hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.servers {
		notify(s.again)
	}
}
