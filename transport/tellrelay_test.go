package transport

import (
	"net"
	"testing"
	"time"

	"github.com/sremp/sremp/wire"
)

// What tells the relay where we are is long enough for a challenge: of a shorter
// packet a relay learns nothing (spec §6.6.5). No peer takes it for QUIC.
func TestTellRelay(t *testing.T) {
	relay, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	e := endpoint(t, Config{})
	leg := &legState{Leg: Leg{Server: addrPort(relay.LocalAddr()), Session: 7, Side: 1, Key: [16]byte{5}}}
	e.m.tellRelay(leg)
	relay.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 1500)
	n, _, err := relay.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	if n < wire.ForwardChallengeLen {
		t.Errorf("%d bytes, want %d: the relay would not ask", n, wire.ForwardChallengeLen)
	}
	_, packet, ok := wire.OpenForward(b[:n], leg.Side, leg.Key, 0)
	if !ok || len(packet) == 0 || packet[0] >= firstQUIC {
		t.Errorf("got %x, authentic %v, want what a peer drops", packet, ok)
	}
}
