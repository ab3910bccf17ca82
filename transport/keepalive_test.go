package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// A meterRouter counts what goes over a network, IPv4 and UDP headers included,
// and is a NAT whose mappings live for lifetime: what has sent nothing for so long
// gets nothing.
type meterRouter struct {
	simnet.PerfectRouter
	lifetime time.Duration // 0: for ever
	behind   func(netip.Addr) bool
	bytes    atomic.Int64
	packets  atomic.Int64
	cut      atomic.Bool

	mu   sync.Mutex
	last map[netip.AddrPort]time.Time
	when []time.Time // packets of those behind the NAT
}

func (r *meterRouter) SendPacket(p simnet.Packet) error {
	from, to := addrPort(p.From), addrPort(p.To)
	r.bytes.Add(int64(len(p.Data)) + 28)
	r.packets.Add(1)
	if r.cut.Load() {
		return nil
	}
	if r.lifetime > 0 {
		now := time.Now()
		r.mu.Lock()
		if r.last == nil {
			r.last = make(map[netip.AddrPort]time.Time)
		}
		if r.behind(from.Addr()) {
			r.last[from] = now
			r.when = append(r.when, now)
		}
		dead := r.behind(to.Addr()) && now.Sub(r.last[to]) > r.lifetime
		r.mu.Unlock()
		if dead {
			return nil
		}
	}
	return r.PerfectRouter.SendPacket(p)
}

// idlePair connects a client to a server, or two peers on a direct path with a
// relay as their backup.
func idlePair(t *testing.T, r *meterRouter, peers bool) (a, b *Conn, ends [2]*Endpoint) {
	n := newSimNet(t)
	n.router = r
	if !peers {
		key := serverKey(t, 1)
		server := n.endpoint("11.0.0.1:1", Config{ServerKey: key, Services: map[string]func(context.Context, *Conn){testALPN: func(_ context.Context, c *Conn) { <-c.Done() }}})
		client := n.endpoint("11.0.0.2:1", Config{})
		c, err := client.DialServer(t.Context(), serverAddr(key.ID(), server.LocalAddr()), testALPN)
		if err != nil {
			t.Fatal(err)
		}
		return c, nil, [2]*Endpoint{client, server}
	}
	ann, bob := pair(t)
	ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
	relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
	key := [32]byte{9}
	x, y := connect(t, t.Context(),
		ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates()},
		eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates()})
	waitPath(t, t.Context(), x, PathDirect)
	exchange(t, t.Context(), x, y)
	return x.Conn, y.Conn, [2]*Endpoint{ea, eb}
}

// Spec §5.4.9: an idle connection costs less than a megabyte a day, both
// directions and all headers, and one exchange for each lifetime of a mapping; the
// relay beside a direct path costs nothing more.
func TestIdleDay(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		name  string
		peers bool
		found time.Duration
	}{
		{"server", false, 0},
		{"server_lifetime_120s", false, 2 * time.Minute},
		{"direct_contact", true, 0},
		{"direct_contact_lifetime_120s", true, 2 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &meterRouter{}
				a, _, ends := idlePair(t, r, test.peers)
				for _, e := range ends {
					e.keeping.found.Store(int64(test.found))
				}
				time.Sleep(2 * time.Minute)
				pings := func() int64 { return ends[0].keeping.count.Load() + ends[1].keeping.count.Load() }
				bytes, sent := r.bytes.Load(), pings()
				time.Sleep(day)
				bytes, sent = r.bytes.Load()-bytes, pings()-sent
				if err := a.Err(); err != nil {
					t.Fatalf("after a day: %v", err)
				}
				every := max(test.found, defaultKeepAlive)
				if test.found == 0 {
					every = defaultKeepAlive
				}
				exchanges := float64(sent) / (float64(day) / float64(every))
				t.Logf("figure: paths.8.%s.bytes_per_day %d B below 1000000; both directions with IPv4 and UDP headers, in virtual time", test.name, bytes)
				t.Logf("figure: paths.8.%s.keep_alives_per_lifetime %.3f of both sides, at most 1 for each %v without application data", test.name, exchanges, every)
				if bytes >= 1_000_000 {
					t.Errorf("%d bytes a day, want less than a million", bytes)
				}
				if sent > int64(day/every)+1 || exchanges < 0.5 {
					t.Errorf("%.3f keep-alives for each %v, want one", exchanges, every)
				}
			})
		})
	}
}

