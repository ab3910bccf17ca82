package relay_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// What the relay of TestCrowd holds.
type crowd struct{ owners, connected, messages, transfers, seconds int }

const crowdEnv = "SREMP_TEST_CROWD"

func crowdOwner(t testing.TB, n int) identity.SecretKey {
	b := make([]byte, 32)
	binary.BigEndian.PutUint32(b, uint32(n)+1)
	return must[identity.SecretKey](t)(identity.NewSecretKey(b))
}

func crowdInbox(n int) (a [32]byte) {
	binary.BigEndian.PutUint64(a[8:], uint64(n)+1)
	return sha256.Sum256(a[:])
}

// runCrowd is the child: a relay with defaults, but that all its clients have one
// address, and with mail that waits.
func runCrowd(t *testing.T, size string) {
	var c crowd
	must[int](t)(fmt.Sscan(size, &c.owners, &c.messages))
	store := must[*sqlite.Store](t)(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "relay.db")))
	defer store.Close()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 128 {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < c.owners; n = int(next.Add(1)) - 1 {
				k := crowdOwner(t, n).Public()
				if _, err := store.Owner(t.Context(), k, time.Now(), relay.Admission{Open: true, Limit: 1 << 20}); err != nil {
					t.Error(err)
				}
				if err := store.CreateInbox(t.Context(), k, contactInbox(crowdInbox(n)), 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next.Store(0)
	for range 128 {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < c.messages; n = int(next.Add(1)) - 1 {
				blob := make([]byte, 1536)
				binary.BigEndian.PutUint64(blob, uint64(n))
				// Those connected have none: their mail would be sent at once.
				box := crowdInbox(c.owners - 1 - n%(c.owners/2))
				d := relay.Delivery{Inbox: box, TokenHash: relay.TokenHash(token), Hash: sha256.Sum256(blob), Blob: blob, Now: time.Now(), Limits: relay.DefaultLimits()}
				if _, err := store.Put(t.Context(), d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	s := must[*relay.Server](t)(relay.NewServer(relay.ServerConfig{Key: key, Store: store, Limits: relay.Limits{ConnsPerPrefix: 10_000}}))
	defer s.Close()
	pc := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	ep := must[*transport.Endpoint](t)(transport.New(transport.Config{
		PacketConn: pc, ServerKey: key, Forward: s.Forward, ValidateAddresses: true,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve},
	}))
	defer ep.Close()
	s.SetSend(ep.WritePacket)
	ep.Forward(2, s)
	fmt.Printf("crowd %v\n", ep.LocalAddr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		b := must[[]byte](t)(json.Marshal(s.Counters()))
		fmt.Printf("counters %s\n", b)
	}
}

// rss returns a process's resident memory in MiB.
func rss(t testing.TB, pid int) float64 {
	b := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)))
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb := must[int](t)(strconv.Atoi(strings.Fields(rest)[0]))
	return float64(kb) / 1024
}

// A transfer is a stream of frames between two bare sockets.
type transfer struct {
	from           *net.UDPConn
	leg            transport.Leg
	sent, received atomic.Int64
}

func newTransfer(t *testing.T, a, b *relay.Client) *transfer {
	la, ticket, err := a.OpenForward(timeout(t))
	ok(t, err)
	lb := must[transport.Leg](t)(b.JoinForward(timeout(t), ticket))
	socket := func() *net.UDPConn {
		c := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
		c.SetReadBuffer(4 << 20)
		t.Cleanup(func() { c.Close() })
		return c
	}
	x := &transfer{from: socket(), leg: la}
	to := socket()
	move(t, x.from, la)
	move(t, to, lb)
	go func() {
		b := make([]byte, 2000)
		for {
			if _, err := to.Read(b); err != nil {
				return
			}
			x.received.Add(1)
		}
	}()
	return x
}

// run sends so many packets a second for a while.
func (x *transfer) run(perSecond int, d time.Duration) {
	b := make([]byte, wire.ForwardHeaderLen+payloadSize)
	start := time.Now()
	const burst = 10
	for n := 0; time.Since(start) < d; n++ {
		time.Sleep(time.Until(start.Add(time.Duration(n*burst) * time.Second / time.Duration(perSecond))))
		for range burst {
			wire.SealForward(b, x.leg.Side, x.leg.Session, uint64(100+x.sent.Add(1)), x.leg.Key)
			x.from.WriteToUDPAddrPort(b, x.leg.Server)
		}
	}
}

// besideAbuser runs honest transfers beside one that sends as much as it can, and
// returns which share of their packets arrived, and of the abuser's.
func besideAbuser(honest []*transfer, abuser *transfer, rate, abuse int, d time.Duration) (share, abused float64, lost, sent int64) {
	count := func(all ...*transfer) (sent, received int64) {
		for _, x := range all {
			sent += x.sent.Load()
			received += x.received.Load()
		}
		return sent, received
	}
	s0, r0 := count(honest...)
	as0, ar0 := count(abuser)
	var wg sync.WaitGroup
	for _, x := range honest {
		wg.Go(func() { x.run(rate, d) })
	}
	wg.Go(func() { abuser.run(abuse, d) })
	wg.Wait()
	time.Sleep(200 * time.Millisecond) // what is under way
	s1, r1 := count(honest...)
	as1, ar1 := count(abuser)
	sent, lost = s1-s0, (s1-s0)-(r1-r0)
	return float64(r1-r0) / float64(sent), float64(ar1-ar0) / float64(as1-as0), lost, sent
}

// initials records first packets of handshakes, by dialling a socket that does
// not answer.
func initials(t *testing.T, id identity.ServerID, n int) (all [][]byte) {
	sink := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	defer sink.Close()
	to := identity.ServerAddr{ID: id, Host: "127.0.0.1", Port: sink.LocalAddr().(*net.UDPAddr).AddrPort().Port()}
	for range n {
		ctx, cancel := context.WithCancel(t.Context())
		ep := endpoint(t, transport.Config{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			ep.DialServer(ctx, to, relay.ALPN)
		}()
		b := make([]byte, 2000)
		k := must[int](t)(sink.Read(b))
		cancel()
		<-done
		ep.Close()
		all = append(all, b[:k])
	}
	return all
}

// TestCrowd is a busy relay with one abuser, and then a flood of handshakes that
// nobody goes on with (spec §6.7). SREMP_FIGURES makes it a crowd.
func TestCrowd(t *testing.T) {
	if size := os.Getenv(crowdEnv); size != "" {
		runCrowd(t, size)
		return
	}
	c, rate, abuse, flood := crowd{20, 4, 200, 2, 1}, 500, 20_000, 2000
	if os.Getenv("SREMP_FIGURES") != "" {
		c, flood = crowd{1000, 200, 100_000, 20, 5}, 50_000
		rate = 200
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestCrowd$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", crowdEnv, c.owners, c.messages))
	cmd.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	out := bufio.NewScanner(must[io.ReadCloser](t)(cmd.StdoutPipe()))
	ok(t, cmd.Start())
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	var at netip.AddrPort
	for out.Scan() && !at.IsValid() {
		if text, found := strings.CutPrefix(out.Text(), "crowd "); found {
			at = netip.MustParseAddrPort(text)
			break
		}
	}
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	r := &testRelay{addr: identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: at.Port()}}
	var clients []*relay.Client
	for n := range c.connected {
		cl := must[*relay.Client](t)(relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, crowdOwner(t, n), ""))
		t.Cleanup(func() { cl.Close() })
		clients = append(clients, cl)
	}
	var honest []*transfer
	for i := range c.transfers - 1 {
		honest = append(honest, newTransfer(t, clients[(2*i)%(c.connected-2)], clients[(2*i+1)%(c.connected-2)]))
	}
	abuser := newTransfer(t, clients[c.connected-2], clients[c.connected-1])
	d := time.Duration(c.seconds) * time.Second
	// Each honest packet must arrive. A machine that is busy with other things may
	// lose some in the sockets here: then once more.
	var share, abused float64
	var lost, sent int64
	for range 5 {
		share, abused, lost, sent = besideAbuser(honest, abuser, rate, abuse, d)
		t.Logf("honest: %d of %d lost; the abuser's %.3f arrived", lost, sent, abused)
		if lost == 0 {
			break
		}
	}
	if share < 0.999 || abused > 0.9 {
		t.Errorf("honest transfers lost %d of %d packets; %.3f of the abuser's arrived", lost, sent, abused)
	}
	fmt.Fprintln(in, "counters")
	var drops relay.Counters
	for out.Scan() {
		if text, found := strings.CutPrefix(out.Text(), "counters "); found {
			ok(t, json.Unmarshal([]byte(text), &drops))
			break
		}
	}
	if drops.DroppedSession == 0 || drops.DroppedOwner+drops.DroppedPrefix+drops.DroppedUnsent > 0 {
		t.Errorf("the relay slowed down others than the abuser: %+v", drops)
	}
	memory := rss(t, cmd.Process.Pid)

	// The flood: handshakes begun from ever other ports, never gone on with.
	first := initials(t, r.addr.ID, 20)
	var bytesIn, bytesOut atomic.Int64
	var sockets []*net.UDPConn
	for range 100 {
		s := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
		t.Cleanup(func() { s.Close() })
		s.SetReadBuffer(4 << 20)
		go func() {
			b := make([]byte, 2000)
			for {
				n, err := s.Read(b)
				if err != nil {
					return
				}
				bytesOut.Add(int64(n))
			}
		}()
		sockets = append(sockets, s)
	}
	sender := must[*relay.Sender](t)(relay.DialSender(timeout(t), endpoint(t, transport.Config{}), r.addr))
	var wg sync.WaitGroup
	var took []time.Duration
	stop := make(chan struct{})
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			start := time.Now()
			if _, err := sender.Store(timeout(t), crowdInbox(0), token, fmt.Append(nil, "during the flood ", n)); err != nil {
				t.Errorf("a registered user is not served: %v", err)
				return
			}
			took = append(took, time.Since(start))
			next(t, clients[0])
			time.Sleep(20 * time.Millisecond)
		}
	})
	before, start := rss(t, cmd.Process.Pid), time.Now()
	peak := before
	for n := 0; n < flood; n++ {
		p := first[n%len(first)]
		sockets[n%len(sockets)].WriteToUDPAddrPort(p, at)
		bytesIn.Add(int64(len(p)))
		if n%100 == 99 {
			time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / 10_000)))
		}
		if n%5000 == 4999 {
			peak = max(peak, rss(t, cmd.Process.Pid))
		}
	}
	perSecond := float64(flood) / time.Since(start).Seconds()
	time.Sleep(300 * time.Millisecond)
	close(stop)
	wg.Wait()
	peak = max(peak, rss(t, cmd.Process.Pid))
	slices.Sort(took)
	worst := took[len(took)*99/100]
	amplified := float64(bytesOut.Load()) / float64(bytesIn.Load())
	t.Logf("flood: %.0f a second, %.3f bytes out per byte in, memory %.0f to %.0f MiB, %d stores beside it, p99 %v", perSecond, amplified, before, peak, len(took), worst)
	if amplified > 1 {
		t.Errorf("%d bytes out for %d in before any address was validated", bytesOut.Load(), bytesIn.Load())
	}
	if os.Getenv("SREMP_FIGURES") == "" {
		return
	}
	fmt.Printf("figure: relay.4.rss %.0f MiB with %d owners, %d connected, %d messages waiting, %d transfers; at most 300\n", memory, c.owners, c.connected, c.messages, c.transfers)
	fmt.Printf("figure: relay.4.honest_share %.5f of_1 of %d honest packets arrived, of the abuser's %.3f\n", share, sent, abused)
	fmt.Printf("figure: relay.6.amplification %.3f bytes_out/byte_in before address validation, at most 1\n", amplified)
	fmt.Printf("figure: relay.6.rss_growth %.1f MiB under %.0f half-open handshakes a second\n", peak-before, perSecond)
	fmt.Printf("figure: relay.6.store_p99 %.1f ms of a registered user's stores during the flood\n", worst.Seconds()*1e3)
}
