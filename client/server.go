package client

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Tuning of server connections.
const (
	dialTime       = 10 * time.Second
	serverRetryMin = time.Second
	serverRetryMax = 30 * time.Second
	notOffered     = 5 * time.Minute // between two questions for a service that was refused
	maintainEvery  = time.Hour
	clockTolerance = time.Hour
	maxIntroducing = 8 // introductions answered at the same time, for each server
	relayWork      = 64
)

// A server is one of ours, with the connections to it that stand. The network
// guards its fields.
type server struct {
	addr  identity.ServerAddr
	owner identity.SecretKey
	stop  context.CancelFunc

	relay      *relay.Client
	noRelay    bool // it said so
	rendezvous *rendezvous.Client
	stun       []netip.AddrPort
	work       chan func(context.Context, *relay.Client) // for the relay, when it stands
	renew      chan struct{}                             // capacity 1: the rendezvous record changed
	tried      map[string]chan struct{}                  // by role, constant: closed once it stood or failed
}

// useServer connects to a server from now on.
func (n *network) useServer(info serverInfo) {
	seed := info.Owner.bytes()
	owner, err := identity.NewSecretKey(seed[:])
	if err != nil {
		panic(err) // 32 bytes
	}
	ctx, stop := context.WithCancel(n.ctx)
	s := &server{
		addr: info.Address, owner: owner, stop: stop,
		work: make(chan func(context.Context, *relay.Client), relayWork), renew: make(chan struct{}, 1),
		tried: map[string]chan struct{}{roleRelay: make(chan struct{}), roleRendezvous: make(chan struct{})},
	}
	n.mu.Lock()
	if old := n.servers[s.addr.ID]; old != nil {
		old.stop()
	}
	n.servers[s.addr.ID] = s
	n.mu.Unlock()
	n.run(func() { n.keep(ctx, s, roleRelay, func(ctx context.Context) error { return n.useRelay(ctx, s) }) })
	n.run(func() {
		n.keep(ctx, s, roleRendezvous, func(ctx context.Context) error { return n.useRendezvous(ctx, s) })
	})
}

