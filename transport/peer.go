package transport

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/identity"
)

// A PathKind says how packets to a peer travel.
type PathKind uint8

// The kinds of paths.
const (
	PathRelay  PathKind = 1 // through a relay's forwarding session
	PathDirect PathKind = 2 // from socket to socket
)

// String returns "relay" or "direct".
func (k PathKind) String() string {
	switch k {
	case PathRelay:
		return "relay"
	case PathDirect:
		return "direct"
	}
	return fmt.Sprintf("PathKind(%d)", uint8(k))
}

// A Path is the path in use to a peer. Both ends report the same kind.
type Path struct {
	Kind   PathKind
	Remote netip.AddrPort // the peer, or the relay
	RTT    time.Duration  // smoothed, of the path's own life
	Reason string         // why the path is this one, for people
	Why    Reason         // the same for programs; ReasonNone: in other words
	Loss   Loss
}

// A PeerConn is a connection to an authenticated peer.
type PeerConn struct {
	*Conn
	link    *link
	control *quic.Stream
	early   *Stream       // constant
	wake    chan struct{} // holds one token for the manager
	watched atomic.Bool   // somebody wants the path measured

	mu       sync.Mutex
	path     Path
	staleRTT time.Duration // QUIC's round trip when the path began: of the one before
	loss     lossMeter
	closed   bool
	changes  chan Path // holds the latest unread path
}

// Peer returns the peer's verified record, which may be newer than the one
// known before.
func (p *PeerConn) Peer() *identity.Record { return p.result.Peer }

// EarlyStream returns the stream that what [Attempt.Early] returned was written
// to, nil if nothing was: the first of this side's streams.
func (p *PeerConn) EarlyStream() *Stream { return p.early }

// Path returns the path in use now.
func (p *PeerConn) Path() Path {
	p.mu.Lock()
	path := p.path
	stale := p.staleRTT
	p.mu.Unlock()
	path.RTT = p.rtt(path, stale)
	path.Why = reasonOf(path.Reason)
	path.Loss = p.measure()
	return path
}

// noRTT is what quic-go says before it has measured a path: its initial RTT.
const noRTT = 100 * time.Millisecond

// rtt returns the round trip of a path, 0 if nobody has measured it yet. QUIC
// begins to measure a path when it uses it; before, what it says belongs to the
// path left, or to none, and only the probes may know.
func (p *PeerConn) rtt(path Path, stale time.Duration) time.Duration {
	measured := p.q.ConnectionStats().SmoothedRTT
	switch {
	case measured != noRTT && measured != stale:
		return measured
	case path.Kind == PathDirect && p.link != nil:
		return p.link.prober.rtt(path.Remote)
	}
	return 0
}

// lively reports whether the application has used the connection just now.
func (p *PeerConn) lively() bool {
	used := p.used.Load()
	return used != 0 && p.e.m.now()-used <= int64(lively)
}

// RemoteAddr returns the address that packets go to now: the peer's or the
// relay's.
func (p *PeerConn) RemoteAddr() netip.AddrPort { return p.Path().Remote }

// PathChanges delivers the path after every change. Only the latest one waits
// to be received. The channel is closed when the connection has ended.
func (p *PeerConn) PathChanges() <-chan Path { return p.changes }

// AddRelay gives the connection a relay leg as a second way to the peer.
func (p *PeerConn) AddRelay(leg Leg) {
	p.e.m.paths.setLeg(p.link, leg)
	notify(p.wake)
}

func (p *PeerConn) setPath(path Path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if path.Kind != p.path.Kind && p.path.Kind != 0 {
		p.staleRTT = p.q.ConnectionStats().SmoothedRTT
	}
	if path.Kind != p.path.Kind || path.Remote != p.path.Remote {
		p.loss.begin(p.q.ConnectionStats())
	}
	p.path = path
	if p.closed {
		return
	}
	path.RTT = p.rtt(path, p.staleRTT)
	path.Why = reasonOf(path.Reason)
	select {
	case <-p.changes:
	default:
	}
	p.changes <- path
}

func (p *PeerConn) closeChanges() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.changes)
}

// remote returns what a slot's packets are sent to.
func (l *link) remote(slot int) netip.AddrPort {
	if l == nil {
		return netip.AddrPort{}
	}
	if slot == slotRelay {
		if leg := l.leg.Load(); leg != nil {
			return leg.Server
		}
	} else if a := l.direct.Load(); a != nil {
		return *a
	}
	return netip.AddrPort{}
}
