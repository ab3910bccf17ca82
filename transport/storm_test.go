package transport

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// A deafConn counts what comes, and lets nobody have it: whoever writes from it
// has an address at which he hears nothing.
type deafConn struct {
	net.PacketConn
	sent, got atomic.Int64
}

func (c *deafConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, _, err := c.PacketConn.ReadFrom(b)
		if err != nil {
			return 0, nil, err
		}
		c.got.Add(int64(n))
	}
}

func (c *deafConn) WriteTo(b []byte, to net.Addr) (int, error) {
	c.sent.Add(int64(len(b)))
	return c.PacketConn.WriteTo(b, to)
}

// Negative test 15: a connection that nobody has authenticated probes path after
// path from addresses that may be anybody's, with a connection id used up by each.
// No address gets more bytes than it seemed to send, memory stays flat, and others
// are served.
func TestPathChallengeStorm(t *testing.T) {
	paths := 200
	if testing.Short() {
		paths = 40
	}
	key := serverKey(t, 1)
	server, addr := echoServer(t, key, listenLoopback(t))
	evil := endpoint(t, Config{PacketConn: listenLoopback(t)})
	q, err := evil.main.Dial(withTimeout(t), net.UDPAddrFromAddrPort(server.LocalAddr()), clientTLS(testALPN), quicConfig())
	if err != nil {
		t.Fatal(err)
	}
	// It says as much as keeps it: the first bytes of a handshake.
	s, err := q.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := heap()
	var all []*deafConn
	probed := 0
	for range paths {
		c := &deafConn{PacketConn: listenLoopback(t)}
		tr := &quic.Transport{Conn: c}
		t.Cleanup(func() { tr.Close() }) // not before: it would end the connection
		p, err := q.AddPath(tr)
		if err != nil || q.Context().Err() != nil {
			break // the server has closed the connection: its handshake took too long
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_ = p.Probe(ctx) // nobody hears the answer
		cancel()
		_ = p.Close() // a failed one has nothing to give back
		all = append(all, c)
	}
	for _, c := range all {
		if c.got.Load() > c.sent.Load() {
			t.Errorf("%d bytes to an address that had sent %d", c.got.Load(), c.sent.Load())
		}
		if c.sent.Load() > 0 {
			probed++
		}
	}
	if probed < paths/4 {
		t.Fatalf("only %d of %d paths were probed: the test shows nothing", probed, paths)
	}
	other, err := endpoint(t, Config{}).DialServer(withTimeout(t), addr, testALPN)
	if err != nil {
		t.Fatalf("another client is not served: %v", err)
	}
	stream, err := other.OpenStream(withTimeout(t))
	if err != nil {
		t.Fatal(err)
	}
	transfer(t, stream)
	if after := heap(); after > before+8<<20 {
		t.Errorf("memory grew from %d to %d KiB in a storm of %d paths", before>>10, after>>10, probed)
	}
	t.Logf("%d paths probed", probed)
}

func listenLoopback(t *testing.T) net.PacketConn {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}
