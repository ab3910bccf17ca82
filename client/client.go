package client

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

// A Config says how to open a profile. Zero fields mean the defaults given.
type Config struct {
	Store      Store              // closed by Close, and when Open fails
	Passphrase []byte             // may be empty
	Kit        *[32]byte          // of Open and Restore: the recovery kit, instead of the passphrase
	KeyringKey *[32]byte          // a key that the desktop's keyring keeps, instead of the passphrase
	Keyring    Keyring            // the desktop's, for UseKeyring; may be nil
	Settings   SettingsStore      // nil: settings last as long as the client
	KDF        identity.KDFParams // of Create; identity.DefaultKDF
	Listen     string             // UDP address; that of the settings
	Logger     *slog.Logger       // none
	// MapPorts asks the gateway for a port that leads to us, LAN finds contacts on
	// the local network and is found by them; if the settings allow it.
	MapPorts, LAN bool
	Downloads     string           // folder of received files if the settings name none; empty: none are taken
	Now           func() time.Time // time.Now; of everything that is stored or sent

	Resolver rendezvous.Resolver // net.DefaultResolver; of Discover

	// ListenPacket opens a UDP socket on an address. nil: the system's network.
	// One that is given is all there is: no server is reached by TCP beside it.
	ListenPacket func(addr string) (net.PacketConn, error)

	// KeepEvents gives the first Subscribe also what happened since Open: a
	// program that must miss nothing cannot subscribe before there is a client.
	KeepEvents bool
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return c
}

// A Client is one open profile. Every method is safe for concurrent use.
type Client struct {
	cfg   Config
	log   *slog.Logger
	vault *vault
	hub   hub
	jobs  chan func(*core)
	net   *network

	settings atomic.Pointer[Settings]

	ctx    context.Context // done when Close begins
	cancel context.CancelFunc
	tasks  sync.WaitGroup // everything that runs on behalf of the core
	ended  chan struct{}  // closed when the core has stopped
	once   sync.Once
	closed error // of the store; set before Close returns

	backup  sync.Mutex  // held while one is written
	destroy atomic.Bool // Close is to remove the store for good
}

var _ API = (*Client)(nil)

// Create makes a new identity named name and stores its profile. The store
// stays open, for Open; Create closes nothing. It returns [ErrBadName] or
// [ErrProfileExists], or what the store says.
func Create(ctx context.Context, cfg Config, name string) error {
	cfg = cfg.withDefaults()
	if identity.CheckName(name) != nil {
		return ErrBadName
	}
	header, err := cfg.Store.Header(ctx)
	switch {
	case err != nil:
		return err
	case header != nil:
		return ErrProfileExists
	}
	if err := cfg.KDF.Check(); err != nil {
		return err
	}
	v := newVault(cfg.Store, randomKey())
	changes, kit, err := newProfile(v, name, cfg.Now())
	if err != nil {
		return err
	}
	header = cfg.newHeader(v, kit)
	if err := cfg.Store.Apply(ctx, changes); err != nil {
		return err
	}
	// The header comes last: without it there is no profile, and Create can be
	// repeated.
	return cfg.Store.SetHeader(ctx, header)
}

func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails, see crypto/rand.Read
	return key
}

// newHeader wraps the database key for everyone who holds it: the passphrase or
// the keyring, and always the kit.
func (c Config) newHeader(v *vault, kit [32]byte) []byte {
	hs := []holder{keyHolder(holdsKit, kit, v.key())}
	if c.KeyringKey != nil {
		hs = append(hs, keyHolder(holdsKeyring, derive(*c.KeyringKey, contextKeyringKey), v.key()))
	} else {
		hs = append(hs, passphraseHolder(c.Passphrase, c.KDF, v.key()))
	}
	return appendHolders(hs)
}

// Open opens a profile and connects it: it listens, registers with its servers
// and reaches for its contacts in the background. ctx bounds Open itself only.
// Errors: [ErrNoProfile], [ErrWrongPassphrase], [ErrDamaged].
func Open(ctx context.Context, cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c, err := open(ctx, cfg)
	if err != nil {
		cfg.Store.Close()
		return nil, err
	}
	return c, nil
}

func open(ctx context.Context, cfg Config) (*Client, error) {
	v, err := openVault(ctx, cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, log: cfg.Logger, vault: v, jobs: make(chan func(*core), maxBatch), ended: make(chan struct{})}
	if err := c.loadSettings(); err != nil {
		return nil, err
	}
	if cfg.Listen == "" {
		c.cfg.Listen = c.settings.Load().Network.Listen
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := errors.Join(v.tagOldRows(ctx), v.bindStates(ctx)); err != nil {
		c.cancel()
		return nil, err
	}
	k, err := loadCore(ctx, c)
	if err != nil {
		c.cancel()
		return nil, err
	}
	if err := k.rotateKeys(ctx); err != nil {
		c.cancel()
		return nil, err
	}
	if err := k.newInstance(ctx); err != nil {
		c.cancel()
		return nil, err
	}
	if c.net, err = newNetwork(c, k); err != nil {
		c.cancel()
		return nil, err
	}
	if err := k.keepPort(ctx, c.net.ep.LocalAddr()); err != nil {
		c.net.close()
		c.cancel()
		return nil, err
	}
	if cfg.KeepEvents {
		c.hub.keep()
	}
	go k.run(c.ctx)
	c.net.start()
	return c, nil
}

// drainTime bounds what Close waits for acknowledgements to leave.
const drainTime = 2 * time.Second

// Close ends every connection, waits for all that runs, and closes the store.
// What is in the outbox stays there; acknowledgements of what was received get
// a moment to leave.
func (c *Client) Close() error {
	c.once.Do(func() {
		c.drain()
		c.cancel()
		c.net.close()
		c.tasks.Wait()
		<-c.ended
		c.hub.close()
		if d, ok := c.cfg.Store.(Destroyer); ok && c.destroy.Load() {
			c.closed = d.Destroy()
			return
		}
		c.closed = c.cfg.Store.Close()
	})
	return c.closed
}

// drain ends after drainTime whatever the core does: it may be waiting for a disk
// that never answers again.
func (c *Client) drain() {
	ctx, cancel := context.WithTimeout(c.ctx, drainTime)
	defer cancel()
	for due := true; due; {
		answer := make(chan bool, 1)
		job := func(k *core) {
			due := k.acksDue()
			k.settle(func(err error) { answer <- err == nil && due })
		}
		select {
		case c.jobs <- job:
		case <-ctx.Done():
			return
		}
		select {
		case due = <-answer:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(drainTime / 100):
		case <-ctx.Done():
			return
		}
	}
}

// do runs f on the core and waits until what it changed is stored. f must
// change nothing when it returns an error. If ctx ends before the core has come to
// f, as when the disk is gone, f never runs.
func (c *Client) do(ctx context.Context, f func(*core) error) error {
	result := make(chan error, 1)
	var taken atomic.Bool // by the core, or by us for ever
	job := func(k *core) {
		if !taken.CompareAndSwap(false, true) {
			return
		}
		if err := f(k); err != nil {
			result <- err
			return
		}
		k.settle(func(err error) { result <- err })
	}
	select {
	case c.jobs <- job:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
	case <-c.ended:
		return ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-c.ended:
		return ErrClosed
	}
}

// post runs f on the core some time. It blocks while the core is behind, which
// slows down who produces the work; it reports whether f will run.
func (c *Client) post(f func(*core)) bool {
	select {
	case c.jobs <- f:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// Subscribe implements [API].
func (c *Client) Subscribe(ctx context.Context) (<-chan Event, error) { return c.hub.subscribe(ctx) }
