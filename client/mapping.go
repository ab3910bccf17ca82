package client

import (
	"net/netip"
	"time"

	"github.com/sremp/sremp/portmap"
)

// startMapper asks the gateway in the background for a port that leads to us,
// if that is wanted. What it gets is one more candidate.
func (n *network) startMapper() {
	if !n.c.cfg.MapPorts || !n.c.settings.Load().Network.MapPorts {
		return
	}
	a := n.ep.LocalAddr()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mapper = portmap.Start(portmap.Config{Port: a.Port(), Local: a.Addr(), Changed: n.mapped, Logger: n.c.log})
}

// mapped tells the endpoint what the mapper has, and forgets what was gathered
// without it.
func (n *network) mapped() {
	n.mu.Lock()
	mapper := n.mapper
	n.gatheredAt = time.Time{}
	n.mu.Unlock()
	var addrs []netip.AddrPort
	if m, ok := mapper.Mapping(); ok {
		addrs = []netip.AddrPort{m.External}
	}
	n.ep.SetMapped(addrs)
}

// stopMapper deletes the mapping.
func (n *network) stopMapper() {
	n.mu.Lock()
	mapper := n.mapper
	n.mu.Unlock()
	if mapper != nil {
		mapper.Close()
	}
}
