package client

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

// Tuning of server connections.
const (
	dialTime       = 10 * time.Second
	serverRetryMin = time.Second
	serverRetryMax = 30 * time.Second
	notOffered     = 5 * time.Minute // between two questions for a service that was refused
	maintainEvery  = time.Hour
	clockTolerance = time.Hour
	relayWork      = 64
)

// A server is one of ours, with the connections to it that stand. The network
// guards its fields.
type server struct {
	addr  identity.ServerAddr
	owner identity.SecretKey
	stop  context.CancelFunc

	relay *relay.Client
	stun  []netip.AddrPort                          // where its rendezvous answers STUN
	work  chan func(context.Context, *relay.Client) // for the relay, when it stands
	tried chan struct{}                             // closed once the relay stood or failed
	again chan struct{}                             // capacity 1: dial the relay now
}

// useServer connects to a server from now on.
func (n *network) useServer(info serverInfo) {
	seed := info.Owner.bytes()
	owner, err := identity.NewSecretKey(seed[:])
	if err != nil {
		panic(err) // 32 bytes
	}
	ctx, stop := context.WithCancel(n.ctx)
	s := &server{
		addr: info.Address, owner: owner, stop: stop,
		work: make(chan func(context.Context, *relay.Client), relayWork), tried: make(chan struct{}),
		again: make(chan struct{}, 1),
	}
	n.mu.Lock()
	if old := n.servers[s.addr.ID]; old != nil {
		old.stop()
	}
	n.servers[s.addr.ID] = s
	n.mu.Unlock()
	n.pool.Use(n.ownServers()...)
	n.run(func() { n.keep(ctx, s) })
}

// keep runs a session with a relay again and again.
func (n *network) keep(ctx context.Context, s *server) {
	var redial transport.Redial
	for ctx.Err() == nil {
		began := time.Now()
		err := n.useRelay(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > serverRetryMax {
			redial.Answered()
			select {
			case <-s.again: // it stood
			default:
			}
		}
		n.mu.Lock()
		s.setTriedLocked()
		n.mu.Unlock()
		n.c.log.Debug("relay session ended", "server", s.addr.HostPort(), "err", err)
		pause := redial.Failed(serverRetryMin)
		if errors.Is(err, transport.ErrRefused) {
			pause = notOffered
		}
		n.c.post(func(k *core) { k.serverDown(s.addr.ID, roleRelay, err) })
		select {
		case <-time.After(pause):
		case <-s.again:
			redial.Answered()
		case <-ctx.Done():
		}
	}
}

// hurry has the relays that wait for their turn dialled at once.
func (n *network) hurry(which func(*server) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if which(s) {
			notify(s.again)
		}
	}
}

// setTriedLocked notes that the first connection stands, or failed.
func (s *server) setTriedLocked() {
	select {
	case <-s.tried:
	default:
		close(s.tried)
	}
}

// awaitServers waits until each of our servers was tried once, but not longer
// than limit. An offer made before would name neither a relay nor the address
// that others see, and behind a NAT its connection could not come about.
func (n *network) awaitServers(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	n.mu.Lock()
	servers := slices.Collect(maps.Values(n.servers))
	n.mu.Unlock()
	for _, s := range servers {
		select {
		case <-s.tried:
		case <-ctx.Done():
			return
		}
	}
	_ = n.pool.Tried(ctx) // then they get no more time
}

// relays returns the relay connections that stand.
func (n *network) relays() (out []*server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if s.relay != nil {
			out = append(out, s)
		}
	}
	return out
}

// announce tells our relays of an invite, also one that is just being
// connected to.
func (n *network) announce(ctx context.Context, i identity.Invite) {
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	n.awaitServers(ctx, announceTime)
	for _, s := range n.relays() {
		n.mu.Lock()
		cl := s.relay
		n.mu.Unlock()
		if cl == nil {
			continue
		}
		if err := cl.AllowKnock(ctx, i.KnockInbox, i.Knock(), i.Expires); err != nil {
			n.c.log.Info("invite not announced", "server", s.addr.HostPort(), "err", err)
		}
	}
}
