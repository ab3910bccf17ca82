package transport

import (
	"context"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/wire"
)

// A bulk is one way to move many bytes between two ends of this process, over
// real loopback.
type bulk struct {
	name string
	open func(ctx context.Context) (io.WriteCloser, error)
	read func(ctx context.Context) (io.Reader, error)
	cpu  []float64 // ns a byte, of both ends and what is between
	rate []float64 // bytes a second
}

// bulkSize is moved at once: long enough that slow start does not count.
const bulkSize = 96 << 20

// run moves bulkSize bytes.
func (b *bulk) run(t testing.TB, ctx context.Context) {
	t.Helper()
	before, start := cpuTime(), time.Now()
	done := make(chan error, 1)
	go func() {
		w, err := b.open(ctx)
		if err == nil {
			chunk := make([]byte, 64<<10)
			for n := 0; n < bulkSize && err == nil; n += len(chunk) {
				_, err = w.Write(chunk)
			}
			w.Close()
		}
		done <- err
	}()
	r, err := b.read(ctx)
	if err != nil {
		t.Fatalf("%s: %v", b.name, err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	if err := <-done; err != nil {
		t.Fatalf("%s: sending: %v", b.name, err)
	}
	if err != nil || n != bulkSize {
		t.Fatalf("%s: %d bytes arrived, %v; want %d", b.name, n, err, bulkSize)
	}
	b.cpu = append(b.cpu, float64(cpuTime()-before)/bulkSize)
	b.rate = append(b.rate, bulkSize/time.Since(start).Seconds())
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// plainQUIC is quic-go by itself on two sockets.
func plainQUIC(b *testing.B) *bulk {
	cert, err := throwAwayCertificate()
	if err != nil {
		b.Fatal(err)
	}
	conf := clientTLS(testALPN)
	conf.Certificates = append(conf.Certificates, cert)
	qc := &quic.Config{MaxIncomingStreams: maxStreams}
	server := &quic.Transport{Conn: udpConn(b)}
	client := &quic.Transport{Conn: udpConn(b)}
	ln, err := server.Listen(conf, qc)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close(); server.Close(); client.Conn.Close(); server.Conn.Close() })
	accepted := make(chan *quic.Conn, 1)
	go func() {
		if c, err := ln.Accept(context.Background()); err == nil {
			accepted <- c
		}
	}()
	c, err := client.Dial(b.Context(), server.Conn.LocalAddr(), conf, qc)
	if err != nil {
		b.Fatal(err)
	}
	s := <-accepted
	return &bulk{
		name: "plain quic-go",
		open: func(ctx context.Context) (io.WriteCloser, error) { return c.OpenStreamSync(ctx) },
		read: func(ctx context.Context) (io.Reader, error) { return s.AcceptStream(ctx) },
	}
}

// ours is a connection of peers.
func ours(b *testing.B, name string, from, to *PeerConn) *bulk {
	return &bulk{
		name: name,
		open: func(ctx context.Context) (io.WriteCloser, error) { return from.OpenStream(ctx) },
		read: func(ctx context.Context) (io.Reader, error) { return to.AcceptStream(ctx) },
	}
}

// A sealRouter is a relay's decision about one session: it opens, checks and seals
// anew, in place.
type sealRouter struct {
	keys    [2][16]byte
	sides   [2]netip.AddrPort
	mu      sync.Mutex
	windows [2]wire.ReplayWindow
	sent    [2]uint64
}

func (r *sealRouter) Route(_ int, _ time.Time, _ netip.AddrPort, packet []byte) netip.AddrPort {
	session, side, ok := wire.ParseForward(packet)
	if !ok || session != testSession || side > 1 {
		return netip.AddrPort{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	counter, _, ok := wire.OpenForward(packet, side, r.keys[side], r.windows[side].Largest())
	if !ok || !r.windows[side].Check(counter) {
		return netip.AddrPort{}
	}
	r.windows[side].Commit(counter)
	to := 1 - side
	r.sent[to]++
	wire.SealForward(packet, to|wire.ForwardFromRelay, session, r.sent[to], r.keys[to])
	return r.sides[to]
}

// relayedBulk is a connection of peers through the data plane of a relay in this
// process.
func relayedBulk(b *testing.B, ea, eb *Endpoint, aa, ab Attempt) *bulk {
	r := &sealRouter{keys: [2][16]byte{{1}, {2}}, sides: [2]netip.AddrPort{ea.LocalAddr(), eb.LocalAddr()}}
	relay := endpoint(b, Config{ServerKey: serverKey(b, 1), Services: map[string]func(context.Context, *Conn){testALPN: echo}})
	if relay.Forward(1, r) == 0 {
		b.Skip("no data plane here")
	}
	leg := func(side uint8) *Leg {
		return &Leg{Server: relay.LocalAddr(), Session: testSession, Side: side, Key: r.keys[side]}
	}
	aa.Relay, aa.RelayOnly, ab.Relay, ab.RelayOnly = leg(0), true, leg(1), true
	x, y := connect(b, b.Context(), ea, aa, eb, ab)
	return ours(b, "relayed", x, y)
}

// BenchmarkBulk moves bytes over a direct path, through a relay, and over quic-go
// by itself, in turns within one run. CPU is that of the whole process: both ends,
// and the relay between them.
//
// A relay is a process of its own. Its busy reader takes one of its GOMAXPROCS, also
// asleep; here it must not take it from the ends.
func BenchmarkBulk(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + 1))
	ctx := b.Context()
	ann, bob := pair(b)
	ea, eb := endpoint(b, Config{Identity: ann}), endpoint(b, Config{Identity: bob})
	x, y := connect(b, ctx,
		ea, Attempt{Peer: bob.PeerID(), ProbeKey: [32]byte{7}, Remote: eb.Gather(ctx, nil)},
		eb, Attempt{Peer: ann.PeerID(), ProbeKey: [32]byte{7}, Remote: ea.Gather(ctx, nil)})
	ec, ed := endpoint(b, Config{Identity: ann}), endpoint(b, Config{Identity: bob})
	ways := []*bulk{plainQUIC(b), ours(b, "direct", x, y), relayedBulk(b, ec, ed, Attempt{Peer: bob.PeerID()}, Attempt{Peer: ann.PeerID()})}
	for _, w := range ways {
		w.run(b, ctx) // warm: windows, MTU
		w.cpu, w.rate = nil, nil
	}
	for b.Loop() {
		for _, w := range ways {
			w.run(b, ctx)
		}
	}
	plain, direct, relayed := ways[0], ways[1], ways[2]
	ratio := func(a, b []float64) float64 {
		r := make([]float64, len(a))
		for i := range r {
			r[i] = a[i] / b[i]
		}
		return middle(r)
	}
	cpu := ratio(direct.cpu, plain.cpu)
	b.ReportMetric(middle(direct.cpu), "ns/byte")
	b.ReportMetric(cpu, "x-plain-cpu")
	b.Logf("figure: paths.4.direct_cpu %.3f x-plain-quic-go at most 1.0, 0.85 with own GRO read; median of %d turns, both ends", cpu, len(direct.cpu))
	b.Logf("figure: paths.4.direct_rate %.3f x-plain-quic-go %.0f Mbit/s", ratio(direct.rate, plain.rate), middle(direct.rate)*8/1e6)
	b.Logf("figure: paths.4.relayed_rate %.3f x-direct at least 0.85; one relay on the same processors, %.0f Mbit/s", ratio(relayed.rate, direct.rate), middle(relayed.rate)*8/1e6)
	b.Logf("figure: paths.4.relayed_cpu %.3f x-direct at most 1.2; both ends and the relay", ratio(relayed.cpu, direct.cpu))
}
