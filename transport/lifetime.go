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
	var lived [len(lifetimes)]bool
	var answered [len(lifetimes)]bool
	var all sync.WaitGroup
	for i, d := range lifetimes {
		pc, err := e.listenExtra()
		if err != nil {
			return 0
		}
		all.Go(func() {
			defer pc.Close()
			answered[i], lived[i] = livesFor(ctx, pc, server, d)
		})
	}
	all.Wait()
	if !slices.Contains(answered[:], true) || ctx.Err() != nil {
		return 0
	}
	found := shortest
	for i, d := range lifetimes {
		if !lived[i] {
			break
		}
		found = d
	}
	return found
}

// livesFor reports whether the server answers at all, and whether an answer comes
// through d after the last packet of ours.
func livesFor(ctx context.Context, pc net.PacketConn, server netip.AddrPort, d time.Duration) (answered, lived bool) {
	defer context.AfterFunc(ctx, func() { pc.Close() })()
	for i := range 2 {
		if i > 0 {
			select {
			case <-time.After(seekWarm):
			case <-ctx.Done():
				return false, false
			}
		}
		for try := 0; ; try++ {
			txid, packet := nat.STUNRequest()
			if try == seekRetries {
				return false, false
			}
			if ask(pc, server, txid, packet, seekRetry) {
				break
			}
		}
	}
	txid, packet := nat.STUNLater(d + seekMargin)
	return true, ask(pc, server, txid, packet, d+2*seekMargin)
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
