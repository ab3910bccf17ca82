package transport

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/nat"
)

// Tuning of Gather.
const (
	gatherTimeout = 3 * time.Second
	stunRetry     = 250 * time.Millisecond
	maxSTUNServer = 8
	// gatherGrace is what servers get after the first has answered.
	gatherGrace = 100 * time.Millisecond
	// Prediction samples the mappings of two sockets to two servers.
	predictTimeout = time.Second
	predictServers = 2
	predictSockets = 2
	predictedPorts = 8
	sampleGrace    = 20 * time.Millisecond
)

// stunClient matches responses with our requests.
type stunClient struct {
	mu      sync.Mutex
	waiting map[[12]byte]stunWait
	asked   []netip.AddrPort // servers of the last Gather
}

type stunWait struct {
	server netip.AddrPort
	mapped chan<- netip.AddrPort // buffered for one
}

func (c *stunClient) wait(txid [12]byte, w stunWait) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = make(map[[12]byte]stunWait)
	}
	c.waiting[txid] = w
}

func (c *stunClient) take(txid [12]byte, from netip.AddrPort) (stunWait, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.waiting[txid]
	if !ok || w.server != from {
		return stunWait{}, false
	}
	delete(c.waiting, txid)
	return w, true
}

func (c *stunClient) forget(txid [12]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, txid)
}

// handleSTUN runs on the read loop.
func (e *Endpoint) handleSTUN(from netip.AddrPort, b []byte) {
	if txid, mapped, err := nat.ParseSTUNResponse(b); err == nil {
		if w, ok := e.stun.take(txid, from); ok {
			w.mapped <- mapped
		}
		return
	}
	if e.c.STUN {
		e.answerSTUN(from, b)
	}
}

// Gather returns our candidates: the addresses of this machine, and those at
// which the given STUN servers (at most 8) see us. Two servers, or two ports of
// one, tell whether our NAT is symmetric; then its next ports are predicted, if
// it has a system, else the candidate is of kind [nat.Random] (spec §5.21.1). It
// returns soon after the first server has answered, after 3 s, or with ctx, with
// what it has; ctx's end is no error.
func (e *Endpoint) Gather(ctx context.Context, stun []netip.AddrPort) []nat.Candidate {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	ctx, stop := e.bind(ctx)
	defer stop()

	cs := e.hostCandidates()
	stun = stun[:min(len(stun), maxSTUNServer)]
	heard := e.askAll(ctx, e.withUDP(stun))
	var reflexive []nat.Candidate
	for _, h := range heard {
		if !slices.ContainsFunc(reflexive, func(c nat.Candidate) bool { return c.Addr == h.mapped }) {
			reflexive = append(reflexive, nat.Candidate{Addr: h.mapped, Kind: nat.ServerReflexive})
		}
	}
	if a, ok := symmetric(reflexive); ok {
		reflexive = e.predict(ctx, heard, a)
	}
	for _, c := range reflexive {
		if !slices.ContainsFunc(cs, func(o nat.Candidate) bool { return o.Addr == c.Addr }) {
			cs = append(cs, c)
		}
	}
	e.mu.Lock()
	e.local = slices.Clone(cs)
	e.mu.Unlock()
	e.stun.mu.Lock()
	e.stun.asked = slices.Clone(stun)
	e.stun.mu.Unlock()
	if len(reflexive) > 0 && !slices.ContainsFunc(reflexive, func(c nat.Candidate) bool { return c.Kind != nat.ServerReflexive }) {
		e.seekLifetime(stun)
	}
	return e.withMapped(cs)
}

// regather asks the servers of the last Gather again. Mapped candidates stay.
func (e *Endpoint) regather(ctx context.Context) {
	e.stun.mu.Lock()
	stun := e.stun.asked
	e.stun.mu.Unlock()
	if len(stun) > 0 {
		e.Gather(ctx, stun)
	}
}

