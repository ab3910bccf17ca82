package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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
	name       string // in the settings file
	listen     string // UDP address, empty for that of the settings
	passphrase string
	given      bool // passphrase came from a file or the environment
	ring       client.Keyring
	keeps      atomic.Bool // ring can keep a key, as far as is known
	kdf        identity.KDFParams
	links      []string // of ours, to open: at most one
	background bool     // no window is shown at first
	log        *slog.Logger

	server ownServer

	mu    sync.Mutex   // guards the rest
	inUse lockable     // the client in use, nil if there is none
	close func() error // leaves it
}

// A lockable is a client that can be locked: one of this process, or another's.
type lockable interface {
	client.API
	client.Locking
}

var _ present.Profile = (*profile)(nil)

// HasPassphrase implements [present.Profile].
func (p *profile) HasPassphrase() bool { return p.given || p.keeps.Load() }

// Attach implements [present.Profile]. Without a given passphrase it asks the
// keyring, or tries the empty one, which is what those have who wanted none.
func (p *profile) Attach(ctx context.Context) (client.API, error) {
	var unlock client.Unlock
	if p.given {
		unlock.Passphrase = &p.passphrase
	}
	api, err := p.attach(ctx, unlock)
	switch {
	case errors.Is(err, client.ErrNoProfile):
		k, ok := p.ring.(interface{ Available(context.Context) bool })
		p.keeps.Store(ok && k.Available(ctx))
	case errors.Is(err, client.ErrWrongPassphrase) && !p.given:
		return nil, present.ErrLocked
	}
	return api, err
}

