package transport

import (
	"context"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// Tuning of migration (spec §5.4.4, §5.4.5).
const (
	// probeTimeout bounds the validation of one path by QUIC, after our own
	// probes have crossed it.
	probeTimeout = 3 * time.Second
	// migrateRetry grows with every failed validation, up to maxMigrateRetry.
	migrateRetry    = time.Second
	maxMigrateRetry = time.Minute
	// pokeAfter is how long after telling the relay where we are we tell it again
	// while the direct path is suspected; it doubles. lively is how long after
	// application data silence means anything.
	pokeAfter = 150 * time.Millisecond
	lively    = 30 * time.Second
)

func (m *manager) due(slot int, now time.Time) bool {
	return !m.busy[slot] && !now.Before(m.next[slot])
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
	m.active = slot
	if slot == slotDirect {
		m.nextRound, m.roundDelay = time.Time{}, roundRetry
	}
	m.p.setPath(m.pathOf(slot, reason))
	m.watch()
	m.seq++
	x := wire.ControlPath{Seq: m.seq, Path: wire.ControlPathRelay, Reason: reason}
	if slot == slotDirect {
		x.Path = wire.ControlPathDirect
	}
	return m.send(wire.FrameControlPath, x.Append(nil))
}

// watch has the path in use checked if it is a direct one.
func (m *manager) watch() {
	to := netip.AddrPort{}
	if m.active == slotDirect && !m.p.link.relayOnly {
		to = m.pathOf(slotDirect, "").Remote
	}
	m.p.link.prober.watch(to)
}

// health leaves a direct path that delivers no more (spec §5.4.5).
func (m *manager) health(now time.Time) error {
	reason := reasonSilent
	switch m.p.link.prober.state(now) {
	case nat.PathDead:
	case nat.PathNarrow:
		reason = reasonNarrow
	default:
		return nil
	}
	if m.paths[slotRelay] == nil {
		return nil
	}
	m.e.lookAtRoute(m.p.link.remote(slotRelay))
	m.left, m.leftIn = true, m.round
	dead := m.paths[slotDirect]
	if err := m.switchTo(slotRelay, reason); err != nil || m.active != slotRelay {
		return err
	}
	if dead != nil {
		dead.Close()
	}
	m.paths[slotDirect] = nil
	m.p.link.prober.forget()
	m.searchAgain(now)
	return nil
}

// poke tells the relay where we are while the direct path is suspected: if our
// NAT has changed, the other side, which leaves the path, could not reach us by
// the relay either. It is the dialled side's.
func (m *manager) poke(now time.Time) {
	leg := m.p.link.leg.Load()
	if leg == nil || m.active != slotDirect || m.p.link.prober.state(now) == nat.PathAlive {
		m.pokeWait, m.nextPoke = 0, time.Time{}
		return
	}
	if now.Before(m.nextPoke) {
		return
	}
	m.pokeWait = max(pokeAfter, 2*m.pokeWait)
	m.nextPoke = now.Add(m.pokeWait)
	m.e.lookAtRoute(leg.Server)
	m.e.m.tellRelay(leg)
}
