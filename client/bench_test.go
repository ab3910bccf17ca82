package client_test

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// benchClient makes a profile with n contacts, none of whom is there.
func benchClient(b *testing.B, n int) (*client.Client, []identity.PeerID) {
	b.Helper()
	dir := b.TempDir()
	s, err := sqlite.Create(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	cfg := client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak, Listen: "127.0.0.1:0"}
	if err := client.Create(b.Context(), cfg, "Bench"); err != nil {
		b.Fatal(err)
	}
	c, err := client.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	ids := make([]identity.PeerID, n)
	for i := range ids {
		ids[i] = identity.GenerateSecretKey().Public()
		inv := identity.Invite{
			Peer: ids[i], Name: fmt.Sprintf("Contact %d", i), Secret: identity.NewInviteSecret(),
			Expires: time.Now().Add(time.Hour).Truncate(time.Second),
			Addrs:   []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")},
		}
		if _, err := c.Add(b.Context(), inv.URI(), ""); err != nil {
			b.Fatal(err)
		}
	}
	return c, ids
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss returns the process's resident memory in bytes.
func rss(b *testing.B) float64 {
	f, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("no /proc here")
	}
	pages, err := strconv.Atoi(strings.Fields(string(f))[1])
	if err != nil {
		b.Fatal(err)
	}
	return float64(pages * os.Getpagesize())
}

// BenchmarkIdle is a client with 100 contacts who never answered: the worst that
// idling can be, because a first message waits for each of them. It takes as
// long as a look at what such a client does a minute after its start.
func BenchmarkIdle(b *testing.B) {
	benchClient(b, 100)
	time.Sleep(40 * time.Second)
	before, at := cpuTime(b), time.Now()
	time.Sleep(30 * time.Second)
	used := float64(cpuTime(b)-before) / float64(time.Since(at))
	b.Logf("figure: client.4.idle_cpu %.3f percent AGAINST 0.5 percent of a core", 100*used)
	b.Logf("figure: client.4.idle_rss %.1f MB AGAINST 60 MB", rss(b)/1e6)
}