// Create implements [present.Profile]. The key is the keyring's unless there is a
// passphrase.
func (p *profile) Create(ctx context.Context, name, passphrase string) (client.API, error) {
	if p.given {
		passphrase = p.passphrase
	}
	cfg := p.config()
	cfg.Passphrase = []byte(passphrase)
	if err := p.keepKey(ctx, &cfg); err != nil {
		return nil, err
	}
	db, err := sqlite.Create(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	cfg.Store = db
	if err := client.Create(ctx, cfg, name); err != nil {
		db.Close()
		return nil, err
	}
	c, err := client.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return p.serve(ctx, c)
}

// keepKey lets the keyring keep the key of a new profile that has no passphrase.
func (p *profile) keepKey(ctx context.Context, cfg *client.Config) error {
	if !p.keeps.Load() || p.given || len(cfg.Passphrase) > 0 {
		return nil
	}
	var key [32]byte
	rand.Read(key[:]) // never fails, see crypto/rand.Read
	if err := p.ring.Store(ctx, key); err != nil {
		p.keeps.Store(false)
		return err
	}
	cfg.Passphrase, cfg.KeyringKey = nil, &key
	return nil
}

// Restore implements [present.Host].
func (p *profile) Restore(ctx context.Context, backup, kit, passphrase string) (api client.API, out client.Restored, err error) {
	f, err := os.Open(backup)
	if err != nil {
		return nil, out, fmt.Errorf("%w (%w)", client.ErrNoFile, err)
	}
	defer f.Close()
	cfg := p.config()
	cfg.Passphrase = []byte(passphrase)
	if kit != "" {
		seed, err := identity.ParseKit(kit)
		if err != nil {
			return nil, out, err
		}
		cfg.Kit = &seed
		if err := p.keepKey(ctx, &cfg); err != nil {
			return nil, out, err
		}
	}
	db, err := sqlite.Create(ctx, p.dir)
	if err != nil {
		return nil, out, err
	}
	cfg.Store = db
	if out, err = client.Restore(ctx, cfg, f); err != nil {
		return nil, out, errors.Join(err, db.Close())
	}
	cfg.Kit = nil // the passphrase opens it
	c, err := client.Open(ctx, cfg)
	if err != nil {
		return nil, out, err
	}
	api, err = p.serve(ctx, c)
	return api, out, err
}

// Unlock implements [present.Profile].
func (p *profile) Unlock(ctx context.Context, u client.Unlock) (client.API, error) {
	p.mu.Lock()
	inUse := p.inUse
	p.mu.Unlock()
	if inUse != nil {
		err := inUse.Unlock(ctx, u)
		if !errors.Is(err, client.ErrClosed) {
			return inUse, err
		}
	}
	return p.attach(ctx, u)
}

// attach opens the profile, or uses the client that has it open.
func (p *profile) attach(ctx context.Context, u client.Unlock) (client.API, error) {
	give := time.NewTimer(inUseFor)
	defer give.Stop()
	for {
		api, err := p.tryAttach(ctx, u)
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

func (p *profile) tryAttach(ctx context.Context, u client.Unlock) (client.API, error) {
	remote, err := rpc.Dial(ctx, p.socket())
	switch {
	case err == nil:
		return p.attachRemote(ctx, remote, u)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("connecting to the running client: %w", err)
	}
	c, err := p.open(ctx, u)
	if err != nil {
		return nil, err
	}
	return p.serve(ctx, c)
}

// attachRemote uses another program's client, which may be locked.
func (p *profile) attachRemote(ctx context.Context, remote *rpc.Client, u client.Unlock) (client.API, error) {
	locked, err := remote.Locked(ctx)
	if err == nil && locked {
		if err = remote.Unlock(ctx, u); errors.Is(err, client.ErrKeyring) && u == (client.Unlock{}) {
			err = present.ErrLocked
		}
	}
	if err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	return remote, p.use(remote, remote.Close)
}

// open is the [client.Opener] of this profile. With the zero Unlock it asks the
// keyring if that has a key, and else tries the empty passphrase.
func (p *profile) open(ctx context.Context, u client.Unlock) (*client.Client, error) {
	db, err := sqlite.Open(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	cfg := p.config()
	cfg.Store = db
	var held client.Keys
	switch {
	case u.Kit != "":
		var seed [32]byte
		seed, err = identity.ParseKit(u.Kit)
		cfg.Kit = &seed
	case u.Passphrase != nil:
		cfg.Passphrase = []byte(*u.Passphrase)
	default:
		held, err = client.HeldBy(ctx, db)
	}
	if err == nil && held.Keyring {
		cfg.KeyringKey, err = p.key(ctx)
		if err != nil && held.Passphrase {
			err = present.ErrLocked
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return client.Open(ctx, cfg)
}

// key takes the profile's key from the keyring.
func (p *profile) key(ctx context.Context) (*[32]byte, error) {
	key, ok, err := p.ring.Load(ctx)
	if err == nil && !ok {
		err = client.ErrKeyring
	}
	return &key, err
}

func (p *profile) config() client.Config {
	return client.Config{KDF: p.kdf, Listen: p.listen, Logger: p.log, MapPorts: true, LAN: true, Downloads: config.Downloads(),
		Keyring: p.ring, Settings: config.File{Path: config.SettingsFile(), Profile: p.name}}
}

// serve makes c the client in use, and lets other programs use it.
func (p *profile) serve(ctx context.Context, c *client.Client) (client.API, error) {
	own, err := client.NewLockable(c, p.open)
	if err != nil {
		c.Close()
		return nil, err
	}
	l, err := rpc.Listen(p.socket())
	if err != nil {
		own.Close()
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(serving, l, own) }()
	if err := p.use(own, func() error {
		leave(own)
		stop()
		err := <-served
		return errors.Join(err, own.Close(), p.pauseServer())
	}); err != nil {
		return nil, err
	}
	if err := p.resumeServer(ctx); err != nil {
		p.log.Warn("the own server does not run", "err", err)
	}
	return own, nil
}

// leaveTime is for what was just written when the program ends.
const leaveTime = 2 * time.Second

// leave lets what waits go to its contact, or to a relay: what was done in the last
// moment, like to accept a file, would else leave with the next start.
func leave(own *client.Lockable) {
	c, err := own.Client()
	if err != nil {
		return // it is locked
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	_ = c.Flush(ctx) // it leaves with the next start
}

// use makes c the client in use, and close the way to leave it, after leaving the
// one before.
func (p *profile) use(c lockable, close func() error) error {
	err := p.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse, p.close = c, close
	return err
}

// Close leaves the client in use. The client of another program runs on.
func (p *profile) Close() error {
	p.mu.Lock()
	close := p.close
	p.inUse, p.close = nil, nil
	p.mu.Unlock()
	if close == nil {
		return nil
	}
	return close()
}

func (p *profile) socket() string { return filepath.Join(p.dir, socketFile) }
