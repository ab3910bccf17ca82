package nat

import (
	"crypto/rand"
	"net/netip"
	"slices"
	"time"
)

// Limits of the protocol (spec §5.22.3).
const (
	maxRemote        = 32 // candidates that the peer tells us
	maxPeerReflexive = 16 // more that its probes show us
	pingsPerAddrPort = 8
	pingsPerAddr     = 64
	pongsPerAddrPort = 8
	pongsPerAddr     = 64
	maxPongs         = 512 // in one search, whatever the sources
	// triggeredPings of the eight are kept for answering pings: the peer may
	// start after our own schedule has ended.
	triggeredPings = 2
)

// Tuning (spec §5.22.2). The intervals double from the third probe on, so that
// six probes wait 3.1 s for the peer to start.
var retransmits = [...]time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
}

const (
	// pacing lies between the first probes to two candidates: small home routers
	// drop bursts of new mappings.
	pacing = 2 * time.Millisecond
	// answerWait is how long the answering side leaves the first probe to the
	// other: it covers the difference between the ways by which both were told
	// to begin.
	answerWait = 250 * time.Millisecond
	// predictedPings is how often a predicted address is tried: eight of them
	// stay within the limit of one address.
	predictedPings = 4
	// predictedFirst keeps other destinations from taking a predicted port.
	predictedFirst = 50 * time.Millisecond
	// lastWait is for the answer to the last probe.
	lastWait = 2 * time.Second
)

// A Transmit is a datagram that the caller must send.
type Transmit struct {
	To      netip.AddrPort
	Payload []byte
	Socket  int  // 0: the usual one; else one of those given by [Agent.AddSockets]
	Extra   bool // beyond what anybody may cause: only because To was attested
}

// An AgentConfig describes one search for a path to one peer.
type AgentConfig struct {
	Key         [32]byte // known to the two peers only
	Controlling bool     // the side with the lower key; the two sides differ
	// Answering is the side that has opened its NAT (spec §5.22.6) before the
	// other side heard of it: it lets the other's probes come first.
	Answering bool
	// Waiting is the side that has opened its NAT for Remote before the other was
	// told: it sends nothing but answers until [Agent.Begin].
	Waiting bool
	Local   []Candidate
	Remote  []Candidate // more may follow by [Agent.AddRemote]
	// Attested are addresses at which a server that we trust so far has just
	// seen the peer.
	Attested []netip.Addr
}

// An Agent searches for paths to one peer. It must not be used by two
// goroutines at a time.
type Agent struct {
	sealer   probeSealer
	local    []Candidate
	remotes  []*remote // ascending by priority
	told     int       // of remotes, how many the peer told us
	sent     map[transaction]ping
	pings    map[netip.Addr]int
	pongs    map[netip.Addr]int
	pongsTo  map[netip.AddrPort]int
	seen     map[transaction]bool // pings answered, at most maxPongs
	best     *remote
	observed netip.AddrPort
	bestSock int
	heard    *remote   // the best from which an authentic ping came to the usual socket
	end      time.Time // of the wait for the last pong
	out      []Transmit

	start     time.Time
	answering bool
	waiting   bool
	attested  []netip.Addr
	birthday  birthday
}

// A remote is one address of the peer.
type remote struct {
	Candidate
	prio      int
	next      time.Time // of the scheduled probe; zero when there is none
	scheduled int       // probes sent by schedule
	pings     int       // probes sent in all
	triggered int       // of them, in answer to pings
	validated bool
	rtt       time.Duration // the smallest seen
}

type ping struct {
	to   *remote
	at   time.Time
	sock int
}

// NewAgent returns an agent that wants to probe at once.
func NewAgent(now time.Time, c AgentConfig) *Agent {
	a := &Agent{
		sealer:  newProbeSealer(c.Key, c.Controlling),
		local:   slices.Clone(c.Local),
		sent:    make(map[transaction]ping),
		pings:   make(map[netip.Addr]int),
		pongs:   make(map[netip.Addr]int),
		pongsTo: make(map[netip.AddrPort]int),
		seen:    make(map[transaction]bool),

		start: now, answering: waits(c),
		waiting: c.Waiting, attested: slices.Clone(c.Attested),
	}
	a.AddRemote(now, c.Remote)
	return a
}

// waits reports whether the other side's probes are to come first: it may not expect
// ours yet, or knows a mapped port of ours, while ours would leave from another. A side
// with random ports and no mapped one cannot be reached, and must not wait.
func waits(c AgentConfig) bool {
	if has(c.Local, Random) {
		return has(c.Local, Mapped)
	}
	return c.Answering
}

