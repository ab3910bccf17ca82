package transport

import (
	"errors"
	"log/slog"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/wire"
)

// controlTimeout bounds the write of one control frame.
const controlTimeout = 10 * time.Second

// Reasons of paths, for people.
const (
	reasonRelayFirst = "no direct path proven yet"
	reasonDirect     = "direct path proven"
	reasonSilent     = "the direct path went silent"
	reasonNarrow     = "the direct path loses long packets"
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

	round      uint32
	left       bool // a direct path was left, in round leftIn
	leftIn     uint32
	searched   bool // the peer's candidates of this round are here
	rounds     roundBucket
	nextRound  time.Time // zero: none planned
	roundDelay time.Duration
	nonce      uint64

	spares   int       // searches that may still follow one in vain (spec §5.4.10)
	spareAt  time.Time // when the next one begins; zero: none is planned
	spareNo  uint32    // of the last one
	spareGap roundBucket

	pokeWait time.Duration // between the last poke of the relay and the next
	nextPoke time.Time
	netSeen  int64 // Endpoint.netChanges that was acted on
	mapSeen  int64 // Endpoint.mappings too

	blocked bool // one side was without UDP

	keeper keeper
	keepAt time.Time // when to ask it

	told, theirs byte // hindrances, ours as told and the other side's (spec §5.4.8)
}

// An event is a control frame, or the end of a validation.
type event struct {
	candidates *wire.ControlCandidates
	path       *wire.ControlPath
	ping       *wire.ControlPing
	hindrance  *wire.ControlHindrance
	spare      *wire.ControlSpare

	validated *quic.Path
	slot      int
	err       error

	refreshed bool // our candidates are, for round
	round     uint32

	opened *openedSpare
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
	l.prober.check(pathKey(x.result.ChannelKey), p.lively)
	p.path = m.pathOf(slot, reasonRelayFirst)
	if slot == slotDirect {
		p.path.Reason = reasonDirect
	} else if l.relayOnly {
		p.path.Reason = reasonRelayOnly
	}
	m.watch()
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
		if err == nil {
			err = m.step(time.Now())
		}
		if err == nil {
			err = m.explain()
		}
		if err != nil {
			m.fail(err)
			return
		}
		timer.Stop()
		if due := m.deadline(time.Now()); !due.IsZero() {
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
	case wire.FrameControlSpare:
		x, err := wire.ParseControlSpare(b)
		return event{spare: &x}, err
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
	case ev.spare != nil:
		m.handleSpare(*ev.spare, time.Now())
	case ev.opened != nil:
		return m.handleOpened(*ev.opened)
	case ev.validated != nil:
		return m.handleValidated(ev)
	case ev.refreshed && ev.round == m.round:
		return m.sendCandidates()
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
	m.left, m.leftIn = m.left || m.active == slotDirect, m.round
	m.active = slotRelay
	if x.Path == wire.ControlPathDirect {
		m.active = slotDirect
	}
	reason := x.Reason
	if reason == "" {
		reason = reasonPeer
	}
	m.p.setPath(m.pathOf(m.active, reason))
	m.watch()
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
	if !now.Before(m.keepAt) && m.keep(now) {
		closeQUIC(m.p.q, codeLost, "")
		return nil
	}
	if err := m.mapAgain(now); err != nil {
		return err
	}
	if !m.client {
		m.poke(now)
		return nil
	}
	l := m.p.link
	if !l.relayOnly && m.active == slotRelay {
		if addr, ok := l.prober.validated(); ok && m.due(slotDirect, now) {
			l.direct.Store(&addr)
			m.validate(slotDirect)
		}
		m.stepRounds(now)
		m.stepSpare(now)
	}
	if m.active == slotDirect && l.leg.Load() != nil {
		// The way back is validated beforehand: on a dead path with a full
		// window QUIC sends no probe.
		if m.paths[slotRelay] == nil && m.due(slotRelay, now) {
			m.validate(slotRelay)
		}
		return m.health(now)
	}
	return nil
}

// deadline returns when step has something to do next.
func (m *manager) deadline(now time.Time) time.Time {
	next := m.keepAt
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	l := m.p.link
	switch {
	case !m.client:
		earlier(m.nextPoke)
	case m.active == slotRelay:
		if m.round < maxRounds {
			earlier(m.nextRound)
		}
		earlier(m.spareAt)
		if _, ok := l.prober.validated(); ok && !m.busy[slotDirect] && !l.relayOnly {
			earlier(m.next[slotDirect])
		}
	case l.leg.Load() != nil && m.paths[slotRelay] == nil && !m.busy[slotRelay]:
		earlier(m.next[slotRelay])
	}
	return next
}
