package transport

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sremp/sremp/wire"
)

// A testRelay forwards between two sides and seals anew, as spec §6.6 says.
type testRelay struct {
	pc      net.PacketConn
	keys    [2][16]byte
	packets atomic.Int64
	wg      sync.WaitGroup

	mu    sync.Mutex
	sides [2]netip.AddrPort
	drop  bool
	moves bool // a side is where its last packet came from
}

const testSession = 0x5e55

// newTestRelay starts a relay between two endpoints on pc.
func newTestRelay(t testing.TB, pc net.PacketConn, a, b *Endpoint) *testRelay {
	t.Helper()
	r := &testRelay{pc: pc, keys: [2][16]byte{{1}, {2}}, sides: [2]netip.AddrPort{a.LocalAddr(), b.LocalAddr()}}
	r.wg.Go(r.run)
	t.Cleanup(func() {
		pc.Close()
		r.wg.Wait()
	})
	return r
}

func (r *testRelay) leg(side uint8) *Leg {
	return &Leg{Server: addrPort(r.pc.LocalAddr()), Session: testSession, Side: side, Key: r.keys[side]}
}

// setDrop makes the relay a black hole.
func (r *testRelay) setDrop(drop bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop = drop
}

func (r *testRelay) run() {
	var windows [2]wire.ReplayWindow
	var sent [2]uint64
	b := make([]byte, maxDatagram)
	for {
		n, from, err := r.pc.ReadFrom(b)
		if err != nil {
			return
		}
		session, side, ok := wire.ParseForward(b[:n])
		if !ok || session != testSession || side > 1 {
			continue
		}
		counter, packet, ok := wire.OpenForward(b[:n], side, r.keys[side], windows[side].Largest())
		if !ok || !windows[side].Check(counter) {
			continue
		}
		windows[side].Commit(counter)
		r.packets.Add(1)
		to := 1 - side
		out := append(make([]byte, wire.ForwardHeaderLen), packet...)
		sent[to]++
		wire.SealForward(out, to|wire.ForwardFromRelay, session, sent[to], r.keys[to])
		r.mu.Lock()
		if r.moves {
			r.sides[side] = addrPort(from)
		}
		addr, drop := r.sides[to], r.drop
		r.mu.Unlock()
		if !drop {
			r.pc.WriteTo(out, net.UDPAddrFromAddrPort(addr))
		}
	}
}
