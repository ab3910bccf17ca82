package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// callTime is when a client takes a server that does not answer for dead, and
// asks the next one.
const callTime = 3 * time.Second

// waits is how long a call may take that has failed so often in a row: a machine
// may be too busy for callTime.
func waits(failed int) time.Duration { return callTime * time.Duration(1+min(failed, 9)) }

// load is what the clients see. They are spread over the servers, and go to the
// next one when theirs fails.
type load struct {
	testing.TB
	ctx        context.Context // ends the clients
	relays     []identity.ServerAddr
	rendezvous []identity.ServerAddr
	ep         *transport.Endpoint
	wg         sync.WaitGroup

	mu      sync.Mutex
	acked   map[string]bool // what a relay has answered for
	got     map[string]int  // what came to its owner
	acks    []progress      // of each sender
	lookups progress        // answered with what is there, whoever asked
}

// A progress is how often something was done, and the longest time without it.
type progress struct {
	n    int
	last time.Time
	gap  time.Duration
}

func (p *progress) done() {
	now := time.Now()
	p.gap = max(p.gap, now.Sub(p.last))
	p.last = now
	p.n++
}

// begin counts from now on.
func (p *progress) begin() { *p = progress{last: time.Now()} }

// An owner has an inbox, and is connected to some relay.
type owner struct {
	key          identity.SecretKey
	inbox, token [32]byte
}

func newOwner(i int) owner {
	return owner{key: identity.GenerateSecretKey(), inbox: [32]byte{1, byte(i), byte(i >> 8)}, token: [32]byte{2, byte(i), byte(i >> 8)}}
}

// receive takes an owner's mail from one relay after another until the load ends.
// made is told once the inbox is there.
func (l *load) receive(i int, o owner, made func()) {
	for failed := 0; l.ctx.Err() == nil; i++ {
		began := time.Now()
		err := l.receiveFrom(l.relays[i%len(l.relays)], o, made, waits(failed))
		if failed++; time.Since(began) > 2*waits(failed) {
			failed = 0
		}
		var refused bool
		for _, e := range []error{relay.ErrQuota, relay.ErrFull, relay.ErrExists, relay.ErrAdmission} {
			refused = refused || errors.Is(err, e)
		}
		if refused {
			l.Errorf("owner %d: %v", i, err)
			return
		}
	}
}

func (l *load) receiveFrom(at identity.ServerAddr, o owner, made func(), wait time.Duration) error {
	ctx, cancel := context.WithTimeout(l.ctx, wait)
	defer cancel()
	c, err := relay.Dial(ctx, l.ep, at, o.key, "")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.CreateInbox(ctx, relay.InboxParams{ID: o.inbox, TokenHash: relay.TokenHash(o.token)}); err != nil {
		return err
	}
	made()
	// A relay that was killed is silent: ask it now and then.
	ask := time.NewTicker(callTime)
	defer ask.Stop()
	var seqs []uint64
	for {
		select {
		case m, open := <-c.Mail():
			if !open {
				return c.Err()
			}
			l.mu.Lock()
			l.got[string(m.Blob)]++
			l.mu.Unlock()
			if seqs = append(seqs, m.Seq); len(seqs) < 64 && len(c.Mail()) > 0 {
				continue
			}
		case <-ask.C:
		case <-l.ctx.Done():
			return nil
		}
		ctx, cancel := context.WithTimeout(l.ctx, wait)
		err := c.Ack(ctx, seqs)
		cancel()
		if err != nil {
			return err
		}
		seqs = nil
	}
}

// send stores blobs for all owners in turn, each until some relay acknowledges it.
func (l *load) send(ctx context.Context, n int, owners []owner) {
	var s *relay.Sender
	at := n
	for i := 0; ctx.Err() == nil; i++ {
		o := owners[(n+i)%len(owners)]
		blob := fmt.Sprintf("%d of sender %d", i, n)
		for failed := 0; ctx.Err() == nil; failed++ {
			call, cancel := context.WithTimeout(ctx, waits(failed))
			var err error
			if s == nil {
				s, err = relay.DialSender(call, l.ep, l.relays[at%len(l.relays)])
			}
			if err == nil {
				_, err = s.Store(call, o.inbox, o.token, []byte(blob))
			}
			cancel()
			if err == nil {
				l.mu.Lock()
				l.acked[blob] = true
				l.acks[n].done()
				l.mu.Unlock()
				break
			}
			if errors.Is(err, relay.ErrNoInbox) || errors.Is(err, relay.ErrQuota) {
				l.Errorf("sender %d: %v", n, err)
				return
			}
			if errors.Is(err, relay.ErrServer) {
				continue // the relay lives, its database does not answer
			}
			if s != nil {
				s.Close()
				s = nil
			}
			at++
		}
	}
	if s != nil {
		s.Close()
	}
}

// A person is in the phone book.
type person struct {
	local  *identity.Local
	lookup [32]byte
}

func newPerson(t testing.TB, i int) person {
	t.Helper()
	l, _, err := identity.NewLocal(fmt.Sprint("person ", i), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return person{l, [32]byte{3, byte(i), byte(i >> 8)}}
}

// register stays registered at one rendezvous after another. registered is told
// once it is.
func (l *load) register(i int, p person, registered func()) {
	content := rendezvous.Content{Record: p.local.Record(), Relays: l.relays[:1]}
	for failed := 0; l.ctx.Err() == nil; i++ {
		ctx, cancel := context.WithTimeout(l.ctx, waits(failed))
		failed++
		c, err := rendezvous.Dial(ctx, l.ep, l.rendezvous[i%len(l.rendezvous)])
		if err == nil {
			if err = c.Register(ctx, time.Now(), p.local, p.lookup, content, time.Hour); err == nil {
				registered()
				failed = 0
			}
			for ask := time.NewTicker(callTime); err == nil && l.ctx.Err() == nil; {
				select {
				case <-c.Done():
					err = c.Err()
				case <-l.ctx.Done():
				case <-ask.C:
					ctx, cancel := context.WithTimeout(l.ctx, callTime+callTime)
					_, _, err = c.Lookup(ctx, time.Now(), p.local.PeerID(), p.lookup)
					cancel()
				}
			}
			c.Close()
		}
		cancel()
	}
}

// lookUp looks people up all the time. Who is registered is found, whichever
// server is asked.
func (l *load) lookUp(n int, people []person) {
	var c *rendezvous.Client
	at, failed := n, 0
	for i := 0; l.ctx.Err() == nil; i++ {
		p := people[(n+i)%len(people)]
		ctx, cancel := context.WithTimeout(l.ctx, waits(failed))
		var err error
		if c == nil {
			c, err = rendezvous.Dial(ctx, l.ep, l.rendezvous[at%len(l.rendezvous)])
		}
		if err == nil {
			_, _, err = c.Lookup(ctx, time.Now(), p.local.PeerID(), p.lookup)
		}
		cancel()
		failed++
		switch {
		case err == nil:
			failed = 0
			l.mu.Lock()
			l.lookups.done()
			l.mu.Unlock()
		case errors.Is(err, rendezvous.ErrNotFound):
			l.Errorf("a registered person is not found")
			return
		case errors.Is(err, rendezvous.ErrBusy):
		case c != nil && l.ctx.Err() == nil:
			c.Close()
			c = nil
			at++
		default:
			at++
		}
		pause(l.ctx, 20*time.Millisecond) // people look each other up now and then
	}
	if c != nil {
		c.Close()
	}
}

// pause is how a load is less than all that a machine can do.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
