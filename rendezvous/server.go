package rendezvous

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

const (
	// storeSweep is how often expired records are removed. They are not served
	// in between.
	storeSweep = 10 * time.Minute
	// saveEvery is how long renewals and departures may wait for the store; far
	// less than the shortest lifetime.
	saveEvery = 10 * time.Second
	closeTime = 5 * time.Second
)

// minTTL is the shortest lifetime that is granted (spec §7.4.2).
const minTTL = 60

// A ServerConfig configures a [Server].
type ServerConfig struct {
	Key    *identity.ServerKey
	Store  Store        // nil: a [MemoryStore]
	Logger *slog.Logger // nil: none
	Limits Limits
	// Cluster joins the server with others on the same store; nil: it is alone.
	Cluster Cluster
	// Public is where clients reach the server, for its announcement to others.
	// Without a host it announces nothing of itself.
	Public identity.ServerAddr
}

// A Server is a rendezvous. Hand its [Server.Serve] to a transport endpoint as
// the service for [ALPN].
type Server struct {
	id    identity.ServerID
	store Store
	log   *slog.Logger
	lim   Limits
	now   func() time.Time

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wake   chan struct{} // makes the sweeper look at the deadlines again
	wg     sync.WaitGroup

	cluster Cluster // nil: alone
	posts   chan clusterPost

	stats  counters
	others announcements
	decoy  atomic.Pointer[[32]byte] // a name that was found lately

	mu     sync.Mutex
	closed bool
	core   *core
	boxes  map[connID]*outbox
	gone   []identity.PeerID // listed people whose connection has ended; stamped by sweep
}

// NewServer returns a server, which must be closed.
func NewServer(c ServerConfig) (*Server, error) { return newServer(c, time.Now) }

func newServer(c ServerConfig, now func() time.Time) (*Server, error) {
	if c.Key == nil {
		return nil, errors.New("rendezvous: a server needs a key")
	}
	if c.Store == nil {
		c.Store = &MemoryStore{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		id: c.Key.ID(), store: c.Store, log: c.Logger, lim: c.Limits.withDefaults(), now: now,
		wake: make(chan struct{}, 1), core: newCore(c.Limits), boxes: make(map[connID]*outbox),
	}
	s.cluster, s.core.cluster = c.Cluster, c.Cluster != nil
	s.posts = make(chan clusterPost, clusterQueue)
	s.others.self = c.Public
	s.others.key = c.Key
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.sweep)
	if s.cluster != nil {
		s.wg.Go(s.cooperate)
	}
	return s, nil
}

// Close ends all connections and waits for their goroutines. The store stays
// open.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return s.save(ctx, s.now())
}

// Serve answers one client until its connection or ctx ends.
func (s *Server) Serve(ctx context.Context, c *transport.Conn) {
	hello, cancel := context.WithTimeout(ctx, s.lim.HelloTimeout)
	st, err := c.AcceptStream(hello)
	cancel()
	if err != nil {
		c.Close(codeTimeout, "no stream")
		return
	}
	s.serve(ctx, c, st)
}

func (s *Server) serve(ctx context.Context, l link, st stream) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.Close(codeDone, "closing")
		return
	}
	s.wg.Add(1) // under mu: Close waits only after closed is set
	id, ok := s.core.connect(l.RemoteAddr().Addr())
	if !ok {
		s.mu.Unlock()
		s.wg.Done()
		l.Close(codeBusy, "too many connections")
		return
	}
	box := newOutbox(l, st, func(name [32]byte) output { return s.changedFrame(ctx, name) })
	box.inline = true
	s.boxes[id] = box
	s.mu.Unlock()
	defer s.wg.Done()

	defer closeOn(s.ctx, l)()
	defer closeOn(ctx, l)()

	err := s.converse(ctx, id, l, st, box)
	code := uint64(codeDone)
	if errors.Is(err, ErrProtocol) {
		code = codeProtocol
	}
	l.Close(code, "")
	s.mu.Lock()
	delete(s.boxes, id)
	s.goneLocked(id)
	offline := s.core.offlineHere(id)
	s.sendLocked(s.core.disconnect(id))
	s.mu.Unlock()
	box.close()
	if s.cluster != nil && len(offline) > 0 && s.ctx.Err() == nil {
		if err := s.cluster.Offline(s.ctx, offline); err != nil {
			s.storeFailed(s.ctx, err)
		}
	}
	// No address and no key: what a server learns live stays out of its log.
	s.log.LogAttrs(ctx, slog.LevelDebug, "connection ended", slog.Uint64("conn", uint64(id)), slog.Any("err", err))
}

