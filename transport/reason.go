package transport

import (
	"slices"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// A Reason says why a path is the one in use (spec §5.4.8).
type Reason uint8

// The reasons. What is still being searched for has ReasonSearching; all that
// follow ReasonMoved say what keeps a connection on the relay.
const (
	ReasonNone           Reason = iota // nothing to say, or words of the peer's
	ReasonSearching                    // no direct path proven yet
	ReasonDirect                       // a direct path was proven
	ReasonSilent                       // the direct path went silent
	ReasonNarrow                       // the direct path loses long packets
	ReasonMoved                        // the other side changed paths
	ReasonRelayOnly                    // the contact may see no address of ours
	ReasonPeerRelayOnly                // we may see no address of the contact's
	ReasonUDPBlocked                   // our network lets no UDP out
	ReasonPeerUDPBlocked               // the contact's does not
	ReasonRandomPorts                  // both NATs give each destination a random port
	ReasonNoAddress                    // the contact has told no address
	ReasonUnanswered                   // direct probes got no answer
)

var reasonCodes = [...]string{
	"", "searching", "direct", "silent", "narrow", "moved", "relay-only", "peer-relay-only", "udp-blocked", "peer-udp-blocked",
	"random-ports", "no-address", "unanswered",
}

var reasonTexts = [...]string{
	"",
	reasonRelayFirst,
	reasonDirect,
	reasonSilent,
	reasonNarrow,
	reasonPeer,
	reasonRelayOnly,
	"the contact lets the connection use a relay only",
	"UDP is blocked here",
	"UDP is blocked at the contact",
	"both NATs give random ports",
	"the contact has told no address",
	"direct probes unanswered",
}

// Code returns a word for programs, such as "udp-blocked"; empty for ReasonNone.
func (r Reason) Code() string { return reasonCodes[r] }

// String returns a part of a sentence for people.
func (r Reason) String() string { return reasonTexts[r] }

// Settled reports whether r says what keeps a connection on the relay.
func (r Reason) Settled() bool { return r > ReasonMoved }

// reasonOf returns the reason with a text, which may be the other side's words.
func reasonOf(text string) Reason { return Reason(max(slices.Index(reasonTexts[:], text), 0)) }

// outlook is what a search knows about its chances.
type outlook struct {
	searching   bool // something is still to be sent or waited for
	told        bool // the peer has told an address
	found       bool // a probe was answered
	randomPorts bool // its NAT gives random ports
}

func (p *prober) outlook() (o outlook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.agents {
		o.searching = o.searching || !a.NextTimeout().IsZero()
	}
	for a := range p.searchesLocked() {
		_, _, ok := a.Validated()
		o.found = o.found || ok
	}
	o.told = len(p.told) > 0
	o.randomPorts = hasKind(p.told, nat.Random)
	return o
}

// explain gives a connection on the relay the reason why it is there, and tells
// the other side what it cannot see of it.
func (m *manager) explain() error {
	l := m.p.link
	hindrance := byte(wire.HindranceNone)
	switch remote := l.remote(slotRelay); {
	case l.relayOnly:
		hindrance = wire.HindranceRelayOnly
	case remote.IsValid() && m.e.Tunnelled(remote):
		hindrance = wire.HindranceNoUDP
	}
	if hindrance != m.told {
		m.told = hindrance
		if leg := l.leg.Load(); leg != nil {
			m.e.m.tellRelay(leg) // first: the relay shall see us come by the new way
		}
		if err := m.send(wire.FrameControlHindrance, wire.ControlHindrance{What: hindrance}.Append(nil)); err != nil {
			return err
		}
	}
	blocked := m.theirs == wire.HindranceNoUDP || hindrance == wire.HindranceNoUDP
	if m.blocked && !blocked && m.client && m.active == slotRelay {
		// What was in vain may work now.
		m.searchAgain(time.Now())
	}
	m.blocked = blocked
	m.p.mu.Lock()
	now := m.p.path
	m.p.mu.Unlock()
	if m.active != slotRelay || now.Kind != PathRelay {
		return nil
	}
	if m.left && m.round == m.leftIn && !reasonOf(now.Reason).Settled() {
		return nil // what was found before says nothing of now
	}
	why := m.hindered(hindrance)
	if old := reasonOf(now.Reason); why == ReasonSearching && !old.Settled() || why == old {
		return nil // "the direct path went silent" says more
	}
	m.p.setPath(m.pathOf(slotRelay, why.String()))
	return nil
}

// hindered returns what keeps the connection on the relay.
func (m *manager) hindered(ours byte) Reason {
	l := m.p.link
	if ours == wire.HindranceRelayOnly {
		return ReasonRelayOnly
	}
	if m.theirs == wire.HindranceRelayOnly {
		return ReasonPeerRelayOnly
	}
	o := l.prober.outlook()
	switch {
	case ours == wire.HindranceNoUDP:
		return ReasonUDPBlocked
	case m.theirs == wire.HindranceNoUDP:
		return ReasonPeerUDPBlocked
	case o.randomPorts && hasKind(m.e.localCandidates(), nat.Random):
		return ReasonRandomPorts
	case o.searching || m.round == 0 && !m.searched:
		return ReasonSearching
	case o.found && m.client && m.failures[slotDirect] == 0:
		return ReasonSearching // and being taken
	case !o.told && !o.found:
		return ReasonNoAddress
	}
	return ReasonUnanswered
}

// reconsider has every connection look at its reason anew.
func (e *Endpoint) reconsider() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p := range e.probers {
		notify(p.changed)
	}
}