// Begin ends the wait of a side that was waiting: the other has been told, and has
// said more of itself. attested adds to AgentConfig.Attested.
func (a *Agent) Begin(now time.Time, more []Candidate, attested []netip.Addr) {
	a.waiting, a.start = false, now
	a.attested = append(a.attested, attested...)
	a.AddRemote(now, more)
}

// AddRemote adds candidates that the peer told us by an authenticated channel.
// Unusable and known ones are dropped, and those beyond the limit.
func (a *Agent) AddRemote(now time.Time, cs []Candidate) {
	start := now
	for _, c := range cs {
		ap, ok := usable(c.Addr)
		if !ok || a.told >= maxRemote || a.find(ap) != nil {
			continue
		}
		a.told++
		a.add(Candidate{Addr: ap, Kind: c.Kind})
	}
	if a.waiting {
		return
	}
	if a.answering {
		start = start.Add(answerWait)
	}
	// Two NATs with sequential ports: our i-th new destination must be the other
	// side's i-th prediction, with no other in between.
	both := has(a.local, Predicted) && has(cs, Predicted)
	plan := func(r *remote) {
		if r.Kind == Mapped && r.pings == 0 && r.next.IsZero() {
			r.next = now // its NAT lets us in anyway, and expects us if it is symmetric
		}
		if r.scheduled == 0 && !r.validated && r.next.IsZero() {
			r.next, start = start, start.Add(pacing)
		}
	}
	if both {
		for _, r := range a.remotes {
			if r.Kind == Predicted {
				plan(r)
			}
		}
		start = start.Add(predictedFirst)
	}
	// Best first, one after the other.
	for _, r := range a.remotes {
		plan(r)
	}
	a.planBirthday(now)
}

func has(cs []Candidate, k CandidateKind) bool {
	return slices.ContainsFunc(cs, func(c Candidate) bool { return c.Kind == k })
}

func (a *Agent) add(c Candidate) *remote {
	r := &remote{Candidate: c, prio: priority(c, a.local)}
	a.insert(r)
	return r
}

func (a *Agent) insert(r *remote) {
	i, _ := slices.BinarySearchFunc(a.remotes, r.prio+1, func(x *remote, prio int) int { return x.prio - prio })
	a.remotes = slices.Insert(a.remotes, i, r)
}

func (a *Agent) find(ap netip.AddrPort) *remote {
	for _, r := range a.remotes {
		if r.Addr == ap {
			return r
		}
	}
	return nil
}

// HandlePacket processes a datagram. It reports false, and does nothing, when
// the datagram is no authentic probe of this search.
func (a *Agent) HandlePacket(now time.Time, from netip.AddrPort, b []byte) bool {
	return a.HandlePacketOn(now, 0, from, b)
}

// HandlePacketOn is HandlePacket for a datagram that came to socket sock.
func (a *Agent) HandlePacketOn(now time.Time, sock int, from netip.AddrPort, b []byte) bool {
	p, ok := a.sealer.open(b)
	if !ok {
		return false
	}
	from, ok = usable(from)
	if !ok {
		return false
	}
	switch p.kind {
	case kindPing:
		a.handlePing(now, sock, from, p)
	case kindPong:
		a.handlePong(now, sock, from, p)
	default:
		return false
	}
	return true
}

func (a *Agent) handlePing(now time.Time, sock int, from netip.AddrPort, p probe) {
	if a.seen[p.tx] || len(a.seen) >= maxPongs || a.pongsTo[from] >= pongsPerAddrPort || a.pongs[from.Addr()] >= pongsPerAddr {
		return // a copy, or somebody makes us send
	}
	a.seen[p.tx] = true
	a.pongsTo[from]++
	a.pongs[from.Addr()]++
	a.out = append(a.out, Transmit{
		To: from, Socket: sock, Payload: a.sealer.seal(probe{kind: kindPong, tx: p.tx, observed: from}),
	})

	r := a.find(from)
	defer func() {
		if r != nil && sock == 0 && (a.heard == nil || r.prio < a.heard.prio) {
			a.heard = r
		}
	}()
	if r == nil {
		// A mapping that nobody told us about (RFC 8445, section 7.3.1.3).
		if len(a.remotes)-a.told >= maxPeerReflexive {
			return
		}
		r = a.add(Candidate{Addr: from, Kind: PeerReflexive})
		r.next = now
	} else if !r.validated && r.triggered < triggeredPings {
		r.triggered++
		a.ping(now, r, sock, false)
		if (a.waiting || !r.next.IsZero()) && r.scheduled == 0 {
			r.next = now.Add(retransmits[0]) // the other side is here: no more waiting
		}
	}
}

