package rendezvous

import (
	"context"
	"crypto/rand"
	"math/big"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// contextAnnouncement is the context of a server's word on itself (spec §7.12).
const contextAnnouncement = "SREMP v1 rendezvous announcement"

const (
	announcementLife = 48 * time.Hour
	maxAnnounced     = 256 // kept by a server
	gossipEvery      = time.Hour
	gossipTime       = time.Minute // for one server
)

// An Announcement is a server's own word on where it is, passed on by others.
// It says nothing about whether to trust it: a person decides to use a server.
type Announcement struct {
	Server          identity.ServerAddr
	Issued, Expires time.Time
}

// announcements are the server's own and those of others.
type announcements struct {
	self identity.ServerAddr // no host: none
	key  *identity.ServerKey

	mu    sync.Mutex
	known map[identity.ServerID]announced
}

type announced struct {
	Announcement
	bytes []byte
}

func signAnnouncement(k *identity.ServerKey, a identity.ServerAddr, now time.Time) []byte {
	x := wire.RendezvousAnnouncement{
		Server: wire.Server{ID: k.ID(), Host: a.Host, Port: a.Port},
		Issued: milliseconds(now), Expires: milliseconds(now.Add(announcementLife)),
	}
	x.Signature = k.Sign(contextAnnouncement, x.AppendUnsigned(nil))
	return x.Append(nil)
}

func openAnnouncement(b []byte, now time.Time) (Announcement, bool) {
	x, err := wire.ParseRendezvousAnnouncement(b)
	if err != nil || identity.CheckHost(x.Server.Host) != nil ||
		!identity.Verify(x.Server.ID, contextAnnouncement, x.AppendUnsigned(nil), x.Signature) {
		return Announcement{}, false
	}
	a := Announcement{
		Server: identity.ServerAddr{ID: x.Server.ID, Host: x.Server.Host, Port: x.Server.Port},
		Issued: fromMilliseconds(x.Issued), Expires: fromMilliseconds(x.Expires),
	}
	ok := now.Before(a.Expires) && a.Expires.Sub(a.Issued) <= announcementLife && a.Issued.Sub(now) <= listingSkew
	return a, ok
}

// take keeps an announcement if it is authentic, newer than what is known of its
// server, and there is room.
func (s *announcements) take(b []byte, now time.Time) {
	a, ok := openAnnouncement(b, now)
	if !ok || a.Server.ID == s.key.ID() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[identity.ServerID]announced)
	}
	s.expireLocked(now)
	old, known := s.known[a.Server.ID]
	if known && !a.Issued.After(old.Issued) || !known && len(s.known) >= maxAnnounced {
		return
	}
	s.known[a.Server.ID] = announced{a, b}
}

func (s *announcements) expireLocked(now time.Time) {
	for id, a := range s.known {
		if !now.Before(a.Expires) {
			delete(s.known, id)
		}
	}
}

// list returns the server's own announcement and a random choice of others'.
func (s *announcements) list(now time.Time) (out [][]byte) {
	if s.self.Host != "" {
		out = append(out, signAnnouncement(s.key, s.self, now))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(now)
	for _, a := range s.known { // in Go's order, which is none
		if len(out) == wire.MaxAnnouncements {
			break
		}
		out = append(out, a.bytes)
	}
	return out
}

func (s *Server) knownServers(id connID, x wire.RendezvousServers) wire.RendezvousKnown {
	now := s.now()
	s.mu.Lock()
	allowed := s.core.allow(now, id, rateBrowse)
	s.mu.Unlock()
	if !allowed {
		return wire.RendezvousKnown{Request: x.Request, Status: wire.RendezvousBusy}
	}
	return wire.RendezvousKnown{Request: x.Request, Announcements: s.others.list(now)}
}

// Gossip asks the servers that the operator named which others they know, at
// once and every hour, until ctx ends. Servers that it learns of are passed on,
// never asked: nobody can make this server send anything to an address of his
// choice.
func (s *Server) Gossip(ctx context.Context, peers []identity.ServerAddr, dial func(context.Context, identity.ServerAddr) (*Client, error)) {
	for {
		for _, a := range peers {
			s.ask(ctx, a, dial)
		}
		select {
		case <-time.After(gossipEvery + jitter(gossipEvery/4)):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) ask(ctx context.Context, a identity.ServerAddr, dial func(context.Context, identity.ServerAddr) (*Client, error)) {
	ctx, cancel := context.WithTimeout(ctx, gossipTime)
	defer cancel()
	c, err := dial(ctx, a)
	if err != nil {
		s.log.Info("a server to gossip with does not answer", "server", a.HostPort(), "err", err)
		return
	}
	defer c.Close()
	bs, err := c.announcements(ctx)
	if err != nil {
		s.log.Info("no gossip", "server", a.HostPort(), "err", err)
		return
	}
	for _, b := range bs {
		s.others.take(b, s.now())
	}
}

// jitter is random, between 0 and d.
func jitter(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d)+1))
	if err != nil {
		panic(err)
	}
	return time.Duration(n.Int64())
}
