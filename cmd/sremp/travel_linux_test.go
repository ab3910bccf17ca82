package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/natlab"
)

// A journey's network: a transfer at full speed, and at one at which there is time
// to look at it.
const (
	travelDelay = 15 * time.Millisecond // one way
	travelCrawl = 2_000_000             // bits a second
)

// A travel is Ann's, with a file under way to Bob, who stays at home.
type travel struct {
	t        *testing.T
	w        *natlab.World
	rate     int // bits a second
	size     int64
	server   netip.Addr
	ann, bob *user
	seat     *natlab.Place  // Ann's
	router   *natlab.Router // of the network in which she is
	home     *natlab.Router // Bob's
	outside  atomic.Pointer[netip.Addr]
	came     [3]atomic.Int64 // bytes to Bob: of Ann, of the server, of both and anybody else
	most     int64           // of the file, that Bob had
}

// Journey J5: a file is on its way when the lid is closed, and goes on in a train
// behind a symmetric NAT, and in a hotel that lets no UDP through. Bytes are not sent
// twice, both sides' badges say by which way they really come, and the file that
// arrives is the one that was sent. With SREMP_JOURNEY_BYTES it is as long as that,
// and Ann's monotonic clock stands still while her laptop is closed.
func TestLidTrainHotel(t *testing.T) {
	if natlab.NeedsEnter() {
		t.Skip("NO NAT LABORATORY HERE: needs root")
	}
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel() // it mostly waits
	x := &travel{t: t, rate: 20_000_000, size: 32_000_000}
	start := (*natlab.Place).Start
	lid := &laptop{}
	if full := os.Getenv("SREMP_JOURNEY_BYTES"); full != "" {
		n, err := strconv.ParseInt(full, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		x.size, x.rate = n, 250_000_000
		dir := t.TempDir()
		binary, err := buildSleeper(dir)
		if err != nil {
			t.Fatal(err)
		}
		cell := filepath.Join(dir, "slept")
		if lid, err = newLaptop(cell); err != nil {
			t.Fatal(err)
		}
		start = func(p *natlab.Place, cmd *exec.Cmd) error {
			cmd.Path, cmd.Env = binary, append(os.Environ(), sleptVariable+"="+cell)
			return p.Start(cmd)
		}
	}
	x.leave(func(cmd *exec.Cmd) error { return start(x.seat, cmd) })
	lid.pid = x.ann.proc.cmd.Process.Pid
	path := writeFile(t, "film.bin", int(x.size))
	x.ann.run(t, "send", "Bob", "--file", path)
	if x.size > 25e6 {
		x.bob.waitFile(t, client.FileOffered)
		x.bob.run(t, "file", "accept", "Ann", "film.bin")
	}
	before := x.came[2].Load()

	x.until("the beginning, at home", 10)
	x.badges("at home", client.PathDirect)
	x.check(lid.close())
	x.check(x.seat.Unplug())
	x.offline("the lid is closed", x.bob, x.ann)
	x.check(lid.open())
	if lid.cell != nil {
		x.offline("there is no network", x.ann, x.bob)
	}
	x.board("train", natlab.RouterOptions{Kind: natlab.Sym})
	x.until("the middle, in the train", 40)
	x.badges("in the train", client.PathRelay, client.PathDirect)
	x.check(x.seat.Unplug())
	x.board("hotel", natlab.RouterOptions{Kind: natlab.Blocked})
	x.badges("in the hotel", client.PathRelay)

	x.until("the rest, in the hotel", 100)
	sameFile(t, x.bob.waitFile(t, client.FileDone), path, x.bob)
	x.ann.waitFile(t, client.FileDone)
	came := x.came[2].Load() - before
	t.Logf("figure: client.journey5.bytes %.3f of the file's AGAINST 1 and headers, acknowledgements, packets lost at %d Mbit/s and %d kB in flight at each change (%d MB came)",
		float64(came)/float64(x.size), x.rate/1e6, 3*wireInFlight/1000, came/1e6)
	if want := x.size + x.size/8 + 3*wireInFlight; came > want {
		t.Errorf("%d bytes came for a file of %d, want at most %d: something was sent twice", came, x.size, want)
	}
}

// wireInFlight is what may be on its way when a network is gone: of no use, and sent again.
const wireInFlight = 1_000_000

func (x *travel) check(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// leave has the two meet while Ann is at home.
func (x *travel) leave(start func(*exec.Cmd) error) {
	t := x.t
	t.Helper()
	var err error
	x.w, err = natlab.NewWorld(natlab.Conditions{})
	if err != nil {
		t.Skipf("NO NAT LABORATORY HERE: %v", err)
	}
	t.Cleanup(x.w.Close)
	if x.w.Net == nil {
		t.Skip("NO NAT LABORATORY HERE: no TUN device")
	}
	host, err := x.w.Public(1)
	x.check(err)
	x.server = host.Addr
	server := spawnBy(t, host.Start, "server", "--dir", t.TempDir(), "--listen", host.Addr.String()+":4433")
	line, err := bufio.NewReader(server.stdout).ReadString('\n')
	x.check(err)
	addr, err := identity.ParseServerAddr(strings.TrimSpace(strings.TrimPrefix(line, "address: ")))
	x.check(err)
	x.home, err = x.w.Router(natlab.RouterOptions{Kind: natlab.Port})
	x.check(err)
	sofa, err := x.home.Home()
	x.check(err)
	x.router, err = x.w.Router(natlab.RouterOptions{Kind: natlab.Port})
	x.check(err)
	x.outside.Store(&x.router.Addr)
	x.seat, err = x.router.Home()
	x.check(err)
	x.ann, x.bob = newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	x.pace(x.rate)
	x.ann.listenBy(t, start, "--no-port-mapping", "--no-lan")
	x.bob.listenBy(t, sofa.Start, "--no-port-mapping", "--no-lan")
	meet(t, x.ann, x.bob)
	x.w.Net.Filter(func(_, _ byte, p []byte) bool {
		if len(p) < 20 || p[0]>>4 != 4 || netip.AddrFrom4([4]byte(p[16:20])) != x.home.Addr {
			return true
		}
		switch netip.AddrFrom4([4]byte(p[12:16])) {
		case *x.outside.Load():
			x.came[0].Add(int64(len(p)))
		case x.server:
			x.came[1].Add(int64(len(p)))
		}
		x.came[2].Add(int64(len(p)))
		return true
	})
}

// pace has packets come to each place at so many bits a second.
func (x *travel) pace(rate int) {
	x.w.Net.Set(natlab.Conditions{Delay: travelDelay, Rate: rate})
}

// have returns how much of the file Bob has, which is never less than before.
func (x *travel) have() int64 {
	x.t.Helper()
	files, err := x.bob.api.Files(x.t.Context(), x.ann.id)
	if err != nil || len(files) != 1 {
		x.t.Fatal(files, err)
	}
	f := files[0]
	if f.Done < x.most {
		x.t.Fatalf("Bob has %d bytes after he had %d", f.Done, x.most)
	}
	x.most = f.Done
	return f.Done
}

// until waits until Bob has so many percent of the file: as long as it goes on.
func (x *travel) until(what string, percent int64) {
	x.t.Helper()
	for had := x.have(); had < x.size/100*percent; {
		within(x.t, what, func() (bool, string) {
			n := x.have()
			more := n > had
			had = n
			return more, fmt.Sprintf("%d of %d bytes", n, x.size)
		})
	}
}

// offline waits until somebody's badge says that the other is not there.
func (x *travel) offline(why string, u, with *user) {
	x.t.Helper()
	since := time.Now()
	var p client.Path
	within(x.t, "the badge offline, for "+why, func() (bool, string) {
		var err error
		p, err = u.api.Path(x.t.Context(), with.id)
		return err == nil && p.Kind != client.PathDirect && p.Kind != client.PathRelay && p.Reason != "", describePath(p)
	})
	x.t.Logf("%s: %s (%s), after %.1f s", why, p.Kind, p.Reason, time.Since(since).Seconds())
}

// board takes Ann, who has no network, into one behind a router, and waits for the
// file to go on.
func (x *travel) board(name string, o natlab.RouterOptions) {
	x.t.Helper()
	r, err := x.w.Router(o)
	x.check(err)
	x.router = r
	x.outside.Store(&r.Addr)
	had := x.have()
	x.check(r.Plug(x.seat))
	back := time.Now()
	within(x.t, "more of the file in the "+name, func() (bool, string) {
		n := x.have()
		return n > had, fmt.Sprintf("%d bytes; Ann: %s; Bob: %s", n, x.badge(x.ann, x.bob), x.badge(x.bob, x.ann))
	})
	x.t.Logf("figure: client.journey5.resume_%s %.2f s AGAINST 5 s after the network was there, %d of %d MB", name, time.Since(back).Seconds(), had/1e6, x.size/1e6)
}

func (x *travel) badge(u, with *user) client.PathKind {
	p, err := u.api.Path(x.t.Context(), with.id)
	x.check(err)
	return p.Kind
}

// badges waits until both say by which of the ways bytes come, and they do.
func (x *travel) badges(where string, kinds ...client.PathKind) {
	x.t.Helper()
	x.pace(travelCrawl)
	defer x.pace(x.rate)
	var was [3]int64
	var last client.PathKind
	within(x.t, "the right badges "+where, func() (bool, string) {
		x.have()
		a, b := x.badge(x.ann, x.bob), x.badge(x.bob, x.ann)
		var came [3]int64
		for i := range came {
			came[i] = x.came[i].Load()
		}
		way := client.PathNone
		direct, relay := came[0]-was[0], came[1]-was[1]
		switch {
		case direct+relay < 100_000:
			return false, fmt.Sprintf("%d bytes since Ann's was %s", direct+relay, last)
		case direct > 9*relay:
			way = client.PathDirect
		case relay > 9*direct:
			way = client.PathRelay
		}
		ok := a == b && a == last && a == way
		found := false
		for _, k := range kinds {
			found = found || k == a
		}
		was, last = came, a
		return ok && found, fmt.Sprintf("Ann: %s, Bob: %s, in truth: %s (%d bytes direct, %d by relay)", a, b, way, direct, relay)
	})
	x.t.Logf("%s: %s", where, last)
}
