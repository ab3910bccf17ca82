package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Tuning of the search for contacts.
const (
	reachRetryMin = time.Second
	reachRetryMax = 15 * time.Minute // with messages waiting, see pokeSeldom; a contact that comes back asks for us
	helloTime     = 3 * time.Second
	introduceTime = 6 * time.Second
	pokeInterval  = 3 * time.Second  // between two attempts because of messages
	freshLink     = 5 * time.Second  // a connection is not replaced before
	briefLink     = 10 * time.Second // one that ended sooner was refused, perhaps: it hurries nothing
	awayGrace     = 400 * time.Millisecond
	serversTime   = 2 * time.Second // what our own servers get before an offer goes out without them
)

// A target is what the network knows of a contact: a copy of what the core
// does, replaced when that changes. The network's mu guards the fields from wake on; the
// others are constant.
type target struct {
	id         identity.PeerID
	record     *identity.Record
	rendezvous []identity.ServerAddr
	lookup     [32]byte
	intro      secret // seals offers to the contact
	hello      secret // seals hellos to the contact
	ownIntro   secret // seals offers to us
	ownHello   secret // seals hellos to us
	addrs      []netip.AddrPort
	bundle     *identity.Invite // its prekeys are wanted
	relayOnly  bool             // no packet of ours goes to it, no address of ours into what it gets

	// open ends when the contact is made relay only: all that shows it an address
	// of ours runs under it.
	open context.Context
	hide context.CancelFunc

	wake     chan struct{}    // capacity 1
	near     []netip.AddrPort // where it says to be on the local network
	found    bool             // it said so since the last attempt
	linked   bool
	at       time.Time // when that began
	stood    time.Time // when a connection that was no brief one ended last
	since    time.Time // when the attempt under way began; zero if there is none
	offering bool      // our own offer is under way
	away     bool      // a rendezvous said in it that the contact is not there
	cancel   context.CancelFunc
	blocked  bool // nobody that we know any more
	gone     bool // deleted: a stranger, who may come with an invite

	unwatch func() // ends the subscription to its record; nil if there is none
}

// contactChanged tells the network of a contact. It runs on the core.
func (n *network) contactChanged(k *core, c *contact) {
	if c == nil || c.self || c.info.Trust != Trusted {
		return
	}
	t := &target{id: c.info.ID, record: c.record, ownIntro: c.info.Intro, ownHello: c.info.Hello, wake: make(chan struct{}, 1)}
	if i, ok := c.joined(); ok {
		t.rendezvous, t.lookup = i.Rendezvous, i.Lookup
		t.intro, t.hello = newSecret(i.IntroKey()), newSecret(i.HelloKey())
		t.addrs = i.Addrs
		if c.session == nil {
			t.bundle = &i
		}
	}
	if c.card != nil {
		t.lookup, t.intro, t.hello = c.card.Lookup, newSecret(c.card.Intro), newSecret(c.card.Hello)
		t.addrs = append([]netip.AddrPort(nil), c.card.Addrs...)
		for _, s := range c.card.Rendezvous {
			if a, ok := fromServer(s); ok {
				t.rendezvous = append(t.rendezvous, a)
			}
		}
	}
	if c.found != nil {
		for _, a := range c.found.Rendezvous {
			if !slices.Contains(t.rendezvous, a) {
				t.rendezvous = append(t.rendezvous, a)
			}
		}
	}
	if a, err := netip.ParseAddrPort(c.info.LastAddr); err == nil {
		t.addrs = append([]netip.AddrPort{a}, t.addrs...)
	}
	if t.relayOnly = c.info.RelayOnly; t.relayOnly {
		t.addrs = nil
	}
	n.mu.Lock()
	old := n.targets[t.id]
	if old != nil {
		t.wake, t.linked, t.at, t.stood, t.since, t.cancel = old.wake, old.linked, old.at, old.stood, old.since, old.cancel
		t.offering, t.away, t.near, t.found = old.offering, old.away, old.near, old.found
	}
	if old != nil && (t.relayOnly || !old.relayOnly) {
		t.open, t.hide = old.open, old.hide
	} else {
		t.open, t.hide = context.WithCancel(n.ctx)
	}
	if t.relayOnly {
		t.hide() // also answers that are being prepared, and attempts
	}
	t.watchLocked(n, old)
	n.targets[t.id] = t
	n.mu.Unlock()
	notify(t.wake)
	if old == nil || old.hello.bytes() != t.hello.bytes() || old.ownHello.bytes() != t.ownHello.bytes() || old.relayOnly != t.relayOnly {
		n.updateLAN() // it may have been heard before we knew that it is looked for
	}
	if old != nil {
		return
	}
	id, own := t.id, c.info.Hello.bytes()
	n.ep.OnHello(own, func(from netip.AddrPort, payload []byte) []byte {
		return n.helloFrom(from, payload, id, [32]byte{})
	})
	n.run(func() { n.reach(id) })
	for _, s := range k.profile.Servers {
		inbox, token := c.mailboxAt(s.Address.ID)
		n.atRelay(s.Address.ID, "inbox not made", func(ctx context.Context, cl *relay.Client) error {
			return cl.CreateInbox(ctx, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)})
		})
	}
}

