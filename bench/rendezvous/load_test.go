package rendezvous_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/sqlite"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// size is a number of the lab: small in a test run, large when figures are made
// (make rendezvous-figures), or as the environment says.
func size(name string, small, large int) int {
	n := small
	if os.Getenv("SREMP_LAB") != "" {
		n = large
	}
	if v, err := strconv.Atoi(os.Getenv("SREMP_LAB_" + name)); err == nil {
		n = v
	}
	return n
}

func figure(t testing.TB, name string, value float64, unit, against string) {
	t.Helper()
	fmt.Printf("figure: rendezvous.%s %.4g %s %s\n", name, value, unit, against)
}

func certificate() (tls.Certificate, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, k.Public(), k)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, err
}

func endpoint(t testing.TB) *transport.Endpoint {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ep, err := transport.New(transport.Config{PacketConn: pc})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	return ep
}

func person(t testing.TB) *identity.Local {
	t.Helper()
	l, _, err := identity.NewLocal("Ada Lovelace", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fill makes a file of n records, under names that nobody looks up but this
// process: it has no keys for a million people, and the server needs none.
func fill(t testing.TB, path string, n int) {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	const hands = 256
	sealed := make([]byte, wire.MinRendezvousSealed)
	rand.Read(sealed)
	until := time.Now().Add(24 * time.Hour)
	var wg sync.WaitGroup
	for h := range hands {
		wg.Go(func() {
			for i := h; i < n; i += hands {
				if err := st.Put(t.Context(), rendezvous.StoredRecord{Blinded: name(uint64(i)), Sealed: sealed, Expires: until}, n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// name is as random as a key, and found again.
func name(i uint64) (b [32]byte) {
	x := i
	for j := range 4 {
		x += 0x9e3779b97f4a7c15
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(b[8*j:], z^z>>31)
	}
	return b
}

// A raw client speaks the frames, without sealing and opening: the load shall
// cost the generator as little as can be.
type raw struct {
	conn *transport.Conn
	st   *transport.Stream
}

func dialRaw(ctx context.Context, ep *transport.Endpoint, a identity.ServerAddr) (*raw, error) {
	conn, err := ep.DialServer(ctx, a, rendezvous.ALPN)
	if err != nil {
		return nil, err
	}
	st, err := conn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	r := &raw{conn, st}
	_, err = r.ask(wire.FrameRendezvousHello, wire.RendezvousHello{Version: 1}.Append(nil))
	return r, err
}

func (r *raw) ask(typ uint16, payload []byte) ([]byte, error) {
	if err := transport.WriteFrame(r.st, typ, payload); err != nil {
		return nil, err
	}
	_, b, err := transport.ReadFrame(r.st, wire.MaxRendezvousFrame)
	return b, err
}

// A load is what lookups made of a server.
type load struct {
	times []time.Duration // sorted
	wall  time.Duration
	cpu   time.Duration // of the server
}

func (l load) rate() float64 { return float64(len(l.times)) / l.wall.Seconds() }

// lookups asks p for random names over conns for d, ahead at a time on each
// connection. With a rate, in all a second, the moments are fixed, and how long a
// lookup took counts from its moment, also if the one before was late; without,
// the next one follows the answer.
func lookups(t testing.TB, p *process, conns []*raw, ahead, records int, d time.Duration, rate float64) (l load) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	_, before := p.usage("cpu")
	start := time.Now()
	end := start.Add(d)
	pause := time.Duration(0)
	if rate > 0 {
		pause = time.Duration(float64(len(conns)) / rate * 1e9)
	}
	for i, r := range conns {
		wg.Go(func() {
			var mine []time.Duration
			asked := make([]time.Time, 0, ahead)
			next := start.Add(pause * time.Duration(i) / time.Duration(len(conns)))
			for n := uint64(i); ; n += 7919 {
				began := time.Now()
				if pause > 0 {
					time.Sleep(time.Until(next))
					began, next = next, next.Add(pause)
				}
				over := began.After(end)
				if !over {
					if err := transport.WriteFrame(r.st, wire.FrameRendezvousLookup, wire.RendezvousLookup{Blinded: name(n * 104729 % uint64(records))}.Append(nil)); err != nil {
						t.Error(err)
						return
					}
					asked = append(asked, began)
				}
				for len(asked) > 0 && (over || len(asked) == ahead) {
					if err := r.found(); err != nil {
						t.Error(err)
						return
					}
					mine = append(mine, time.Since(asked[0]))
					asked = append(asked[:0], asked[1:]...)
				}
				if over {
					break
				}
			}
			mu.Lock()
			l.times = append(l.times, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	l.wall = time.Since(start)
	_, after := p.usage("cpu")
	l.cpu = after - before
	slices.Sort(l.times)
	if len(l.times) == 0 {
		t.Fatal("no lookups")
	}
	return l
}

// found reads the answer to a lookup of what is there.
func (r *raw) found() error {
	_, b, err := transport.ReadFrame(r.st, wire.MaxRendezvousFrame)
	if err != nil {
		return err
	}
	if x, err := wire.ParseRendezvousFound(b); err != nil || x.Status != wire.RendezvousOK {
		return fmt.Errorf("status %d, %v", x.Status, err)
	}
	return nil
}

func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[int(q*float64(len(times)-1))].Microseconds()) / 1000
}

// Figure 1: lookups in a file of a million records.
func TestLookups(t *testing.T) {
	records := size("RECORDS", 2000, 1_000_000)
	file := filepath.Join(t.TempDir(), "r.db")
	fill(t, file, records)
	p := start(t, "sremp", "127.0.0.1:0", file)
	ep := endpoint(t)
	var conns []*raw
	for range size("LOOKUP_CONNS", 4, 64) {
		r, err := dialRaw(t.Context(), ep, p.addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, r)
	}
	d := time.Duration(size("SECONDS", 1, 10)) * time.Second / 2
	what := fmt.Sprintf("%d records on disk, %d connections, loopback, %s", records, len(conns), cores())
	lookups(t, p, conns, 1, records, d/2, 0) // warm
	one := lookups(t, p, conns, 1, records, d, 0)
	cpu := one.cpu.Seconds() / float64(len(one.times))
	figure(t, "1.lookups_per_second", one.rate(), "1/s", "goal 20000, or what the generator can; one at a time on each connection; "+what)
	figure(t, "1.lookup_cpu", cpu*1e6, "µs", "of the server, its kernel time included; "+what)
	figure(t, "1.lookups_per_core_second", 1/cpu, "1/s", "1 / CPU per lookup; goal 20000; "+what)
	const ahead = 8
	many := lookups(t, p, conns, ahead, records, d, 0)
	figure(t, "1.lookups_per_second_ahead", many.rate(), "1/s", fmt.Sprintf("goal 20000; %d at a time on each connection, as when a client begins; %s", ahead, what))
	figure(t, "1.lookup_cpu_ahead", many.cpu.Seconds()/float64(len(many.times))*1e6, "µs", "the same")

	rate := 20000.0
	against := "goal 5; at 20000/s"
	if rate > 0.9*one.rate() {
		rate = 0.8 * one.rate()
		against = fmt.Sprintf("goal 5 at 20000/s, which is too near the highest rate here; at %.0f/s", rate)
	}
	steady := lookups(t, p, conns, 1, records, d, rate)
	figure(t, "1.lookup_p50", quantile(steady.times, 0.5), "ms", against+"; "+what)
	figure(t, "1.lookup_p99", quantile(steady.times, 0.99), "ms", against+"; "+what)
	memory, _ := p.usage("memory")
	figure(t, "1.memory", float64(memory)/1e6, "MB", "goal 600, or on disk; resident but for mapped files; "+what)
}

// Figure 2: what a registration and a renewal cost, against ed25519.Verify.
func TestRegistrations(t *testing.T) {
	n := size("REGISTRATIONS", 20, 2000)
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sig := ed25519.Sign(priv, pub)
	began := cpuTime(t)
	for range n {
		if !ed25519.Verify(pub, pub, sig) {
			t.Fatal("no signature")
		}
	}
	verify := (cpuTime(t) - began).Seconds() / float64(n)

	p := start(t, "sremp", "127.0.0.1:0", "")
	// Many at once, as on a busy server: a packet's cost is shared.
	const conns, hands = 8, 8
	var clients []*rendezvous.Client
	ep := endpoint(t)
	for range conns {
		c, err := rendezvous.Dial(t.Context(), ep, p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	cost := func(f func(*rendezvous.Client) error) float64 {
		t.Helper()
		_, before := p.usage("cpu")
		var wg sync.WaitGroup
		for i := range conns * hands {
			wg.Go(func() {
				for range max(1, n/(conns*hands)) {
					if err := f(clients[i%conns]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		_, after := p.usage("cpu")
		return (after - before).Seconds() / float64(conns*hands*max(1, n/(conns*hands)))
	}
	people := make([]*identity.Local, conns)
	for i := range people {
		people[i] = person(t)
	}
	register := func(c *rendezvous.Client) error {
		l := people[slices.Index(clients, c)]
		return c.Register(t.Context(), time.Now(), l, [32]byte{1}, rendezvous.Content{Record: l.Record()}, 0)
	}
	one := cost(register) / 2 // two names each
	renew := cost(func(c *rendezvous.Client) error { _, err := c.Renew(t.Context()); return err })
	look := cost(func(c *rendezvous.Client) error {
		_, _, err := c.Lookup(t.Context(), time.Now(), people[0].PeerID(), [32]byte{})
		if errors.Is(err, rendezvous.ErrNotFound) {
			return nil
		}
		return err
	})
	figure(t, "2.verify_cpu", verify*1e6, "µs", "ed25519.Verify")
	figure(t, "2.registration_cpu", one*1e6, "µs", "of the server for one name, QUIC and kernel included, 64 at once, memory store")
	figure(t, "2.registration_ratio", one/verify, "x", "goal 1.5; against ed25519.Verify")
	figure(t, "2.renewal_cpu", renew*1e6, "µs", "of the server for all names of a connection, QUIC and kernel included, 64 at once")
	figure(t, "2.renewal_ratio", 2*one/renew, "x", "cheaper than the two registrations that it renews; goal 10")
	figure(t, "2.request_cpu", look*1e6, "µs", "of the server for a lookup of nothing, 64 at once: what any request costs")
}

// Figure 3: connections that are only open.
func TestConnections(t *testing.T) {
	n := size("CONNS", 50, 10_000)
	sremp := start(t, "sremp", "127.0.0.1:0", "")
	empty, _ := sremp.usage("memory")
	ep := endpoint(t)
	var pools []*rendezvous.Pool
	var refused atomic.Int64
	dial := func(ctx context.Context, a identity.ServerAddr) (*rendezvous.Client, error) {
		c, err := rendezvous.Dial(ctx, ep, a)
		if err != nil && ctx.Err() == nil {
			refused.Add(1)
		}
		return c, err
	}
	defer func() {
		for _, p := range pools {
			p.Close()
		}
	}()
	var up atomic.Int64
	connected := func() int { return int(up.Load()) }
	for range n {
		var stood bool // of the pool's one goroutine
		p := rendezvous.NewPool(rendezvous.PoolConfig{
			Dial: dial,
			Up:   func(identity.ServerAddr, *rendezvous.Client) { stood = true; up.Add(1) },
			Down: func(identity.ServerAddr, error) {
				if stood {
					stood = false
					up.Add(-1)
				}
			},
		})
		p.Use(sremp.addr)
		pools = append(pools, p)
		for len(pools)-connected() > 32 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	for connected() < n {
		time.Sleep(10 * time.Millisecond)
	}
	full, _ := sremp.usage("memory")
	ours := float64(full-empty) / float64(n)

	plain := start(t, "quic", "127.0.0.1:0", "")
	empty, _ = plain.usage("memory")
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	tr := &quic.Transport{Conn: pc}
	defer tr.Close()
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(plain.addr.Port)}
	for range n {
		if _, err := tr.Dial(t.Context(), to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"lab"}}, quicConfig()); err != nil {
			t.Fatal(err)
		}
	}
	full, _ = plain.usage("memory")
	theirs := float64(full-empty) / float64(n)
	plain.stop()
	what := fmt.Sprintf("resident memory of the server, %d connections, %s", n, cores())
	figure(t, "3.connection_memory", ours/1000, "kB", what)
	figure(t, "3.quic_memory", theirs/1000, "kB", "quic-go with nothing on it; "+what)
	figure(t, "3.memory_ratio", ours/theirs, "x", "goal 1.3; "+what)

	at := net.JoinHostPort(sremp.addr.Host, strconv.Itoa(int(sremp.addr.Port)))
	sremp.stop()
	start(t, "sremp", at, "")
	refused.Store(0)
	began := time.Now()
	for connected() == n { // they have not noticed yet
		time.Sleep(time.Millisecond)
	}
	for connected() < n && time.Since(began) < 2*time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	if up := connected(); up < n {
		t.Fatalf("%d of %d came back", up, n)
	}
	figure(t, "3.return", time.Since(began).Seconds(), "s", fmt.Sprintf("goal 30; until all %d are back after a restart", n))
	figure(t, "3.refused", float64(refused.Load()), "dials", "goal 0; that failed meanwhile")
}