// converse reads until the connection ends.
func (s *Server) converse(ctx context.Context, id connID, l link, st stream, box *outbox) error {
	st.SetReadDeadline(time.Now().Add(s.lim.HelloTimeout))
	typ, b, err := readFrame(st)
	if err != nil {
		return err
	}
	hello, err := wire.ParseRendezvousHello(b)
	if err != nil || typ != wire.FrameRendezvousHello || hello.Version != version {
		return ErrProtocol
	}
	st.SetReadDeadline(time.Time{})
	welcome := wire.RendezvousWelcome{
		Version: version, Time: milliseconds(s.now()), Observed: l.RemoteAddr(), MaxTTL: uint32(s.lim.MaxTTL / time.Second),
	}
	if err := box.send(ctx, wire.FrameRendezvousWelcome, welcome.Append(nil)); err != nil {
		return err
	}
	for {
		typ, b, err := readFrame(st)
		if err != nil {
			return err
		}
		if err := s.handle(ctx, id, l, box, typ, b); err != nil {
			return err
		}
	}
}

func (s *Server) handle(ctx context.Context, id connID, l link, box *outbox, typ uint16, b []byte) error {
	s.stats.asked(typ)
	switch typ {
	case wire.FrameRendezvousRegister:
		x, err := wire.ParseRendezvousRegister(b)
		if err != nil {
			return errors.Join(ErrProtocol, err)
		}
		status := s.register(ctx, id, l.Binding(), x)
		answer := wire.RendezvousRegistered{Request: x.Request, Status: status, Time: milliseconds(s.now())}
		if status == wire.RendezvousOK {
			answer.TTL = s.granted(x.TTL)
		}
		return box.send(ctx, wire.FrameRendezvousRegistered, answer.Append(nil))
	case wire.FrameRendezvousLookup:
		x, err := wire.ParseRendezvousLookup(b)
		if err != nil {
			return errors.Join(ErrProtocol, err)
		}
		return box.send(ctx, wire.FrameRendezvousFound, s.lookup(ctx, id, x).Append(nil))
	case wire.FrameRendezvousRenew, wire.FrameRendezvousList, wire.FrameRendezvousBrowse,
		wire.FrameRendezvousSubscribe, wire.FrameRendezvousServers:
		out, err := s.handleMore(ctx, id, l, typ, b)
		if err != nil {
			return err
		}
		return box.send(ctx, out.typ, out.payload)
	case wire.FrameRendezvousAttest:
		x, err := wire.ParseRendezvousAttest(b)
		if err != nil {
			return errors.Join(ErrProtocol, err)
		}
		return box.send(ctx, wire.FrameRendezvousAttested, s.attest(id, l, x).Append(nil))
	case wire.FrameRendezvousIntroduce:
		x, err := wire.ParseRendezvousIntroduce(b)
		if err != nil {
			return errors.Join(ErrProtocol, err)
		}
		s.mu.Lock()
		out, elsewhere := s.core.introduce(s.now(), id, x)
		s.sendLocked(out)
		first := len(s.core.pending) == 1
		s.mu.Unlock()
		if elsewhere != nil {
			s.introduceElsewhere(ctx, *elsewhere, x)
		}
		if first {
			s.wakeSweeper()
		}
	case wire.FrameRendezvousAnswer:
		x, err := wire.ParseRendezvousAnswer(b)
		if err != nil {
			return errors.Join(ErrProtocol, err)
		}
		s.mu.Lock()
		s.sendLocked(s.core.answer(id, x))
		s.mu.Unlock()
	default:
		return ErrProtocol
	}
	return nil
}

// granted returns the lifetime in seconds of what asked for ttl.
func (s *Server) granted(ttl uint32) uint32 {
	return min(max(ttl, minTTL), uint32(s.lim.MaxTTL/time.Second))
}

