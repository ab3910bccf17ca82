package transport

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/wire"
)

// Tuning of migration.
const (
	// probeTimeout bounds the validation of one path by QUIC, after our own
	// probes have crossed it.
	probeTimeout = 3 * time.Second
	// migrateRetry grows with every failed validation, up to maxMigrateRetry.
	migrateRetry    = time.Second
	maxMigrateRetry = time.Minute
	// healthInterval is how often the direct path is looked at while an answer is
	// missing and there is another path to fall back to; calmInterval otherwise.
	healthInterval = 50 * time.Millisecond
	calmInterval   = 200 * time.Millisecond
	idleInterval   = time.Second // when nothing came for idleAfter
	idleAfter      = 10 * time.Second
	// A path is suspected when nothing answers for suspectAfter and three round
	// trips; it is then asked, and left when it stays silent for leaveAfter and
	// two more.
	suspectAfter = 200 * time.Millisecond
	leaveAfter   = 120 * time.Millisecond
	// pokeAfter is how long the dialled side's direct path may be silent before
	// the relay is told where we are; it doubles. lively is how long after
	// application data silence means anything.
	pokeAfter = 150 * time.Millisecond
	lively    = 30 * time.Second
	// starved is how late a timer may be before we blame this machine, and not
	// the path, for the silence.
	starved = 100 * time.Millisecond
	// refreshTimeout bounds the search for our own addresses before a round.
	refreshTimeout = 400 * time.Millisecond
	// roundRetry is when the next search starts after one in vain; it doubles up
	// to maxRoundRetry. The first starts at once.
	roundRetry    = 5 * time.Second
	maxRoundRetry = 5 * time.Minute
	// minRoundGap and maxRounds bound how often a peer can make us send probes
	// to the addresses it names.
	minRoundGap = 4 * time.Second
	// roundMargin keeps a list from arriving earlier than it was sent, as it were.
	roundMargin = 250 * time.Millisecond
	maxRounds   = 64
	// controlTimeout bounds the write of one control frame.
	controlTimeout = 10 * time.Second
)

// Reasons of paths, for people.
const (
	reasonRelayFirst = "no direct path proven yet"
	reasonDirect     = "direct path proven"
	reasonSilent     = "the direct path went silent"
	reasonRelayOnly  = "only the relay may be used"
	reasonPeer       = "the other side changed paths"
)

// A manager is the goroutine behind a PeerConn: it owns all fields below.
type manager struct {
	p      *PeerConn
	e      *Endpoint
	client bool // only the QUIC client migrates
	events chan event
	active int // slot

	// Of the client.
	transports [slots]*quic.Transport
	paths      [slots]*quic.Path // validated, other than the one dialled on
	busy       [slots]bool       // being validated
	failures   [slots]int
	next       [slots]time.Time // not to be validated before
	seq        uint32           // of our ControlPath frames, or the peer's last
	asked      bool             // the suspected path was asked

	round      uint32
	searched   bool      // the peer's candidates of this round are here
	roundAt    time.Time // when the last search started
	nextRound  time.Time // zero: none planned
	roundDelay time.Duration
	nonce      uint64

	calm     time.Time     // the path is not blamed before
	pokeWait time.Duration // of silence, before the relay is poked again
	netSeen  int64         // Endpoint.netChanges that was acted on
	mapSeen  int64         // Endpoint.mappings too

	told, theirs byte // hindrances, ours as told and the other side's (spec §5.4.8)
}

// An event is a control frame, or the end of a validation.
type event struct {
	candidates *wire.ControlCandidates
	path       *wire.ControlPath
	ping       *wire.ControlPing
	hindrance  *wire.ControlHindrance

	validated *quic.Path
	slot      int
	err       error

	refreshed bool // our candidates are, for round
	round     uint32
}

// startPeer makes the PeerConn of an authenticated connection. It takes over
// one use of l.
func (e *Endpoint) startPeer(q *quic.Conn, l *link, x proof, slot int) (*PeerConn, error) {
	p := &PeerConn{
		Conn:    newConn(e, q, x.result),
		link:    l,
		control: x.control,
		wake:    make(chan struct{}, 1),
		changes: make(chan Path, 1),
	}
	m := &manager{p: p, e: e, client: l.client, events: make(chan event), active: slot, roundDelay: roundRetry, netSeen: e.netChanges.Load(), mapSeen: e.mappings.Load()}
	if x.early != nil {
		p.early = &Stream{x.early, p.Conn}
	}
	p.path = m.pathOf(slot, reasonRelayFirst)
	if slot == slotDirect {
		p.path.Reason = reasonDirect
	} else if l.relayOnly {
		p.path.Reason = reasonRelayOnly
	}
	if !e.run(m.run) {
		e.m.paths.release(l)
		closeQUIC(q, codeClosed, "")
		return nil, ErrClosed
	}
	return p, nil
}

