package sim

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// A natKind is how a site's router maps and filters (RFC 4787).
type natKind uint8

const (
	noNAT          natKind = iota // hosts have public addresses, and no firewall
	fullCone                      // endpoint-independent mapping and filtering
	addrRestricted                // address-dependent filtering
	portRestricted                // address- and port-dependent filtering
	symmetric                     // address- and port-dependent mapping and filtering
)

var natNames = [...]string{"public", "full cone", "address restricted", "port restricted", "symmetric"}

// A site is a place with one way to the internet.
type site struct {
	name   string
	public netip.Addr
	kind   natKind
	life   time.Duration // of a mapping without packets

	latency, jitter time.Duration // one way; jitter reorders
	loss            float64
	rate            float64 // bytes a second, each way
	island          int     // sites of different islands do not reach each other

	out, in time.Time // when the link is free again
	maps    map[mapKey]*mapping
	ports   map[uint16]*mapping
	next    uint16
}

type mapKey struct{ inside, outside netip.AddrPort }

type mapping struct {
	key    mapKey
	port   uint16
	until  time.Time
	sentTo map[netip.AddrPort]bool
}

// A host is a machine; it may move between sites.
type host struct {
	addr  netip.Addr
	at    *site
	off   bool // no packet enters or leaves
	epoch int  // of the machine's life: sockets of an earlier one are dead
	next  uint16
}

type bound struct {
	*host
	epoch int
	conn  simnet.PacketReceiver
}

// A wiretap sees every packet that enters the network.
type wiretap func(at time.Time, from, to netip.AddrPort, b []byte)

// A network is simnet's router between all hosts.
type network struct {
	mu      sync.Mutex
	rng     *rand.Rand
	hosts   map[netip.Addr]*host
	sockets map[netip.AddrPort]bound // by the address that the host has itself
	sites   map[netip.Addr]*site     // by public address
	calm    bool                     // healed: no loss
	tap     wiretap
	packets int64
	bytes   int64
	lost    int64
}

func newNetwork(rng *rand.Rand) *network {
	return &network{
		rng: rng, hosts: map[netip.Addr]*host{}, sockets: map[netip.AddrPort]bound{}, sites: map[netip.Addr]*site{},
	}
}

var _ simnet.Router = (*socketRouter)(nil)

// maxPacket is the sites' MTU less the IP and UDP headers.
const maxPacket = 1472

// maxQueue is what a link lets wait before it drops.
const maxQueue = 400 * time.Millisecond

func (n *network) newSite(name string, public netip.Addr, kind natKind) *site {
	s := &site{
		name: name, public: public, kind: kind, life: 2 * time.Minute, latency: 10 * time.Millisecond, rate: 10e6,
		maps: map[mapKey]*mapping{}, ports: map[uint16]*mapping{}, next: 30000,
	}
	n.sites[public] = s
	return s
}

func (n *network) newHost(addr netip.Addr, at *site) *host {
	h := &host{addr: addr, at: at}
	n.hosts[addr] = h
	return h
}

// listen opens a socket on a host; port 0 is any.
func (n *network) listen(h *host, port uint16) net.PacketConn {
	n.mu.Lock()
	if port == 0 {
		h.next++
		port = 20000 + h.next%20000
	}
	n.mu.Unlock()
	return &socket{simnet.NewSimConn(net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.addr, port)), &socketRouter{n, h, h.epoch})}
}

// A socket keeps quic-go from warning about buffers.
type socket struct{ *simnet.SimConn }

// A socketRouter is the router of one socket: it knows the life of the machine to
// which the socket belongs.
type socketRouter struct {
	n     *network
	h     *host
	epoch int
}

func (r *socketRouter) AddNode(addr net.Addr, c simnet.PacketReceiver) {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	r.n.sockets[addrPort(addr)] = bound{r.h, r.epoch, c}
}

// SendPacket implements simnet.Router.
func (r *socketRouter) SendPacket(p simnet.Packet) error {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	if r.epoch == r.h.epoch { // else the machine that had the socket is no more
		r.n.sendLocked(p)
	}
	return nil
}

// sent returns how many packets and bytes entered the network.
func (n *network) sent() (packets, bytes int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.packets, n.bytes
}

func addrPort(a net.Addr) netip.AddrPort {
	u := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(u.Addr().Unmap(), u.Port())
}

