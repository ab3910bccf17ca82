package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// swap sends what comes from one address to the other, and notes which reader
// saw which session.
type swap struct {
	a, b netip.AddrPort

	mu      sync.Mutex
	readers map[uint64]map[int]int
	slow    chan struct{} // closed at once, or what the reader waits for
}

func (s *swap) Route(reader int, _ time.Time, from netip.AddrPort, packet []byte) netip.AddrPort {
	<-s.slow
	id, _, ok := wire.ParseForward(packet)
	if !ok {
		return netip.AddrPort{}
	}
	s.mu.Lock()
	if s.readers[id] == nil {
		s.readers[id] = map[int]int{}
	}
	s.readers[id][reader]++
	s.mu.Unlock()
	switch from {
	case s.a:
		return s.b
	case s.b:
		return s.a
	}
	return netip.AddrPort{}
}

func framed(session uint64, n uint32, size int) []byte {
	b := make([]byte, size)
	wire.SealForward(b, 0, session, uint64(n), [16]byte{})
	binary.BigEndian.PutUint32(b[wire.ForwardHeaderLen:], n)
	return b
}

func listenIn(t *testing.T, network, address string) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	pc.(*net.UDPConn).SetReadBuffer(4 << 20)
	return pc.(*net.UDPConn)
}

func loop(c *net.UDPConn) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addrPort(c.LocalAddr()).Port())
}

// Readers with sockets of their own forward framing in order and whole, joined
// or single, of many sizes; QUIC and STUN come to the endpoint as before.
func TestForwardReaders(t *testing.T) {
	for _, test := range []struct{ network, address string }{{"udp4", "127.0.0.1:0"}, {"udp", "[::]:0"}} {
		t.Run(test.network, func(t *testing.T) {
			server, addr := echoServer(t, serverKey(t, 1), listenIn(t, test.network, test.address))
			server.c.STUN = true
			a, b := listenIn(t, "udp4", "127.0.0.1:0"), listenIn(t, "udp4", "127.0.0.1:0")
			slow := make(chan struct{})
			r := &swap{a: loop(a), b: loop(b), readers: map[uint64]map[int]int{}, slow: slow}
			if got := server.Forward(2, r); got != 2 {
				t.Fatalf("Forward = %d readers, want 2", got)
			}
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), server.LocalAddr().Port())
			if err := spread(server.c.PacketConn.(*net.UDPConn), 2); err != nil {
				t.Fatal(err)
			}

			// Two sessions, singly and joined, while the readers are held: they
			// find all at once.
			const each = 60
			for n := range uint32(each) {
				for session := range uint64(2) {
					if _, err := a.WriteToUDPAddrPort(framed(session, n, 1200-100*int(n%7/6)), to); err != nil {
						t.Fatal(err)
					}
				}
			}
			var joined []byte
			for n := range uint32(20) {
				joined = append(joined, framed(2, n, 1000)...)
			}
			joined = append(joined, framed(2, 20, 500)...)
			if _, _, err := b.WriteMsgUDPAddrPort(joined, appendSegmentSize(nil, 1000), to); err != nil {
				t.Fatal(err)
			}
			close(slow)

			want := map[uint64]uint32{0: each, 1: each}
			got := map[uint64]uint32{}
			buf := make([]byte, maxDatagram)
			for range 2 * each {
				b.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, from, err := b.ReadFromUDPAddrPort(buf)
				if err != nil {
					t.Fatalf("after %v: %v", got, err)
				}
				id, _, _ := wire.ParseForward(buf[:n])
				seq := binary.BigEndian.Uint32(buf[wire.ForwardHeaderLen:])
				if seq != got[id] || n != 1200-100*int(seq%7/6) || unmap(from) != to {
					t.Fatalf("session %d: packet %d of %d bytes from %v, want %d", id, seq, n, from, got[id])
				}
				got[id]++
			}
			if got[0] != want[0] || got[1] != want[1] {
				t.Errorf("got %v, want %v", got, want)
			}
			for seq := range uint32(21) {
				a.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, _, err := a.ReadFromUDPAddrPort(buf)
				if size := map[bool]int{true: 500, false: 1000}[seq == 20]; err != nil || n != size || binary.BigEndian.Uint32(buf[wire.ForwardHeaderLen:]) != seq {
					t.Fatalf("joined packet %d: %d bytes, %v", seq, n, err)
				}
			}
			r.mu.Lock()
			for id, by := range r.readers {
				if len(by) != 1 || by[int(id%2)] == 0 {
					t.Errorf("session %d was seen by readers %v, want reader %d", id, by, id%2)
				}
			}
			r.mu.Unlock()
			if server.m.stats.segmented.Load() == 0 || server.m.stats.coalesced.Load() == 0 {
				t.Errorf("%d writes split, %d messages joined; want some", server.m.stats.segmented.Load(), server.m.stats.coalesced.Load())
			}

			addr = serverAddr(addr.ID, to)
			c, err := endpoint(t, Config{}).DialServer(withTimeout(t), addr, testALPN)
			if err != nil {
				t.Fatalf("QUIC beside the readers: %v", err)
			}
			s, err := c.OpenStream(withTimeout(t))
			if err != nil {
				t.Fatal(err)
			}
			transfer(t, s)
			txid, request := nat.STUNRequest()
			a.WriteToUDPAddrPort(request, to)
			a.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := a.Read(buf)
			if id, mapped, perr := nat.ParseSTUNResponse(buf[:n]); err != nil || perr != nil || id != txid || mapped != r.a {
				t.Errorf("STUN beside the readers: %v, %v, %v", mapped, err, perr)
			}
			// Nobody gets the port by chance.
			if pc, err := net.ListenPacket(test.network, server.c.PacketConn.LocalAddr().String()); err == nil {
				pc.Close()
				t.Error("a second socket was bound to the port")
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			pc, err := net.ListenPacket(test.network, server.c.PacketConn.LocalAddr().String())
			if err != nil {
				t.Fatalf("Close has left the port in use: %v", err)
			}
			pc.Close()
		})
	}
}