// target returns a copy of what is known of a contact now.
func (n *network) target(id identity.PeerID) target {
	n.mu.Lock()
	defer n.mu.Unlock()
	return *n.targets[id]
}

// setLinked tells the search whether a contact is connected.
func (n *network) setLinked(id identity.PeerID, linked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[id]
	if t == nil {
		return
	}
	ended := t.linked && !linked
	brief := ended && time.Since(t.at) < briefLink
	t.linked, t.at = linked, time.Now()
	if linked && t.offering {
		t.cancel()
	}
	if ended && !brief {
		t.stood = t.at
	}
	if !brief {
		notify(t.wake)
	}
}

// poke asks for an attempt soon, unless there was one just now.
func (n *network) poke(id identity.PeerID) {
	n.mu.Lock()
	t := n.targets[id]
	idle := t != nil && !t.linked && t.since.IsZero()
	n.mu.Unlock()
	if idle {
		notify(t.wake)
	}
}

func (n *network) pokeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.targets {
		if !t.linked {
			notify(t.wake)
		}
	}
}

// connecting reports whether an attempt to connect is younger than grace, or
// than awayGrace if a rendezvous has said that the contact is away: then only a
// hello can still find it.
func (n *network) connecting(id identity.PeerID, grace time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[id]
	if t == nil || t.since.IsZero() {
		return false
	}
	if t.away {
		grace = min(grace, awayGrace)
	}
	return time.Since(t.since) < grace
}

// setAway notes what a rendezvous said of a contact.
func (n *network) setAway(id identity.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.targets[id]; t != nil {
		t.away = true
	}
}

// yield decides about an offer of a peer to which our own may be under way, or
// a connection just made: of two offers, the lower id's counts. It reports
// whether the peer's does.
func (n *network) yield(from identity.PeerID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[from]
	switch {
	case t == nil:
		return true
	case t.linked && time.Since(t.at) < freshLink:
		return false
	case !t.offering:
		return true
	}
	if n.local.Load().PeerID().Compare(from) < 0 {
		return false
	}
	t.cancel()
	return true
}

// offerable makes us take an offer of the peer although our own attempt goes on.
func (n *network) offerable(id identity.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.targets[id]; t != nil {
		t.offering = false
	}
}

// reach keeps one contact connected, as long as there is one.
func (n *network) reach(id identity.PeerID) {
	wait := reachRetryMin
	var last, stood time.Time
	for n.ctx.Err() == nil {
		t := n.target(id)
		if t.stood.After(stood) {
			wait, stood = reachRetryMin, t.stood
		}
		if !t.linked && !t.blocked {
			interval := pokeInterval
			if n.foundNow(id) {
				interval = foundInterval
			}
			if d := interval - time.Since(last); !last.IsZero() && d > 0 {
				n.sleep(d)
			}
			last = time.Now()
			err := n.attempt(id)
			if err == nil {
				// Only the core says that there is a link. While it cannot store it takes
				// nothing, and a second connection would be as useless as the first.
				_ = n.c.do(n.ctx, func(*core) error { return nil })
			} else if n.ctx.Err() == nil && !errors.Is(err, errYielded) && !errors.Is(err, context.Canceled) {
				reason := plain(err)
				n.c.post(func(k *core) {
					if c := k.contacts[id]; c != nil {
						k.unlinkedPath(c, reason)
					}
				})
			}
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-t.wake:
		case <-timer.C:
			wait = min(2*wait, reachRetryMax)
		case <-n.ctx.Done():
		}
		timer.Stop()
	}
}

func (n *network) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.ctx.Done():
	}
}

// Reasons why an attempt ended without a connection.
var (
	errNoWay         = errors.New("client: no way to the peer is known")
	errNoRelayOfOurs = errors.New("client: the contact may be reached through a relay of ours only, and there is none")
	errYielded       = errors.New("client: the peer's own offer goes first")
)

// attempt tries once to reach a contact.
func (n *network) attempt(id identity.PeerID) error {
	ctx, cancel := context.WithTimeout(n.ctx, connectTime+introduceTime)
	defer cancel()
	n.mu.Lock()
	n.targets[id].since, n.targets[id].offering, n.targets[id].cancel = time.Now(), true, cancel
	n.targets[id].away = false
	t := *n.targets[id]
	n.mu.Unlock()
	if !t.relayOnly {
		defer context.AfterFunc(t.open, cancel)()
	}
	defer func() {
		n.mu.Lock()
		t := n.targets[id]
		t.since, t.offering = time.Time{}, false
		n.mu.Unlock()
	}()
	if t.bundle != nil {
		n.run(func() { n.wantPrekeys(invitePrekeys(*t.bundle)) })
	}
	if len(t.rendezvous) == 0 && len(t.addrs) == 0 && len(t.near) == 0 || t.intro.isZero() {
		return errNoWay
	}
	if len(t.rendezvous) > 0 {
		n.awaitServers(ctx, serversTime)
	}
	offer, leg := n.newOffer(ctx, t.rendezvous)
	if t.relayOnly {
		if leg == nil {
			return errNoRelayOfOurs
		}
		offer.Candidates, offer.Extensions = nil, nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // it may name addresses that are not to be told any more
	}
	going := n.goAhead(ctx, &t, &offer)
	answer, from, err := n.offer(ctx, &t, offer)
	switch {
	case err != nil:
	case answer.What == wire.AnswerLater:
		err = errYielded
	case answer.What == wire.AnswerRefused:
		err = ErrInviteUsed
	}
	if going != nil && (err != nil || !accepted(answer)) {
		if going.end() == nil {
			return nil // connected already
		}
		answer.Candidates = unspoilt(answer.Candidates, offer.Candidates, going.known)
		going = nil
	}
	if err != nil {
		return err
	}
	if !answer.Joined {
		leg = nil
	}
	if t.relayOnly {
		if leg == nil {
			return errNoRelayOfOurs
		}
		answer.Candidates, answer.Extensions, from = nil, nil, netip.AddrPort{}
	}
	remote := answer.Candidates
	if from.IsValid() && len(remote) < wire.MaxCandidates {
		remote = append(remote, nat.Candidate{Addr: from, Kind: nat.ServerReflexive})
	}
	attested := n.attested(answer.Extensions, answer.Secret)
	if going != nil {
		going.later <- transport.Answer{Remote: remote, Relay: leg, Attested: attested}
		return <-going.done
	}
	return n.connect(ctx, transport.Attempt{
		Peer: id, Record: t.record, ProbeKey: probeKey(offer.Secret, answer.Secret), Remote: remote, Relay: leg,
		Attested: attested, RelayOnly: t.relayOnly,
	}, func() {})
}

// replied is an answer, with where it came from if that is known.
type replied struct {
	answer wire.Answer
	from   netip.AddrPort
	err    error
	hello  bool // it was not a rendezvous
}

// offer sends one offer by all ways at once; the first answer counts. The peer
// gives the same one to all.
func (n *network) offer(ctx context.Context, t *target, o wire.Offer) (wire.Answer, netip.AddrPort, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan replied, 1+len(t.rendezvous))
	ways := 0
	// A hello to another address would take one of the ports that we predicted.
	predicted := slices.ContainsFunc(o.Candidates, isPredicted)
	if len(t.near) > 0 || len(t.addrs) > 0 && !(predicted && len(t.rendezvous) > 0) {
		ways++
		n.run(func() { results <- n.offerByHello(ctx, t, o) })
	}
	for _, a := range t.rendezvous {
		ways++
		n.run(func() { results <- n.offerByRendezvous(ctx, t, a, o) })
	}
	err := errNoWay
	asked := len(t.rendezvous)
	for range ways {
		select {
		case r := <-results:
			if r.err == nil {
				return r.answer, r.from, nil
			}
			if !r.hello {
				if asked--; asked == 0 {
					// Only a hello to where the peer was last is left: nothing that the
					// peer's own offer should wait for.
					n.offerable(t.id)
				}
			}
			if errors.Is(r.err, rendezvous.ErrOffline) || errors.Is(r.err, rendezvous.ErrNotFound) {
				n.setAway(t.id)
			}
			// What a rendezvous says tells more than that nobody answered.
			if errors.Is(err, errNoWay) || !errors.Is(r.err, transport.ErrUnreachable) {
				err = r.err
			}
		case <-ctx.Done():
			if n.ctx.Err() == nil && errors.Is(ctx.Err(), context.Canceled) {
				return wire.Answer{}, netip.AddrPort{}, errYielded
			}
			return wire.Answer{}, netip.AddrPort{}, ctx.Err()
		}
	}
	return wire.Answer{}, netip.AddrPort{}, err
}

func (n *network) offerByHello(ctx context.Context, t *target, o wire.Offer) (r replied) {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	r.hello = true
	from, reply, err := n.ep.SendHello(ctx, t.hello.bytes(), slices.Concat(t.near, t.addrs), o.Append(nil))
	if err != nil {
		r.err = errors.Join(transport.ErrUnreachable, err)
		return r
	}
	r.from = from
	r.answer, r.err = wire.ParseAnswer(reply)
	return r
}

func (n *network) offerByRendezvous(ctx context.Context, t *target, a identity.ServerAddr, o wire.Offer) (r replied) {
	ctx, cancel := context.WithTimeout(ctx, introduceTime)
	defer cancel()
	cl, done, err := n.rendezvous(ctx, a)
	if err != nil {
		return replied{err: err}
	}
	aead := introAEAD(t.intro.bytes())
	sealed, err := cl.Introduce(ctx, n.c.cfg.Now(), t.id, t.lookup, sealBox(aead, contextOffer, o.Append(nil)))
	if err != nil {
		// Nobody's answer may have taken all the time that there was.
		if errors.Is(ctx.Err(), context.Canceled) || !n.run(func() { n.lookAround(cl, t); done() }) {
			done()
		}
		return replied{err: err}
	}
	defer done()
	b, err := openBox(aead, answerContext(o), sealed)
	if err != nil {
		return replied{err: err}
	}
	r.answer, r.err = wire.ParseAnswer(b)
	return r
}

// lookAround asks a server that could not introduce us for the contact's record:
// it may name others, at which we did not know it to be, or be of a computer that
// does not know the keys of the lost one.
func (n *network) lookAround(cl *rendezvous.Client, t *target) {
	ctx, cancel := context.WithTimeout(n.ctx, introduceTime)
	defer cancel()
	content, online, err := cl.Lookup(ctx, n.c.cfg.Now(), t.id, t.lookup)
	if err == nil {
		n.c.post(func(k *core) { k.found(rendezvous.Change{ID: t.id, Content: content, Online: online}) })
	}
}

// rendezvous returns a connection to a rendezvous: ours if it is one of ours,
// else one for this moment.
func (n *network) rendezvous(ctx context.Context, a identity.ServerAddr) (cl *rendezvous.Client, done func(), err error) {
	if cl = n.pool.Connection(a.ID); cl != nil {
		return cl, func() {}, nil
	}
	if cl, err = rendezvous.Dial(ctx, n.ep, a); err != nil {
		return nil, nil, err
	}
	return cl, func() { cl.Close() }, nil
}

// plain says in plain words why something was not reached.
func plain(err error) string {
	switch {
	case errors.Is(err, ErrInviteUsed):
		return ErrInviteUsed.Error()
	case errors.Is(err, errNoRelayOfOurs):
		return "no relay of yours is there to hide your address"
	case errors.Is(err, errNoWay):
		return "no way to the peer is known yet"
	case errors.Is(err, rendezvous.ErrOffline), errors.Is(err, rendezvous.ErrNotFound):
		return "the peer is away"
	case errors.Is(err, rendezvous.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, transport.ErrUnreachable):
		return "the peer does not answer"
	case errors.Is(err, transport.ErrServerKey):
		return "could not verify the server, not used"
	case errors.Is(err, transport.ErrAuthentication):
		return "could not verify the peer, not connected"
	case errors.Is(err, relay.ErrQuota):
		return "the mailbox is full"
	case errors.Is(err, relay.ErrNoInbox):
		return "the mailbox does not take our mail"
	}
	return "the peer cannot be reached now"
}
