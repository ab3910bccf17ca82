package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/config"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/identity"
)

const (
	socketFile = "socket" // of a running client, in the profile's directory
	// inUseFor is how long the profile is waited for that another program has
	// open for a moment.
	inUseFor   = 5 * time.Second
	inUseRetry = 50 * time.Millisecond
)

// A profile is a directory with a person's keys and history. If another program
// has it open, that program's client is used through its socket.
type profile struct {
	dir        string
	listen     string // UDP address, empty for any
	passphrase string
	given      bool // passphrase came from a file or the environment
	kdf        identity.KDFParams
	links      []string // of ours, to open: at most one
	background bool     // no window is shown at first
	log        *slog.Logger

	mu    sync.Mutex   // guards close
	close func() error // of the client in use, nil if there is none
}

var _ present.Profile = (*profile)(nil)

// HasPassphrase implements [present.Profile].
func (p *profile) HasPassphrase() bool { return p.given }

// Attach implements [present.Profile]. Without a given passphrase it tries the
// empty one, which is what those have who wanted none.
func (p *profile) Attach(ctx context.Context) (client.API, error) {
	api, err := p.Unlock(ctx, p.passphrase)
	if errors.Is(err, client.ErrWrongPassphrase) && !p.given {
		return nil, present.ErrLocked
	}
	return api, err
}

// Create implements [present.Profile].
func (p *profile) Create(ctx context.Context, name, passphrase string) (client.API, error) {
	if p.given {
		passphrase = p.passphrase
	}
	db, err := sqlite.Create(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	cfg := p.config(db, passphrase)
	if err := client.Create(ctx, cfg, name); err != nil {
		db.Close()
		return nil, err
	}
	return p.open(ctx, cfg)
}

// Unlock implements [present.Profile].
func (p *profile) Unlock(ctx context.Context, passphrase string) (client.API, error) {
	give := time.NewTimer(inUseFor)
	defer give.Stop()
	for {
		api, err := p.tryUnlock(ctx, passphrase)
		if !errors.Is(err, client.ErrProfileInUse) {
			return api, err
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

func (p *profile) tryUnlock(ctx context.Context, passphrase string) (client.API, error) {
	remote, err := rpc.Dial(ctx, p.socket())
	switch {
	case err == nil:
		return remote, p.use(remote.Close)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("connecting to the running client: %w", err)
	}
	db, err := sqlite.Open(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	return p.open(ctx, p.config(db, passphrase))
}

func (p *profile) config(db client.Store, passphrase string) client.Config {
	return client.Config{Store: db, Passphrase: []byte(passphrase), KDF: p.kdf, Listen: p.listen, Logger: p.log, MapPorts: true,
		LAN: true, Downloads: config.Downloads()}
}

// open opens the client here and lets other programs use it.
func (p *profile) open(ctx context.Context, cfg client.Config) (client.API, error) {
	c, err := client.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	l, err := rpc.Listen(p.socket())
	if err != nil {
		c.Close()
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(serving, l, c) }()
	return c, p.use(func() error {
		stop()
		err := <-served
		return errors.Join(err, c.Close())
	})
}

// use makes close the way to leave the client in use, after leaving the one
// before.
func (p *profile) use(close func() error) error {
	err := p.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close = close
	return err
}

// Close leaves the client in use. The client of another program runs on.
func (p *profile) Close() error {
	p.mu.Lock()
	close := p.close
	p.close = nil
	p.mu.Unlock()
	if close == nil {
		return nil
	}
	return close()
}

func (p *profile) socket() string { return filepath.Join(p.dir, socketFile) }
