package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Tuning.
const (
	// wantedLifetime is what RFC 6886, section 3.3, recommends.
	wantedLifetime = 2 * time.Hour
	// A mapping that is shorter is not worth its renewals; a longer one is not
	// believed (RFC 6887, section 15).
	minLifetime = time.Minute
	maxLifetime = 24 * time.Hour
	// checkEvery is how long the restart of a gateway that does not announce it
	// may stay unnoticed.
	checkEvery = 10 * time.Minute
	minRenew   = 15 * time.Second
	// A gateway that maps nothing is asked again after retryMin, doubling up to
	// retryMax; after a change of network at once.
	retryMin = 10 * time.Minute
	retryMax = 2 * time.Hour
	// releaseTime bounds the deletion of the mapping, which Close waits for.
	releaseTime = 500 * time.Millisecond
	// announceGap bounds what announcements make us do.
	announceGap = 5 * time.Second
)

// A Method is a way to ask a gateway.
type Method string

// The methods, in the order in which they are tried.
const (
	PCP    Method = "PCP"
	NATPMP Method = "NAT-PMP"
	UPnP   Method = "UPnP"
)

// Errors of [Mapper.Wait].
var (
	ErrNoGateway = errors.New("portmap: no default route by a gateway")
	ErrNoMapping = errors.New("portmap: the gateway maps no ports")
	ErrClosed    = errors.New("portmap: closed")
)

// A Gateway is the next hop of the default route.
type Gateway struct {
	Addr      netip.Addr
	Local     netip.Addr // of this machine, towards it
	Interface string
}

// A Mapping is a port of the gateway's that leads to us, if it tells the truth.
type Mapping struct {
	Method   Method
	Gateway  netip.Addr
	External netip.AddrPort
	Expires  time.Time // renewed long before
}

// A Config describes a [Mapper]. Port is required.
type Config struct {
	Port uint16 // of the UDP socket that packets shall reach
	// Local is the address that the socket is bound to; the zero value and the
	// unspecified address are all.
	Local netip.Addr
	// Methods are those to try; nil: all.
	Methods []Method
	// Changed is called, on the Mapper's goroutine, after Mapping has changed.
	Changed func()
	// Gateway finds the default route's. nil: the system's.
	Gateway func() (Gateway, error)
	// Listen opens a UDP socket with this address and any port. nil: the system's.
	Listen func(local netip.Addr) (net.PacketConn, error)
	// Announcements opens a socket that gets what gateways announce to all on an
	// interface (RFC 6887, section 14.1). nil: the system's.
	Announcements func(ifname string) (net.PacketConn, error)
	Logger        *slog.Logger
}

// A Mapper keeps one mapping. Its methods are safe for concurrent use.
type Mapper struct {
	c      Config
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // capacity 1: look at the gateway again
	heard  chan announcement

	mu      sync.Mutex
	mapping Mapping       // zero: none
	err     error         // why there is none
	first   chan struct{} // closed after the first outcome
}

// A protocol keeps one mapping at one gateway. The Mapper's goroutine owns it.
type protocol interface {
	method() Method
	// request makes the mapping, or renews it.
	request(ctx context.Context) (lease, error)
	// release deletes it.
	release(ctx context.Context)
	// restarted reports whether an announcement of the gateway means that the
	// mapping is gone.
	restarted(packet []byte) bool
}

// A lease is a gateway's answer.
type lease struct {
	external netip.AddrPort
	lifetime time.Duration
}

// Start begins to look for a mapping.
func Start(c Config) *Mapper {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Gateway == nil {
		c.Gateway = defaultGateway
	}
	if c.Listen == nil {
		c.Listen = func(local netip.Addr) (net.PacketConn, error) {
			return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
		}
	}
	if c.Announcements == nil {
		c.Announcements = listenAnnouncements
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Mapper{
		c: c, log: c.Logger, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1),
		heard: make(chan announcement, 1), first: make(chan struct{}),
	}
	go m.run(ctx) // Close waits for it
	return m
}

// Mapping returns the mapping that stands.
func (m *Mapper) Mapping() (Mapping, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mapping, m.mapping.External.IsValid()
}