// symmetric reports whether one address of ours was seen with two ports, of
// which it returns one.
func symmetric(cs []nat.Candidate) (netip.AddrPort, bool) {
	for i, a := range cs {
		for _, b := range cs[:i] {
			if a.Addr.Addr() == b.Addr.Addr() {
				return a.Addr, true
			}
		}
	}
	return netip.AddrPort{}, false
}

// A stunAnswer is where a server sees us.
type stunAnswer struct {
	server, mapped netip.AddrPort
	rtt            time.Duration // at most: the answer may be to a repeated request
}

// askAll asks all servers at once, and returns what those answered that did, in the
// order of stun. When the first has answered the others are asked again every half of
// its round trip, packets may have been lost, and get twice as long, at least
// gatherGrace.
func (e *Endpoint) askAll(ctx context.Context, stun []netip.AddrPort) (heard []stunAnswer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		i int
		a netip.AddrPort
	}
	answers := make(chan answer, len(stun))
	sooner := make(chan struct{}) // closed when rtt is known
	var rtt time.Duration
	for i, server := range stun {
		go func() { answers <- answer{i, e.askSTUN(ctx, unmap(server), sooner, &rtt)} }()
	}
	start := time.Now()
	all := make([]stunAnswer, len(stun))
	for range stun {
		x := <-answers
		took := max(time.Since(start), time.Millisecond)
		all[x.i] = stunAnswer{unmap(stun[x.i]), x.a, took}
		if x.a.IsValid() && rtt == 0 {
			rtt = took
			close(sooner)
			grace := time.AfterFunc(max(2*rtt, gatherGrace), cancel)
			defer grace.Stop()
		}
	}
	return slices.DeleteFunc(all, func(h stunAnswer) bool { return !h.mapped.IsValid() })
}

// predict finds out how a symmetric NAT that was seen as a chooses its ports: it
// makes four mappings in a row, from two new sockets, by servers that have been heard.
// When an answer is late, by the longer of their round trips, it begins anew: where
// the port of one is unknown, what the NAT does cannot be told.
func (e *Endpoint) predict(ctx context.Context, heard []stunAnswer, a netip.AddrPort) []nat.Candidate {
	ctx, cancel := context.WithTimeout(ctx, predictTimeout)
	defer cancel()
	random := []nat.Candidate{{Addr: a, Kind: nat.Random}}
	var servers []netip.AddrPort
	var rtt time.Duration
	for _, h := range heard {
		if h.server.Addr().Is4() == a.Addr().Is4() && len(servers) < predictServers {
			servers, rtt = append(servers, h.server), max(rtt, h.rtt)
		}
	}
	var ports []uint16
	for patience := rtt + rtt/2 + sampleGrace; ports == nil && ctx.Err() == nil; patience += patience / 8 {
		once, cancel := context.WithTimeout(ctx, patience)
		ports = e.newMappings(once, servers)
		cancel()
	}
	next := nat.PredictPorts(ports, predictedPorts)
	if next == nil {
		return random
	}
	var cs []nat.Candidate
	for _, p := range next {
		cs = append(cs, nat.Candidate{Addr: netip.AddrPortFrom(a.Addr(), p), Kind: nat.Predicted})
	}
	return cs
}

// newMappings returns the ports of the mappings that requests from two new sockets
// to each server make, in their order, or nil if an answer does not come before
// ctx ends.
func (e *Endpoint) newMappings(ctx context.Context, servers []netip.AddrPort) (ports []uint16) {
	var samples []*sample
	for range predictSockets {
		pc, err := e.listenExtra()
		if err != nil {
			<-ctx.Done() // no more files: not at once again
			return nil
		}
		defer pc.Close()
		// One after the other, without waiting: the NAT sees them in this order.
		s, err := newSample(pc, servers)
		if err != nil {
			return nil
		}
		samples = append(samples, s)
	}
	for _, s := range samples {
		got := s.read(ctx)
		if got == nil {
			return nil
		}
		ports = append(ports, got...)
	}
	return ports
}

