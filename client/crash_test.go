package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/faults"
)

// A crashStore is a machine that dies at one of its transactions: just before
// it is durable, or just after, before anybody heard of it. A failing one comes
// back to life.
type crashStore struct {
	client.Store
	after bool  // the fatal transaction is durable
	err   error // what the callers see
	lives bool  // only the one transaction fails

	mu   sync.Mutex
	left int // transactions until then
	dead bool
}

var errDead = errors.New("the machine is off")

func (s *crashStore) Apply(ctx context.Context, changes []client.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead && !s.lives {
		return s.err
	}
	s.left--
	if s.left != 0 {
		return s.Store.Apply(ctx, changes)
	}
	s.dead = true
	if s.after {
		if err := s.Store.Apply(ctx, changes); err != nil {
			return err
		}
	}
	return s.err
}

func (s *crashStore) crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// A person is a client that can be killed and started again on its address.
type person struct {
	t      *testing.T
	dir    string
	disk   *faults.Disk // nil: the profile is in dir
	listen string
	log    *keyWatch // nil: the log of the test
	c      *client.Client
	id     identity.PeerID
}

// people counts persons: each has a loopback address of its own, so that nobody
// takes the port of one who is dead for a moment.
var people atomic.Uint32

func newPerson(t *testing.T, name string) *person {
	t.Helper()
	p := newAddress(t)
	create(t, p.dir, name)
	return p
}

// newPersonOn is newPerson with the profile on a disk that may fail.
func newPersonOn(t *testing.T, d *faults.Disk, name string) *person {
	t.Helper()
	p := newAddress(t)
	p.disk = d
	s, err := p.store()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := client.Create(t.Context(), client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak}, name); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) store() (client.Store, error) {
	if p.disk != nil {
		return sqlite.OpenOn(p.t.Context(), faults.VFS, p.disk.Path("client.db"))
	}
	return sqlite.Open(p.t.Context(), p.dir)
}

func newAddress(t *testing.T) *person {
	t.Helper()
	n := people.Add(1)
	pc, err := net.ListenPacket("udp", fmt.Sprintf("127.1.%d.%d:0", n/250, 1+n%250))
	if err != nil {
		t.Fatal(err)
	}
	pc.Close()
	return &person{t: t, dir: t.TempDir(), listen: pc.LocalAddr().String()}
}

// open starts the client with a store that wrap may wrap.
func (p *person) open(wrap func(client.Store) client.Store) {
	p.t.Helper()
	if err := p.tryOpen(wrap); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) tryOpen(wrap func(client.Store) client.Store) error {
	p.t.Helper()
	s, err := p.store()
	if err != nil {
		return err
	}
	if wrap != nil {
		s = wrap(s)
	}
	log := testLogger(p.t, p.dir[len(p.dir)-5:])
	if p.log != nil && log == nil {
		log = slog.New(p.log)
	}
	p.c, err = client.Open(p.t.Context(), client.Config{Store: s, Passphrase: []byte("pw"), Listen: p.listen, Logger: log})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	c := p.c
	p.t.Cleanup(func() { c.Close() })
	p.id = me(p.t, p.c)
	return nil
}

// aWhile is how long a person waits for a client whose disk may be gone. What the
// client did not begin by then, it does not do.
const aWhile = 5 * time.Second

// say sends text unless it is in the history already, as a person does who is
// not sure.
func (p *person) say(to identity.PeerID, text string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), aWhile)
	defer cancel()
	h, err := p.c.History(ctx, to, client.HistoryQuery{})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(h, func(m client.Message) bool { return m.Text == text }) {
		return nil
	}
	_, err = p.c.Send(ctx, to, text)
	return err
}

// heard returns the conversation, or what went wrong.
func (p *person) heard(with identity.PeerID) string {
	ctx, cancel := context.WithTimeout(p.t.Context(), aWhile)
	defer cancel()
	h, err := p.c.History(ctx, with, client.HistoryQuery{})
	if err != nil {
		return err.Error()
	}
	return strings.Join(lines(h), " ")
}

