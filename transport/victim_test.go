package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"github.com/sremp/sremp/nat"
)

// A tapRouter records what is sent.
type tapRouter struct {
	simnet.PerfectRouter
	mu      sync.Mutex
	packets []simnet.Packet
}

func (r *tapRouter) SendPacket(p simnet.Packet) error {
	r.mu.Lock()
	r.packets = append(r.packets, p)
	r.mu.Unlock()
	return r.PerfectRouter.SendPacket(p)
}

// take returns what was sent since it was asked last.
func (r *tapRouter) take() []simnet.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.packets
	r.packets = nil
	return p
}

// Negative tests 14: a peer, or a rendezvous with it, names a victim and a
// thousand ports of its. The packets to it are few, and end.
func TestVictimOfCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &tapRouter{}
		n := newSimNet(t)
		n.router = r
		ann, bob := pair(t)
		e := n.endpoint("11.0.0.1:1", Config{Identity: ann})
		victim := netip.MustParseAddr("11.0.0.66")
		var named []nat.Candidate
		for i := range 1000 {
			named = append(named, nat.Candidate{Addr: netip.AddrPortFrom(victim, uint16(1000+i)), Kind: nat.ServerReflexive})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := e.Connect(ctx, Attempt{Peer: bob.PeerID(), Record: bob.Record(), ProbeKey: [32]byte{9}, Remote: named}); err == nil {
			t.Fatal("connected to a victim")
		}
		probes, long, ports := 0, 0, map[netip.AddrPort]int{}
		for _, p := range r.take() {
			to := addrPort(p.To)
			if to.Addr() != victim {
				t.Errorf("a packet to %v, whom nobody named", to)
			}
			ports[to]++
			if nat.IsProbe(p.Data) {
				probes++
			} else {
				long++
			}
		}
		t.Logf("%d probes and %d long packets to %d ports", probes, long, len(ports))
		if probes == 0 || probes > 64 || long > 4 {
			t.Errorf("%d probes and %d long packets, want at most 64 and 4", probes, long)
		}
		for to, got := range ports {
			if got > 8+4 {
				t.Errorf("%d packets to %v, want 8 probes at most", got, to)
			}
		}
		if time.Since(start) < time.Minute {
			t.Error("it gave up early: silence was not tested")
		}
	})
}

// Negative tests 14: probes that were recorded, reflected or forged draw no packet
// to whoever sends them, nor to whom they pretend to come from, and change no path.
func TestReplayedProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &tapRouter{}
		n := newSimNet(t)
		n.router = r
		ann, bob := pair(t)
		ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
		key := [32]byte{9}
		a, b := connect(t, t.Context(),
			ea, Attempt{Peer: bob.PeerID(), ProbeKey: key, Remote: eb.hostCandidates()},
			eb, Attempt{Peer: ann.PeerID(), ProbeKey: key, Remote: ea.hostCandidates()})
		exchange(t, t.Context(), a, b)
		time.Sleep(10 * time.Second)
		evil := n.conn("11.0.0.66:1")
		defer evil.Close()
		before := [2]Path{a.Path(), b.Path()}
		dropped := ea.m.stats.dropped.Load()
		replayed := 0
		for _, p := range r.take() {
			if !nat.IsProbe(p.Data) {
				continue
			}
			for _, to := range []net.Addr{p.To, p.From} { // again, and back
				evil.WriteTo(p.Data, to)
				forged := append([]byte(nil), p.Data...)
				forged[len(forged)-1] ^= 1
				evil.WriteTo(forged, to)
				replayed++
			}
		}
		time.Sleep(5 * time.Second)
		for _, p := range r.take() {
			if to := addrPort(p.To); to.Addr() == netip.MustParseAddr("11.0.0.66") {
				t.Errorf("an answer of %d bytes from %v", len(p.Data), p.From)
			}
		}
		if replayed == 0 || ea.m.stats.dropped.Load() == dropped {
			t.Errorf("%d probes replayed, %d counted as dropped", replayed, ea.m.stats.dropped.Load()-dropped)
		}
		if now := [2]Path{a.Path(), b.Path()}; now[0].Remote != before[0].Remote || now[1].Remote != before[1].Remote {
			t.Errorf("paths: %+v, before %+v", now, before)
		}
		exchange(t, t.Context(), a, b)
	})
}
