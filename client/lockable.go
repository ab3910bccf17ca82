package client

import (
	"context"
	"sync"
	"time"
)

// An Opener opens a profile with what a user gave; the zero Unlock asks the
// keyring alone.
type Opener func(ctx context.Context, u Unlock) (*Client, error)

// A Lockable is a client that can be locked: then no key of the profile is in
// this program's memory, nothing is connected, and every method of [API] returns
// [ErrLocked]. What is sent to us meanwhile waits at the relay or its sender.
// Subscriptions last over that. Every method is safe for concurrent use.
type Lockable struct {
	open Opener
	hub  hub

	mu     sync.Mutex
	c      *Client       // nil while locked
	feed   chan struct{} // closed when the events of c have ended
	used   time.Time     // when somebody last asked something of it
	timer  *time.Timer   // runs autoLock
	before func(context.Context)
	closed bool
}

// beforeLock is how long a lock waits for what is stored before it.
const beforeLock = 2 * time.Second

var (
	_ API     = (*Lockable)(nil)
	_ Locking = (*Lockable)(nil)
)

// NewLockable makes c, which is open, lockable. It owns c from then on.
func NewLockable(c *Client, open Opener) (*Lockable, error) {
	l := &Lockable{open: open}
	if c.cfg.KeepEvents {
		l.hub.keep()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l, l.useLocked(c)
}

// useLocked makes c the client, and hands its events on.
func (l *Lockable) useLocked(c *Client) error {
	events, err := c.Subscribe(context.Background())
	if err != nil {
		return err
	}
	feed := make(chan struct{})
	go func() { // ends with c
		defer close(feed)
		for e := range events {
			if e, ok := e.(SettingsEvent); ok {
				l.arm(e.Settings)
			}
			l.hub.emit(e)
		}
	}()
	l.c, l.feed, l.used = c, feed, time.Now()
	l.armLocked(*c.settings.Load())
	return nil
}

func (l *Lockable) arm(s Settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armLocked(s)
}

// armLocked sets the timer that locks.
func (l *Lockable) armLocked(s Settings) {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if after := time.Duration(s.Lock.After); after > 0 && l.c != nil {
		l.timer = time.AfterFunc(after-time.Since(l.used), func() { l.autoLock(after) })
	}
}

func (l *Lockable) autoLock(after time.Duration) {
	l.mu.Lock()
	idle := time.Since(l.used)
	if l.c == nil || l.timer == nil {
		l.mu.Unlock()
		return
	}
	if idle < after {
		l.timer.Reset(after - idle)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	_ = l.Lock(context.Background()) // the next use shows what came of it
}

// Client returns the open client, or [ErrLocked].
func (l *Lockable) Client() (*Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case l.c == nil:
		return nil, ErrLocked
	}
	l.used = time.Now()
	return l.c, nil
}

// BeforeLock has f be called before each lock, by whomever, while the client is
// open still: so that what a person has begun is stored, sealed. A lock does not
// wait longer than its context.
func (l *Lockable) BeforeLock(f func(ctx context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = f
}

// storeBegun runs what BeforeLock was given, if there is something to lock.
func (l *Lockable) storeBegun(ctx context.Context) {
	l.mu.Lock()
	f := l.before
	if l.c == nil {
		f = nil
	}
	l.mu.Unlock()
	if f == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, beforeLock)
	defer cancel()
	done := make(chan struct{})
	go func() { // ends soon after ctx
		defer close(done)
		f(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Lock implements [Locking]. Locking what is locked is no error.
func (l *Lockable) Lock(ctx context.Context) error {
	l.storeBegun(ctx)
	l.mu.Lock()
	c, feed := l.c, l.feed
	l.c = nil
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	err := c.Close()
	<-feed
	l.hub.emit(LockEvent{Locked: true})
	return err
}

// Unlock implements [Locking]. Unlocking what is not locked is no error.
func (l *Lockable) Unlock(ctx context.Context, u Unlock) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.c != nil:
		return nil
	}
	c, err := l.open(ctx, u)
	if err != nil {
		return err
	}
	if err := l.useLocked(c); err != nil {
		c.Close()
		return err
	}
	l.hub.emit(LockEvent{})
	return nil
}

// Locked implements [Locking].
func (l *Lockable) Locked(context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, ErrClosed
	}
	return l.c == nil, nil
}

// Close closes the client and ends the subscriptions.
func (l *Lockable) Close() error {
	l.mu.Lock()
	c, feed := l.c, l.feed
	l.c, l.closed = nil, true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	var err error
	if c != nil {
		err = c.Close()
		<-feed
	}
	l.hub.close()
	return err
}

// Subscribe implements [API].
func (l *Lockable) Subscribe(ctx context.Context) (<-chan Event, error) { return l.hub.subscribe(ctx) }

// call is one method of the client, if it is not locked.
func call[R any](l *Lockable, f func(*Client) (R, error)) (r R, err error) {
	c, err := l.Client()
	if err != nil {
		return r, err
	}
	return f(c)
}

// run is call without a result.
func (l *Lockable) run(f func(*Client) error) error {
	c, err := l.Client()
	if err != nil {
		return err
	}
	return f(c)
}