// Nothing is lost and nothing doubled, whichever transaction of whichever side
// is the last before the power fails.
func TestCrashAnywhere(t *testing.T) {
	steps := 10
	if testing.Short() {
		steps = 3
	}
	for _, inviterDies := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for step := 1; step <= steps; step++ {
				name := fmt.Sprintf("inviter=%v/after=%v/%d", inviterDies, after, step)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					crash(t, inviterDies, after, step)
				})
			}
		}
	}
}

func crash(t *testing.T, inviterDies, after bool, step int) {
	a, b := newPerson(t, "Alice"), newPerson(t, "Bob")
	a.open(nil)
	uri := invite(t, a.c)
	a.c.Close()
	store := &crashStore{after: after, err: errDead, left: step}
	wrap := func(s client.Store) client.Store { store.Store = s; return store }
	mortal, other := b, a
	if inviterDies {
		mortal, other = a, b
	}
	other.open(nil)
	reborn := false
	switch err := mortal.tryOpen(wrap); {
	case errors.Is(err, errDead): // while it was opened
		reborn = true
		mortal.open(nil)
	case err != nil:
		t.Fatal(err)
	}
	eventually(t, "three messages on both sides", func() (bool, string) {
		if store.crashed() && !reborn {
			reborn = true
			mortal.c.Close()
			mortal.open(nil)
		}
		if _, err := b.c.Add(t.Context(), uri, ""); err != nil {
			return false, err.Error()
		}
		if err := errors.Join(b.say(a.id, "one"), b.say(a.id, "two")); err != nil {
			return false, err.Error()
		}
		if got := a.heard(b.id); !strings.Contains(got, "<two") {
			return false, got
		}
		if err := a.say(b.id, "three"); err != nil {
			return false, err.Error()
		}
		got := a.heard(b.id) + " | " + b.heard(a.id)
		return got == "<one <two >delivered three | >delivered one >delivered two <three", got
	})
}

// A full disk is said, nothing is lost, and it goes on when there is space.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	a, b := newPerson(t, "Alice"), newPerson(t, "Bob")
	store := &crashStore{err: client.ErrDiskFull, lives: true}
	a.open(nil)
	b.open(func(s client.Store) client.Store { store.Store = s; return store })
	add(t, b.c, invite(t, a.c))
	send(t, b.c, a.id, "one")
	waitTexts(t, b.c, a.id, ">delivered one")
	store.mu.Lock()
	store.left = 1
	store.mu.Unlock()
	_, err := b.c.Send(t.Context(), a.id, "lost")
	for ; err == nil; _, err = b.c.Send(t.Context(), a.id, "more") { // something else was the one transaction
		if store.crashed() {
			break
		}
	}
	if err != nil && !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("Send = %v, want ErrDiskFull", err)
	}
	send(t, b.c, a.id, "last")
	eventually(t, "the last", func() (bool, string) {
		mine, theirs := texts(t, b.c, a.id), texts(t, a.c, b.id)
		sent := strings.ReplaceAll(fmt.Sprint(mine), ">delivered ", "<")
		return sent == fmt.Sprint(theirs), fmt.Sprint(mine, theirs)
	})
}

// A client whose disk is gone for good, for reading too, still closes.
func TestCloseWithoutDisk(t *testing.T) {
	t.Parallel()
	a, b := newPerson(t, "Alice"), newPerson(t, "Bob")
	store := &goneStore{}
	a.open(nil)
	b.open(func(s client.Store) client.Store { store.Store = s; return store })
	add(t, b.c, invite(t, a.c))
	waitTexts(t, b.c, a.id)
	store.gone.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.c.Send(t.Context(), a.id, "lost") // it fails, at the latest when the client closes
	}()
	eventually(t, "the failure", func() (bool, string) { return store.refused.Load() > 0, "nothing was read" })
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.c.Close()
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("the client does not close")
	}
	<-done
}

// A goneStore is a disk that was pulled out.
type goneStore struct {
	client.Store
	gone    atomic.Bool
	refused atomic.Int64 // reads
}

func (s *goneStore) Apply(ctx context.Context, changes []client.Change) error {
	if s.gone.Load() {
		return errDead
	}
	return s.Store.Apply(ctx, changes)
}

func (s *goneStore) Rows(ctx context.Context, q client.Query) ([]client.Row, error) {
	if s.gone.Load() {
		s.refused.Add(1)
		return nil, errDead
	}
	return s.Store.Rows(ctx, q)
}