func (a *Agent) handlePong(now time.Time, sock int, from netip.AddrPort, p probe) {
	sent, ok := a.sent[p.tx]
	if !ok || sent.to.Addr != from || sent.sock != sock {
		return // not ours, a copy, or by another way than the ping (RFC 8445, section 7.2.5.2.1)
	}
	delete(a.sent, p.tx)
	r := sent.to
	if a.find(from) == nil { // a guess that was right
		a.insert(r)
	}
	rtt := max(now.Sub(sent.at), 0)
	if !r.validated || rtt < r.rtt {
		r.rtt = rtt
	}
	r.validated, r.next = true, time.Time{}
	a.observed = p.observed
	if a.best == nil || r.prio < a.best.prio {
		a.best, a.bestSock = r, sock
		a.birthday.end()
	}
}

// HandleTimeout must be called when [Agent.NextTimeout] is reached. Calling it
// early is harmless.
func (a *Agent) HandleTimeout(now time.Time) {
	for _, r := range a.remotes {
		if r.next.IsZero() || now.Before(r.next) {
			continue
		}
		if a.best != nil && r.prio >= a.best.prio {
			r.next = time.Time{} // no better than what we have
			continue
		}
		a.ping(now, r, 0, false)
		if r.scheduled < len(retransmits) && (r.Kind != Predicted || r.scheduled < predictedPings-1) {
			r.next = now.Add(retransmits[r.scheduled])
		} else {
			r.next = time.Time{}
		}
		r.scheduled++
	}
	a.stepBirthday(now)
	if !a.end.IsZero() && !now.Before(a.end) {
		a.end = time.Time{}
	}
}

func (a *Agent) ping(now time.Time, r *remote, sock int, extra bool) {
	ip := r.Addr.Addr()
	if extra {
		if a.birthday.spent >= extraPings {
			return
		}
		a.birthday.spent++
	} else {
		if r.pings >= pingsPerAddrPort || a.pings[ip] >= pingsPerAddr {
			return
		}
		r.pings++
		a.pings[ip]++
	}
	var tx transaction
	rand.Read(tx[:])
	a.sent[tx] = ping{r, now, sock}
	a.end = now.Add(lastWait)
	a.out = append(a.out, Transmit{To: r.Addr, Socket: sock, Extra: extra, Payload: a.sealer.seal(probe{kind: kindPing, tx: tx})})
}

// NextTimeout returns when to call [Agent.HandleTimeout], or the zero time if
// nothing is left to send or to wait for. Pings of the peer are answered then too.
func (a *Agent) NextTimeout() time.Time {
	next := a.end
	if t := a.birthday.next; !t.IsZero() && (next.IsZero() || t.Before(next)) {
		next = t
	}
	for _, r := range a.remotes {
		if !r.next.IsZero() && (next.IsZero() || r.next.Before(next)) {
			next = r.next
		}
	}
	return next
}

// PollTransmit returns the next datagram to send.
func (a *Agent) PollTransmit() (Transmit, bool) {
	if len(a.out) == 0 {
		return Transmit{}, false
	}
	t := a.out[0]
	a.out = a.out[1:]
	return t, true
}

// Validated returns the best address from which an authentic pong came, and the
// smallest round trip seen on it. A better one may replace it later.
func (a *Agent) Validated() (addr netip.AddrPort, rtt time.Duration, ok bool) {
	if a.best == nil {
		return netip.AddrPort{}, 0, false
	}
	return a.best.Addr, a.best.rtt, true
}

// Hurry sends the first probe to a candidate now, if it is still to come.
func (a *Agent) Hurry(now time.Time, to netip.AddrPort) {
	if r := a.find(to); r != nil && r.pings == 0 && !r.next.IsZero() {
		r.next = now
		a.HandleTimeout(now)
	}
}

// Heard returns the best address from which an authentic ping came to the usual
// socket. It shows that the peer's packets get through, and that it has sent some
// to where ours come from.
func (a *Agent) Heard() (netip.AddrPort, bool) {
	if a.heard == nil {
		return netip.AddrPort{}, false
	}
	return a.heard.Addr, true
}

// Socket returns the socket of the address that Validated returns.
func (a *Agent) Socket() int { return a.bestSock }

// Observed returns our own address as the peer saw it in the last answered
// probe, or the zero value.
func (a *Agent) Observed() netip.AddrPort { return a.observed }
