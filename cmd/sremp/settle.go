package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
)

// How long a command that opened the profile itself stays for work in the
// background before it goes; whatever is left is done by the next command.
const (
	serversWait = 5 * time.Second
	contactWait = 6 * time.Second
	sendWait    = 6 * time.Second
	mailWait    = 5 * time.Second // for mail that may tell of a contact
)

// settleServers gives a client that has just begun time to reach its servers,
// and tells the person which it cannot reach. It returns [client.ErrClock] if
// one says that our clock is off: the dates of invites would be too.
func (a *app) settleServers(ctx context.Context, s *session) error {
	servers, err := s.awaitServers(ctx)
	if err != nil {
		return err
	}
	for _, server := range servers {
		problem := serverProblem(server)
		if errors.Is(problem, client.ErrClock) {
			return problem
		}
		if !server.Connected {
			a.say("%s: %v", server.Address, problem)
		}
	}
	return nil
}

// awaitServers returns when every server is connected or known not to be, or
// serversWait is over.
func (s *session) awaitServers(ctx context.Context) (servers []client.Server, err error) {
	err = s.await(ctx, serversWait, func(client.Event) (bool, error) {
		var err error
		if servers, err = s.Servers(ctx); err != nil {
			return false, err
		}
		for _, server := range servers {
			if !server.Connected && server.Problem == "" {
				return false, nil
			}
		}
		return true, nil
	})
	return servers, err
}

// await calls done with nil and then with each event, until it says so or the
// time is over. That is no error: the caller looks at what it got.
func (s *session) await(ctx context.Context, limit time.Duration, done func(client.Event) (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	events, err := s.Subscribe(limited)
	if err != nil {
		return err
	}
	var e client.Event
	for {
		if ok, err := done(e); ok || err != nil {
			return err
		}
		var open bool
		if e, open = <-events; !open {
			return ctx.Err()
		}
	}
}

// settleContact gives a new contact's first message time to reach the contact
// or its relay, so that the profile need not be opened again for that.
func (a *app) settleContact(ctx context.Context, s *session, c client.Contact) error {
	if s.own == nil {
		return nil
	}
	if err := flush(ctx, s.own, contactWait); err != nil {
		a.say("%s; the contact is stored and hears of you when that has changed", s.obstacle(ctx))
	}
	return nil
}

// obstacle says why nothing got through in time, as one of the sentinels.
func (s *session) obstacle(ctx context.Context) error {
	servers, err := s.Servers(ctx)
	if err != nil {
		return err
	}
	var worst error
	for _, server := range servers {
		problem := serverProblem(server)
		if errors.Is(problem, client.ErrClock) {
			return problem
		}
		if server.Connected {
			return client.ErrTimeout
		}
		worst = problem
	}
	if worst == nil {
		return client.ErrTimeout
	}
	return worst
}

// serverProblem is the error that a server's problem tells of.
func serverProblem(s client.Server) error {
	for _, sentinel := range []error{client.ErrClock, client.ErrServerIdentity, client.ErrUnreachable} {
		if strings.Contains(s.Problem, sentinel.Error()) {
			return sentinel
		}
	}
	if s.Problem == "" {
		return client.ErrUnreachable
	}
	return fmt.Errorf("%w (%s)", client.ErrUnreachable, s.Problem)
}

// flush waits until everything in the outbox has arrived somewhere, at most for
// limit; then it returns [client.ErrTimeout].
func flush(ctx context.Context, l *client.Lockable, limit time.Duration) error {
	c, err := l.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.Flush(ctx)
}
