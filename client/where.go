package client

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// extensionAttestation is an extension of offers and answers (spec §5.22.8).
const extensionAttestation = 1

// gatherFresh is how long found addresses are used again: the connection to the
// server that saw us keeps the mapping alive. Until gatherStale, in the same network
// and while our servers have not seen us elsewhere, nobody waits for others, but they
// are looked for. Predicted ports are never used again.
const (
	gatherFresh = 20 * time.Second
	gatherStale = 5 * time.Minute
)

// maxOwnCandidates leaves room in a list for what the other side observes.
const maxOwnCandidates = 24

// gather finds our addresses.
func (n *network) gather(ctx context.Context) []nat.Candidate {
	if cs, stale := n.gatheredNow(); cs != nil {
		if stale {
			n.run(func() { n.gatherAnew(n.ctx) })
		}
		return cs
	}
	return n.gatherAnew(ctx)
}

// gatheredNow returns the addresses found last, if they are still good, and whether
// it is time to look again.
func (n *network) gatheredNow() (cs []nat.Candidate, stale bool) {
	observed := n.observed()
	n.mu.Lock()
	defer n.mu.Unlock()
	age := time.Since(n.gatheredAt)
	if n.gatheredAt.IsZero() || age >= gatherStale || age >= gatherFresh && !slices.Equal(observed, n.observedThen) {
		return nil, false
	}
	return slices.Clone(n.gathered), age >= gatherFresh
}

// gatherAnew looks for our addresses.
func (n *network) gatherAnew(ctx context.Context) []nat.Candidate {
	ctx, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	stun := n.stunServers()
	cs := n.ep.Gather(ctx, stun)
	hard, seen := false, false
	for _, c := range cs {
		hard = hard || c.Kind == nat.Predicted || c.Kind == nat.Random
		seen = seen || c.Kind == nat.ServerReflexive
	}
	// What a rendezvous sees of a symmetric NAT is its own port of it.
	observed := n.observed()
	for _, a := range observed {
		if !hard && !slices.ContainsFunc(cs, func(c nat.Candidate) bool { return c.Addr == a }) {
			cs = append(cs, nat.Candidate{Addr: a, Kind: nat.ServerReflexive})
		}
	}
	cs = cs[:min(len(cs), maxOwnCandidates)]
	var addrs []netip.AddrPort
	for _, c := range cs {
		if c.Kind != nat.Predicted && c.Kind != nat.Random {
			addrs = append(addrs, c.Addr)
		}
	}
	n.mu.Lock()
	n.addrs, n.gathered, n.gatheredAt, n.observedThen = addrs, slices.Clone(cs), time.Time{}, observed
	if seen && !hard {
		n.gatheredAt = time.Now()
	}
	n.mu.Unlock()
	return cs
}

// attestation has a server of ours among those that the other side trusts sign
// where it sees us, and returns the extension that carries it; none if there is
// no such server.
func (n *network) attestation(ctx context.Context, trusted []identity.ServerAddr, secret [32]byte) []wire.Extension {
	ctx, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	for _, a := range trusted {
		cl := n.pool.Connection(a.ID)
		if cl == nil {
			continue
		}
		x, err := cl.Attest(ctx, sha256.Sum256(secret[:]))
		if err == nil {
			return []wire.Extension{{Type: extensionAttestation, Data: x.Append(nil)}}
		}
	}
	return nil
}

// ownServers returns the servers that we use.
func (n *network) ownServers() (out []identity.ServerAddr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		out = append(out, s.addr)
	}
	return out
}

// attested returns the address at which a server that we are connected to saw
// the sender of an offer or answer with this secret.
func (n *network) attested(exts []wire.Extension, secret [32]byte) []netip.Addr {
	for _, e := range exts {
		if e.Type != extensionAttestation {
			continue
		}
		x, err := wire.ParseAttestation(e.Data)
		if err != nil {
			return nil
		}
		if cl := n.pool.Connection(identity.ServerID(x.Server)); cl != nil && cl.CheckAttestation(sha256.Sum256(secret[:]), x) {
			return []netip.Addr{x.Address}
		}
	}
	return nil
}

// networkChanged drops what was true of another network, and tries again.
func (n *network) networkChanged() {
	n.mu.Lock()
	n.gatheredAt = time.Time{}
	mapper := n.mapper
	n.mu.Unlock()
	// Before newNetwork has set the port there is no endpoint to ask.
	if old := n.port.Load(); old != 0 && n.port.Swap(uint32(n.ep.LocalAddr().Port())) != uint32(n.ep.LocalAddr().Port()) {
		n.run(n.portChanged)
	} else {
		if mapper != nil {
			mapper.Refresh()
		}
		if s := n.lan(); s != nil {
			n.run(s.Refresh)
		}
	}
	n.pool.Hurry()
	n.hurry(func(*server) bool { return true })
	n.pokeAll()
}

// portChanged announces, and has the gateway forward, the port of a socket that had
// to be replaced.
func (n *network) portChanged() {
	n.stopLAN()
	n.stopMapper()
	n.startMapper()
	n.startLAN()
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	if closed { // which may have found nothing to stop
		n.stopLAN()
		n.stopMapper()
	}
}
