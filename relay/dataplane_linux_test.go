package relay_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Forwarders that are compared, each in a process of its own so that its CPU
// time, all threads and the kernel's share included, is its own.
const (
	planeRelay   = "relay"   // the whole server, with readers of its own
	planePlain   = "plain"   // the same server without them: one packet a call
	planeSyscall = "syscall" // a bare forwarder, one packet a call, no checks
	planeBatch   = "batch"   // the same with recvmmsg and sendmmsg
)

const (
	planeEnv      = "SREMP_TEST_PLANE"
	packetSize    = 1200 + wire.ForwardHeaderLen
	planeSessions = 8
)

// runPlane is the child. Each line on its standard input makes it print its CPU
// time in ns; it ends with the input.
func runPlane(t *testing.T, kind string) {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ok(t, err)
	ok(t, pc.SetReadBuffer(4<<20))
	addr := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	switch kind {
	case planeRelay, planePlain:
		store := must[*sqlite.Store](t)(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "relay.db")))
		defer store.Close()
		s := must[*relay.Server](t)(relay.NewServer(relay.ServerConfig{Key: key, Store: store, Limits: relay.Limits{
			ForwardRate: 1e15, ForwardBurst: 1e15, OwnerRate: 1e15, OwnerBurst: 1e15, PrefixRate: 1e15, PrefixBurst: 1e15,
		}}))
		defer s.Close()
		ep := must[*transport.Endpoint](t)(transport.New(transport.Config{
			PacketConn: pc, ServerKey: key, Forward: s.Forward,
			Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve},
		}))
		defer ep.Close()
		s.SetSend(ep.WritePacket)
		if kind == planeRelay && ep.Forward(1, s) != 1 {
			t.Fatal("no readers")
		}
	case planeSyscall:
		go bareSyscall(pc)
	case planeBatch:
		go bareBatch(pc)
	}
	fmt.Printf("plane %v\n", addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var u syscall.Rusage
		ok(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		fmt.Printf("cpu %d\n", u.Utime.Nano()+u.Stime.Nano())
	}
}

// The bare forwarders learn where packets go from the one that says so: byte 0
// is 0xff and the address follows as text. They are for comparison only.
func bareSyscall(pc *net.UDPConn) {
	b := make([]byte, 65536)
	to := map[uint64]netip.AddrPort{}
	for {
		n, _, err := pc.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if a, isRoute := route(to, b[:n]); isRoute {
			pc.WriteToUDPAddrPort([]byte{1}, a)
		} else if a.IsValid() {
			pc.WriteToUDPAddrPort(b[:n], a)
		}
	}
}

func route(to map[uint64]netip.AddrPort, b []byte) (netip.AddrPort, bool) {
	id, _, isFrame := wire.ParseForward(b)
	if isFrame {
		return to[id], false
	}
	id, _, _ = wire.ParseForward(b[1:])
	a, err := netip.ParseAddrPort(string(b[1+wire.ForwardHeaderLen:]))
	if err == nil {
		to[id] = a
	}
	return a, true
}

func bareBatch(pc *net.UDPConn) {
	batch := ipv4.NewPacketConn(pc)
	in := make([]ipv4.Message, 64)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	to := map[uint64]netip.AddrPort{}
	addrs := map[netip.AddrPort]*net.UDPAddr{}
	out := make([]ipv4.Message, 64)
	for {
		n, err := batch.ReadBatch(in, 0)
		if err != nil {
			return
		}
		k := 0
		for _, m := range in[:n] {
			a, isRoute := route(to, m.Buffers[0][:m.N])
			if isRoute {
				addrs[a] = net.UDPAddrFromAddrPort(a)
				pc.WriteToUDPAddrPort([]byte{1}, a)
				continue
			}
			if addrs[a] == nil {
				continue
			}
			if out[k].Buffers == nil {
				out[k].Buffers = make([][]byte, 1)
			}
			out[k].Buffers[0], out[k].Addr = m.Buffers[0][:m.N], addrs[a]
			k++
		}
		for sent := 0; sent < k; {
			w, err := batch.WriteBatch(out[sent:k], 0)
			if err != nil {
				w = 1 // of one datagram
			}
			sent += w
		}
	}
}

// A plane is a running child with sessions between sockets of ours.
type plane struct {
	t        *testing.T
	in       io.WriteCloser
	out      *bufio.Scanner
	addr     netip.AddrPort
	from     []*net.UDPConn
	legs     []transport.Leg
	sent     []uint64
	received atomic.Int64
}