// Spec §5.21.2: the lifetime of a NAT's mappings is found, and keep-alives follow
// it: the server reaches the client at every moment of an hour.
func TestMappingLifetime(t *testing.T) {
	for _, test := range []struct{ nat, want time.Duration }{
		{35 * time.Second, 30 * time.Second},
		{70 * time.Second, time.Minute},
		{125 * time.Second, 2 * time.Minute},
		{time.Hour, 2 * time.Minute},
		{17 * time.Second, shortest},
	} {
		t.Run(test.nat.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := netip.MustParseAddr("11.0.0.1")
				r := &meterRouter{lifetime: test.nat, behind: func(a netip.Addr) bool { return a != server }}
				n := newSimNet(t)
				n.router = r
				key := serverKey(t, 1)
				accepted := make(chan *Conn, 1)
				es := n.endpoint("11.0.0.1:1", Config{ServerKey: key, STUN: true, Services: map[string]func(context.Context, *Conn){
					testALPN: func(_ context.Context, c *Conn) { accepted <- c; <-c.Done() },
				}})
				extra := byte(0)
				ec := n.endpoint("11.0.0.2:1", Config{ListenPacket: func() (net.PacketConn, error) {
					extra++
					return n.conn(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 1, extra}), 1).String()), nil
				}})
				c, err := ec.DialServer(t.Context(), serverAddr(key.ID(), es.LocalAddr()), testALPN)
				if err != nil {
					t.Fatal(err)
				}
				ec.Gather(t.Context(), []netip.AddrPort{es.LocalAddr()})
				time.Sleep(seekAfter + 3*time.Minute)
				if got := ec.MappingLifetime(); got != test.want {
					t.Errorf("found %v, want %v", got, test.want)
				}
				sc := <-accepted
				for range 20 {
					time.Sleep(187 * time.Second)
					s, err := sc.OpenStream(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					WriteFrame(s, 0x0300, nil)
					start := time.Now()
					in, err := c.AcceptStream(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					ReadFrame(in, 10)
					in.Close()
					s.Close()
					if got := time.Since(start); got > simRTT {
						t.Errorf("the server's word took %v: the mapping was gone", got)
					}
				}
				ec.networkChanged()
				if got := ec.MappingLifetime(); got != 0 {
					t.Errorf("in another network: %v, want 0", got)
				}
			})
		})
	}
}

// Who gets no answer knows after 15 s, and not before.
func TestLost(t *testing.T) {
	for _, peers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := &meterRouter{}
			a, b, _ := idlePair(t, r, peers)
			time.Sleep(10 * time.Minute)
			r.cut.Store(true)
			start := time.Now()
			for _, c := range []*Conn{a, b} {
				if c == nil {
					continue
				}
				<-c.Done()
				if got := time.Since(start); got < unanswered || got > defaultKeepAlive+dialledWaits+unanswered+2*keeperLooks {
					t.Errorf("peers %v: lost after %v", peers, got)
				}
				if err := c.Err(); !errors.Is(err, ErrLost) {
					t.Errorf("peers %v: got %v, want ErrLost", peers, err)
				}
			}
		})
	}
}

// A machine that wakes up says so at once: its mappings are gone, or its network
// is another one.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &meterRouter{}
		_, _, ends := idlePair(t, r, true)
		var ahead atomic.Int64
		wall := func() int64 { return time.Now().Unix() + ahead.Load() }
		ends[0].keeping.wall.Store(&wall)
		changes := ends[0].netChanges.Load()
		woken := func() bool {
			now := ends[0].netChanges.Load()
			defer func() { changes = now }()
			return now != changes
		}
		time.Sleep(10*time.Minute + time.Second)
		before := r.packets.Load()
		ahead.Store(3600)
		time.Sleep(keeperLooks + time.Second)
		if !woken() {
			t.Error("an hour of sleep was not noticed")
		}
		if r.packets.Load() == before {
			t.Error("nothing was sent after waking up")
		}
		time.Sleep(time.Minute)
		if woken() {
			t.Error("it was noticed again")
		}
	})
}

// A server keeps a bounded number of answers for later, and few for one address.
func TestLaterAnswersAreBounded(t *testing.T) {
	var l laterTable
	n := 0
	for range 10 * maxLaterAddr {
		if l.take(netip.MustParseAddr("11.0.0.1")) {
			n++
		}
	}
	if n != maxLaterAddr {
		t.Errorf("%d for one address, want %d", n, maxLaterAddr)
	}
	for i := range 2 * maxLater {
		if l.take(netip.AddrFrom4([4]byte{12, byte(i >> 16), byte(i >> 8), byte(i)})) {
			n++
		}
	}
	if n != maxLater {
		t.Errorf("%d in all, want %d", n, maxLater)
	}
	for range maxLaterAddr {
		l.give(netip.MustParseAddr("11.0.0.1"))
	}
	if !l.take(netip.MustParseAddr("11.0.0.1")) {
		t.Error("room that was given back is not there")
	}
}