// Wait returns the mapping, or why there is none, once the first attempt is over.
func (m *Mapper) Wait(ctx context.Context) (Mapping, error) {
	select {
	case <-m.first:
	case <-ctx.Done():
		return Mapping{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mapping, m.err
}

// Refresh looks at the gateway again: the network has changed.
func (m *Mapper) Refresh() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Close deletes the mapping, for which it waits half a second at most.
func (m *Mapper) Close() {
	m.cancel()
	<-m.done
}

func (m *Mapper) run(ctx context.Context) {
	defer close(m.done)
	defer m.publish(Mapping{}, ErrClosed)
	retry := retryMin
	for ctx.Err() == nil {
		g, err := m.gateway()
		if err == nil {
			err = m.keep(ctx, g)
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errGatewayChanged):
			retry = retryMin
			continue
		case errors.Is(err, errLost):
			retry = retryMin
		}
		m.publish(Mapping{}, err)
		m.log.Debug("no port is mapped", slog.Any("err", err))
		timer := time.NewTimer(retry/2 + rand.N(retry))
		if errors.Is(err, ErrNoGateway) {
			timer.Stop() // only a change of network helps
		}
		select {
		case <-timer.C:
			retry = min(2*retry, retryMax)
		case <-m.wake:
			retry = retryMin
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// gateway returns the one of the default route, if the socket can be reached by it.
func (m *Mapper) gateway() (Gateway, error) {
	g, err := m.c.Gateway()
	if err != nil {
		return g, err
	}
	if l := m.c.Local; l.IsValid() && !l.IsUnspecified() && l.Unmap() != g.Local {
		return g, fmt.Errorf("%w (the socket has another address)", ErrNoGateway)
	}
	return g, nil
}

// Reasons why keep ends.
var (
	errGatewayChanged = errors.New("portmap: the default route has changed")
	errLost           = errors.New("portmap: the gateway no longer answers")
)

// keep keeps a mapping at g until it is lost, the default route changes, or ctx
// ends.
func (m *Mapper) keep(ctx context.Context, g Gateway) error {
	p, l, err := m.obtain(ctx, g)
	if err != nil {
		return err
	}
	defer func() {
		// A new gateway is not asked about the old one's mappings.
		if now, err := m.gateway(); err == nil && now == g {
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
			defer cancel()
			p.release(release)
		}
	}()
	stop := m.listen(ctx, g)
	defer stop()
	expires := m.accept(p, g, l)
	renew := renewal(l.lifetime)
	for asked := time.Now(); ; {
		again := false
		timer := time.NewTimer(renew)
		select {
		case <-timer.C:
		case <-m.wake:
			again = true
		case a := <-m.heard:
			timer.Stop()
			if a.from != g.Addr || time.Since(asked) < announceGap || !p.restarted(a.packet) {
				renew = max(renew-time.Since(asked), minRenew)
				continue
			}
			m.log.Debug("the gateway has restarted")
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
		if now, err := m.gateway(); err != nil || now != g {
			return errGatewayChanged
		}
		asked = time.Now()
		l, err := p.request(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			expires, renew = m.accept(p, g, l), renewal(l.lifetime)
		case again || time.Until(expires) < minRenew:
			return fmt.Errorf("%w: %w", errLost, err)
		default:
			renew = max(time.Until(expires)/2, minRenew)
		}
	}
}

// renewal returns when to renew (RFC 6887, section 11.2.1).
func renewal(lifetime time.Duration) time.Duration {
	half := min(lifetime/2, checkEvery)
	return max(half-rand.N(half/8), minRenew)
}

func (m *Mapper) uses(x Method) bool { return m.c.Methods == nil || slices.Contains(m.c.Methods, x) }

// obtain tries the methods one after the other.
func (m *Mapper) obtain(ctx context.Context, g Gateway) (protocol, lease, error) {
	p, l, err := m.askGateway(ctx, g)
	if err != nil && ctx.Err() == nil && m.uses(UPnP) {
		m.log.Debug("PCP and NAT-PMP", slog.Any("err", err))
		p, l, err = m.askUPnP(ctx, g)
	}
	if err != nil {
		return nil, lease{}, fmt.Errorf("%w (%w)", ErrNoMapping, err)
	}
	if l.lifetime < minLifetime {
		p.release(ctx)
		return nil, lease{}, fmt.Errorf("%w (for longer than %v)", ErrNoMapping, l.lifetime)
	}
	return p, l, nil
}

// accept publishes what a gateway granted.
func (m *Mapper) accept(p protocol, g Gateway, l lease) (expires time.Time) {
	expires = time.Now().Add(min(l.lifetime, maxLifetime))
	m.publish(Mapping{Method: p.method(), Gateway: g.Addr, External: l.external, Expires: expires}, nil)
	return expires
}

func (m *Mapper) publish(x Mapping, err error) {
	m.mu.Lock()
	changed := m.mapping.External != x.External
	m.mapping, m.err = x, err
	select {
	case <-m.first:
	default:
		close(m.first)
	}
	m.mu.Unlock()
	if changed && m.c.Changed != nil {
		m.c.Changed()
	}
}
