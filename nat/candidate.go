package nat

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/sremp/sremp/wire"
)

// A Candidate is an address at which a peer may be reached.
type Candidate = wire.Candidate

// A CandidateKind says how a candidate was found.
type CandidateKind = wire.CandidateKind

// The kinds of candidates.
const (
	Host            = wire.HostCandidate
	ServerReflexive = wire.ServerReflexiveCandidate
	PeerReflexive   = wire.PeerReflexiveCandidate
	Manual          = wire.ManualCandidate
	Predicted       = wire.PredictedCandidate
	Random          = wire.RandomCandidate
	Mapped          = wire.MappedCandidate
)

// maxHostCandidates leaves room in the list of 32 for reflexive and manual ones.
const maxHostCandidates = 16

// HostCandidates returns the candidates of a socket on port that is bound to
// the given interface addresses, best first. Addresses that no peer can use
// (unspecified, multicast, IPv6 link-local, which needs a zone) are left out;
// loopback comes last, for peers on this very machine.
func HostCandidates(addrs []netip.Addr, port uint16) []Candidate {
	var cs []Candidate
	for _, a := range addrs {
		ap, ok := usable(netip.AddrPortFrom(a, port))
		c := Candidate{Addr: ap, Kind: Host}
		if ok && !slices.Contains(cs, c) {
			cs = append(cs, c)
		}
	}
	slices.SortStableFunc(cs, func(a, b Candidate) int {
		return cmp.Compare(hostRank(a.Addr.Addr()), hostRank(b.Addr.Addr()))
	})
	return cs[:min(len(cs), maxHostCandidates)]
}

func hostRank(a netip.Addr) int {
	switch {
	case a.IsLoopback():
		return 3
	case a.IsLinkLocalUnicast():
		return 2
	case a.IsPrivate():
		return 1
	}
	return 0
}

// Usable returns ap in canonical form, and whether a packet to it can make
// sense (spec §5.20.2).
func Usable(ap netip.AddrPort) (netip.AddrPort, bool) { return usable(ap) }

// usable returns ap in canonical form, and whether a packet to it can make
// sense (spec §5.20.2).
func usable(ap netip.AddrPort) (netip.AddrPort, bool) {
	a := ap.Addr().Unmap().WithZone("")
	ap = netip.AddrPortFrom(a, ap.Port())
	switch {
	case !a.IsValid(), ap.Port() == 0, a.IsUnspecified(), a.IsMulticast():
		return ap, false
	case a.Is6() && a.IsLinkLocalUnicast():
		return ap, false
	case a.Is4():
		b := a.As4()
		return ap, b[0] != 0 && b[0] < 224 // "this network"; multicast, reserved, broadcast
	}
	return ap, true
}

// Priorities of remote candidates, the lower the better (spec §5.20.3).
const (
	prioSameSubnet = iota
	prioIPv6
	prioHost
	prioServerReflexive
	prioPeerReflexive
	prioLocalOnly // loopback, link-local
)

// priority ranks a remote candidate for an owner of the local ones.
func priority(c Candidate, local []Candidate) int {
	a := c.Addr.Addr()
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return prioLocalOnly
	case sameSubnet(a, local):
		return prioSameSubnet
	case a.Is6() && !a.IsPrivate():
		return prioIPv6
	case c.Kind == ServerReflexive, c.Kind == Predicted, c.Kind == Random, c.Kind == Mapped:
		return prioServerReflexive
	case c.Kind == PeerReflexive:
		return prioPeerReflexive
	}
	return prioHost
}

// sameSubnet guesses from the usual prefix lengths, 24 and 64 bits: a wrong
// guess costs only the order.
func sameSubnet(a netip.Addr, local []Candidate) bool {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(local, func(c Candidate) bool {
		return c.Kind == Host && !c.Addr.Addr().IsLoopback() && p.Contains(c.Addr.Addr())
	})
}
