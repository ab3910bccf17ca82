package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

// tick is how often a server looks for what has expired: a third of the
// shortest default life, SessionLost and TicketTTL.
const tick = 10 * time.Second

// A ServerConfig configures a [Server]. Key and Store are required.
type ServerConfig struct {
	Key   *identity.ServerKey
	Store Store // closed by the caller, after the server
	// Tokens admit new owners; empty: everybody is admitted. Owners who are
	// registered already need none.
	Tokens []string
	Limits Limits
	Logger *slog.Logger // nil means none; it gets no addresses, ids or sizes
	// Send sends a packet of the data plane, as transport.Endpoint.WritePacket
	// does. It may be set later with SetSend: the endpoint needs the server first.
	Send func(to netip.AddrPort, b []byte)
}

// A Server is a relay. Its Serve and Forward are handed to a transport.
type Server struct {
	key    *identity.ServerKey
	store  Store
	tokens []string
	limits Limits
	log    *slog.Logger
	send   atomic.Pointer[func(netip.AddrPort, []byte)]
	stats  counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	boardMu sync.Mutex
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
		key: c.Key, store: c.Store, tokens: c.Tokens, limits: l, log: c.Logger, board: newSwitchboard(l),
		prefixes: map[netip.Prefix]int{}, wakers: map[[32]byte]map[chan struct{}]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if c.Send != nil {
		s.SetSend(c.Send)
	}
	s.wg.Go(s.expire)
	return s, nil
}

// SetSend sets ServerConfig.Send. Packets that come before it are dropped.
func (s *Server) SetSend(send func(to netip.AddrPort, b []byte)) { s.send.Store(&send) }

// Close ends every connection that Serve has, and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

func (s *Server) expire() {
	t := time.NewTicker(tick)
	defer t.Stop()
	var nextStore time.Time
	for {
		now := time.Now()
		s.boardMu.Lock()
		s.board.expire(now)
		s.boardMu.Unlock()
		if !now.Before(nextStore) {
			nextStore = now.Add(time.Minute)
			if err := s.store.Expire(s.ctx, now, now.Add(-s.limits.OwnerTTL)); err != nil && s.ctx.Err() == nil {
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

// Forward takes a packet of the data plane. It rewrites packet's header in
// place, sends it on or drops it, and keeps nothing.
func (s *Server) Forward(_ netip.AddrPort, packet []byte) {
	now := time.Now()
	s.boardMu.Lock()
	to, why := s.board.forward(now, packet)
	s.boardMu.Unlock()
	send := s.send.Load()
	if why == dropNone && send == nil {
		why = dropNoAddress
	}
	if why != dropNone {
		s.stats.drops[why].Add(1)
		return
	}
	(*send)(to, packet)
	s.stats.forwarded.Add(1)
	s.stats.forwardedBytes.Add(uint64(len(packet)))
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
	if s.closed || s.conns >= s.limits.Conns || s.prefixes[p] >= s.limits.ConnsPerPrefix {
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
