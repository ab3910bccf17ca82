package transport

import "github.com/sremp/sremp/nat"

// openingTTL crosses the NATs of a home and of a carrier, and dies on the way
// to the other side.
const openingTTL = 5

// Open makes our NAT expect packets from a peer's addresses without sending the
// peer any (spec §5.22.6): the answering side calls it before it answers, and the
// other before it asks, for where it last knew the peer. It reports whether the
// socket can send such packets.
func (e *Endpoint) Open(remote []nat.Candidate) bool {
	for _, kind := range []nat.CandidateKind{nat.Predicted, nat.ServerReflexive, nat.Mapped, nat.Random, nat.Host} {
		for _, c := range remote[:min(len(remote), maxOpened)] {
			// A private host is behind no firewall of ours, or out of reach.
			if a := c.Addr.Addr(); c.Kind == kind && (kind != nat.Host || a.IsGlobalUnicast() && !a.IsPrivate()) {
				e.m.sendTTL(unmap(c.Addr), nat.Opening(), openingTTL)
			}
		}
	}
	return e.m.oob
}

// maxOpened bounds the packets of one Open.
const maxOpened = 32
