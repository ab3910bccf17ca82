package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/client/sqlite"
)

const (
	socketFile = "socket" // of a running client, in the profile's directory
	// inUseFor is how long a command waits for another one that has the profile
	// open for a moment.
	inUseFor   = 5 * time.Second
	inUseRetry = 50 * time.Millisecond
	notesName  = "me" // the contact that is oneself, unless somebody has that name
)

// A session is an open profile: a client that runs already, through its
// socket, or else one of this process.
type session struct {
	client.API
	close func() error
	own   *client.Lockable // nil if the client is another process
}

// Close leaves the other process's client running.
func (s *session) Close() error { return s.close() }

// open opens the profile, by its running client if there is one.
func (a *app) open(ctx context.Context) (*session, error) {
	give := time.NewTimer(inUseFor)
	defer give.Stop()
	for {
		s, err := a.tryOpen(ctx)
		if !errors.Is(err, client.ErrProfileInUse) {
			return s, err
		}
		// The other program is about to listen on its socket, or to end.
		select {
		case <-give.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(inUseRetry):
		}
	}
}

func (a *app) tryOpen(ctx context.Context) (*session, error) {
	s, err := a.attach(ctx)
	if err == nil || !errors.Is(err, errNotRunning) {
		return s, err
	}
	db, err := sqlite.Open(ctx, a.profile)
	if err != nil {
		return nil, err
	}
	cfg, err := a.openConfig(ctx, db)
	if err != nil {
		db.Close()
		return nil, err
	}
	c, err := client.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	own, err := client.NewLockable(c, a.unlock)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &session{API: own, close: own.Close, own: own}, nil
}

// attach connects to the client that runs on the profile; [errNotRunning] if
// there is none.
func (a *app) attach(ctx context.Context) (*session, error) {
	remote, err := rpc.Dial(ctx, a.socket())
	switch {
	case err == nil:
		return &session{API: remote, close: remote.Close}, nil
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNotRunning
	}
	return nil, fmt.Errorf("connecting to the running client: %w", err)
}

func (a *app) socket() string { return filepath.Join(a.profile, socketFile) }

// serve lets other commands use this process's client until the returned stop
// is called. It does nothing if the client is another process's.
func (s *session) serve(ctx context.Context, path string) (stop func() error, err error) {
	if s.own == nil {
		return func() error { return nil }, nil
	}
	l, err := rpc.Listen(path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, l, s.own) }()
	return func() error {
		cancel()
		return <-served
	}, nil
}

// client returns this process's client.
func (s *session) client() (*client.Client, error) { return s.own.Client() }

// with runs f on the open profile.
func (a *app) with(ctx context.Context, f func(*session) error) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	err = f(s)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

// find returns the contact that a person named. A client that has just begun
// may learn in a moment, from its mail, of somebody who used an invite.
func (s *session) find(ctx context.Context, name string) (found client.Contact, err error) {
	lookup := func() error {
		contacts, err := s.Contacts(ctx)
		if err != nil {
			return err
		}
		found, err = client.FindContact(contacts, name)
		if errors.Is(err, client.ErrUnknownContact) && strings.EqualFold(name, notesName) {
			me, meErr := s.WhoAmI(ctx)
			if meErr != nil {
				return meErr
			}
			found, err = client.Contact{ID: me.ID, Name: me.Name, Self: true}, nil
		}
		return err
	}
	err = lookup()
	if !errors.Is(err, client.ErrUnknownContact) || s.own == nil {
		return found, err
	}
	servers, serversErr := s.Servers(ctx)
	if serversErr != nil || len(servers) == 0 {
		return found, errors.Join(err, serversErr)
	}
	if waitErr := s.await(ctx, mailWait, func(client.Event) (bool, error) {
		err = lookup()
		return !errors.Is(err, client.ErrUnknownContact), nil
	}); waitErr != nil {
		return found, waitErr
	}
	return found, err
}
