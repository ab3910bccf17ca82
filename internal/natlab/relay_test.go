//go:build linux

package natlab

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

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

	mu      sync.Mutex
	session uint64
	windows [2]wire.ReplayWindow
	sent    [2]uint64
	sides   [2]net.Addr
}

func newLabRelay(t *testing.T, p *Place) *labRelay {
	return newLabRelayAt(t, p, netip.AddrPortFrom(p.Addr, 4433))
}

func newLabRelayAt(t *testing.T, p *Place, addr netip.AddrPort) *labRelay {
	r := &labRelay{pc: socketAt(t, p.Site, addr), addr: addr, keys: [2][16]byte{{1}, {2}}, session: 0x5e55}
	r.wg.Go(r.run)
	t.Cleanup(func() {
		r.pc.Close()
		r.wg.Wait()
	})
	return r
}

// reset begins another session; nobody is in it.
func (r *labRelay) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session++
	r.windows, r.sent, r.sides = [2]wire.ReplayWindow{}, [2]uint64{}, [2]net.Addr{}
}

func (r *labRelay) leg(side uint8) *transport.Leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &transport.Leg{Server: r.addr, Session: r.session, Side: side, Key: r.keys[side]}
}

// register tells where a side is, as its connection to a real relay would show.
func (r *labRelay) register(e *transport.Endpoint, side uint8) {
	known := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.sides[side] != nil
	}
	for range 100 { // packets may get lost
		e.WritePacket(r.addr, []byte{0xff, side})
		for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end) && !known(); {
			time.Sleep(time.Millisecond)
		}
		if known() {
			return
		}
	}
}

func (r *labRelay) run() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.pc.ReadFrom(b)
		if err != nil {
			return
		}
		if out, to := r.forward(b[:n], from); to != nil {
			_, _ = r.pc.WriteTo(out, to) // as lossy as any network
		}
	}
}

// forward returns what becomes of a packet; to is nil if nothing does.
func (r *labRelay) forward(b []byte, from net.Addr) (out []byte, to net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(b) == 2 && b[0] == 0xff && b[1] < 2 {
		r.sides[b[1]] = from
		return nil, nil
	}
	session, side, ok := wire.ParseForward(b)
	if !ok || session != r.session || side > 1 {
		return nil, nil
	}
	counter, packet, ok := wire.OpenForward(b, side, r.keys[side], r.windows[side].Largest())
	if !ok || !r.windows[side].Check(counter) {
		return nil, nil
	}
	r.windows[side].Commit(counter)
	r.sides[side] = from
	other := 1 - side
	if packet[0] == 0 || r.sides[other] == nil {
		return nil, nil // to tell the address; or QUIC sends again
	}
	out = append(make([]byte, wire.ForwardHeaderLen), packet...)
	r.sent[other]++
	wire.SealForward(out, other|wire.ForwardFromRelay, session, r.sent[other], r.keys[other])
	return out, r.sides[other]
}