// register checks and stores. The order is cheapest first; nothing is stored
// that the blinded key did not sign for this server, connection and period.
func (s *Server) register(ctx context.Context, id connID, binding [32]byte, x wire.RendezvousRegister) wire.RendezvousStatus {
	now := s.now()
	s.mu.Lock()
	status := s.core.mayRegister(now, id, x.Blinded)
	s.mu.Unlock()
	if status != wire.RendezvousOK {
		return status
	}
	if day := Period(now); x.Period+1 < day || x.Period > day+1 {
		return wire.RendezvousPeriod
	}
	if !identity.Verify(x.Blinded, contextRegistration, registrationMessage(s.id, binding, x), x.Signature) {
		return wire.RendezvousRefused
	}
	if x.TTL == 0 {
		if err := s.store.Delete(ctx, x.Blinded); err != nil {
			return s.storeFailed(ctx, err)
		}
		s.mu.Lock()
		s.core.unregistered(x.Blinded)
		s.tellLocked(x.Blinded)
		s.mu.Unlock()
		s.registeredHere(ctx, x.Blinded, time.Time{})
		return wire.RendezvousOK
	}
	ttl := time.Duration(s.granted(x.TTL)) * time.Second
	switch err := s.store.Put(ctx, StoredRecord{Blinded: x.Blinded, Sealed: x.Sealed, Expires: now.Add(ttl)}, s.lim.MaxRecords); {
	case errors.Is(err, ErrFull):
		return wire.RendezvousBusy
	case err != nil:
		return s.storeFailed(ctx, err)
	}
	s.mu.Lock()
	s.core.registered(now, id, Name{x.Blinded, x.Period}, ttl)
	s.tellLocked(x.Blinded)
	s.mu.Unlock()
	s.registeredHere(ctx, x.Blinded, now.Add(ttl))
	return wire.RendezvousOK
}

func (s *Server) lookup(ctx context.Context, id connID, x wire.RendezvousLookup) wire.RendezvousFound {
	now := s.now()
	s.mu.Lock()
	allowed := s.core.allow(now, id, rateLookup)
	s.mu.Unlock()
	if !allowed {
		return wire.RendezvousFound{Request: x.Request, Status: wire.RendezvousBusy}
	}
	found := s.find(ctx, now, x.Blinded)
	found.Request = x.Request
	return found
}

// find reads what stands under a name. It reads one name that is there and one
// that is not, whatever was asked for, so that the time tells little
// (spec §7.4.3).
func (s *Server) find(ctx context.Context, now time.Time, name [32]byte) (found wire.RendezvousFound) {
	r, ok, err := s.store.Get(ctx, name, now)
	other := s.decoy.Load()
	if ok {
		s.decoy.Store(&name)
		other = new([32]byte)
		rand.Read(other[:])
	}
	if err == nil && other != nil {
		_, _, err = s.store.Get(ctx, *other, now)
	}
	elsewhere := s.onlineElsewhere(ctx, name, now)
	switch {
	case err != nil:
		found.Status = s.storeFailed(ctx, err)
	case !ok:
		found.Status = wire.RendezvousNotFound
	default:
		s.stats.found.Add(1)
		s.mu.Lock()
		online := s.core.isOnline(now, name)
		s.mu.Unlock()
		found.Online = online || elsewhere
		found.Status, found.Sealed = wire.RendezvousOK, r.Sealed
		found.TTL = uint32(r.Expires.Sub(now) / time.Second)
	}
	return found
}

func (s *Server) storeFailed(ctx context.Context, err error) wire.RendezvousStatus {
	s.stats.failed.Add(1)
	s.log.LogAttrs(ctx, slog.LevelError, "the store failed", slog.Any("err", err))
	return wire.RendezvousFailure
}

// sendLocked hands frames to the outboxes of their connections. It holds s.mu,
// so that an answer and its go leave together.
func (s *Server) sendLocked(out []output) {
	for _, o := range out {
		if o.elsewhere != nil {
			s.post(o.elsewhere.node, o.elsewhere.message)
			continue
		}
		if box := s.boxes[o.to]; box != nil {
			box.push(o.typ, o.payload)
		}
	}
}

func (s *Server) wakeSweeper() { notify(s.wake) }

// sweep ends introductions and registrations whose time is over. It is woken by
// the first introduction; those after it end later.
func (s *Server) sweep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var nextStore, nextSave time.Time
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		now := s.now()
		if !now.Before(nextStore) {
			nextStore = now.Add(storeSweep)
			s.mu.Lock()
			s.core.forget(now)
			s.mu.Unlock()
			if _, err := s.store.Expire(s.ctx, now); err != nil && s.ctx.Err() == nil {
				s.storeFailed(s.ctx, err)
			}
		}
		if !now.Before(nextSave) {
			nextSave = now.Add(saveEvery)
			if err := s.save(s.ctx, now); err != nil && s.ctx.Err() == nil {
				s.storeFailed(s.ctx, err)
			}
		}
		s.mu.Lock()
		out, next := s.core.expire(now)
		s.sendLocked(out)
		s.mu.Unlock()
		if next.IsZero() || nextSave.Before(next) {
			next = nextSave
		}
		timer.Reset(max(next.Sub(now), 10*time.Millisecond))
	}
}

func milliseconds(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }
