package client

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Contexts of introductions (spec §8.6).
const (
	contextOffer    = "SREMP v1 connection offer"
	contextAnswer   = "SREMP v1 connection answer"
	contextProbeKey = "SREMP v1 connection probe key"
)

// Tuning of introductions.
const (
	connectTime = 10 * time.Second
	answerTime  = 5 * time.Second
	keepAnswers = time.Minute // offers repeated within it get the same answer
	maxAnswers  = 256
)

// A given is an answer of ours.
type given struct {
	ready   chan struct{} // closed when answer is set
	answer  []byte        // nil: none
	attempt *transport.Attempt
	at      time.Time
	once    bool            // the attempt was begun
	open    context.Context // done: the contact may not have the answer any more
}

func introAEAD(key [32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err)
	}
	return aead
}

// probeKey is known to who made the offer and who answered it.
func probeKey(offer, answer [32]byte) [32]byte {
	k, err := hkdf.Key(sha256.New, append(offer[:], answer[:]...), nil, contextProbeKey, 32)
	if err != nil {
		panic(err)
	}
	return [32]byte(k)
}

// answerContext binds an answer to its offer.
func answerContext(o wire.Offer) string { return contextAnswer + string(o.Secret[:]) }

func randomBytes() (b [32]byte) {
	rand.Read(b[:]) // never fails, see crypto/rand.Read
	return b
}

// newOffer makes an offer, with a forwarding session at a relay of ours if one
// stands.
func (n *network) newOffer(ctx context.Context, rendezvous []identity.ServerAddr) (wire.Offer, *transport.Leg) {
	o := wire.Offer{Peer: n.local.Load().PeerID(), Secret: randomBytes(), SentAt: millis(n.c.cfg.Now())}
	// These wait for servers, each for one round trip: at the same time.
	var waits sync.WaitGroup
	waits.Go(func() { o.Candidates = n.gather(ctx) })
	waits.Go(func() { o.Extensions = n.attestation(ctx, rendezvous, o.Secret) })
	if len(rendezvous) == 0 {
		waits.Wait()
		return o, nil
	}
	for _, s := range n.relays() {
		n.mu.Lock()
		cl := s.relay
		n.mu.Unlock()
		if cl == nil {
			continue
		}
		call, cancel := context.WithTimeout(ctx, answerTime)
		leg, ticket, err := cl.OpenForward(call)
		cancel()
		if err != nil {
			n.c.log.Info("no forwarding session", "server", s.addr.HostPort(), "err", err)
			continue
		}
		waits.Wait()
		o.Relay, o.Ticket = []wire.Server{toServer(s.addr)}, ticket
		return o, &leg
	}
	waits.Wait()
	return o, nil
}

// join joins the forwarding session of a peer's offer, at a relay of ours or as
// a guest.
func (n *network) join(ctx context.Context, o wire.Offer) *transport.Leg {
	if len(o.Relay) == 0 {
		return nil
	}
	a, ok := fromServer(o.Relay[0])
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	n.mu.Lock()
	var cl *relay.Client
	if s := n.servers[a.ID]; s != nil {
		cl = s.relay
	}
	n.mu.Unlock()
	if cl == nil {
		var err error
		if cl, err = n.guest(ctx, a); err != nil {
			return nil
		}
	}
	leg, err := cl.JoinForward(ctx, o.Ticket)
	if err != nil {
		n.c.log.Info("forwarding session not joined", "server", a.HostPort(), "err", err)
		return nil
	}
	return &leg
}

// helloFrom answers a hello. peer is whose key opened it, zero if it was an
// invite's, which token names.
func (n *network) helloFrom(from netip.AddrPort, payload []byte, peer identity.PeerID, token [32]byte) []byte {
	o, err := wire.ParseOffer(payload)
	if err != nil {
		return nil
	}
	if n.relayOnly(identity.PeerID(o.Peer)) {
		return nil // an answer would go to it directly
	}
	// Where the hello came from is where its sender is.
	if len(o.Candidates) < wire.MaxCandidates {
		o.Candidates = append(o.Candidates, nat.Candidate{Addr: from, Kind: nat.ServerReflexive})
	}
	g := n.answer(o, peer, token)
	if g == nil {
		return nil
	}
	n.begin(g)
	if g.open.Err() != nil {
		return nil
	}
	return g.answer
}

// introduced answers an introduction by a rendezvous.
func (n *network) introduced(ctx context.Context, in rendezvous.Introduction) {
	o, key, peer, token, ok := n.openOffer(in.Sealed)
	if !ok {
		n.c.log.Debug("introduction by a stranger ignored")
		return
	}
	g := n.answer(o, peer, token)
	if g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	defer context.AfterFunc(g.open, cancel)()
	if g.open.Err() != nil {
		return
	}
	if err := in.Answer(ctx, sealBox(introAEAD(key), answerContext(o), g.answer)); err != nil {
		n.c.log.Debug("answer not delivered", "err", err)
		return
	}
	n.begin(g)
}

// openOffer finds who sealed an offer: a contact, or somebody with an invite.
func (n *network) openOffer(sealed []byte) (o wire.Offer, key [32]byte, peer identity.PeerID, token [32]byte, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, t := range n.targets {
		if t.blocked {
			continue
		}
		if b, err := openBox(introAEAD(t.ownIntro.bytes()), contextOffer, sealed); err == nil {
			o, err := wire.ParseOffer(b)
			return o, t.ownIntro.bytes(), id, token, err == nil
		}
	}
	for token, i := range n.invites {
		key := i.invite.IntroKey()
		if b, err := openBox(introAEAD(key), contextOffer, sealed); err == nil {
			o, err := wire.ParseOffer(b)
			return o, key, peer, token, err == nil
		}
	}
	return o, key, peer, token, false
}

// answer decides on an offer. An offer that came before, by whatever way, gets
// the same answer; nil means none.
func (n *network) answer(o wire.Offer, peer identity.PeerID, token [32]byte) *given {
	from := identity.PeerID(o.Peer)
	if from == n.local.Load().PeerID() || identity.CheckEd25519(from) != nil || !peer.IsZero() && peer != from {
		return nil
	}
	n.mu.Lock()
	open, relayOnly := n.ctx, false
	if t := n.targets[from]; t != nil {
		if t.blocked {
			n.mu.Unlock()
			return nil
		}
		if relayOnly = t.relayOnly; !relayOnly {
			open = t.open
		}
	}
	if g := n.answers[o.Secret]; g != nil {
		n.mu.Unlock()
		select {
		case <-g.ready:
			if g.answer == nil || g.open.Err() != nil {
				return nil
			}
			return g
		case <-n.ctx.Done():
			return nil
		}
	}
	g := &given{ready: make(chan struct{}), at: time.Now(), open: open}
	defer close(g.ready)
	n.forgetAnswersLocked()
	n.answers[o.Secret] = g
	n.mu.Unlock()

	switch {
	case peer.IsZero() && !n.mayUse(token, from):
		g.answer = wire.Answer{What: wire.AnswerRefused}.Append(nil)
		return g
	case !n.yield(from):
		g.answer = wire.Answer{What: wire.AnswerLater}.Append(nil)
		return g
	}
	a := wire.Answer{What: wire.AnswerConnect, Secret: randomBytes()}
	if peer.IsZero() {
		n.expect(from)
	}
	if relayOnly {
		return n.answerByRelay(g, a, o)
	}
	if !peer.IsZero() && n.expects(o) {
		return n.answerAhead(g, a, o)
	}
	var leg *transport.Leg
	var waits sync.WaitGroup
	waits.Go(func() { leg = n.join(open, o) })
	waits.Go(func() { a.Candidates = n.gather(n.ctx) })
	waits.Go(func() { a.Extensions = n.attestation(n.ctx, n.ownServers(), a.Secret) })
	waits.Wait()
	if open.Err() != nil {
		return nil
	}
	a.Joined = leg != nil
	n.ep.Open(o.Candidates)
	g.answer = a.Append(nil)
	g.attempt = &transport.Attempt{
		Peer: from, Record: n.known(from), ProbeKey: probeKey(o.Secret, a.Secret), Remote: o.Candidates, Relay: leg,
		Answering: true, Attested: n.attested(o.Extensions, o.Secret),
	}
	return g
}

// relayOnly reports whether a contact may learn no address of ours.
func (n *network) relayOnly(id identity.PeerID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[id]
	return t != nil && t.relayOnly
}

// answerByRelay answers a contact that may learn no address of ours: through a
// forwarding session at a relay of ours, never at one that the contact names.
func (n *network) answerByRelay(g *given, a wire.Answer, o wire.Offer) *given {
	if len(o.Relay) == 0 {
		return nil
	}
	n.mu.Lock()
	s := n.servers[o.Relay[0].ID]
	ours := s != nil && s.relay != nil
	n.mu.Unlock()
	if !ours {
		return nil
	}
	leg := n.join(n.ctx, o)
	if leg == nil {
		return nil
	}
	a.Joined = true
	g.answer = a.Append(nil)
	g.attempt = &transport.Attempt{
		Peer: identity.PeerID(o.Peer), Record: n.known(o.Peer), ProbeKey: probeKey(o.Secret, a.Secret), Relay: leg,
		Answering: true, RelayOnly: true,
	}
	return g
}

func (n *network) forgetAnswersLocked() {
	for secret, g := range n.answers {
		if time.Since(g.at) > keepAnswers || len(n.answers) >= maxAnswers {
			delete(n.answers, secret)
		}
	}
}

// mayUse asks the core whether somebody may use an invite.
func (n *network) mayUse(token [32]byte, id identity.PeerID) (ok bool) {
	err := n.c.do(n.ctx, func(k *core) error {
		i := k.inviteByToken(token)
		ok = i != nil && i.open(id, k.now())
		return nil
	})
	return err == nil && ok
}

// begin connects after an answer was given, once.
func (n *network) begin(g *given) {
	n.mu.Lock()
	again := g.once
	g.once = true
	n.mu.Unlock()
	if again || g.attempt == nil {
		return
	}
	n.run(func() {
		ctx, cancel := context.WithTimeout(g.open, connectTime)
		defer cancel()
		if err := n.connect(ctx, *g.attempt, func() {}); err != nil {
			n.c.log.Debug("connection not made", "peer", g.attempt.Peer.Short(), "err", err)
		}
	})
}
