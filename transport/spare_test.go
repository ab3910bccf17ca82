package transport

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// A spoiltRouter lets nothing through between two sockets, as routers do one of which
// has taken the first packet for itself. It counts what goes to a victim.
type spoiltRouter struct {
	simnet.PerfectRouter
	a, b, victim netip.AddrPort
	open         atomic.Bool // nothing is spoilt
	toVictim     atomic.Int64
}

func (r *spoiltRouter) SendPacket(p simnet.Packet) error {
	from, to := addrPort(p.From), addrPort(p.To)
	if to == r.victim {
		r.toVictim.Add(1)
	}
	if !r.open.Load() && (from == r.a && to == r.b || from == r.b && to == r.a) {
		return nil
	}
	return r.PerfectRouter.SendPacket(p)
}

// spoiltPair are two sides that are connected through a relay only, each of which
// believes that it is behind a NAT. more changes the attempt of the second one;
// opened counts the sockets that each side opens.
func spoiltPair(t *testing.T, more func(*Attempt)) (r *spoiltRouter, a, b *PeerConn, opened [2]*atomic.Int32) {
	r = &spoiltRouter{
		a: netip.MustParseAddrPort("11.0.0.1:1"), b: netip.MustParseAddrPort("11.0.0.2:1"), victim: netip.MustParseAddrPort("11.0.0.9:9"),
	}
	n := newSimNet(t)
	n.router = r
	n.endpoint("11.0.0.4:3478", Config{STUN: true})
	low, high := pair(t)
	ends := [2]*Endpoint{}
	for i, id := range []Config{{Identity: low}, {Identity: high}} {
		at := [2]netip.AddrPort{r.a, r.b}[i]
		opened[i] = new(atomic.Int32)
		id.ListenPacket = func() (net.PacketConn, error) {
			return n.conn(netip.AddrPortFrom(at.Addr(), uint16(1000+opened[i].Add(1))).String()), nil
		}
		ends[i] = n.endpoint(at.String(), id)
		ends[i].local = []nat.Candidate{{Addr: at, Kind: nat.ServerReflexive}}
		ends[i].stun.asked = []netip.AddrPort{netip.MustParseAddrPort("11.0.0.4:3478")}
	}
	relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ends[0], ends[1])
	key := [32]byte{9}
	ours := Attempt{Peer: high.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: ends[1].localCandidates()}
	theirs := Attempt{Peer: low.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ends[0].localCandidates()}
	more(&theirs)
	a, b = connect(t, t.Context(), ends[0], ours, ends[1], theirs)
	return r, a, b, opened
}

// Spec §5.4.10: when nothing gets through between the sockets of two sides they find
// each other by others.
func TestSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := withTimeout(t)
		r, a, b, opened := spoiltPair(t, func(*Attempt) {})
		start := time.Now()
		waitPath(t, ctx, a, PathDirect)
		waitPath(t, ctx, b, PathDirect)
		if got := time.Since(start); got > 2*time.Second {
			t.Errorf("direct after %v, want 2s at most", got)
		}
		if got := a.RemoteAddr(); got.Addr() != r.b.Addr() || got == r.b {
			t.Errorf("a sends to %v, want another port than that of %v", got, r.b)
		}
		exchange(t, ctx, a, b)
		time.Sleep(time.Minute)
		exchange(t, withTimeout(t), a, b)
		for i, n := range opened {
			if got := n.Load(); got != 1 {
				t.Errorf("side %d has opened %d sockets, want 1", i, got)
			}
		}
	})
}

// Where there is nothing to be mended no other socket is opened.
func TestSpareNotNeeded(t *testing.T) {
	for name, more := range map[string]func(*Attempt){
		"relay only": func(a *Attempt) { a.RelayOnly = true },
		"nobody": func(a *Attempt) {
			a.Remote, a.ProbeKey = nil, [32]byte{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, a, _, opened := spoiltPair(t, more)
				r.open.Store(name != "relay only")
				time.Sleep(time.Minute)
				for i, n := range opened {
					if got := n.Load(); got != 0 {
						t.Errorf("side %d has opened %d sockets, want none", i, got)
					}
				}
				want := PathDirect
				if name == "relay only" {
					want = PathRelay
				}
				if got := a.Path().Kind; got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		})
	}
}

// A peer cannot have us open many sockets, or send more than a packet that dies on its
// way for each to somebody who does not answer.
func TestSpareFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b, opened := spoiltPair(t, func(*Attempt) {})
		for i := range uint32(1000) {
			for range 2 {
				x := wire.ControlSpare{Number: 100 + i, Address: r.victim}
				if err := WriteFrame(a.control, wire.FrameControlSpare, x.Append(nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(3 * time.Second)
		if got := opened[1].Load(); got > roundBurst {
			t.Errorf("opened %d sockets, want %d at most", got, roundBurst)
		}
		if got := r.toVictim.Load(); got != 0 {
			t.Errorf("%d packets to a victim, want none", got)
		}
		// One that was not asked for, or of a family that needs none, changes nothing.
		for _, x := range []wire.ControlSpare{{Number: 1 << 20, Address: r.victim}, {Address: netip.MustParseAddrPort("[2a0e::1]:7")}} {
			WriteFrame(b.control, wire.FrameControlSpare, x.Append(nil))
		}
		time.Sleep(spareLife)
		if got := r.toVictim.Load(); got != 0 {
			t.Errorf("%d packets to a victim, want none", got)
		}
		if a.Err() != nil || b.Err() != nil {
			t.Errorf("the connection ended: %v, %v", a.Err(), b.Err())
		}
	})
}
