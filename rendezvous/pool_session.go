package rendezvous

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

// keep holds a connection to one server.
func (p *Pool) keep(ctx context.Context, s *poolServer) {
	var redial transport.Redial
	for ctx.Err() == nil {
		p.mu.Lock()
		s.trying = true
		p.mu.Unlock()
		stood, err := p.session(ctx, s)
		p.mu.Lock()
		if !stood {
			s.tries++
		}
		s.trying, s.client, s.problem, s.told = false, nil, err, nil
		p.movedLocked()
		p.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		p.c.Logger.Debug("rendezvous session ended", "server", s.addr.HostPort(), "err", err)
		if p.c.Down != nil {
			p.c.Down(s.addr, err)
		}
		var pause time.Duration
		switch {
		case errors.Is(err, transport.ErrRefused):
			pause = poolRefused
		case stood:
			pause = rand.N(poolReturn)
			redial.Answered()
		default:
			pause = redial.Failed(poolRetryMin)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.again:
			redial.Answered()
		case <-ctx.Done():
		}
		timer.Stop()
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
	next, err := p.apply(ctx, s, &have)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	s.tries++
	s.trying, s.client, s.problem = false, c, nil
	p.movedLocked()
	p.mu.Unlock()
	if p.c.Up != nil {
		p.c.Up(s.addr, c)
	}
	timer := time.NewTimer(next)
	defer timer.Stop()
	changes := c.Changes()
	intros := c.Introductions()
	for {
		select {
		case <-timer.C:
			if next, err = p.apply(ctx, s, &have); err != nil {
				return true, err
			}
			timer.Reset(next)
		case <-s.wake:
			if next, err = p.apply(ctx, s, &have); err != nil {
				return true, err
			}
			timer.Reset(next)
		case <-s.again: // it stands
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
	signed uint64    // the day for which own was registered
	renew  time.Time // when to renew it
	period uint64    // of the subscriptions
	subs   map[identity.PeerID]subject
}

// apply brings a server up to date with what the pool wants there, and returns
// when to look again.
func (p *Pool) apply(ctx context.Context, s *poolServer, have *standing) (next time.Duration, err error) {
	now := p.c.Now()
	p.mu.Lock()
	own := p.own
	var want []subject
	for s := range p.subs {
		want = append(want, s)
	}
	p.mu.Unlock()
	next = untilTomorrow(have.client.clock(now)) + rand.N(poolSpread)
	err = p.stand(ctx, now, have, own)
	busy := errors.Is(err, ErrBusy) // a limit on how often
	if err != nil && !busy {
		return 0, err
	}
	if err == nil {
		p.mu.Lock()
		s.told = own
		p.movedLocked()
		p.mu.Unlock()
		if own != nil {
			next = min(next, have.renew.Sub(now))
		}
	}
	err = p.subscribeAll(ctx, now, have, want)
	if errors.Is(err, ErrBusy) {
		busy, err = true, nil // lookups work meanwhile
	}
	if busy {
		next = poolBusy + rand.N(poolBusy)
	}
	return next, err
}

// untilTomorrow is how long the period of now still is.
func untilTomorrow(now time.Time) time.Duration {
	return periodLength - time.Duration(max(now.UnixNano(), 0))%periodLength
}

// stand makes own stand at a server, and nothing else of ours.
func (p *Pool) stand(ctx context.Context, now time.Time, have *standing, own *Presence) error {
	if have.own != nil && have.own != own {
		if err := p.withdraw(ctx, now, have, own); err != nil {
			return err
		}
	}
	if own == nil || have.own == own && have.signed == have.client.period(now) && now.Before(have.renew) {
		return nil
	}
	ttl, err := p.present(ctx, now, have, own)
	if err == nil { // before half of the lifetime is over, and not with everybody else
		have.renew = now.Add(ttl/4 + rand.N(ttl/4+1))
	}
	return err
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

// present registers own, or renews it, and returns for how long it stands. What
// is new, or of a new day, is signed; what stands is renewed cheaply.
func (p *Pool) present(ctx context.Context, now time.Time, have *standing, own *Presence) (time.Duration, error) {
	c := have.client
	today := c.period(now)
	if have.own == own && have.signed == today {
		ttl, err := c.Renew(ctx)
		if !errors.Is(err, ErrNotFound) {
			return ttl, err
		}
	}
	if err := c.Register(ctx, now, own.Local, own.Lookup, own.Content, own.TTL); err != nil {
		return 0, err
	}
	switch {
	case own.Listing != nil:
		if err := c.List(ctx, now, own.Local, *own.Listing, own.TTL); err != nil {
			return 0, err
		}
	case own.Unlist && have.own != own:
		if err := c.Unlist(ctx, own.Local); err != nil {
			return 0, err
		}
	}
	have.own, have.signed = own, today
	if own.TTL > 0 && own.TTL < c.MaxTTL() {
		return own.TTL, nil
	}
	return c.MaxTTL(), nil
}
