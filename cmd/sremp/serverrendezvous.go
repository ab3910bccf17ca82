package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	rendezvouspostgres "github.com/sremp/sremp/rendezvous/postgres"
	rendezvoussqlite "github.com/sremp/sremp/rendezvous/sqlite"
	"github.com/sremp/sremp/transport"
)

// openRendezvous opens the rendezvous's database, PostgreSQL if one is named, and
// serves it: in PostgreSQL together with others of the same key. It announces
// itself to clients only at an address that its operator gave it.
func (s *services) openRendezvous(ctx context.Context, o serverOptions, key *identity.ServerKey, public identity.ServerAddr, log *slog.Logger) error {
	c := rendezvous.ServerConfig{Key: key, Logger: log, Public: public, Limits: o.limits.rendezvous}
	if o.database != "" {
		db, err := rendezvouspostgres.Open(ctx, o.database, log)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, db.Close)
		c.Store, c.Cluster = db, db
	} else {
		db, err := rendezvoussqlite.Open(ctx, filepath.Join(o.dir, rendezvousDBFile))
		if err != nil {
			return err
		}
		s.closers = append(s.closers, db.Close)
		c.Store = db
	}
	r, err := rendezvous.NewServer(c)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, r.Close)
	s.handlers[rendezvous.ALPN], s.rendezvous = r.Serve, r
	return nil
}

func parseGossip(texts []string) (out []identity.ServerAddr, err error) {
	for _, t := range texts {
		a, err := identity.ParseServerAddr(t)
		if err != nil {
			return nil, usageError{fmt.Errorf("--gossip takes addresses of servers, not %q: %w", t, err)}
		}
		out = append(out, a)
	}
	return out, nil
}

// gossip asks other servers until the returned function is called.
func (a *app) gossip(ctx context.Context, s *services, ep *transport.Endpoint, peers []identity.ServerAddr) (stop func()) {
	if s.rendezvous == nil || len(peers) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		s.rendezvous.Gossip(ctx, peers, func(ctx context.Context, a identity.ServerAddr) (*rendezvous.Client, error) {
			return rendezvous.Dial(ctx, ep, a)
		})
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

func parseSecondAddress(o serverOptions) (second netip.Addr, err error) {
	if o.secondAddress == "" {
		return second, nil
	}
	first, firstErr := netip.ParseAddrPort(o.listen)
	second, err = netip.ParseAddr(o.secondAddress)
	switch {
	case err != nil:
		return second, usageError{fmt.Errorf("--second-address takes an IP address, not %q", o.secondAddress)}
	case firstErr != nil || first.Addr().IsUnspecified() || first.Addr() == second || first.Addr().Is4() != second.Is4():
		return second, usageError{errors.New("with --second-address, --listen names another IP address of the same family")}
	}
	return second, nil
}

// moreSTUN answers STUN on the port after the server's, so that clients can
// compare what their NAT makes of two destinations, and on the same two ports of a
// second address, if there is one (RFC 5780). The second port may be taken; then
// there is none. The returned function ends it.
func (a *app) moreSTUN(ctx context.Context, first *transport.Endpoint, public identity.ServerAddr, second netip.Addr) (stop func(), err error) {
	at := first.LocalAddr()
	places := transport.STUNPlaces{Endpoints: [4]*transport.Endpoint{0: first}}
	stop = func() {
		places.Part()
		for _, ep := range places.Endpoints[1:] {
			if ep != nil {
				ep.Close()
			}
		}
	}
	for i := 1; i < len(places.Endpoints); i++ {
		local := at
		if i&2 != 0 {
			if !second.IsValid() {
				break
			}
			local = netip.AddrPortFrom(second, at.Port())
		}
		if i&1 != 0 {
			if at.Port() == 65535 {
				continue
			}
			local = netip.AddrPortFrom(local.Addr(), at.Port()+1)
		}
		ep, err := a.openSTUN(ctx, local)
		if err != nil && i&2 != 0 {
			stop()
			return nil, err
		}
		if err != nil {
			a.say("no second STUN port: %v", err)
			continue
		}
		places.Endpoints[i] = ep
	}
	// A host name, or a public port or address that is not the one here, says
	// nothing about where the other places are reached; then none tells of another.
	ip, err := netip.ParseAddr(public.Host)
	if err != nil || public.Port != at.Port() || second.IsValid() && ip != at.Addr() {
		return stop, nil
	}
	for i, ep := range places.Endpoints {
		if ep == nil {
			continue
		}
		places.Addrs[i] = netip.AddrPortFrom(ip, ep.LocalAddr().Port())
		if i&2 != 0 {
			places.Addrs[i] = netip.AddrPortFrom(second, ep.LocalAddr().Port())
		}
	}
	places.Join()
	return stop, nil
}

func (a *app) openSTUN(ctx context.Context, at netip.AddrPort) (*transport.Endpoint, error) {
	pc, err := listenUDP(ctx, at.String())
	if err != nil {
		return nil, err
	}
	ep, err := transport.New(transport.Config{PacketConn: pc, STUN: true, Logger: a.serverLogger()})
	if err != nil {
		pc.Close()
		return nil, err
	}
	return ep, nil
}
