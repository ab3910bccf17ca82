package portmap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/sremp/sremp/nat"
)

// Tuning of requests to a gateway, which is a fraction of a millisecond away.
const (
	gatewayTries = 3
	gatewayWait  = 150 * time.Millisecond // for the first answer; it doubles
	// pmpGrace is how long PCP's answer is waited for after NAT-PMP's.
	pmpGrace = 100 * time.Millisecond
)

// unsupportedVersion is a result of both protocols.
const unsupportedVersion = 1

var (
	errSilent   = errors.New("portmap: no answer")
	errNotAsked = errors.New("portmap: not asked")
)

// An asker sends requests to one gateway.
type asker struct {
	listen func(local netip.Addr) (net.PacketConn, error)
	local  netip.Addr
	to     netip.AddrPort
}

func newAsker(m *Mapper, g Gateway) *asker {
	return &asker{m.c.Listen, g.Local, netip.AddrPortFrom(g.Addr, nat.GatewayPort)}
}

// ask sends requests until done is content with an answer, or ctx or patience
// ends. What comes from elsewhere than the gateway is dropped. Each ask has a
// socket of its own: an answer to the one before cannot be taken for its.
func (a *asker) ask(ctx context.Context, done func(b []byte) bool, requests ...[]byte) error {
	pc, err := a.listen(a.local)
	if err != nil {
		return fmt.Errorf("portmap: opening a socket: %w", err)
	}
	defer pc.Close()
	defer context.AfterFunc(ctx, func() { pc.Close() })()
	b := make([]byte, 1500)
	wait := gatewayWait
	for try := 0; try < gatewayTries && ctx.Err() == nil; try++ {
		for _, r := range requests {
			if _, err := pc.WriteTo(r, net.UDPAddrFromAddrPort(a.to)); err != nil && ctx.Err() == nil {
				return fmt.Errorf("portmap: asking the gateway: %w", err)
			}
		}
		pc.SetReadDeadline(time.Now().Add(wait))
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				break // this try is over
			}
			if addrPort(from) == a.to && done(b[:n]) {
				return nil
			}
		}
		wait *= 2
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errSilent
}