// keep runs a session with a server again and again.
func (n *network) keep(ctx context.Context, s *server, role string, session func(context.Context) error) {
	wait := serverRetryMin
	for ctx.Err() == nil {
		began := time.Now()
		err := session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > serverRetryMax {
			wait = serverRetryMin
		}
		n.mu.Lock()
		s.setTriedLocked(role)
		n.mu.Unlock()
		n.c.log.Debug("server session ended", "server", s.addr.HostPort(), "role", role, "err", err)
		pause := wait/2 + rand.N(wait)
		if errors.Is(err, transport.ErrRefused) {
			pause = notOffered
			if role == roleRelay {
				n.mu.Lock()
				s.noRelay = true
				notify(n.relayChanged)
				n.mu.Unlock()
			}
		}
		n.c.post(func(k *core) { k.serverDown(s.addr.ID, role, err) })
		wait = min(2*wait, serverRetryMax)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// setTriedLocked notes that the first connection stands, or failed.
func (s *server) setTriedLocked(role string) {
	select {
	case <-s.tried[role]:
	default:
		close(s.tried[role])
	}
}

// awaitServers waits until each of our servers was tried once, but not longer
// than limit. An offer made before would name neither a relay nor the address
// that others see, and behind a NAT its connection could not come about.
func (n *network) awaitServers(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	n.mu.Lock()
	servers := slices.Collect(maps.Values(n.servers))
	n.mu.Unlock()
	for _, s := range servers {
		for _, tried := range s.tried {
			select {
			case <-tried:
			case <-ctx.Done():
				return
			}
		}
	}
}

// useRelay is one session as an owner of inboxes.
func (n *network) useRelay(ctx context.Context, s *server) error {
	dial, cancel := context.WithTimeout(ctx, dialTime)
	cl, err := relay.Dial(dial, n.ep, s.addr, s.owner, "")
	cancel()
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := n.furnish(ctx, s, cl); err != nil {
		return err
	}
	n.mu.Lock()
	s.relay = cl
	s.setTriedLocked(roleRelay)
	notify(n.relayChanged)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		s.relay = nil
		n.mu.Unlock()
	}()
	// What was made between the two steps above.
	if err := n.furnish(ctx, s, cl); err != nil {
		return err
	}
	n.c.post(func(k *core) { k.serverUp(s.addr.ID, roleRelay, "") })

	acks := &ackQueue{wake: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n.run(func() { n.ackMail(ctx, cl, acks) })
	n.run(func() { n.relayWork(ctx, s, cl) })
	for {
		select {
		case m, ok := <-cl.Mail():
			if !ok {
				<-cl.Done()
				return cl.Err()
			}
			n.c.post(func(k *core) {
				k.mailArrived(s.addr.ID, m)
				k.settle(func(err error) {
					if err != nil {
						cl.Close() // it comes again with the next connection
						return
					}
					acks.add(m.Seq)
				})
			})
		case <-cl.Done():
			return cl.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// An ackQueue holds the numbers of mail that is stored here. It is as long as
// the relay's quota at most.
type ackQueue struct {
	wake chan struct{} // capacity 1

	mu   sync.Mutex
	seqs []uint64
}

func (q *ackQueue) add(seq uint64) {
	q.mu.Lock()
	q.seqs = append(q.seqs, seq)
	q.mu.Unlock()
	notify(q.wake)
}

func (q *ackQueue) take() []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	seqs := q.seqs
	q.seqs = nil
	return seqs
}

// notify wakes who waits on a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ackMail deletes at the relay what is stored here.
func (n *network) ackMail(ctx context.Context, cl *relay.Client, acks *ackQueue) {
	for {
		select {
		case <-acks.wake:
		case <-ctx.Done():
			return
		}
		call, cancel := context.WithTimeout(ctx, dialTime)
		err := cl.Ack(call, acks.take())
		cancel()
		if err != nil {
			cl.Close() // with the next connection it all comes again
			return
		}
	}
}

// relayWork does what comes up while the relay stands.
func (n *network) relayWork(ctx context.Context, s *server, cl *relay.Client) {
	timer := time.NewTicker(maintainEvery)
	defer timer.Stop()
	for {
		select {
		case f := <-s.work:
			f(ctx, cl)
		case <-timer.C:
			if err := n.furnish(ctx, s, cl); err != nil {
				n.c.log.Info("relay not furnished", "server", s.addr.HostPort(), "err", err)
			}
		case <-ctx.Done():
			return
		case <-cl.Done():
			return
		}
	}
}

// furniture is what a relay should have of ours.
type furniture struct {
	knock [32]byte
	// Where contacts that lost their session find the bundle, and the token for it.
	prekeys, prekeyToken [32]byte

	inboxes []relay.InboxParams
	knocks  []identity.Invite
	bundle  []byte
	oneTime []relay.SealedOneTime
}

// furnish makes inboxes, open invites and prekeys known to a relay. All of it
// may be repeated.
func (n *network) furnish(ctx context.Context, s *server, cl *relay.Client) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var f furniture
	if err := n.c.do(ctx, func(k *core) error { return k.furniture(s.addr.ID, &f) }); err != nil {
		return err
	}
	if err := cl.CreateInbox(ctx, relay.InboxParams{ID: f.knock, Knock: true}); err != nil {
		return err
	}
	for _, p := range f.inboxes {
		if err := cl.CreateInbox(ctx, p); err != nil {
			return err
		}
	}
	if err := cl.PutPrekeys(ctx, f.knock, f.bundle, f.oneTime); err != nil {
		return err
	}
	if err := n.furnishPrekeys(ctx, cl, &f); err != nil {
		return err
	}
	for _, i := range f.knocks {
		if err := cl.AllowKnock(ctx, f.knock, i.Knock(), i.Expires); err != nil {
			return err
		}
	}
	return nil
}

func (k *core) furniture(id identity.ServerID, f *furniture) error {
	k.maintain()
	one := k.prekeys.OneTime()
	aead := bundleAEAD(k.profile.Lookup.bytes(), k.local.PeerID())
	f.bundle = sealBox(aead, contextBundle, k.prekeyBox().Append(nil))
	for _, o := range one[:max(0, len(one)-keptOneTime)] {
		f.oneTime = append(f.oneTime, relay.SealedOneTime{ID: o.ID, Blob: sealBox(aead, contextOneTime, o.Bytes)})
		k.prekeys.Published([]uint32{o.ID})
		k.dirtyPrekeys = true
	}
	f.knock = k.profile.KnockInbox.bytes()
	f.prekeys, f.prekeyToken = prekeyInbox(k.profile.Lookup.bytes(), id, k.local.Record().Epoch)
	for _, c := range k.contacts {
		if c.self || c.info.Trust != Trusted {
			continue
		}
		inbox, token := c.mailboxAt(id)
		f.inboxes = append(f.inboxes, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)})
	}
	for _, i := range k.invites {
		if i.live(k.now()) && k.now().Before(i.parsed.Expires) {
			f.knocks = append(f.knocks, i.parsed)
		}
	}
	return nil
}

// keptOneTime is how many one-time prekeys are not given to relays, for peers
// who ask us directly.
const keptOneTime = 8

// useRendezvous is one session as somebody who can be introduced.
func (n *network) useRendezvous(ctx context.Context, s *server) error {
	dial, cancel := context.WithTimeout(ctx, dialTime)
	cl, err := rendezvous.Dial(dial, n.ep, s.addr)
	cancel()
	if err != nil {
		return err
	}
	defer cl.Close()
	stun := resolve(ctx, s.addr)
	n.mu.Lock()
	s.rendezvous, s.stun = cl, stun
	s.setTriedLocked(roleRendezvous)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		s.rendezvous = nil
		n.mu.Unlock()
	}()
	problem := ""
	if off := cl.ServerTime().Sub(n.c.cfg.Now()).Abs(); off > clockTolerance {
		problem = ErrClock.Error()
	}
	if err := n.register(ctx, cl); err != nil {
		return err
	}
	n.c.post(func(k *core) { k.serverUp(s.addr.ID, roleRendezvous, problem) })
	n.pokeAll()

	slots := make(chan struct{}, maxIntroducing)
	renew := time.NewTimer(cl.MaxTTL() / 2)
	defer renew.Stop()
	for {
		select {
		case in, ok := <-cl.Introductions():
			if !ok {
				<-cl.Done()
				return cl.Err()
			}
			select {
			case slots <- struct{}{}:
				n.run(func() {
					defer func() { <-slots }()
					n.introduced(ctx, in)
				})
			default: // the other side tries again
			}
		case <-renew.C:
			if err := n.register(ctx, cl); err != nil {
				return err
			}
			renew.Reset(cl.MaxTTL() / 2)
		case <-s.renew:
			if err := n.register(ctx, cl); err != nil {
				return err
			}
		case <-cl.Done():
			return cl.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *network) register(ctx context.Context, cl *rendezvous.Client) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var content rendezvous.Content
	var lookup [32]byte
	var listed listState
	var note string
	err := n.c.do(ctx, func(k *core) error {
		content.Record = k.local.Record()
		content.Relays, content.Rendezvous = k.ownServers()
		if len(content.Relays) > 0 {
			content.KnockInbox = k.profile.KnockInbox.bytes()
		}
		lookup = k.profile.Lookup.bytes()
		listed, note = k.profile.Listed, k.profile.ListNote
		return nil
	})
	if err != nil {
		return err
	}
	if err := cl.Register(ctx, n.c.cfg.Now(), n.local.Load(), lookup, content, 0); err != nil {
		return err
	}
	return n.list(ctx, cl, n.local.Load(), listed, content, note)
}

// resolve returns a server's addresses, for STUN.
func resolve(ctx context.Context, a identity.ServerAddr) (out []netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host)
	if err != nil {
		return nil // then there are no reflexive candidates
	}
	for _, ip := range ips[:min(len(ips), 2)] {
		out = append(out, netip.AddrPortFrom(ip.Unmap(), a.Port))
		if a.Port < 65535 {
			out = append(out, netip.AddrPortFrom(ip.Unmap(), a.Port+1)) // its second STUN port, if it has one
		}
	}
	return out
}

