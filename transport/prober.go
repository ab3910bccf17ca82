package transport

import "net/netip"

type prober struct{}

func (e *Endpoint) handleProbe(from netip.AddrPort, b []byte) {}
