package relay_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	planeBatch   = "raw"     // the same with recvmmsg and sendmmsg
	planeCoturn  = "coturn"  // Debian's coturn, ChannelData
	planePion    = "pion"    // pion/turn (bench/turn), ChannelData
)

const (
	planeEnv      = "SREMP_TEST_PLANE"
	payloadSize   = 1200
	planeSessions = 8
)

// runPlane is the child; it ends with its standard input.
func runPlane(t *testing.T, kind string) {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ok(t, err)
	defer pc.Close() // ends the bare forwarders, for which the process would wait
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
		runtime.GOMAXPROCS(2 * runtime.NumCPU()) // as the server does
		if n := runtime.NumCPU(); kind == planeRelay && ep.Forward(n, s) != n {
			t.Fatal("no readers")
		}
	case planeSyscall:
		go bareSyscall(pc)
	case planeBatch:
		go bareBatch(pc)
	}
	fmt.Printf("plane %v\n", addr)
	io.Copy(io.Discard, os.Stdin)
}

// A plane is a running forwarder with sessions between sockets of ours.
type plane struct {
	t        *testing.T
	cmd      *exec.Cmd
	addr     netip.AddrPort // where packets go
	header   int            // bytes before the payload
	seal     func(session int, packet []byte)
	from     []*net.UDPConn
	received atomic.Int64
}

// startPlane starts a forwarder, or returns nil if it is one of others' and not
// installed.
func startPlane(t *testing.T, kind string) *plane {
	t.Helper()
	p := &plane{t: t}
	switch kind {
	case planeCoturn:
		path, err := exec.LookPath("turnserver")
		if err != nil {
			t.Log("coturn is not installed: it is left out")
			return nil
		}
		p.startCoturn(path)
	case planePion:
		bin := filepath.Join(t.TempDir(), "turn")
		build := exec.Command("go", "build", "-o", bin, ".")
		build.Dir = "../bench/turn"
		if out, err := build.CombinedOutput(); err != nil {
			t.Logf("pion/turn cannot be built: it is left out: %v\n%s", err, out)
			return nil
		}
		p.start(exec.Command(bin))
	default:
		cmd := exec.Command(os.Args[0], "-test.run", "^TestDataPlane$")
		cmd.Env = append(os.Environ(), planeEnv+"="+kind)
		p.start(cmd)
	}
	switch kind {
	case planeRelay, planePlain:
		p.joinRelay()
	case planeCoturn, planePion:
		p.joinTURN()
	default:
		p.joinBare()
	}
	return p
}

// start runs a child that prints where it listens.
func (p *plane) start(cmd *exec.Cmd) {
	t := p.t
	cmd.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	out := bufio.NewScanner(must[io.ReadCloser](t)(cmd.StdoutPipe()))
	ok(t, cmd.Start())
	p.cmd = cmd
	t.Cleanup(func() {
		in.Close()
		for out.Scan() {
		}
		cmd.Wait()
	})
	for out.Scan() {
		if rest, found := strings.CutPrefix(out.Text(), "plane "); found {
			p.addr = must[netip.AddrPort](t)(netip.ParseAddrPort(rest))
			return
		}
	}
	t.Fatal("the forwarder has ended")
}

// cpu returns what the process has used, in user mode and in the kernel.
func (p *plane) cpu() time.Duration {
	b := must[[]byte](p.t)(os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)))
	_, rest, _ := strings.Cut(string(b), ") ") // after the name, which may have spaces
	f := strings.Fields(rest)
	user, system := must[int64](p.t)(strconv.ParseInt(f[11], 10, 64)), must[int64](p.t)(strconv.ParseInt(f[12], 10, 64))
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ
}

func (p *plane) socket() *net.UDPConn {
	c := must[*net.UDPConn](p.t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	c.SetReadBuffer(8 << 20)
	p.t.Cleanup(func() { c.Close() })
	return c
}

// drain counts what a socket receives. It takes joined datagrams, as clients do.
func (p *plane) drain(c *net.UDPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		// Where the kernel has none, all come singly.
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_UDP, udpGRO, 1) })
	}
	batch := ipv4.NewPacketConn(c)
	ms := make([]ipv4.Message, 64)
	for i := range ms {
		ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, 1<<16)}, make([]byte, 64)
	}
	for {
		n, err := batch.ReadBatch(ms, 0)
		if err != nil {
			return
		}
		for _, m := range ms[:n] {
			size := m.N
			if s := joinedSize(m.OOB[:m.NN]); s > 0 {
				size = s
			}
			p.received.Add(int64((m.N + size - 1) / max(size, 1)))
		}
	}
}

