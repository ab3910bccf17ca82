package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/natlab"
)

// What whole clients send and get while nobody writes: to and from the server that
// is their relay, mailbox and rendezvous, and between two contacts with a direct path,
// each behind a router of its own. SREMP_IDLE is for how long it is counted, after
// four minutes in which all that happens once has happened.
func TestIdleTraffic(t *testing.T) {
	period, err := time.ParseDuration(os.Getenv("SREMP_IDLE"))
	if err != nil {
		t.Skip("takes minutes: runs with SREMP_IDLE=5m")
	}
	w, err := natlab.NewWorld(natlab.Conditions{Delay: 10 * time.Millisecond})
	if err != nil {
		t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
	}
	t.Cleanup(w.Close)
	if w.Net == nil {
		t.Skip("NO NAT LABORATORY ON THIS MACHINE: no TUN device")
	}
	host, err := w.Public(1)
	if err != nil {
		t.Fatal(err)
	}
	server := spawnBy(t, host.Start, "server", "--dir", t.TempDir(), "--listen", host.Addr.String()+":4433")
	line, err := bufio.NewReader(server.stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr, err := identity.ParseServerAddr(strings.TrimSpace(strings.TrimPrefix(line, "address: ")))
	if err != nil {
		t.Fatal(err)
	}
	var users [2]*user
	var outside [2]netip.Addr
	for i, name := range []string{"Ann", "Bob"} {
		r, err := w.Router(natlab.RouterOptions{Kind: natlab.Port})
		if err != nil {
			t.Fatal(err)
		}
		home, err := r.Home()
		if err != nil {
			t.Fatal(err)
		}
		users[i], outside[i] = newUser(t, name, addr), r.Addr
		users[i].listenBy(t, home.Start)
	}
	users[1].run(t, "add", users[0].run(t, "invite"))
	chat(t, users[1], users[0], "hello")
	chat(t, users[0], users[1], "welcome")

	var bytes, packets [3]atomic.Int64 // of Ann and the server, of Bob and it, of the two
	w.Net.Filter(func(_, _ byte, p []byte) bool {
		if len(p) < 20 || p[0]>>4 != 4 {
			return true
		}
		src, dst := netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
		between := func(a, b netip.Addr) bool { return src == a && dst == b || src == b && dst == a }
		for i, ok := range []bool{between(outside[0], host.Addr), between(outside[1], host.Addr), between(outside[0], outside[1])} {
			if ok {
				bytes[i].Add(int64(len(p)))
				packets[i].Add(1)
			}
		}
		return true
	})
	time.Sleep(4 * time.Minute) // the search for the mapping's lifetime ends
	var before, sent [3]int64
	for i := range before {
		before[i], sent[i] = bytes[i].Load(), packets[i].Load()
	}
	start := time.Now()
	time.Sleep(period)
	days := float64(time.Since(start)) / float64(24*time.Hour)
	for i, name := range []string{"client_server.ann", "client_server.bob", "client_direct_contact"} {
		perDay := float64(bytes[i].Load()-before[i]) / days
		fmt.Printf("figure: paths.8.%s.bytes_per_day %.0f B below 1000000; %d packets in %v behind a home router, whole clients, IP headers counted, extrapolated\n",
			name, perDay, packets[i].Load()-sent[i], period)
		if perDay >= 1_000_000 {
			t.Errorf("%s: %.0f bytes a day, want less than a million", name, perDay)
		}
	}
	p, err := users[0].api.Path(t.Context(), users[1].id)
	if err != nil || p.Kind != client.PathDirect {
		t.Errorf("after it the path is %v, %v, want a direct one", p, err)
	}
	chat(t, users[0], users[1], "still here")
}