// A sample is one socket that has asked some servers where they see it.
type sample struct {
	pc      net.PacketConn
	servers []netip.AddrPort
	txids   [][12]byte
}

func newSample(pc net.PacketConn, servers []netip.AddrPort) (*sample, error) {
	x := &sample{pc, servers, make([][12]byte, len(servers))}
	for i, s := range servers {
		txid, packet := nat.STUNRequest()
		x.txids[i] = txid
		if _, err := pc.WriteTo(packet, net.UDPAddrFromAddrPort(s)); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// read returns the ports in the servers' answers, or nil if one does not come.
func (x *sample) read(ctx context.Context) []uint16 {
	deadline, _ := ctx.Deadline()
	x.pc.SetReadDeadline(deadline)
	defer context.AfterFunc(ctx, func() { x.pc.SetReadDeadline(time.Unix(1, 0)) })()
	ports := make([]uint16, len(x.servers))
	b := make([]byte, 1500)
	for missing := len(x.servers); missing > 0; {
		n, from, err := x.pc.ReadFrom(b)
		if err != nil {
			return nil
		}
		txid, mapped, err := nat.ParseSTUNResponse(b[:n])
		if i := slices.Index(x.txids, txid); err == nil && i >= 0 && x.servers[i] == addrPort(from) && ports[i] == 0 {
			ports[i] = mapped.Port()
			missing--
		}
	}
	return ports
}

// askSTUN asks one server every stunRetry until it answers or ctx ends; once
// sooner is closed, every half of rtt.
func (e *Endpoint) askSTUN(ctx context.Context, server netip.AddrPort, sooner <-chan struct{}, rtt *time.Duration) netip.AddrPort {
	txid, packet := nat.STUNRequest()
	mapped := make(chan netip.AddrPort, 1)
	e.stun.wait(txid, stunWait{server, mapped})
	defer e.stun.forget(txid)
	retry := time.NewTicker(stunRetry)
	defer retry.Stop()
	for {
		e.m.send(server, packet)
		select {
		case a := <-mapped:
			return a
		case <-retry.C:
		case <-sooner:
			sooner = nil
			retry.Reset(min(max(*rtt/2, sampleGrace), stunRetry))
		case <-ctx.Done():
			return netip.AddrPort{}
		}
	}
}

// hostCandidates returns the socket's address, or the addresses of all
// interfaces when it is bound to none. Bridges and tunnels come last, and few:
// they seldom lead to a peer.
func (e *Endpoint) hostCandidates() []nat.Candidate {
	local := e.LocalAddr()
	if !local.Addr().IsUnspecified() {
		return nat.HostCandidates([]netip.Addr{local.Addr()}, local.Port())
	}
	good, inner := interfaceAddrs(local.Addr().Is4())
	cs := nat.HostCandidates(good, local.Port())
	others := nat.HostCandidates(inner, local.Port())
	return append(cs[:min(len(cs), maxHosts)], others[:min(len(others), maxInner)]...)
}

const (
	maxHosts = 10
	maxInner = 2 // addresses of bridges and tunnels
)

// interfaceAddrs returns the addresses of interfaces that are up, those of
// bridges, containers and tunnels apart.
func interfaceAddrs(v4only bool) (good, inner []netip.Addr) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, nil // then there are reflexive candidates only
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, ok := netip.AddrFromSlice(n.IP)
			switch ip = ip.Unmap(); {
			case !ok || v4only && !ip.Is4():
			case nat.InnerInterface(i.Name) || i.Flags&net.FlagPointToPoint != 0:
				inner = append(inner, ip)
			default:
				good = append(good, ip)
			}
		}
	}
	return good, inner
}

// localCandidates returns the last gathered candidates, or the hosts'.
func (e *Endpoint) localCandidates() []nat.Candidate {
	e.mu.Lock()
	cs := e.local
	e.mu.Unlock()
	if cs == nil {
		cs = e.hostCandidates()
	}
	return e.withMapped(cs)
}
