package transport

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// run chooses the way to a server until nobody uses it (spec §5.8).
func (r *route) run() {
	defer r.end()
	r.decide()
	for !r.unused() {
		if r.tunnelled.Load() {
			r.leaveWhenUDPWorks()
		} else {
			r.leaveWhenUDPFails()
		}
	}
}

func (r *route) end() {
	t := &r.e.m.routes
	t.mu.Lock()
	if t.get(r.addr) == r {
		t.setLocked(r.addr, nil)
	}
	t.mu.Unlock()
	r.drop()
}

// drop closes the tunnel, if there is one.
func (r *route) drop() {
	if c := r.carrier.Swap(nil); c != nil {
		c.pc.Close()
	}
}

// unused reports whether the route has ended: the endpoint has, or nobody has
// used it for a while.
func (r *route) unused() bool {
	if r.e.ctx.Err() != nil {
		return true
	}
	free := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.users == 0
	}
	if !free() {
		return false
	}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for {
		select {
		case <-r.wake:
			if !free() {
				notify(r.wake)
				return false
			}
		case <-timer.C:
			// Nobody acquires it in between.
			t := &r.e.m.routes
			t.mu.Lock()
			defer t.mu.Unlock()
			if !free() {
				return false
			}
			t.setLocked(r.addr, nil)
			return true
		case <-r.e.ctx.Done():
			return true
		}
	}
}

// decide finds the first way: UDP, if it brings an answer before a tunnel is
// open, which is begun a moment later. Somebody dials by UDP meanwhile.
func (r *route) decide() {
	wait := tunnelDelay
	if r.e.m.routes.slow.Load() {
		wait = 0
	}
	r.challenge(wait)
}

// challenge asks UDP, and opens a tunnel from wait on unless that is open
// already. The one that comes first is the way.
func (r *route) challenge(wait time.Duration) {
	ctx, cancel := context.WithCancel(r.e.ctx)
	defer cancel()
	ask := r.newAsk()
	defer r.asking.CompareAndSwap(ask, nil)
	opened := make(chan *carrier, 1)
	start := time.NewTimer(wait)
	defer start.Stop()
	repeat := time.NewTicker(udpRepeat)
	defer repeat.Stop()
	asked, opening, retry := 1, false, tunnelRetry
	defer func() {
		if opening { // it ends with ctx
			cancel()
			if c := <-opened; c != nil {
				c.pc.Close()
			}
		}
	}()
	r.ask(ask)
	came := r.came.Load()
	for {
		select {
		case <-ask.answered:
			return
		case <-start.C:
			if c := r.carrier.Load(); c != nil && c.alive() {
				r.e.log.Debug("a server does not answer by UDP; back in its tunnel", slog.String("server", r.server.HostPort()))
				r.setTunnelled(true)
				return
			}
			opening = r.e.run(func() {
				c, err := r.open(ctx)
				if err != nil {
					r.e.log.Debug("no tunnel to a server", slog.String("server", r.server.HostPort()), slog.Any("err", err))
				}
				opened <- c
			})
		case c := <-opened:
			opening = false
			if c == nil {
				if ctx.Err() != nil {
					return
				}
				start.Reset(retry)
				retry = min(2*retry, maxTunnelRetry)
				r.ask(ask)
				continue
			}
			r.drop()
			r.carrier.Store(c)
			select {
			case <-ask.answered:
				return // standing by
			default:
			}
			r.e.log.Debug("a server does not answer by UDP; it is reached through a tunnel", slog.String("server", r.server.HostPort()))
			r.setTunnelled(true)
			return
		case <-repeat.C:
			if r.came.Load() != came && r.udpWorked.Load() {
				return // something came by UDP after all
			}
			if asked < udpAsks {
				asked++
				r.ask(ask)
			}
		case <-r.wake:
			if r.abandoned() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// abandoned reports whether nobody uses the route now.
func (r *route) abandoned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users == 0
}

// leaveWhenUDPFails waits until UDP does, and then takes a tunnel. A tunnel that
// was left stands by for a while.
func (r *route) leaveWhenUDPFails() {
	var spare <-chan time.Time
	if r.carrier.Load() != nil {
		timer := time.NewTimer(standby)
		defer timer.Stop()
		spare = timer.C
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var calm time.Time
	for {
		select {
		case <-r.wake:
		case <-timer.C:
		case <-spare:
			r.drop()
			continue
		case <-r.e.ctx.Done():
			return
		}
		if r.abandoned() {
			return
		}
		now := time.Now()
		due := suspectServer - time.Duration(r.e.m.now()-r.since.Load())
		switch {
		case r.look.Swap(false):
		case r.unheard.Load() < suspectUnanswered:
			continue
		case due > 0:
			timer.Reset(due)
			continue
		case now.Before(calm):
			timer.Reset(calm.Sub(now))
			continue
		}
		if r.challenge(tunnelSoon); r.tunnelled.Load() {
			return
		}
		calm = time.Now().Add(suspectPause)
	}
}

// leaveWhenUDPWorks asks UDP again and again, and opens the tunnel anew when it
// breaks, until UDP answers.
func (r *route) leaveWhenUDPWorks() {
	wait, retry := udpRetry, time.Duration(0)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	ask := r.newAsk()
	defer func() { r.asking.CompareAndSwap(ask, nil) }()
	ctx, cancel := context.WithCancel(r.e.ctx)
	defer cancel()
	var opened chan *carrier
	defer func() {
		if opened != nil {
			cancel()
			if c := <-opened; c != nil {
				c.pc.Close()
			}
		}
	}()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	dead := r.carrier.Load().died()
	for {
		select {
		case <-ask.answered:
			r.e.log.Debug("a server answers by UDP again; its tunnel is left", slog.String("server", r.server.HostPort()))
			r.setTunnelled(false)
			return
		case <-timer.C:
			r.ask(ask)
			wait = min(2*wait, maxUDPRetry)
			timer.Reset(wait)
		case <-r.wake:
			if r.abandoned() {
				return
			}
			if r.look.Swap(false) {
				wait = udpRetry
				r.ask(ask)
				timer.Reset(wait)
			}
		case <-dead:
			dead = nil
			again.Reset(retry)
			retry = min(max(2*retry, tunnelRetry), maxTunnelRetry)
			wait = udpRetry
			timer.Reset(0) // the network may be another one
		case <-again.C:
			opened = make(chan *carrier, 1)
			if !r.e.run(func() {
				c, _ := r.open(ctx) // the next attempt follows
				opened <- c
			}) {
				opened = nil
			}
		case c := <-opened:
			opened = nil
			if c == nil {
				again.Reset(max(retry, tunnelRetry))
				retry = min(max(2*retry, tunnelRetry), maxTunnelRetry)
				continue
			}
			r.drop()
			r.carrier.Store(c)
			dead = c.dead
		case <-ctx.Done():
			return
		}
	}
}

func (c *carrier) alive() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

func (c *carrier) died() <-chan struct{} {
	if c == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return c.dead
}

// lookAtRoute asks one server by UDP: there is reason to think that it does not
// answer.
func (e *Endpoint) lookAtRoute(server netip.AddrPort) {
	if r := e.m.routes.get(server); r != nil && !r.tunnelled.Load() {
		r.look.Store(true)
		notify(r.wake)
	}
}

// lookAtRoutes asks every server by UDP: the network has changed.
func (e *Endpoint) lookAtRoutes() {
	for _, r := range e.m.routes.all() {
		r.look.Store(true)
		notify(r.wake)
	}
}
