package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/portmap"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Tuning of the network side.
const (
	gatherTime   = time.Second // to find our own addresses
	announceTime = 3 * time.Second
	expectTime   = time.Minute // for somebody who said hello with an invite
)

// network is everything between the core and the sockets: servers, links to
// contacts, and the search for them. Its goroutines own nothing of the core's;
// they post jobs to it, and it tells them what changed.
type network struct {
	c     *Client
	local atomic.Pointer[identity.Local]
	ep    *transport.Endpoint // peers, and servers that know us
	anon  *transport.Endpoint // what must not be linked to us: deliveries, prekeys of others

	ctx  context.Context  // c.ctx
	pool *rendezvous.Pool // our rendezvous, who know us

	browser browser // searches of public lists, by nobody

	mu       sync.Mutex
	closed   bool
	targets  map[identity.PeerID]*target
	expected map[identity.PeerID]time.Time // may connect until then, without being a contact
	invites  map[[32]byte]*openInvite      // by knock token
	servers  map[identity.ServerID]*server
	noted    map[identity.ServerID]bool // where a note of this opening lies
	senders  map[identity.ServerID]*relay.Sender
	guests   map[identity.ServerID]*relay.Client // at relays of others
	answers  map[[32]byte]*given                 // by the offer's secret
	addrs    []netip.AddrPort                    // of ours, as last gathered

	port   atomic.Uint32   // of ep, which may have had to change it
	mapper *portmap.Mapper // nil unless wanted
	near   nearby

	gathered     []nat.Candidate  // the last ones, for a while
	gatheredAt   time.Time        // zero: not to be used again
	observedThen []netip.AddrPort // where our servers saw us then
}

// An openInvite is one of ours, ready for hellos.
type openInvite struct {
	invite identity.Invite
	stop   func()
}

func newNetwork(c *Client, k *core) (*network, error) {
	n := &network{
		c: c, ctx: c.ctx,
		targets: map[identity.PeerID]*target{}, expected: map[identity.PeerID]time.Time{},
		invites: map[[32]byte]*openInvite{}, servers: map[identity.ServerID]*server{}, noted: map[identity.ServerID]bool{},
		senders: map[identity.ServerID]*relay.Sender{}, guests: map[identity.ServerID]*relay.Client{}, answers: map[[32]byte]*given{},
	}
	n.local.Store(k.local)
	n.pool = n.newPool()
	s := c.sockets()
	pc, err := n.listen(k, s)
	if err != nil {
		return nil, fmt.Errorf("client: listening on %s: %w", c.cfg.Listen, err)
	}
	n.ep, err = transport.New(transport.Config{
		PacketConn: pc, Identity: k.local, Known: n.known, Allow: n.allow, Logger: c.log,
		NetworkChanged: n.networkChanged, ListenPacket: s.another, Tunnel: s.tunnel, RouteChanged: n.routeChanged,
	})
	if err != nil {
		pc.Close()
		return nil, fmt.Errorf("client: %w", err)
	}
	n.port.Store(uint32(n.ep.LocalAddr().Port()))
	host, _, err := net.SplitHostPort(c.cfg.Listen)
	if err == nil {
		pc, err = s.listen(net.JoinHostPort(host, "0"))
	}
	if err == nil {
		n.anon, err = transport.New(transport.Config{PacketConn: pc, ListenPacket: s.another, Tunnel: s.tunnel, Logger: c.log})
	}
	if err != nil {
		n.ep.Close()
		return nil, fmt.Errorf("client: the second socket: %w", err)
	}
	return n, nil
}

// setLocal has every connection from now on made with this record.
func (n *network) setLocal(l *identity.Local) {
	n.local.Store(l)
	n.ep.SetIdentity(l)
}

// start begins to reach for servers and contacts. The core runs already: it
// must not be touched here but through jobs.
func (n *network) start() {
	n.startMapper()
	n.startLAN()
	n.run(n.accept)
	n.run(n.answerIntroductions)
	n.run(n.watchRecords)
	n.run(n.c.indexAll)
	n.c.post(func(k *core) {
		n.present(k)
		k.heal()
		k.clearParts()
		k.forgetLeft()
		for _, i := range k.invites {
			if i.live(k.now()) {
				n.invited(i.parsed)
			}
		}
		for _, s := range k.profile.Servers {
			n.useServer(s)
		}
		for _, c := range k.contacts {
			n.contactChanged(k, c)
		}
	})
}

// run starts a goroutine that close waits for. It reports false once close
// began.
func (n *network) run(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.c.tasks.Go(f)
	return true
}

func (n *network) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.stopLAN()
	n.stopMapper()
	n.browser.close()
	n.pool.Close()
	n.ep.Close()
	n.anon.Close()
}

// known is what the transport asks before it dials with IK.
func (n *network) known(id identity.PeerID) *identity.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.targets[id]; t != nil && !t.blocked {
		return t.record
	}
	return nil
}

var errStranger = errors.New("client: not a contact")

// allow is what the transport asks about an authenticated peer.
func (n *network) allow(r *identity.Record) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.targets[r.Identity]; t != nil && !t.gone {
		if t.blocked {
			return errStranger
		}
		return nil
	}
	if until, ok := n.expected[r.Identity]; ok && time.Now().Before(until) {
		return nil
	}
	return errStranger
}

// expect lets somebody in who knows an invite of ours.
func (n *network) expect(id identity.PeerID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, until := range n.expected {
		if time.Now().After(until) || len(n.expected) >= maxGuests {
			delete(n.expected, id)
		}
	}
	n.expected[id] = time.Now().Add(expectTime)
}

// accept takes the peers that dialled without an attempt of ours.
func (n *network) accept() {
	for {
		conn, err := n.ep.Accept(n.ctx)
		if err != nil {
			return
		}
		n.linked(conn, early{}, false)
	}
}

// inviteAddrs returns addresses for an invite.
func (n *network) inviteAddrs(ctx context.Context) []netip.AddrPort {
	n.gather(ctx)
	return n.cardAddrs()
}

// cardAddrs returns the addresses found last.
func (n *network) cardAddrs() []netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	return clipAddrs(n.addrs)
}

// invited makes the network answer to an invite of ours.
func (n *network) invited(i identity.Invite) {
	token := i.Knock()
	stop := n.ep.OnHello(i.HelloKey(), func(from netip.AddrPort, payload []byte) []byte {
		return n.helloFrom(from, payload, identity.PeerID{}, token)
	})
	n.mu.Lock()
	n.invites[token] = &openInvite{invite: i, stop: stop}
	n.mu.Unlock()
	n.updateLAN()
}

// uninvited ends what invited began.
func (n *network) uninvited(i identity.Invite) {
	n.mu.Lock()
	open := n.invites[i.Knock()]
	delete(n.invites, i.Knock())
	n.mu.Unlock()
	if open != nil {
		open.stop()
	}
}
