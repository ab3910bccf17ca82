package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// Slots of a link (spec §5.1.2).
const (
	slotRelay  = 0
	slotDirect = 1
	slots      = 2
	// anySlot: the slot is the one that the virtual address names.
	anySlot = -1
)

// Virtual addresses lie in 100::/64, the discard prefix (RFC 6666): no packet
// can really come from there. The lower 64 bits are the link, the port is the
// slot plus one.
var virtualPrefix = [8]byte{0: 0x01}

func virtualAddr(link uint64, slot int) *net.UDPAddr {
	ip := make(net.IP, 16)
	copy(ip, virtualPrefix[:])
	binary.BigEndian.PutUint64(ip[8:], link)
	return &net.UDPAddr{IP: ip, Port: slot + 1}
}

// parseVirtual returns what virtualAddr was given.
func parseVirtual(a *net.UDPAddr) (link uint64, slot int, ok bool) {
	if a == nil || len(a.IP) != 16 || [8]byte(a.IP[:8]) != virtualPrefix || a.Port < 1 || a.Port > slots {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(a.IP[8:]), a.Port - 1, true
}

func isVirtual(a netip.Addr) bool {
	if !a.Is6() {
		return false
	}
	b := a.As16()
	return [8]byte(b[:8]) == virtualPrefix
}

// A link is the paths to one peer: what its virtual addresses stand for.
type link struct {
	id     uint64           // constant
	peer   identity.PeerID  // constant
	record *identity.Record // constant; of an expected dialler, nil if unknown
	client bool             // constant; we are the QUIC client
	// relayOnly is constant: no address of ours may reach the peer.
	relayOnly bool
	prober    *prober                        // constant once the link is shared
	virtual   [slots]*net.UDPAddr            // constant
	leg       atomic.Pointer[legState]       // slot 0
	direct    atomic.Pointer[netip.AddrPort] // slot 1
	extra     atomic.Pointer[extraSocket]    // that a birthday search has found; nil: the main one

	traffic traffic // of slot 1
	// sentAt is when the last packet left, in nanoseconds since the endpoint's start.
	sentAt atomic.Int64

	known []netip.AddrPort // guarded by pathTable.mu
	users int              // guarded by pathTable.mu; the link goes with the last
}

// traffic counts what has gone over a direct path, for its checks.
type traffic struct {
	sent         atomic.Uint64 // packets
	longSize     atomic.Uint32 // of the last packet of at least nat.LongPacket
	longSent     atomic.Uint32 // such packets of that size in a row
	longReceived atomic.Uint32
}

// left counts a write of one packet, or of many of a size.
func (t *traffic) left(b []byte, size int) {
	n := 1
	if size > 0 && size < len(b) {
		n = len(b) / size // the last may be shorter
	} else {
		size = len(b) // quic-go names a size for a single packet too
	}
	t.sent.Add(uint64(n))
	if size < nat.LongPacket {
		return
	}
	if uint32(size) != t.longSize.Load() {
		t.longSent.Store(0)
		t.longSize.Store(uint32(size))
	}
	t.longSent.Add(uint32(n))
}

func (t *traffic) came(size int) {
	if size >= nat.LongPacket {
		t.longReceived.Add(1)
	}
}

func (t *traffic) snapshot(lively bool) nat.Traffic {
	return nat.Traffic{
		Lively: lively, Sent: t.sent.Load(), LongSize: t.longSize.Load(), LongSent: t.longSent.Load(), LongReceived: t.longReceived.Load(),
	}
}

// A legState outlives the link that uses it: counters must never repeat.
type legState struct {
	Leg
	counter atomic.Uint64
	window  wire.ReplayWindow    // owned by the read loop
	owner   atomic.Pointer[link] // nil when no link uses it
	heard   atomic.Int64         // when a packet came over it last, by mux.now; 0: never
}

const (
	// maxKnown bounds the authentic addresses of one peer.
	maxKnown = 64
	// maxLegs bounds the legs remembered after their link has gone.
	maxLegs = 4096
)

// A pathTable finds links by number, by a peer's real address, and legs by
// session.
type pathTable struct {
	mu       sync.RWMutex
	last     uint64
	links    map[uint64]*link
	byAddr   map[netip.AddrPort]*link
	sessions map[uint64]*legState
}

func newPathTable() *pathTable {
	return &pathTable{
		links:    make(map[uint64]*link),
		byAddr:   make(map[netip.AddrPort]*link),
		sessions: make(map[uint64]*legState),
	}
}

// add completes l, with one user, its caller.
func (t *pathTable) add(l *link) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	l.id, l.users = t.last, 1
	for s := range l.virtual {
		l.virtual[s] = virtualAddr(l.id, s)
	}
	t.links[l.id] = l
	return l
}

// acquire adds a user. It reports false when the link is gone.
func (t *pathTable) acquire(l *link) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.links[l.id] != l {
		return false
	}
	l.users++
	return true
}

// release takes a user away, and the link with the last one.
func (t *pathTable) release(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	l.prober.stop() // with its sockets
	delete(t.links, l.id)
	for _, a := range l.known {
		if t.byAddr[a] == l {
			delete(t.byAddr, a)
		}
	}
	if leg := l.leg.Load(); leg != nil {
		leg.owner.CompareAndSwap(l, nil)
	}
}

func (t *pathTable) byID(id uint64) *link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.links[id]
}

func (t *pathTable) from(a netip.AddrPort) *link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byAddr[a]
}

// legs returns all legs.
func (t *pathTable) legs() (all []*legState) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, leg := range t.sessions {
		all = append(all, leg)
	}
	return all
}

func (t *pathTable) session(id uint64) *legState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.sessions[id]
}

// know records that a, by an authentic probe, is an address of l's peer. The
// newest claim wins: ports are reused.
func (t *pathTable) know(l *link, a netip.AddrPort) {
	if t.from(a) == l {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.links[l.id] != l || len(l.known) >= maxKnown {
		return
	}
	l.known = append(l.known, a)
	t.byAddr[a] = l
}

// setLeg gives l a relay leg. A leg seen before goes on with its counters.
func (t *pathTable) setLeg(l *link, leg Leg) {
	leg.Server = unmap(leg.Server)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.links[l.id] != l {
		return
	}
	s := t.sessions[leg.Session]
	if s == nil || s.Leg != leg {
		if len(t.sessions) >= maxLegs {
			for id, old := range t.sessions {
				if old.owner.Load() == nil {
					delete(t.sessions, id)
				}
			}
		}
		s = &legState{Leg: leg}
		t.sessions[leg.Session] = s
	}
	s.owner.Store(l)
	if old := l.leg.Swap(s); old != nil && old != s {
		old.owner.CompareAndSwap(l, nil)
	}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
