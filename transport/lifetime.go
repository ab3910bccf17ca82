package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sremp/sremp/nat"
)

// Tuning of the search for the lifetime of our NAT's mappings (spec §5.21.2).
const (
	// seekAfter keeps it out of the way of connections that are being made.
	seekAfter = time.Minute
	// seekWarm is between the two exchanges that come first: some NATs keep a
	// mapping longer once it has been used both ways for two seconds.
	seekWarm = 2500 * time.Millisecond
	// seekMargin is what an answer must be later than the lifetime it shows.
	seekMargin  = 2 * time.Second
	seekRetry   = 500 * time.Millisecond
	seekRetries = 4
	// shortest is assumed when the shortest lifetime tried was too long.
	shortest = 15 * time.Second
)

// lifetimes are tried at the same time, each by a socket of its own. Longer ones
// would save next to nothing.
var lifetimes = [...]time.Duration{20 * time.Second, 30 * time.Second, 45 * time.Second, time.Minute, 90 * time.Second, 2 * time.Minute}

// MappingLifetime returns how long a mapping of our NAT is known to live without a
// packet of ours, 0 before it was found.
func (e *Endpoint) MappingLifetime() time.Duration { return time.Duration(e.keeping.found.Load()) }

// changed forgets what was found in another network.
func (k *keeping) changed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found.Store(0)
	k.begun = time.Time{}
}

// seekLifetime finds out, once for a network, how long our NAT keeps a mapping.
func (e *Endpoint) seekLifetime(stun []netip.AddrPort) {
	k := &e.keeping
	k.mu.Lock()
	again := !k.begun.IsZero()
	if !again {
		k.begun = time.Now()
	}
	begun := k.begun
	k.mu.Unlock()
	if again || len(stun) == 0 {
		return
	}
	server := unmap(stun[0])
	e.run(func() {
		select {
		case <-time.After(seekAfter):
		case <-e.ctx.Done():
			return
		}
		found := e.lifetime(e.ctx, server)
		k.mu.Lock()
		defer k.mu.Unlock()
		if found > 0 && k.begun.Equal(begun) {
			k.found.Store(int64(found))
		}
	})
}

// lifetime has server answer later and later, each time to another socket. It
// returns the longest time after which, and after all shorter ones, an answer came;
// 0 if the server does not answer at all.
func (e *Endpoint) lifetime(ctx context.Context, server netip.AddrPort) time.Duration {
	var fates [len(lifetimes)]MappingFate
	var all sync.WaitGroup
	for i, d := range lifetimes {
		pc, err := e.listenExtra()
		if err != nil {
			return 0
		}
		all.Go(func() { fates[i] = ProbeMapping(ctx, pc, server, d+seekMargin) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return 0
	}
	found := time.Duration(0)
	for i, d := range lifetimes {
		switch fates[i] {
		case MappingKept:
			found = d
			continue
		case MappingForgotten:
			return max(found, shortest)
		}
		break
	}
	return found
}

// A MappingFate is what became of a NAT's mapping that nothing was sent through
// for a while.
type MappingFate uint8

// The fates. MappingUnknown: the server did not answer, or ctx ended.
// MappingUntold: the server answers at once, it cannot do so later.
const (
	MappingUnknown MappingFate = iota
	MappingKept
	MappingForgotten
	MappingUntold
)

// ProbeMapping has a server answer after d to a new socket, which it closes, and
// reports whether the answer came (spec §5.21.2). It takes about 2.5 s longer than d.
func ProbeMapping(ctx context.Context, pc net.PacketConn, server netip.AddrPort, d time.Duration) MappingFate {
	defer pc.Close()
	defer context.AfterFunc(ctx, func() { pc.Close() })()
	for i := range 2 {
		if i > 0 {
			select {
			case <-time.After(seekWarm):
			case <-ctx.Done():
				return MappingUnknown
			}
		}
		for try := 0; ; try++ {
			txid, packet := nat.STUNRequest()
			if try == seekRetries {
				return MappingUnknown
			}
			if ask(pc, server, txid, packet, seekRetry) {
				break
			}
		}
	}
	txid, packet := nat.STUNLater(d)
	asked := time.Now()
	switch came := ask(pc, server, txid, packet, d+seekMargin); {
	case ctx.Err() != nil:
		return MappingUnknown
	case !came:
		return MappingForgotten
	case time.Since(asked) < d/2:
		return MappingUntold
	}
	return MappingKept
}

// ask sends a request and waits for its answer.
func ask(pc net.PacketConn, server netip.AddrPort, txid [12]byte, packet []byte, wait time.Duration) bool {
	if _, err := pc.WriteTo(packet, net.UDPAddrFromAddrPort(server)); err != nil {
		return false
	}
	pc.SetReadDeadline(time.Now().Add(wait))
	for b := make([]byte, 1500); ; {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			return false
		}
		if id, _, err := nat.ParseSTUNResponse(b[:n]); err == nil && id == txid && addrPort(from) == server {
			return true
		}
	}
}
