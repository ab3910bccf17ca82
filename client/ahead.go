package client

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// extensionAhead is an extension of offers, and of the answers that accept it (spec
// §8.6.1).
const extensionAhead = 2

const (
	// aheadAddrs bounds the addresses in one.
	aheadAddrs = 4
	// aheadSkew bounds the difference of the clocks: within it an offer that comes
	// again is known by its secret.
	aheadSkew = keepAnswers / 2
)

// aheadKey is the probe key of an offer that was acted on before its answer.
func aheadKey(offer [32]byte) [32]byte { return probeKey(offer, [32]byte{}) }

// An ahead is an attempt at a contact that began before its answer, where we last
// knew it.
type ahead struct {
	known  []netip.AddrPort
	later  chan transport.Answer
	done   chan error // of the attempt; n.linked was called if it is nil
	cancel context.CancelFunc
}

// goAhead begins an attempt before its offer leaves, and says so in it, if there is
// an address of the contact that may still be right; else it returns nil.
func (n *network) goAhead(ctx context.Context, t *target, o *wire.Offer) *ahead {
	known := outside(t.addrs)
	if t.relayOnly || t.record == nil || len(t.rendezvous) == 0 || len(known) == 0 {
		return nil
	}
	var remote []nat.Candidate
	for _, a := range known {
		remote = append(remote, nat.Candidate{Addr: a, Kind: nat.ServerReflexive})
	}
	if !n.ep.Open(remote) {
		return nil
	}
	o.Extensions = append(o.Extensions, wire.Extension{Type: extensionAhead, Data: appendAhead(nil, known)})
	ctx, cancel := context.WithCancel(ctx)
	x := &ahead{known: known, later: make(chan transport.Answer, 1), done: make(chan error, 1), cancel: cancel}
	id := t.id
	a := transport.Attempt{
		Peer: id, Record: t.record, ProbeKey: aheadKey(o.Secret), Remote: remote, Later: x.later, Waiting: true,
		ToldAfter: n.farthest(t.rendezvous),
	}
	if slices.ContainsFunc(o.Candidates, isPredicted) {
		// A packet that is early, since the offer got lost, could not be made good by
		// another socket (spec §5.4.10): that has a port which the contact does not know.
		a.ToldAfter = 0
	}
	if !n.run(func() {
		err := n.connect(ctx, a, func() { n.offerable(id) })
		x.done <- err
	}) {
		x.done <- transport.ErrClosed
	}
	return x
}

// farthest returns the longest round trip to any of some rendezvous, 0 unless all are
// known.
func (n *network) farthest(servers []identity.ServerAddr) (d time.Duration) {
	for _, a := range servers {
		cl := n.pool.Connection(a.ID)
		if cl == nil || cl.RTT() == 0 {
			return 0
		}
		d = max(d, cl.RTT())
	}
	return d
}

// end gives the attempt up unless it has succeeded.
func (x *ahead) end() error {
	x.cancel()
	close(x.later)
	return <-x.done
}

// unspoilt returns an answer's candidates for an attempt after one that went ahead in
// vain. Two sides whose next ports are both predicted meet where the same prediction of
// each is used, and the first ones of ours have gone to where the contact was before.
func unspoilt(remote, ours []nat.Candidate, known []netip.AddrPort) (out []nat.Candidate) {
	used := 0
	if slices.ContainsFunc(ours, isPredicted) {
		for _, a := range known {
			if a.Addr().Unmap().Is4() {
				used++
			}
		}
	}
	for _, c := range remote {
		if isPredicted(c) && used > 0 {
			used--
			continue
		}
		out = append(out, c)
	}
	return out
}

func isPredicted(c nat.Candidate) bool { return c.Kind == nat.Predicted }

// connect makes an attempt and hands the connection on. first is called before.
func (n *network) connect(ctx context.Context, a transport.Attempt, first func()) error {
	var sent early
	a.Early = func() []byte { return sent.frames(n, a.Peer) }
	conn, err := n.ep.Connect(ctx, a)
	if err != nil {
		return err
	}
	first()
	n.linked(conn, sent, a.RelayOnly)
	return nil
}

// outside returns the addresses that may be reached from any network.
func outside(addrs []netip.AddrPort) (out []netip.AddrPort) {
	for _, a := range addrs {
		if ip := a.Addr(); ip.IsGlobalUnicast() && !ip.IsPrivate() && len(out) < aheadAddrs && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func appendAhead(b []byte, addrs []netip.AddrPort) []byte {
	b = append(b, byte(len(addrs)))
	for _, a := range addrs {
		b = wire.AppendAddrPort(b, a)
	}
	return b
}

// parseAhead returns the addresses in an offer's extension, nil if there is none.
func parseAhead(exts []wire.Extension) (addrs []netip.AddrPort) {
	for _, e := range exts {
		if e.Type != extensionAhead {
			continue
		}
		r := wire.NewReader(e.Data)
		for range r.Uint8() {
			if a := r.AddrPort(); len(addrs) < aheadAddrs {
				addrs = append(addrs, a)
			}
		}
		if r.Done() != nil {
			return nil
		}
	}
	return addrs
}

// expects reports whether an offer's sender waits for us where we are.
func (n *network) expects(o wire.Offer) bool {
	addrs := parseAhead(o.Extensions)
	sent := time.UnixMilli(int64(o.SentAt))
	if len(addrs) == 0 || n.c.cfg.Now().Sub(sent).Abs() > aheadSkew {
		return false
	}
	ours, _ := n.gatheredNow()
	return slices.ContainsFunc(ours, func(c nat.Candidate) bool { return slices.Contains(addrs, c.Addr) })
}

// answerAhead answers an offer whose sender waits for us: the attempt begins now, and
// gets the relay when we have joined it.
func (n *network) answerAhead(g *given, a wire.Answer, o wire.Offer) *given {
	later := make(chan transport.Answer, 1)
	defer close(later)
	n.ep.Open(o.Candidates)
	g.attempt = &transport.Attempt{
		Peer: identity.PeerID(o.Peer), Record: n.known(o.Peer), ProbeKey: aheadKey(o.Secret), Remote: o.Candidates, Later: later,
		Attested: n.attested(o.Extensions, o.Secret),
	}
	n.begin(g)
	if leg := n.join(n.ctx, o); leg != nil {
		a.Joined = true
		later <- transport.Answer{Relay: leg}
	}
	a.Candidates = n.gather(n.ctx)
	a.Extensions = append(n.attestation(n.ctx, n.ownServers(), a.Secret), wire.Extension{Type: extensionAhead})
	if g.open.Err() != nil {
		return nil
	}
	g.answer = a.Append(nil)
	return g
}

// accepted reports whether an answer says that its sender has gone ahead.
func accepted(a wire.Answer) bool {
	return slices.ContainsFunc(a.Extensions, func(e wire.Extension) bool { return e.Type == extensionAhead })
}
