package transport

import (
	"log/slog"
	"net"
	"time"
)

// watch makes the endpoint notice changes of this machine's network by itself
// where the system tells of them; elsewhere it takes the time-outs of spec
// §5.4.5.
func (e *Endpoint) watch() {
	if _, ok := e.c.PacketConn.(*net.UDPConn); !ok {
		return // not of this machine's network
	}
	if err := watchNetwork(e.ctx, e.run, e.networkChanged); err != nil {
		e.log.Debug("changes of the network are not told", slog.Any("err", err))
	}
}

// networkChanged makes every connection look at its path now (spec §5.4.7), and
// the endpoint at its socket.
func (e *Endpoint) networkChanged() {
	e.suspectSocket()
	e.pathsChanged()
}

// pathsChanged makes every connection look at its path now.
func (e *Endpoint) pathsChanged() {
	e.netChanges.Add(1)
	e.mu.Lock()
	for p := range e.probers {
		notify(p.changed)
	}
	e.mu.Unlock()
	e.lookAtRoutes()
	e.keeping.changed()
	e.keeping.wakeAll()
	if e.c.NetworkChanged != nil {
		e.c.NetworkChanged()
	}
}

// lookAgain asks the path in use whether it still delivers, after the network
// has changed. The dialled side also tells the relay where it is.
func (m *manager) lookAgain() error {
	n := m.e.netChanges.Load()
	if n == m.netSeen {
		return nil
	}
	m.netSeen = n
	if leg := m.p.link.leg.Load(); leg != nil {
		m.e.m.tellRelay(leg)
	}
	m.p.link.prober.recheck()
	m.keeper.now()
	m.keepAt = time.Time{}
	return m.sendPing()
}