func (n *network) stunServers() (out []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if s.rendezvous != nil && !n.tunnelled(s) {
			out = append(out, s.stun...)
		}
	}
	return out
}

// observed returns where our rendezvous see us.
func (n *network) observed() (out []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if s.rendezvous != nil && !n.tunnelled(s) {
			if a := s.rendezvous.Observed(); a.IsValid() {
				out = append(out, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
			}
		}
	}
	return out
}

// relays returns the relay connections that stand.
func (n *network) relays() (out []*server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		if s.relay != nil {
			out = append(out, s)
		}
	}
	return out
}

// announce tells our relays of an invite, also one that is just being
// connected to.
func (n *network) announce(ctx context.Context, i identity.Invite) {
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	n.awaitRelays(ctx)
	for _, s := range n.relays() {
		n.mu.Lock()
		cl := s.relay
		n.mu.Unlock()
		if cl == nil {
			continue
		}
		if err := cl.AllowKnock(ctx, i.KnockInbox, i.Knock(), i.Expires); err != nil {
			n.c.log.Info("invite not announced", "server", s.addr.HostPort(), "err", err)
		}
	}
}

// awaitRelays waits until every server of ours stands as a relay, or is known
// to be none, or ctx ends.
func (n *network) awaitRelays(ctx context.Context) {
	for {
		n.mu.Lock()
		all := true
		for _, s := range n.servers {
			all = all && (s.relay != nil || s.noRelay)
		}
		n.mu.Unlock()
		if all {
			return
		}
		select {
		case <-n.relayChanged:
		case <-ctx.Done():
			return
		case <-n.ctx.Done():
			return
		}
	}
}

// renewRecords has the rendezvous records written again.
func (n *network) renewRecords() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		notify(s.renew)
	}
}