// Options of udp(7).
const (
	udpSegment = 103
	udpGRO     = 104
)

// joinedSize returns the size of each datagram of a message that the kernel has
// joined, 0 if it is one.
func joinedSize(oob []byte) int {
	if len(oob) < syscall.CmsgLen(4) {
		return 0
	}
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&oob[0]))
	if h.Level != syscall.IPPROTO_UDP || h.Type != udpGRO {
		return 0
	}
	return int(binary.NativeEndian.Uint32(oob[syscall.CmsgLen(0):]))
}

// joinRelay opens sessions as owners do, and moves both sides to bare sockets by
// answering the relay's challenges there.
func (p *plane) joinRelay() {
	t := p.t
	addr := identity.ServerAddr{ID: must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff))).ID(), Host: "127.0.0.1", Port: p.addr.Port()}
	a := must[*relay.Client](t)(relay.Dial(timeout(t), endpoint(t, transport.Config{}), addr, owner(t, 1), ""))
	b := must[*relay.Client](t)(relay.Dial(timeout(t), endpoint(t, transport.Config{}), addr, owner(t, 2), ""))
	var legs []transport.Leg
	for range planeSessions {
		la, ticket, err := a.OpenForward(timeout(t))
		ok(t, err)
		lb := must[transport.Leg](t)(b.JoinForward(timeout(t), ticket))
		from, to := p.socket(), p.socket()
		move(t, from, la)
		move(t, to, lb)
		p.from, legs = append(p.from, from), append(legs, la)
		go p.drain(to)
	}
	var sent [planeSessions]uint64
	p.header = wire.ForwardHeaderLen
	p.seal = func(i int, packet []byte) {
		sent[i]++
		wire.SealForward(packet, legs[i].Side, legs[i].Session, 10+sent[i], legs[i].Key)
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
			if n > 99 {
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
	p.header = wire.ForwardHeaderLen
	p.seal = func(i int, packet []byte) { wire.SealForward(packet, 0, uint64(i)<<20, 0, [16]byte{}) }
	for i := range planeSessions {
		from, to := p.socket(), p.socket()
		b := append(make([]byte, 1+wire.ForwardHeaderLen), to.LocalAddr().String()...)
		p.seal(i, b[1:])
		b[0] = 0xff
		must[int](p.t)(to.WriteToUDPAddrPort(b, p.addr))
		must[int](p.t)(to.Read(make([]byte, 10)))
		p.from = append(p.from, from)
		go p.drain(to)
	}
}

// A load is how packets are sent.
type load struct {
	name      string
	packets   int
	perSecond int // 0: as fast as it goes
	burst     int // packets of one session in a row
	gso       bool
}

// run sends a load and returns CPU seconds of the forwarder per million packets
// received, and packets received a second.
func (p *plane) run(l load) (cpu, pps float64) {
	p.t.Helper()
	before, start, got0 := p.cpu(), time.Now(), p.received.Load()
	var wg sync.WaitGroup
	senders := 1
	if l.perSecond == 0 {
		senders = 2
	}
	size := p.header + payloadSize
	for w := range senders {
		wg.Go(func() {
			buf := make([]byte, l.burst*size)
			oob := segmentOption(uint16(size))
			for n := w; n*l.burst < l.packets; n += senders {
				i := n % planeSessions // of one worker: planeSessions is a multiple of senders
				if l.perSecond > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(n*l.burst) * time.Second / time.Duration(l.perSecond))))
				}
				for k := range l.burst {
					p.seal(i, buf[k*size:][:size])
				}
				if l.gso {
					p.from[i].WriteMsgUDPAddrPort(buf, oob, p.addr)
					continue
				}
				for k := range l.burst {
					p.from[i].WriteToUDPAddrPort(buf[k*size:][:size], p.addr)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	// Until all have come or nothing has for a while; on a busy machine the first takes long.
	sent := int64((l.packets + l.burst - 1) / l.burst * l.burst)
	for last, still := int64(-1), 0; p.received.Load() < got0+sent && (still < 4 || p.received.Load() == got0 && still < 2400); time.Sleep(50 * time.Millisecond) {
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
	h.Level, h.Type = syscall.IPPROTO_UDP, udpSegment
	h.SetLen(syscall.CmsgLen(2))
	*(*uint16)(unsafe.Pointer(&b[syscall.CmsgLen(0)])) = size
	return b
}

// TestDataPlane compares forwarders (spec §6.6.6): the relay with others that
// stand ready on loopback, in turns. By itself it shows that all of them forward;
// with SREMP_FIGURES it measures, and prints medians of the turns.
func TestDataPlane(t *testing.T) {
	if kind := os.Getenv(planeEnv); kind != "" {
		runPlane(t, kind)
		return
	}
	figures := os.Getenv("SREMP_FIGURES") != ""
	turns, scale := 1, 1
	if figures {
		turns, scale = 3, 400
	}
	loads := []load{
		{"spread", 200 * scale, 30_000, 1, false}, // each packet of another session than the last
		{"plain", 200 * scale, 30_000, 10, false}, // ten of a session, as QUIC's pacing sends them
		{"gso", 200 * scale, 30_000, 10, true},    // the same in one call
		{"saturated", 400 * scale, 0, 20, true},   // as fast as it goes
	}
	type results struct{ cpu, pps []float64 }
	got := map[string]map[string]*results{}
	planes := map[string]*plane{}
	kinds := []string{planeRelay, planePlain, planeSyscall, planeBatch}
	if figures {
		kinds = append(kinds, planeCoturn, planePion)
	}
	for _, kind := range kinds {
		if p := startPlane(t, kind); p != nil {
			planes[kind], got[kind] = p, map[string]*results{}
		}
	}
	for range turns {
		for _, l := range loads {
			for _, kind := range kinds {
				p := planes[kind]
				if p == nil {
					continue
				}
				cpu, pps := p.run(l)
				if got[kind][l.name] == nil {
					got[kind][l.name] = &results{}
				}
				r := got[kind][l.name]
				r.cpu, r.pps = append(r.cpu, cpu), append(r.pps, pps)
			}
		}
	}
	if !figures {
		return
	}
	own := got[planeRelay]
	goal := map[string]string{planeCoturn: ", at most 0.7", planePion: ", at most 0.5", planeBatch: ", at most 1"}
	for _, kind := range kinds[1:] {
		o := got[kind]
		if o == nil {
			continue
		}
		for _, l := range loads[:3] {
			a, b, g := median(own[l.name].cpu), median(o[l.name].cpu), ""
			if l.name == "plain" {
				g = goal[kind]
			}
			fmt.Printf("figure: relay.1.cpu_%s_of_%s %.3f ratio %.2f against %.2f CPU s per million packets%s\n", l.name, kind, a/b, a, b, g)
		}
		a, b, g := median(own["saturated"].pps), median(o["saturated"].pps), ""
		if kind == planeCoturn {
			g = ", at least 2"
		}
		fmt.Printf("figure: relay.1.saturated_of_%s %.2f ratio %.0f against %.0f packets/s with GSO senders%s\n", kind, a/b, a, b, g)
	}
	mac := macCost()
	fmt.Printf("figure: relay.2.mac %.4f ratio %.3f of %.2f CPU s per million packets: both MACs of a packet, of the whole relay's time with GSO senders; at most 0.05\n",
		mac/median(own["gso"].cpu), mac, median(own["gso"].cpu))
}

// macCost returns the time of the MACs of one packet, in and out, in µs.
func macCost() float64 {
	const rounds = 1_000_000
	b := make([]byte, wire.ForwardHeaderLen+payloadSize)
	var key [16]byte
	start := time.Now()
	for n := range uint64(rounds) {
		wire.SealForward(b, 0, 1, n, key)
		wire.OpenForward(b, 0, key, n)
	}
	return time.Since(start).Seconds() / rounds * 1e6
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}