func startPlane(t *testing.T, kind string) *plane {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestDataPlane$")
	cmd.Env = append(os.Environ(), planeEnv+"="+kind)
	cmd.Stderr = os.Stderr
	p := &plane{t: t, sent: make([]uint64, planeSessions)}
	p.in = must[io.WriteCloser](t)(cmd.StdinPipe())
	p.out = bufio.NewScanner(must[io.ReadCloser](t)(cmd.StdoutPipe()))
	ok(t, cmd.Start())
	t.Cleanup(func() {
		p.in.Close()
		for p.out.Scan() {
		}
		cmd.Wait()
	})
	p.addr = must[netip.AddrPort](t)(netip.ParseAddrPort(p.line("plane ")))
	if kind == planeRelay || kind == planePlain {
		p.joinRelay()
	} else {
		p.joinBare()
	}
	return p
}

func (p *plane) line(prefix string) string {
	for p.out.Scan() {
		if rest, found := strings.CutPrefix(p.out.Text(), prefix); found {
			return rest
		}
	}
	p.t.Fatal("the forwarder has ended")
	return ""
}

func (p *plane) cpu() time.Duration {
	fmt.Fprintln(p.in)
	n := must[int64](p.t)(strconv.ParseInt(p.line("cpu "), 10, 64))
	return time.Duration(n)
}

func (p *plane) socket() *net.UDPConn {
	c := must[*net.UDPConn](p.t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	c.SetReadBuffer(8 << 20)
	p.t.Cleanup(func() { c.Close() })
	return c
}

// drain counts what a socket receives.
func (p *plane) drain(c *net.UDPConn) {
	batch := ipv4.NewPacketConn(c)
	ms := make([]ipv4.Message, 64)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	for {
		n, err := batch.ReadBatch(ms, 0)
		if err != nil {
			return
		}
		p.received.Add(int64(n))
	}
}

// joinRelay opens sessions as owners do, and moves both sides to bare sockets by
// answering the relay's challenges there.
func (p *plane) joinRelay() {
	t := p.t
	addr := identity.ServerAddr{ID: must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff))).ID(), Host: "127.0.0.1", Port: p.addr.Port()}
	a := must[*relay.Client](t)(relay.Dial(timeout(t), endpoint(t, transport.Config{}), addr, owner(t, 1), ""))
	b := must[*relay.Client](t)(relay.Dial(timeout(t), endpoint(t, transport.Config{}), addr, owner(t, 2), ""))
	for range planeSessions {
		la, ticket, err := a.OpenForward(timeout(t))
		ok(t, err)
		lb := must[transport.Leg](t)(b.JoinForward(timeout(t), ticket))
		from, to := p.socket(), p.socket()
		move(t, from, la)
		move(t, to, lb)
		p.from, p.legs = append(p.from, from), append(p.legs, la)
		go p.drain(to)
	}
	for i := range p.sent {
		p.sent[i] = 10
	}
}

// move makes a socket's address the leg's.
func move(t testing.TB, c *net.UDPConn, leg transport.Leg) {
	t.Helper()
	packet := make([]byte, 100)
	b := make([]byte, 2000)
	for n := uint64(1); ; n++ {
		wire.SealForward(packet, leg.Side, leg.Session, n, leg.Key)
		must[int](t)(c.WriteToUDPAddrPort(packet, leg.Server))
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		k, err := c.Read(b)
		if err != nil {
			if n > 8 {
				t.Fatalf("no challenge: %v", err)
			}
			continue
		}
		if ch, isOurs := wire.OpenForwardChallenge(b[:k], leg.Side, leg.Key); isOurs {
			a := wire.ForwardAnswer{Side: leg.Side, Session: leg.Session, Cookie: ch.Cookie, Sent: n, Grant: leg.Grant}
			must[int](t)(c.WriteToUDPAddrPort(a.Append(nil, leg.Key), leg.Server))
			c.SetReadDeadline(time.Time{})
			return
		}
	}
}

func (p *plane) joinBare() {
	for i := range planeSessions {
		from, to := p.socket(), p.socket()
		leg := transport.Leg{Session: uint64(i) << 20}
		b := append(make([]byte, 1+wire.ForwardHeaderLen), to.LocalAddr().String()...)
		wire.SealForward(b[1:], 0, leg.Session, 0, leg.Key)
		b[0] = 0xff
		must[int](p.t)(to.WriteToUDPAddrPort(b, p.addr))
		must[int](p.t)(to.Read(make([]byte, 10)))
		p.from, p.legs = append(p.from, from), append(p.legs, leg)
		go p.drain(to)
	}
}