// Little work is one reader's, much is everybody's, and it does not go to and fro
// with each pause.
func TestBalancer(t *testing.T) {
	b := balancer{all: 4, readers: 1}
	var packets int64
	ask := func(perSecond int64, times, want int) {
		t.Helper()
		for range times {
			packets += perSecond / 10
			if got := b.next(packets); got != want {
				t.Fatalf("%d packets a second: %d readers, want %d", perSecond, got, want)
			}
		}
	}
	ask(0, 20, 1)
	ask(spreadAbove-1000, 20, 1)
	ask(spreadAbove, 1, 4)
	ask(gatherBelow, 20, 4)
	ask(0, 9, 4)
	ask(gatherBelow, 1, 4)
	ask(0, 9, 4)
	ask(0, 1, 1)
}

// Without segmentation in the kernel the readers go on one datagram a write.
// A busy reader sleeps as long as ever while there is little, and the less the more
// comes, so that a fast connection's round trip is not made of sleep.
func TestNextPause(t *testing.T) {
	settled := func(rate float64) time.Duration {
		d := forwardPause
		for range 100 {
			// What comes while it sleeps and works.
			gap := d + 100*time.Microsecond
			d = nextPause(d, gap, int64(rate*gap.Seconds()))
		}
		return d
	}
	if got := settled(steadyRate * 0.75); got != forwardPause {
		t.Errorf("at three quarters of the steady rate it sleeps %v, want %v", got, forwardPause)
	}
	before := forwardPause
	for _, rate := range []float64{2, 3, 5} {
		got := settled(rate * steadyRate)
		if got >= before || got < shortPause {
			t.Errorf("at %v times the steady rate it sleeps %v, want less than %v, and %v at least", rate, got, before, shortPause)
		}
		before = got
	}
	if got := settled(100 * steadyRate); got > 2*shortPause {
		t.Errorf("at 100 times the steady rate it sleeps %v, want about %v", got, shortPause)
	}
	// Calm brings the long pause back, also after a gap of none.
	d := nextPause(shortPause, 0, 1000)
	for range 50 {
		d = nextPause(d, time.Second, 1)
	}
	if d < forwardPause*9/10 {
		t.Errorf("after calm it sleeps %v, want about %v", d, forwardPause)
	}
}

func TestForwardWithoutGSO(t *testing.T) {
	server, _ := echoServer(t, serverKey(t, 1), nil)
	to := listenIn(t, "udp4", "127.0.0.1:0")
	f := newForwarder(-1, 0, nil, server.m) // its own writes fail
	f.index = noGroups()
	for n := range uint32(5) {
		f.add(loop(to), framed(1, n, 100))
	}
	if len(f.groups) != 1 || f.groups[0].n != 5 {
		t.Fatalf("groups = %+v, want one of 5", f.groups)
	}
	f.sendSingly(&f.groups[0])
	buf := make([]byte, 2000)
	for n := range uint32(5) {
		to.SetReadDeadline(time.Now().Add(10 * time.Second))
		if k, err := to.Read(buf); err != nil || k != 100 || binary.BigEndian.Uint32(buf[wire.ForwardHeaderLen:]) != n {
			t.Fatalf("packet %d: %d bytes, %v", n, k, err)
		}
	}
	f.segments, f.groups, f.gso = f.segments[:0], f.groups[:0], false
	f.index = noGroups()
	for n := range uint32(5) {
		f.add(loop(to), framed(1, n, 100))
	}
	if len(f.groups) != 5 {
		t.Errorf("%d groups without GSO, want 5", len(f.groups))
	}
	f.add(netip.MustParseAddrPort("[2001:db8::1]:1"), framed(1, 0, 100))
	if len(f.groups) != 5 {
		t.Error("an IPv6 destination on an IPv4 socket")
	}
}

// A socket of another kind has no readers; Config.Forward serves it.
func TestForwardFallsBack(t *testing.T) {
	e := endpoint(t, Config{PacketConn: struct{ net.PacketConn }{udpConn(t)}})
	if got := e.Forward(2, &swap{}); got != 0 {
		t.Errorf("Forward = %d, want 0", got)
	}
	if _, err := shareFD(-1, 1); err == nil {
		t.Error("a socket that is none was shared")
	}
}
