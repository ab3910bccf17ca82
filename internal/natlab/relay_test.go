//go:build linux

package natlab

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// labRelay forwards between two sides as spec §6.6 says, and follows each to
// where its last authentic packet came from.
type labRelay struct {
	pc   net.PacketConn
	addr netip.AddrPort
	keys [2][16]byte
	wg   sync.WaitGroup
}

const labSession = 0x5e55

func newLabRelay(t *testing.T, p *Place) *labRelay {
	addr := netip.AddrPortFrom(p.Addr, 4433)
	r := &labRelay{pc: socketAt(t, p.Site, addr), addr: addr, keys: [2][16]byte{{1}, {2}}}
	r.wg.Go(r.run)
	t.Cleanup(func() {
		r.pc.Close()
		r.wg.Wait()
	})
	return r
}

func (r *labRelay) leg(side uint8) *transport.Leg {
	return &transport.Leg{Server: r.addr, Session: labSession, Side: side, Key: r.keys[side]}
}

func (r *labRelay) run() {
	var windows [2]wire.ReplayWindow
	var sent [2]uint64
	var sides [2]net.Addr
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.pc.ReadFrom(b)
		if err != nil {
			return
		}
		if n == 2 && b[0] == 0xff && b[1] < 2 {
			sides[b[1]] = from // as the connection to a real relay would show
			continue
		}
		session, side, ok := wire.ParseForward(b[:n])
		if !ok || session != labSession || side > 1 {
			continue
		}
		counter, packet, ok := wire.OpenForward(b[:n], side, r.keys[side], windows[side].Largest())
		if !ok || !windows[side].Check(counter) {
			continue
		}
		windows[side].Commit(counter)
		sides[side] = from
		to := 1 - side
		if len(packet) == 1 {
			continue // to tell the address
		}
		if sides[to] == nil {
			continue // QUIC sends again
		}
		out := append(make([]byte, wire.ForwardHeaderLen), packet...)
		sent[to]++
		wire.SealForward(out, to|wire.ForwardFromRelay, session, sent[to], r.keys[to])
		_, _ = r.pc.WriteTo(out, sides[to]) // as lossy as any network
	}
}
