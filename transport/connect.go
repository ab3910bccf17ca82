package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
)

// toldMargin is what the peer gets to open its NAT after it has heard of us.
const toldMargin = 5 * time.Millisecond

// An attempt is one running Connect.
type attempt struct {
	Attempt
	link   *link
	cancel context.CancelCauseFunc
	// result is for the side that is dialled. Who takes the attempt out of
	// Endpoint.attempts sends exactly one value.
	result chan *PeerConn
	// commit is held by the dial that runs Noise: of two dials that get through
	// one goes on.
	commit chan struct{}
	needXX atomic.Bool // IK's first message was not for a key of ours
	// told is closed when the peer has said where it is, and leg when there is a way
	// through a relay.
	told, leg chan struct{}
	remote    atomic.Pointer[[]nat.Candidate] // the peer's; nil before told
}

func newAttempt(a Attempt, cancel context.CancelCauseFunc) *attempt {
	at := &attempt{
		Attempt: a, cancel: cancel, result: make(chan *PeerConn, 1), commit: make(chan struct{}, 1),
		told: make(chan struct{}), leg: make(chan struct{}),
	}
	if !a.Waiting {
		at.remote.Store(&a.Remote)
		close(at.told)
	}
	if a.Relay != nil {
		close(at.leg)
	}
	return at
}

// learn takes the answer of an attempt that began before it, also when the peer is
// connected already. It ends when the answer is there, or none will be.
func (e *Endpoint) learn(at *attempt) {
	defer e.m.paths.release(at.link)
	var told <-chan time.Time
	if at.Waiting && at.ToldAfter > 0 {
		timer := time.NewTimer(at.ToldAfter + toldMargin)
		defer timer.Stop()
		told = timer.C
	}
	begun := !at.Waiting
	begin := func(remote []nat.Candidate, attested []netip.Addr) {
		if !begun {
			begun = true
			at.remote.Store(&remote)
			close(at.told)
		}
		if at.ProbeKey != [32]byte{} && !at.RelayOnly {
			at.link.prober.begin(remote, attested)
		}
		notify(at.link.prober.changed)
	}
	var x Answer
	for ok := false; !ok; {
		select {
		case x, ok = <-at.Later:
			if !ok {
				return
			}
		case <-told:
			begin(at.Remote, nil)
		case <-e.ctx.Done():
			return
		}
	}
	if x.Relay != nil {
		e.m.paths.setLeg(at.link, *x.Relay)
		if at.Relay == nil {
			close(at.leg)
		}
	}
	begin(x.Remote, x.Attested)
}

// errSuperseded ends a Connect when another one to the same peer starts.
var errSuperseded = fmt.Errorf("%w: another attempt has begun", ErrClosed)

// Connect reaches a peer: through a.Relay at once and directly as soon as there
// is a sign of a direct path, whichever is sooner. The side with the lower PeerID dials, the other waits
// for it. Connect returns when this side has authenticated the peer, or with an
// error when ctx ends or the peer proves not to be a.Peer. A later Connect to
// the same peer ends an earlier one.
func (e *Endpoint) Connect(ctx context.Context, a Attempt) (*PeerConn, error) {
	if e.c.Identity == nil {
		return nil, ErrNoIdentity
	}
	order := e.c.Identity.PeerID().Compare(a.Peer)
	if order == 0 || a.Peer.IsZero() {
		return nil, errors.New("transport: no peer to connect to")
	}
	if a.Record == nil && e.c.Known != nil {
		a.Record = e.c.Known(a.Peer)
	}
	if a.Record != nil && a.Record.Identity != a.Peer {
		return nil, errors.New("transport: the record is another peer's")
	}
	ctx, stop := e.bind(ctx)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	at := newAttempt(a, cancel)
	e.begin(at, order < 0)
	// A PeerConn is a user of the link by itself.
	defer e.m.paths.release(at.link)
	var p *PeerConn
	var err error
	if order < 0 {
		p, err = e.dialPeer(ctx, at)
		e.withdraw(at)
	} else {
		p, err = e.await(ctx, at)
	}
	switch {
	case err == nil:
		return p, nil
	case e.ctx.Err() != nil:
		return nil, ErrClosed
	case errors.Is(context.Cause(ctx), errSuperseded):
		return nil, errSuperseded
	}
	return nil, err
}

// begin makes at the attempt at its peer and starts its probes.
func (e *Endpoint) begin(at *attempt, client bool) {
	at.link = e.newLink(&link{peer: at.Peer, record: at.Record, client: client, relayOnly: at.RelayOnly})
	if at.Relay != nil {
		e.m.paths.setLeg(at.link, *at.Relay)
	}
	e.mu.Lock()
	if old := e.attempts[at.Peer]; old != nil {
		old.cancel(errSuperseded)
	}
	e.attempts[at.Peer] = at
	e.mu.Unlock()
	if at.ProbeKey != [32]byte{} && !at.RelayOnly {
		at.link.prober.search(search{at.ProbeKey, at.Remote, at.Answering, at.Waiting, at.Attested})
	}
	if at.Later != nil {
		e.m.paths.acquire(at.link) // by learn
		if !e.run(func() { e.learn(at) }) {
			e.m.paths.release(at.link)
		}
	}
}

func (e *Endpoint) newLink(l *link) *link {
	l.prober = e.newProber(l)
	return e.m.paths.add(l)
}

// withdraw reports whether nobody has taken at to serve it.
func (e *Endpoint) withdraw(at *attempt) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attempts[at.Peer] != at {
		return false
	}
	delete(e.attempts, at.Peer)
	return true
}

// take returns the attempt at peer, if there is one, for the caller to serve.
func (e *Endpoint) take(peer identity.PeerID) *attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.attempts[peer]
	if at == nil || at.link.client {
		return nil
	}
	delete(e.attempts, peer)
	return at
}

// await waits for the peer to dial.
func (e *Endpoint) await(ctx context.Context, at *attempt) (*PeerConn, error) {
	select {
	case p := <-at.result:
		return p, nilIsClosed(p)
	case <-ctx.Done():
	}
	// A superseded attempt is withdrawn already; one that was taken is about to
	// be served.
	if e.withdraw(at) || errors.Is(context.Cause(ctx), errSuperseded) {
		return nil, context.Cause(ctx)
	}
	p := <-at.result
	return p, nilIsClosed(p)
}

func nilIsClosed(p *PeerConn) error {
	if p == nil {
		return ErrClosed
	}
	return nil
}