// load sends total packets at a rate (packets a second; 0: as fast as it goes),
// in bursts of one session after the other, each burst joined if gso is set. It
// returns CPU seconds of the forwarder per million packets received, and packets
// received a second.
func (p *plane) load(total, perSecond, burst int, gso bool) (cpu, pps float64) {
	p.t.Helper()
	before, start, got0 := p.cpu(), time.Now(), p.received.Load()
	var wg sync.WaitGroup
	senders := 1
	if perSecond == 0 {
		senders = 2
	}
	for w := range senders {
		wg.Go(func() {
			buf := make([]byte, burst*packetSize)
			oob := segmentOption(packetSize)
			for n := w; n*burst < total; n += senders {
				i := n % planeSessions
				if perSecond > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(n*burst) * time.Second / time.Duration(perSecond))))
				}
				for k := range burst {
					p.sent[i]++ // of one worker: planeSessions is a multiple of senders
					wire.SealForward(buf[k*packetSize:][:packetSize], p.legs[i].Side, p.legs[i].Session, p.sent[i], p.legs[i].Key)
				}
				if gso {
					p.from[i].WriteMsgUDPAddrPort(buf, oob, p.addr)
					continue
				}
				for k := range burst {
					p.from[i].WriteToUDPAddrPort(buf[k*packetSize:][:packetSize], p.addr)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	// Until nothing has come for a while; on a busy machine the first takes long.
	for last, still := int64(-1), 0; still < 4 || p.received.Load() == got0 && still < 400; time.Sleep(50 * time.Millisecond) {
		if now := p.received.Load(); now != last {
			last, still = now, 0
		} else {
			still++
		}
	}
	got := float64(p.received.Load() - got0)
	if got == 0 {
		p.t.Fatal("nothing was forwarded")
	}
	return (p.cpu() - before).Seconds() / got * 1e6, got / elapsed.Seconds()
}

func segmentOption(size uint16) []byte {
	b := make([]byte, syscall.CmsgSpace(2))
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = syscall.IPPROTO_UDP, 103 // UDP_SEGMENT
	h.SetLen(syscall.CmsgLen(2))
	*(*uint16)(unsafe.Pointer(&b[syscall.CmsgLen(0)])) = size
	return b
}

// TestDataPlane compares forwarders (spec §6.6.6). By itself it shows that all of
// them forward; with SREMP_FIGURES it measures, and prints figures.
func TestDataPlane(t *testing.T) {
	if kind := os.Getenv(planeEnv); kind != "" {
		runPlane(t, kind)
		return
	}
	packets, saturated := 2_000, 4_000
	if os.Getenv("SREMP_FIGURES") != "" {
		packets, saturated = 150_000, 300_000
	}
	type result struct{ single, joined, pps float64 }
	results := map[string]result{}
	for _, kind := range []string{planeSyscall, planeBatch, planePlain, planeRelay} {
		p := startPlane(t, kind)
		var r result
		r.single, _ = p.load(packets, 30_000, 1, false)
		r.joined, _ = p.load(packets, 30_000, 10, true)
		_, r.pps = p.load(saturated, 0, 20, true)
		results[kind] = r
		t.Logf("%s: %.1f CPU s per million at 30 kpps, %.1f joined, %.0f packets a second saturated", kind, r.single, r.joined, r.pps)
	}
	r := results[planeRelay]
	if os.Getenv("SREMP_FIGURES") == "" {
		return
	}
	const rounds = 1_000_000
	b := make([]byte, packetSize)
	var key [16]byte
	start := time.Now()
	for n := range uint64(rounds) {
		wire.SealForward(b, 0, 1, n, key)
		wire.OpenForward(b, 0, key, n)
	}
	mac := time.Since(start).Seconds() / rounds * 1e6
	fmt.Printf("figure: relay.2.mac %.4f ratio %.3f of %.2f CPU s per million packets: both hashes of a packet, of the whole relay's time with GSO senders\n", mac/r.joined, mac, r.joined)
	for _, against := range []string{planeSyscall, planeBatch, planePlain} {
		o := results[against]
		fmt.Printf("figure: relay.1.cpu_of_%s %.3f ratio %.2f against %.2f CPU s per million of single packets\n", against, r.single/o.single, r.single, o.single)
		fmt.Printf("figure: relay.1.cpu_joined_of_%s %.3f ratio %.2f against %.2f CPU s per million of GSO senders' packets\n", against, r.joined/o.joined, r.joined, o.joined)
		fmt.Printf("figure: relay.1.saturated_of_%s %.2f ratio %.0f against %.0f packets/s with GSO senders\n", against, r.pps/o.pps, r.pps, o.pps)
	}
}
