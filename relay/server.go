package relay

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

// defaultTick is how often a server looks for what has expired: a third of the
// shortest default life, SessionLost and TicketTTL.
const defaultTick = 10 * time.Second

// followEvery is how soon a side follows its owner's connection to another
// address; a packet of its own, which is challenged, is sooner.
const followEvery = time.Second

// maxProofs bounds answers that wait for the switchboard.
const maxProofs = 1024

// A ServerConfig configures a [Server]. Key and Store are required.
type ServerConfig struct {
	Key   *identity.ServerKey
	Store Store // closed by the caller, after the server
	// Tokens admit new owners, and so do those in the store. Without Tokens and
	// TokensOnly everybody is admitted. Owners who are registered need none.
	Tokens     []string
	TokensOnly bool
	Limits     Limits
	Logger     *slog.Logger // nil means none; it gets no addresses, ids or sizes
	// Send sends a packet of the data plane, as transport.Endpoint.WritePacket
	// does. It may be set later with SetSend: the endpoint needs the server first.
	Send func(to netip.AddrPort, b []byte)
	// Tick is how often the server looks for sessions that have expired and for
	// owners who were blocked; 0 means 10 s.
	Tick time.Duration
}

// A Server is a relay. Its Serve and Forward are handed to a transport.
type Server struct {
	key    *identity.ServerKey
	store  Store
	tokens []string // constant
	// tokensOnly is constant: nobody new is admitted without one.
	tokensOnly bool
	limits     atomic.Pointer[Limits]
	log        *slog.Logger
	send       atomic.Pointer[func(netip.AddrPort, []byte)]
	stats      counters
	totals     atomic.Pointer[tally] // nil: never counted
	// draining: nobody new is taken. busy counts requests under way.
	draining atomic.Bool
	busy     atomic.Int64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	cookies cookies
	asks    *meters    // challenges to addresses of no known session
	proofs  chan proof // checked cookies, for the switchboard

	boardMu sync.Mutex // all of board but forward
	board   *switchboard

	mu       sync.Mutex
	closed   bool
	conns    int
	prefixes map[netip.Prefix]int
	wakers   map[[32]byte]map[chan struct{}]struct{} // subscriptions by owner
}

// NewServer returns a server that expires what is due until Close.
func NewServer(c ServerConfig) (*Server, error) {
	if c.Key == nil || c.Store == nil {
		return nil, errors.New("relay: a server needs a key and a store")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l := c.Limits.withDefaults()
	s := &Server{
		key: c.Key, store: c.Store, tokens: c.Tokens, tokensOnly: c.TokensOnly, log: c.Logger,
		board: newSwitchboard(l, newForwardSecret(c.Key)), cookies: newCookies(), asks: newMeters(), proofs: make(chan proof, maxProofs),
		prefixes: map[netip.Prefix]int{}, wakers: map[[32]byte]map[chan struct{}]struct{}{},
	}
	s.limits.Store(&l)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if c.Send != nil {
		s.SetSend(c.Send)
	}
	if c.Tick <= 0 {
		c.Tick = defaultTick
	}
	s.wg.Go(func() { s.expire(c.Tick) })
	if n, ok := c.Store.(Notifier); ok {
		// It ends with s.ctx, and says so.
		s.wg.Go(func() { _ = n.Notify(s.ctx, s.wakeNotified) })
	}
	s.wg.Go(s.prove)
	s.wg.Go(s.follow)
	return s, nil
}

// SetSend sets ServerConfig.Send. Packets that come before it are dropped.
func (s *Server) SetSend(send func(to netip.AddrPort, b []byte)) { s.send.Store(&send) }

// lim returns the limits that hold now.
func (s *Server) lim() *Limits { return s.limits.Load() }

// SetLimits changes the limits while the server runs; zero fields mean the
// defaults. Connections and sessions that exceed new ones are not ended.
func (s *Server) SetLimits(l Limits) {
	l = l.withDefaults()
	s.limits.Store(&l)
	s.boardMu.Lock()
	defer s.boardMu.Unlock()
	s.board.setLimits(l)
}

// Close ends every connection that Serve has, and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

func (s *Server) expire(tick time.Duration) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var nextStore time.Time
	for {
		now := time.Now()
		s.boardMu.Lock()
		s.board.expire(now)
		s.boardMu.Unlock()
		s.endBlocked()
		if !now.Before(nextStore) {
			nextStore = now.Add(time.Minute)
			if err := s.store.Expire(s.ctx, now, now.Add(-s.lim().OwnerTTL)); err != nil && s.ctx.Err() == nil {
				s.log.LogAttrs(s.ctx, slog.LevelError, "expiring failed", slog.Any("err", err))
			}
		}
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return
		}
	}
}

// endBlocked ends what owners whom the operator has blocked have under way.
func (s *Server) endBlocked() {
	blocked, err := s.store.Blocked(s.ctx)
	if err != nil && s.ctx.Err() == nil {
		s.log.LogAttrs(s.ctx, slog.LevelError, "reading who is blocked failed", slog.Any("err", err))
	}
	var end []conn
	s.boardMu.Lock()
	for _, owner := range blocked {
		for _, x := range slices.Clone(s.board.perOwner[owner]) {
			s.board.end(x)
		}
		if c, ok := s.board.links[owner].(conn); ok {
			end = append(end, c)
		}
	}
	s.boardMu.Unlock()
	for _, c := range end {
		c.Close(0, "blocked")
	}
}

// Serve handles one connection until it ends, ctx ends, or Close is called. It
// is a transport service for [ALPN].
func (s *Server) Serve(ctx context.Context, c *transport.Conn) { s.serve(ctx, network{c}) }

func (s *Server) serve(ctx context.Context, c conn) {
	prefix := prefixOf(c.RemoteAddr().Addr())
	if !s.enter(prefix) {
		c.Close(0, "busy")
		return
	}
	defer s.leave(prefix)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	newVisit(s, c).run(ctx)
}

// enter counts a connection in; the caller calls leave if it returns true.
func (s *Server) enter(p netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.draining.Load() || s.conns >= s.lim().Conns || s.prefixes[p] >= s.lim().ConnsPerPrefix {
		s.stats.refusedConns.Add(1)
		return false
	}
	s.conns++
	s.prefixes[p]++
	s.wg.Add(1)
	return true
}

func (s *Server) leave(p netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
	if s.prefixes[p]--; s.prefixes[p] <= 0 {
		delete(s.prefixes, p)
	}
	s.wg.Done()
}

// prefixOf returns what one person can be expected to hold: an IPv4 address, an
// IPv6 /56.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 56
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// watch returns a channel that gets a value after each blob stored for owner,
// and what ends it.
func (s *Server) watch(owner [32]byte) (wake chan struct{}, stop func()) {
	wake = make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wakers[owner] == nil {
		s.wakers[owner] = map[chan struct{}]struct{}{}
	}
	s.wakers[owner][wake] = struct{}{}
	return wake, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.wakers[owner], wake); len(s.wakers[owner]) == 0 {
			delete(s.wakers, owner)
		}
	}
}

func (s *Server) wake(owner [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.wakers[owner] {
		select {
		case w <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// wakeNotified is wake for what other processes have stored; nil is everybody.
func (s *Server) wakeNotified(owner *[32]byte) {
	if owner != nil {
		s.wake(*owner)
		return
	}
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.wakers))
	s.mu.Unlock()
	for _, o := range all {
		s.wake(o)
	}
}
