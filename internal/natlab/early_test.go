//go:build linux

package natlab

import "testing"

// A packet that comes too early to a router which takes it for itself keeps the two
// sockets apart: the router then gives its own side's another port. They find each
// other by other sockets (spec §5.4.10), whoever was early and whoever dials.
func TestEarlyPacket(t *testing.T) {
	p := newPunch(t, Pair{A: "port/accept", B: "port/accept", Direct: true})
	p.early = true
	for i := range 4 {
		if r := p.run(t, i); r.fault != "" {
			t.Errorf("side %d is early, %d dials: %s", i&1, i>>1, r.fault)
		}
	}
}