// sendLocked takes a packet from a host's socket.
func (n *network) sendLocked(p simnet.Packet) {
	now := time.Now()
	inside, to := addrPort(p.From), addrPort(p.To)
	h := n.hosts[inside.Addr()]
	if h == nil || h.off || len(p.Data) > maxPacket {
		return
	}
	n.packets++
	n.bytes += int64(len(p.Data))
	s := h.at
	if d := n.hosts[to.Addr()]; d != nil && d.at == s && d != h { // the local network
		n.deliver(d, inside, to, p.Data, time.Millisecond)
		return
	}
	from := s.translate(now, h, inside, to)
	if n.tap != nil {
		n.tap(now, from, to, p.Data)
	}
	d, t, dest := n.receiver(now, from, to)
	if d == nil || t.island != s.island || n.dropped(s) || n.dropped(t) {
		n.lost++
		return
	}
	queued := max(s.out.Sub(now), t.in.Sub(now))
	if queued > maxQueue {
		n.lost++
		return
	}
	delay := s.latency + t.latency + wait(&s.out, now, s.rate, len(p.Data)) + wait(&t.in, now, t.rate, len(p.Data))
	for _, x := range []*site{s, t} {
		if x.jitter > 0 && !n.calm {
			delay += time.Duration(n.rng.Int64N(int64(x.jitter)))
		}
	}
	n.deliver(d, from, dest, p.Data, delay)
}

func (n *network) dropped(s *site) bool { return !n.calm && s.loss > 0 && n.rng.Float64() < s.loss }

// wait is how long a packet waits for its link.
func wait(free *time.Time, now time.Time, rate float64, size int) time.Duration {
	if free.Before(now) {
		*free = now
	}
	*free = free.Add(time.Duration(float64(size) / rate * float64(time.Second)))
	return free.Sub(now)
}

// translate is the source NAT of what leaves a site.
func (s *site) translate(now time.Time, h *host, inside, to netip.AddrPort) netip.AddrPort {
	if s.kind == noNAT {
		return netip.AddrPortFrom(s.outer(h), inside.Port())
	}
	key := mapKey{inside: inside}
	if s.kind == symmetric {
		key.outside = to
	}
	m := s.maps[key]
	if m == nil || m.until.Before(now) {
		if m != nil {
			delete(s.ports, m.port)
		}
		m = &mapping{key: key, port: s.freePort(now), sentTo: map[netip.AddrPort]bool{}}
		s.maps[key], s.ports[m.port] = m, m
	}
	m.until = now.Add(s.life)
	m.sentTo[to] = true
	return netip.AddrPortFrom(s.public, m.port)
}

// freePort returns the next port that nobody has, or has let expire. It does not look
// far: a NAT whose ports are in use takes the next one from who has it.
func (s *site) freePort(now time.Time) uint16 {
	const first = 1024
	for range 256 {
		if s.next++; s.next < first {
			s.next = first
		}
		if m := s.ports[s.next]; m == nil || m.until.Before(now) {
			break
		}
	}
	if m := s.ports[s.next]; m != nil {
		delete(s.maps, m.key)
	}
	return s.next
}

// outer is the address of a host's packets outside the site. Without a NAT each
// host has one of its own.
func (s *site) outer(h *host) netip.Addr {
	if s.kind != noNAT || h.addr == s.public {
		return s.public
	}
	a := s.public.As4()
	a[3] = h.addr.As4()[2] + 10
	return netip.AddrFrom4(a)
}

// siteOf returns the site to which an address belongs, nil if none.
func (n *network) siteOf(addr netip.Addr) *site {
	if s := n.sites[addr]; s != nil || !addr.Is4() {
		return s
	}
	a := addr.As4()
	a[3] = 1
	return n.sites[netip.AddrFrom4(a)]
}

// receiver returns where a packet arrives: the host, its site, and the address on
// the host. nil if nowhere.
func (n *network) receiver(now time.Time, from, to netip.AddrPort) (*host, *site, netip.AddrPort) {
	s := n.siteOf(to.Addr())
	if s == nil {
		return nil, nil, to
	}
	if s.kind == noNAT {
		for _, h := range n.hosts {
			if h.at == s && s.outer(h) == to.Addr() {
				return h, s, netip.AddrPortFrom(h.addr, to.Port())
			}
		}
		return nil, nil, to
	}
	if to.Addr() != s.public {
		return nil, nil, to
	}
	m := s.ports[to.Port()]
	if m == nil || m.until.Before(now) || !m.lets(s.kind, from) {
		return nil, nil, to
	}
	h := n.hosts[m.key.inside.Addr()]
	if h == nil || h.at != s {
		return nil, nil, to
	}
	return h, s, m.key.inside
}

func (m *mapping) lets(k natKind, from netip.AddrPort) bool {
	switch k {
	case fullCone:
		return true
	case addrRestricted:
		for a := range m.sentTo {
			if a.Addr() == from.Addr() {
				return true
			}
		}
		return false
	default:
		return m.sentTo[from]
	}
}

// deliver hands a packet over after delay, if the host is still there then.
func (n *network) deliver(h *host, from, to netip.AddrPort, b []byte, delay time.Duration) {
	at := h.at
	time.AfterFunc(delay, func() {
		n.mu.Lock()
		x, ok := n.sockets[to]
		gone := !ok || h.off || h.at != at || x.epoch != h.epoch
		n.mu.Unlock()
		if !gone {
			x.conn.RecvPacket(simnet.Packet{From: net.UDPAddrFromAddrPort(from), To: net.UDPAddrFromAddrPort(to), Data: b})
		}
	})
}

// change runs f while no packet moves.
func (n *network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}