func (m *manager) pathOf(slot int, reason string) Path {
	kind, remote := PathRelay, m.p.link.remote(slot)
	if slot == slotDirect {
		kind = PathDirect
		if !remote.IsValid() && !m.client {
			remote = m.p.Conn.RemoteAddr() // dialled from an address that no probe named
		}
	}
	return Path{Kind: kind, Remote: remote, Reason: reason}
}

// run manages the connection until its end.
func (m *manager) run() {
	ended := m.p.Done()
	read := make(chan struct{})
	go func() {
		defer close(read)
		m.readControl()
	}()
	m.loop(ended)
	closeQUIC(m.p.q, codeClosed, "")
	<-ended
	<-read
	for slot, busy := range m.busy {
		for busy { // the validation ends with the connection
			if ev := <-m.events; ev.validated != nil && ev.slot == slot {
				busy = false
			}
		}
	}
	for _, t := range m.transports {
		if t != nil {
			// Not before the connection has ended: it would be killed.
			t.Close()
		}
	}
	m.e.m.paths.release(m.p.link)
	m.p.closeChanges()
}

func (m *manager) loop(ended <-chan struct{}) {
	if !m.p.link.relayOnly {
		if err := m.sendCandidates(); err != nil {
			m.fail(err)
			return
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time
	for {
		var err error
		select {
		case <-ended:
			return
		case <-m.e.ctx.Done():
			return
		case ev := <-m.events:
			err = m.handle(ev)
		case <-m.p.link.prober.changed:
		case <-m.p.wake:
		case <-timer.C:
		}
		if now := time.Now(); err == nil {
			if !due.IsZero() && now.Sub(due) > starved {
				m.calm = now.Add(suspectAfter)
			}
			err = m.step(now)
		}
		if err == nil {
			err = m.explain()
		}
		if err != nil {
			m.fail(err)
			return
		}
		timer.Stop()
		if due = m.deadline(); !due.IsZero() {
			timer.Reset(max(time.Until(due), 0))
		}
	}
}

func (m *manager) fail(err error) {
	if m.p.q.Context().Err() == nil {
		m.e.log.Debug("control stream failed", slog.String("peer", m.p.link.peer.Short()), slog.Any("err", err))
		closeQUIC(m.p.q, codeProtocol, "")
	}
}

// errControl: the peer broke the rules of the control stream.
var errControl = errors.New("transport: unexpected control frame")

// readControl turns control frames into events until the stream ends.
func (m *manager) readControl() {
	for {
		typ, b, err := ReadFrame(m.p.control, wire.MaxControlFrame)
		var ev event
		if err == nil {
			ev, err = parseControl(typ, b)
		}
		if err != nil {
			m.fail(err)
			return
		}
		if ev == (event{}) {
			continue
		}
		select {
		case m.events <- ev:
		case <-m.p.Done():
			return
		}
	}
}

// parseControl returns the zero event for frames that need no answer, unknown
// ones included.
func parseControl(typ uint16, b []byte) (event, error) {
	switch typ {
	case wire.FrameControlCandidates:
		x, err := wire.ParseControlCandidates(b)
		return event{candidates: &x}, err
	case wire.FrameControlPath:
		x, err := wire.ParseControlPath(b)
		return event{path: &x}, err
	case wire.FrameControlPing:
		x, err := wire.ParseControlPing(b)
		return event{ping: &x}, err
	case wire.FrameControlHindrance:
		x, err := wire.ParseControlHindrance(b)
		return event{hindrance: &x}, err
	}
	return event{}, nil
}

func (m *manager) send(typ uint16, payload []byte) error {
	m.p.control.SetWriteDeadline(time.Now().Add(controlTimeout))
	return WriteFrame(m.p.control, typ, payload)
}

func (m *manager) sendPing() error {
	m.nonce++
	return m.send(wire.FrameControlPing, wire.ControlPing{Nonce: m.nonce}.Append(nil))
}

func (m *manager) sendCandidates() error {
	m.roundAt = time.Now()
	x := wire.ControlCandidates{Round: m.round, Candidates: m.e.localCandidates()}
	return m.send(wire.FrameControlCandidates, x.Append(nil))
}

func (m *manager) handle(ev event) error {
	switch {
	case ev.candidates != nil:
		return m.handleCandidates(*ev.candidates)
	case ev.path != nil:
		return m.handlePath(*ev.path)
	case ev.ping != nil:
		return m.send(wire.FrameControlPong, ev.ping.Append(nil))
	case ev.hindrance != nil:
		m.theirs = ev.hindrance.What
	case ev.validated != nil:
		return m.handleValidated(ev)
	case ev.refreshed && ev.round == m.round:
		return m.sendCandidates()
	}
	return nil
}

// refresh finds our addresses anew, for they may be what has changed, and sends
// them for the round that has begun.
func (m *manager) refresh() {
	m.roundAt = time.Now()
	round := m.round
	m.e.run(func() {
		ctx, cancel := context.WithTimeout(m.p.q.Context(), refreshTimeout)
		defer cancel()
		m.e.regather(ctx)
		select {
		case m.events <- event{refreshed: true, round: round}:
		case <-m.p.Done():
		}
	})
}

// handleCandidates starts a search (spec §5.4.3). Only the client starts
// another round; the server answers with its own candidates.
func (m *manager) handleCandidates(x wire.ControlCandidates) error {
	if m.p.link.relayOnly {
		return nil
	}
	switch {
	case x.Round == m.round && m.searched, !m.client && x.Round > m.round && time.Since(m.roundAt) < minRoundGap:
		return errControl // each list makes us send to whom it names
	case x.Round == m.round:
	case m.client || x.Round < m.round || x.Round > maxRounds:
		return nil // an answer that came too late; or enough
	default:
		m.round = x.Round
		m.p.link.prober.forget() // what was found before is no longer true
		m.refresh()
	}
	m.searched = true
	if _, ok := m.p.link.prober.validated(); !ok {
		m.p.link.prober.search(search{key: roundKey(m.p.result.ChannelKey, x.Round), remote: x.Candidates})
	}
	return nil
}

// handlePath follows the client's word (spec §5.4.4): the frame comes over the
// path that it names, and QUIC sends where the last packets came from.
func (m *manager) handlePath(x wire.ControlPath) error {
	if m.client || x.Seq <= m.seq {
		return errControl
	}
	m.seq = x.Seq
	m.active = slotRelay
	if x.Path == wire.ControlPathDirect {
		m.active = slotDirect
	}
	reason := x.Reason
	if reason == "" {
		reason = reasonPeer
	}
	m.p.setPath(m.pathOf(m.active, reason))
	return nil
}

// step does what is due. Everything in it is the client's.
func (m *manager) step(now time.Time) error {
	if err := m.lookAgain(); err != nil {
		return err
	}
	if m.p.watched.Swap(false) {
		if err := m.sendPing(); err != nil {
			return err
		}
	}
	if !m.client {
		m.poke(now)
		return nil
	}
	m.mapAgain(now)
	l := m.p.link
	if !l.relayOnly && m.active == slotRelay {
		if addr, ok := l.prober.validated(); ok && m.due(slotDirect, now) {
			l.direct.Store(&addr)
			m.validate(slotDirect)
		}
		if !m.nextRound.IsZero() && !now.Before(m.nextRound) && m.round < maxRounds {
			m.nextRound = now.Add(m.roundDelay)
			m.roundDelay = min(2*m.roundDelay, maxRoundRetry)
			m.round, m.searched = m.round+1, false
			l.prober.forget()
			m.refresh()
		}
	}
	if m.active == slotDirect && l.leg.Load() != nil {
		// The way back is validated beforehand: on a dead path with a full
		// window QUIC sends no probe.
		if m.paths[slotRelay] == nil && m.due(slotRelay, now) {
			m.validate(slotRelay)
		}
		return m.health()
	}
	return nil
}

// nextPoke returns when the dialled side has to look whether it has to poke.
func (m *manager) nextPoke(now time.Time) time.Time {
	used := m.p.used.Load()
	switch {
	case m.active != slotDirect || m.p.link.leg.Load() == nil:
		return time.Time{}
	case used == 0 || m.e.m.now()-used > int64(lively):
		return now.Add(idleInterval)
	}
	return now.Add(pokeAfter)
}

// poke tells the relay where we are while the direct path brings nothing: if our
// NAT has changed, the other side, which leaves the path, could not reach us by
// the relay either. It is the dialled side's, and only soon after application
// data (spec §5.4.5).
func (m *manager) poke(now time.Time) {
	l := m.p.link
	leg := l.leg.Load()
	clock := m.e.m.now()
	if leg == nil || m.active != slotDirect || clock-m.p.used.Load() > int64(lively) || m.p.used.Load() == 0 {
		return
	}
	silent := time.Duration(clock - l.received[slotDirect].Load())
	if silent < m.pokeWait/2 {
		m.pokeWait = pokeAfter
	}
	if silent >= max(m.pokeWait, pokeAfter) {
		m.pokeWait = 2 * max(m.pokeWait, pokeAfter)
		m.e.m.writeRelay(leg, []byte{0}, 0)
	}
}

func (m *manager) due(slot int, now time.Time) bool {
	return !m.busy[slot] && !now.Before(m.next[slot])
}

// deadline returns when step has something to do next.
func (m *manager) deadline() time.Time {
	now := time.Now()
	if !m.client {
		return m.nextPoke(now)
	}
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if m.active == slotRelay {
		if m.round < maxRounds {
			earlier(m.nextRound)
		}
		if _, ok := m.p.link.prober.validated(); ok && !m.busy[slotDirect] && !m.p.link.relayOnly {
			earlier(m.next[slotDirect])
		}
	} else if m.p.link.leg.Load() != nil {
		switch since := m.e.m.now() - m.p.link.received[slotDirect].Load(); {
		case m.p.link.unanswered[slotDirect].Load() != 0:
			earlier(now.Add(healthInterval))
		case since < int64(idleAfter):
			earlier(now.Add(calmInterval))
		default:
			earlier(now.Add(idleInterval))
		}
	}
	return next
}

// validate has QUIC validate the path of a slot. The result is an event.
func (m *manager) validate(slot int) {
	if m.transports[slot] == nil {
		m.transports[slot] = &quic.Transport{
			Conn:               newSlotConn(m.e.m, slot).forQUIC(),
			ConnectionIDLength: connectionIDLen,
		}
	}
	path, err := m.p.q.AddPath(m.transports[slot])
	if err != nil {
		m.later(slot)
		return
	}
	m.busy[slot] = true
	go func() {
		// It ends with the connection at the latest, and run waits for it.
		ctx, cancel := context.WithTimeout(m.p.q.Context(), probeTimeout)
		defer cancel()
		err := path.Probe(ctx)
		m.events <- event{validated: path, slot: slot, err: err}
	}()
}

func (m *manager) later(slot int) {
	wait := min(migrateRetry<<min(m.failures[slot], 10), maxMigrateRetry)
	m.failures[slot]++
	m.next[slot] = time.Now().Add(wait)
}

func (m *manager) handleValidated(ev event) error {
	m.busy[ev.slot] = false
	if ev.err != nil {
		// Unclosed, it would keep its connection id: eight of those, and no
		// path can be validated any more.
		ev.validated.Close()
		m.later(ev.slot)
		return nil
	}
	m.failures[ev.slot] = 0
	m.paths[ev.slot] = ev.validated
	if ev.slot == slotDirect && m.active == slotRelay {
		return m.switchTo(slotDirect, reasonDirect)
	}
	return nil
}

// switchTo migrates the connection and tells the other side.
func (m *manager) switchTo(slot int, reason string) error {
	if err := m.paths[slot].Switch(); err != nil {
		m.paths[slot].Close()
		m.paths[slot] = nil
		m.later(slot)
		return nil
	}
	m.active, m.asked = slot, false
	if slot == slotDirect {
		m.nextRound, m.roundDelay = time.Time{}, roundRetry
	}
	m.p.setPath(m.pathOf(slot, reason))
	m.seq++
	x := wire.ControlPath{Seq: m.seq, Path: wire.ControlPathRelay, Reason: reason}
	if slot == slotDirect {
		x.Path = wire.ControlPathDirect
	}
	return m.send(wire.FrameControlPath, x.Append(nil))
}

// health leaves a direct path that went silent.
func (m *manager) health() error {
	since := m.p.link.unanswered[slotDirect].Load()
	silent := time.Duration(0)
	if since != 0 {
		silent = time.Duration(m.e.m.now() - since)
	}
	rtt := m.p.q.ConnectionStats().SmoothedRTT
	suspect := max(suspectAfter, 3*rtt)
	switch {
	case silent < suspect:
		m.asked = false
		return nil
	case time.Now().Before(m.calm):
		return nil
	case !m.asked:
		// What we sent last may have needed no answer.
		m.asked = true
		return m.sendPing()
	case silent < suspect+leaveAfter+2*rtt || m.paths[slotRelay] == nil:
		return nil
	}
	dead := m.paths[slotDirect]
	if err := m.switchTo(slotRelay, reasonSilent); err != nil || m.active != slotRelay {
		return err
	}
	if dead != nil {
		dead.Close()
	}
	m.paths[slotDirect] = nil
	m.p.link.unanswered[slotDirect].Store(0)
	m.p.link.prober.forget()
	m.nextRound = m.roundAt.Add(minRoundGap + roundMargin)
	return nil
}
