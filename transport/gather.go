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
)

// stunClient matches responses with our requests.
type stunClient struct {
	mu      sync.Mutex
	waiting map[[12]byte]stunWait
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
		if reply := nat.STUNReply(b, from); reply != nil {
			e.m.send(from, reply)
		}
	}
}

// Gather returns our candidates: the addresses of this machine, and those at
// which the given STUN servers (at most 8) see us. It returns when all have
// answered, after 3 s, or with ctx, with what it has; ctx's end is no error.
func (e *Endpoint) Gather(ctx context.Context, stun []netip.AddrPort) []nat.Candidate {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	ctx, stop := e.bind(ctx)
	defer stop()

	cs := e.hostCandidates()
	mapped := make([]netip.AddrPort, min(len(stun), maxSTUNServer))
	var wg sync.WaitGroup
	for i := range mapped {
		wg.Go(func() { mapped[i] = e.askSTUN(ctx, unmap(stun[i])) })
	}
	wg.Wait()
	for _, a := range mapped {
		if a.IsValid() && !slices.ContainsFunc(cs, func(c nat.Candidate) bool { return c.Addr == a }) {
			cs = append(cs, nat.Candidate{Addr: a, Kind: nat.ServerReflexive})
		}
	}
	e.mu.Lock()
	e.local = slices.Clone(cs)
	e.mu.Unlock()
	return cs
}

func (e *Endpoint) askSTUN(ctx context.Context, server netip.AddrPort) netip.AddrPort {
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
		case <-ctx.Done():
			return netip.AddrPort{}
		}
	}
}

// hostCandidates returns the socket's address, or the addresses of all
// interfaces when it is bound to none.
func (e *Endpoint) hostCandidates() []nat.Candidate {
	local := e.LocalAddr()
	addrs := []netip.Addr{local.Addr()}
	if local.Addr().IsUnspecified() {
		addrs = interfaceAddrs(local.Addr().Is4())
	}
	return nat.HostCandidates(addrs, local.Port())
}

func interfaceAddrs(v4only bool) (out []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then there are reflexive candidates only
	}
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && (ip.Unmap().Is4() || !v4only) {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

// localCandidates returns the last gathered candidates, or the hosts'.
func (e *Endpoint) localCandidates() []nat.Candidate {
	e.mu.Lock()
	cs := e.local
	e.mu.Unlock()
	if cs == nil {
		return e.hostCandidates()
	}
	return cs
}
