package relay_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

const restartEnv = "SREMP_TEST_RESTART"

// relayProcess runs a relay in a process of its own, as a new binary would be, and
// returns where it listens and how to kill it.
func relayProcess(t *testing.T, at netip.AddrPort, db string) (addr netip.AddrPort, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestRestartUnderLoad$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%v %s", restartEnv, at, db))
	cmd.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	out := bufio.NewScanner(must[io.ReadCloser](t)(cmd.StdoutPipe()))
	ok(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		in.Close()
		cmd.Wait()
	})
	t.Cleanup(kill)
	for out.Scan() {
		if text, found := strings.CutPrefix(out.Text(), "relay "); found {
			return netip.MustParseAddrPort(text), kill
		}
	}
	t.Fatal("the relay has ended")
	return addr, kill
}

// A flow is a stream through the relay on which something is always under way.
type flow struct {
	in, out  *transport.Stream
	received atomic.Int64
	gap      atomic.Int64 // the longest time without a byte, ns
}

func (f *flow) run(ctx context.Context) {
	context.AfterFunc(ctx, func() { f.in.SetReadDeadline(time.Now()) })
	go func() {
		b := make([]byte, 1000)
		for ctx.Err() == nil {
			if _, err := f.out.Write(b); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	b := make([]byte, 4000)
	for last := time.Now(); ; {
		n, err := f.in.Read(b)
		now := time.Now()
		if ctx.Err() != nil {
			return
		}
		f.gap.Store(max(f.gap.Load(), int64(now.Sub(last))))
		if err != nil {
			return
		}
		last = now
		f.received.Add(int64(n))
	}
}

// The relay is killed under load and another process takes its place: every
// session goes on, with its connection, after a gap.
func TestRestartUnderLoad(t *testing.T) {
	if args := os.Getenv(restartEnv); args != "" {
		at, db, _ := strings.Cut(args, " ")
		_, addr, _ := startRelay(t, netip.MustParseAddrPort(at), db)
		fmt.Printf("relay 127.0.0.1:%d\n", addr.Port)
		io.Copy(io.Discard, os.Stdin)
		return
	}
	pairs, restarts := 2, 1
	if os.Getenv("SREMP_FIGURES") != "" {
		pairs, restarts = 10, 5
	}
	db := filepath.Join(t.TempDir(), "relay.db")
	at, kill := relayProcess(t, netip.MustParseAddrPort("127.0.0.1:0"), db)
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	r := &testRelay{addr: identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: at.Port()}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var flows []*flow
	var owners []forwarder
	var wg sync.WaitGroup
	for i := range pairs {
		a, b := newForwarder(t, r, "Alice", byte(2*i+1)), newForwarder(t, r, "Bob", byte(2*i+2))
		f := newFlow(t, a, b)
		flows, owners = append(flows, f), append(owners, a, b)
		wg.Go(func() { f.run(ctx) })
	}
	waitFor := func(more int64) {
		t.Helper()
		var want []int64
		for _, f := range flows {
			want = append(want, f.received.Load()+more)
		}
		for i, f := range flows {
			for end := time.Now().Add(20 * time.Second); f.received.Load() < want[i]; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("session %d does not go on", i)
				}
			}
		}
	}
	waitFor(20_000)
	for range restarts {
		kill()
		_, kill = relayProcess(t, at, db)
		waitFor(20_000)
		// Owners come back, as clients do, and the sessions stay theirs.
		for i, o := range owners {
			must[*relay.Client](t)(relay.Dial(timeout(t), o.ep, r.addr, owner(t, byte(i+1)), ""))
		}
	}
	waitFor(20_000)
	stop()
	wg.Wait()
	worst := time.Duration(0)
	for _, f := range flows {
		worst = max(worst, time.Duration(f.gap.Load()))
	}
	t.Logf("the longest gap of %d sessions in %d restarts: %v", pairs, restarts, worst)
	if os.Getenv("SREMP_FIGURES") != "" {
		fmt.Printf("figure: relay.7.restart_gap_under_load %.3f s without a byte at worst, of %d busy sessions in %d kills and starts of the process; at most 1\n", worst.Seconds(), pairs, restarts)
	}
}

// newFlow connects two through the relay.
func newFlow(t *testing.T, a, b forwarder) *flow {
	t.Helper()
	legA, ticket, err := a.c.OpenForward(timeout(t))
	ok(t, err)
	legB := must[transport.Leg](t)(b.c.JoinForward(timeout(t), ticket))
	conns := make([]*transport.PeerConn, 2)
	var wg sync.WaitGroup
	for i, x := range []struct {
		f   forwarder
		to  *identity.Local
		leg transport.Leg
	}{{a, b.id, legA}, {b, a.id, legB}} {
		wg.Go(func() {
			c, err := x.f.ep.Connect(timeout(t), transport.Attempt{
				Peer: x.to.PeerID(), Record: x.to.Record(), ProbeKey: [32]byte{9}, Relay: &x.leg, RelayOnly: true,
			})
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close(0, "") })
			conns[i] = c
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	f := &flow{out: must[*transport.Stream](t)(conns[0].OpenStream(timeout(t)))}
	must[int](t)(f.out.Write([]byte{1}))
	f.in = must[*transport.Stream](t)(conns[1].AcceptStream(timeout(t)))
	return f
}
