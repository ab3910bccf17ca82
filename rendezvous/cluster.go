package rendezvous

import (
	"context"
	"log/slog"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A Cluster joins the processes that serve one phone book from one store
// (spec §7.15). Its methods may be used concurrently.
type Cluster interface {
	// Node names this process.
	Node() string
	// Online notes that this process reaches a name until then, and no other.
	// [Store.Renew] moves it.
	Online(ctx context.Context, name [32]byte, until time.Time) error
	// Offline notes that this process does not reach names any more. Of names
	// that another process took over it says nothing.
	Offline(ctx context.Context, names [][32]byte) error
	// Where returns the living process that reaches a name.
	Where(ctx context.Context, name [32]byte, now time.Time) (node string, ok bool, err error)
	// Send passes a message of at most MaxClusterMessage bytes to a process, or
	// to all others if node is empty. It may be lost.
	Send(ctx context.Context, node string, message []byte) error
	// Receive returns messages to this process. It is closed with the store.
	Receive() <-chan []byte
}

// MaxClusterMessage bounds one message between processes.
const MaxClusterMessage = wire.RendezvousBlob + 256

const clusterQueue = 1024

// Kinds of messages between processes.
const (
	clusterRegistered uint8 = 1 + iota // name
	clusterOffer                       // introduction, name, node, offer
	clusterAnswer                      // introduction, status, answer
)

// A clusterMessage is what processes of one phone book tell each other.
type clusterMessage struct {
	kind   uint8
	key    [16]byte // of the introduction
	name   [32]byte
	node   string // that sends
	status wire.RendezvousStatus
	blob   []byte
}

func (x clusterMessage) append(b []byte) []byte {
	b = append(append(append(b, x.kind), x.key[:]...), x.name[:]...)
	b = append(wire.AppendVec8(b, []byte(x.node)), byte(x.status))
	return wire.AppendVec16(b, x.blob)
}

func parseClusterMessage(b []byte) (x clusterMessage, ok bool) {
	r := wire.NewReader(b)
	x.kind, x.key, x.name = r.Uint8(), r.Array16(), r.Array32()
	x.node, x.status, x.blob = string(r.Vec8(1, 64)), r.RendezvousStatus(), r.Vec16(0, wire.RendezvousBlob)
	whole := len(x.blob) == wire.RendezvousBlob
	switch x.kind {
	case clusterRegistered:
		ok = len(x.blob) == 0
	case clusterOffer:
		ok = whole
	case clusterAnswer:
		ok = whole == (x.status == wire.RendezvousOK)
	}
	return x, ok && r.Done() == nil
}

// post queues a message; what does not fit is lost, as a database may lose it.
func (s *Server) post(node string, x clusterMessage) {
	x.node = s.cluster.Node()
	select {
	case s.posts <- clusterPost{node, x.append(nil)}:
	default:
		s.log.Warn("the other processes are not told: too much waits for the database")
	}
}

type clusterPost struct {
	node    string
	message []byte
}

// cooperate sends and receives until the server closes.
func (s *Server) cooperate() {
	for {
		select {
		case p := <-s.posts:
			if err := s.cluster.Send(s.ctx, p.node, p.message); err != nil && s.ctx.Err() == nil {
				s.storeFailed(s.ctx, err)
			}
		case b, ok := <-s.cluster.Receive():
			if !ok {
				return
			}
			if x, ok := parseClusterMessage(b); ok {
				s.hear(x)
			}
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Server) hear(x clusterMessage) {
	if x.node == s.cluster.Node() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch x.kind {
	case clusterRegistered:
		s.core.unregistered(x.name) // it is reached elsewhere now, or nowhere
		s.core.unlisted(x.name)
		s.tellLocked(x.name)
	case clusterOffer:
		out := s.core.introduceFor(s.now(), x)
		s.sendLocked(out)
		s.wakeSweeper()
	case clusterAnswer:
		s.sendLocked(s.core.answeredElsewhere(x))
	}
}

// registeredHere tells the others that a name is reached through this process,
// or, if ttl is 0, that it is gone.
func (s *Server) registeredHere(ctx context.Context, name [32]byte, until time.Time) {
	if s.cluster == nil {
		return
	}
	if !until.IsZero() {
		if err := s.cluster.Online(ctx, name, until); err != nil {
			s.storeFailed(ctx, err)
		}
	}
	s.post("", clusterMessage{kind: clusterRegistered, name: name})
}

// introduceElsewhere passes an offer to the process that reaches its name.
func (s *Server) introduceElsewhere(ctx context.Context, key [16]byte, x wire.RendezvousIntroduce) {
	node, ok, err := s.cluster.Where(ctx, x.Blinded, s.now())
	if err != nil {
		s.storeFailed(ctx, err)
	}
	if ok && node != s.cluster.Node() {
		s.post(node, clusterMessage{kind: clusterOffer, key: key, name: x.Blinded, blob: x.Offer})
		return
	}
	s.mu.Lock()
	s.sendLocked(s.core.answeredElsewhere(clusterMessage{key: key, status: wire.RendezvousOffline}))
	s.mu.Unlock()
}

// onlineElsewhere reports whether another process reaches a name.
func (s *Server) onlineElsewhere(ctx context.Context, name [32]byte, now time.Time) bool {
	if s.cluster == nil {
		return false
	}
	_, ok, err := s.cluster.Where(ctx, name, now)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "the store failed", slog.Any("err", err))
	}
	return ok
}

// introduceFor passes on an offer that came through another process.
func (c *core) introduceFor(now time.Time, x clusterMessage) []output {
	refuse := func(s wire.RendezvousStatus) []output {
		return []output{{elsewhere: &clusterOutput{x.node, clusterMessage{kind: clusterAnswer, key: x.key, status: s}}}}
	}
	if !c.isOnline(now, x.name) {
		return refuse(wire.RendezvousOffline)
	}
	p := c.online[x.name]
	if c.pending[x.key] != nil || p.pending >= c.limits.MaxPendingTarget || !p.offers.take(now, c.limits.Offer) {
		return refuse(wire.RendezvousBusy)
	}
	c.pending[x.key] = &introduction{node: x.node, to: p.conn, target: p, deadline: now.Add(c.limits.IntroTimeout)}
	p.pending++
	return []output{{to: p.conn, typ: wire.FrameRendezvousOffer,
		payload: wire.RendezvousOffer{Introduction: x.key, Blinded: x.name, Offer: x.blob}.Append(nil)}}
}

// answeredElsewhere ends an introduction that another process was to make.
func (c *core) answeredElsewhere(x clusterMessage) []output {
	in := c.pending[x.key]
	if in == nil || in.target != nil || in.from == 0 {
		return nil
	}
	c.drop(x.key, in)
	return []output{introduced(in.from, in.request, x.status, x.blob)}
}

// offlineHere returns the names that end with a connection.
func (c *core) offlineHere(id connID) (names [][32]byte) {
	m := c.conns[id]
	if m == nil {
		return nil
	}
	for name := range m.names {
		names = append(names, name)
	}
	if m.listing != (identity.PeerID{}) {
		names = append(names, m.listing)
	}
	return names
}