// tell sends a request once and waits for nothing.
func (a *asker) tell(request []byte) {
	if pc, err := a.listen(a.local); err == nil {
		_, _ = pc.WriteTo(request, net.UDPAddrFromAddrPort(a.to)) // best effort
		pc.Close()
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	x := u.AddrPort()
	return netip.AddrPortFrom(x.Addr().Unmap(), x.Port())
}

// A codeError is a gateway's refusal.
type codeError struct {
	method Method
	code   nat.GatewayCode
}

func (e codeError) Error() string {
	return fmt.Sprintf("portmap: %s: the gateway refuses with code %d", e.method, e.code)
}

// askGateway asks by PCP and, where that is not spoken, by NAT-PMP.
func (m *Mapper) askGateway(ctx context.Context, g Gateway) (protocol, lease, error) {
	a := newAsker(m, g)
	p := &pcp{asker: a, client: g.Local, port: m.c.Port}
	rand.Read(p.nonce[:])
	// NAT-PMP's question about the address changes nothing at the gateway, so
	// both can be asked at once.
	q := &pmp{asker: a, port: m.c.Port}
	var requests [][]byte
	if m.uses(PCP) {
		requests = append(requests, p.packet(wantedLifetime))
	}
	if m.uses(NATPMP) {
		requests = append(requests, nat.PMPAddress())
	}
	if requests == nil {
		return nil, lease{}, errSilent
	}
	var l lease
	var refused error
	if !m.uses(PCP) {
		refused = errNotAsked
	}
	got, old := false, false
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	err := a.ask(asking, func(b []byte) bool {
		if x, err := nat.ParsePMP(b); err == nil {
			if x.Code == unsupportedVersion { // this is how such gateways answer PCP
				refused = codeError{PCP, x.Code}
				return old
			}
			if x.Code == 0 && x.Address.IsValid() {
				old, q.address = true, x.Address
				q.epoch.Update(time.Now(), x.Epoch)
				time.AfterFunc(pmpGrace, cancel)
				return refused != nil
			}
			return false
		}
		x, err := p.answer(b)
		if err != nil {
			var code codeError
			if errors.As(err, &code) {
				refused = err
				return old || code.code != unsupportedVersion
			}
			return false
		}
		l, got = x, true
		return true
	}, requests...)
	switch {
	case got:
		return p, l, nil
	case ctx.Err() != nil:
		a.tell(p.packet(0)) // the request may have been heard
	case old:
		if l, err = q.request(ctx); err == nil {
			return q, l, nil
		}
	case refused != nil:
		err = refused
	}
	return nil, lease{}, err
}

// pcp keeps a mapping by PCP.
type pcp struct {
	*asker
	client   netip.Addr
	port     uint16
	nonce    nat.PCPNonce
	epoch    nat.Epoch
	external netip.AddrPort // granted last
}

func (p *pcp) method() Method { return PCP }

func (p *pcp) packet(lifetime time.Duration) []byte {
	suggested := p.external
	if !suggested.IsValid() {
		suggested = netip.AddrPortFrom(netip.Addr{}, p.port)
	}
	return nat.PCPMap{
		Client: p.client, Nonce: p.nonce, Internal: p.port, Suggested: suggested, Lifetime: uint32(lifetime / time.Second),
	}.Append(nil)
}

// errNotOurs is the answer to another request.
var errNotOurs = errors.New("portmap: another's answer")

func (p *pcp) answer(b []byte) (lease, error) {
	x, err := nat.ParsePCP(b)
	switch {
	case err != nil:
		return lease{}, err
	case x.Announce && x.Code != 0:
		return lease{}, codeError{PCP, x.Code}
	case x.Announce || x.Nonce != p.nonce || x.Internal != p.port:
		return lease{}, errNotOurs
	case x.Code != 0:
		return lease{}, codeError{PCP, x.Code}
	}
	p.epoch.Update(time.Now(), x.Epoch)
	if x.External.IsValid() {
		p.external = x.External
	}
	return lease{x.External, time.Duration(x.Lifetime) * time.Second}, nil
}

func (p *pcp) request(ctx context.Context) (l lease, err error) {
	var refused error
	err = p.ask(ctx, func(b []byte) bool {
		var code codeError
		x, err := p.answer(b)
		if errors.As(err, &code) {
			refused = err
			return true
		}
		l = x
		return err == nil
	}, p.packet(wantedLifetime))
	switch {
	case err != nil:
		return lease{}, err
	case refused != nil:
		return lease{}, refused
	case l.lifetime < minLifetime || !l.external.IsValid():
		return lease{}, fmt.Errorf("portmap: PCP: a lifetime of %v", l.lifetime)
	}
	return l, nil
}

func (p *pcp) release(ctx context.Context) {
	// What it answers changes nothing.
	_ = p.ask(ctx, func(b []byte) bool { _, err := p.answer(b); return err == nil }, p.packet(0))
}

func (p *pcp) restarted(b []byte) bool {
	x, err := nat.ParsePCP(b)
	return err == nil && x.Announce && x.Code == 0 && p.epoch.Update(time.Now(), x.Epoch)
}

// pmp keeps a mapping by NAT-PMP.
type pmp struct {
	*asker
	port     uint16
	epoch    nat.Epoch
	address  netip.Addr // outside
	external uint16     // granted last
}

func (p *pmp) method() Method { return NATPMP }

func (p *pmp) request(ctx context.Context) (lease, error) {
	suggested := p.external
	if suggested == 0 {
		suggested = p.port
	}
	var got nat.PMPAnswer
	var refused error
	p.address = netip.Addr{}
	// The address may have changed since: the answers to both requests count.
	err := p.ask(ctx, func(b []byte) bool {
		x, err := nat.ParsePMP(b)
		switch {
		case err != nil, x.Map && x.Internal != p.port && x.Code == 0:
			return false
		case x.Code != 0:
			refused = codeError{NATPMP, x.Code}
			return true
		case x.Map && x.External != 0:
			got = x
		case x.Address.IsValid():
			p.address = x.Address
		}
		p.epoch.Update(time.Now(), x.Epoch)
		return got.Map && p.address.IsValid()
	}, nat.PMPMap(p.port, suggested, uint32(wantedLifetime/time.Second)), nat.PMPAddress())
	lifetime := time.Duration(got.Lifetime) * time.Second
	switch {
	case err != nil:
		return lease{}, err
	case refused != nil:
		return lease{}, refused
	case lifetime < minLifetime:
		return lease{}, fmt.Errorf("portmap: NAT-PMP: a lifetime of %v", lifetime)
	}
	p.external = got.External
	return lease{netip.AddrPortFrom(p.address, got.External), lifetime}, nil
}

func (p *pmp) release(ctx context.Context) {
	_ = p.ask(ctx, func(b []byte) bool {
		x, err := nat.ParsePMP(b)
		return err == nil && x.Map
	}, nat.PMPMap(p.port, 0, 0))
}

func (p *pmp) restarted(b []byte) bool {
	x, err := nat.ParsePMP(b)
	return err == nil && x.Code == 0 && x.Address.IsValid() && p.epoch.Update(time.Now(), x.Epoch)
}
