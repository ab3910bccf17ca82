package transport

import (
	"context"
	"net/netip"
)

type helloState struct{}

func (h *helloState) init() {}

func (e *Endpoint) handleHello(from netip.AddrPort, b []byte) {}

// OnHello answers hello probes sealed with key (spec §5.5): f gets the payload
// and returns that of the reply. It is called on a goroutine of its own, once
// for each payload. remove ends it.
func (e *Endpoint) OnHello(key [32]byte, f func(from netip.AddrPort, payload []byte) (reply []byte)) (remove func()) {
	return func() {}
}

// SendHello sends a hello probe to all addresses, again and again, until one
// replies or ctx ends.
func (e *Endpoint) SendHello(ctx context.Context, key [32]byte, to []netip.AddrPort, payload []byte) (from netip.AddrPort, reply []byte, err error) {
	return from, nil, ErrUnreachable
}
