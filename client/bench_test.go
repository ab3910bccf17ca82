package client_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
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
// idling can be, because a first message waits for each of them. It takes eight
// minutes: what such a client does soon after its start, and when it has found that
// they stay away.
func BenchmarkIdle(b *testing.B) {
	benchClient(b, 100)
	used := func(from, during time.Duration) float64 {
		time.Sleep(from)
		before, at := cpuTime(b), time.Now()
		time.Sleep(during)
		return 100 * float64(cpuTime(b)-before) / float64(time.Since(at))
	}
	b.Logf("figure: client.4.start_cpu %.3f percent of a core, 40 s after the start, while 100 contacts are looked for", used(40*time.Second, 30*time.Second))
	b.Logf("figure: client.4.idle_cpu %.3f percent AGAINST 0.5 percent of a core; 5 minutes later", used(260*time.Second, 2*time.Minute))
	b.Logf("figure: client.4.idle_rss %.1f MB AGAINST 60 MB", rss(b)/1e6)
}

// fill writes n notes to oneself, many at a time so that they share transactions.
func fill(b *testing.B, c *client.Client, n int) identity.PeerID {
	b.Helper()
	m, err := c.WhoAmI(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	const writers = 256
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < n; i += writers {
				text := fmt.Sprintf("note %d about this and that, and some more words to be read", i)
				if _, err := c.Send(b.Context(), m.ID, text); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return m.ID
}

// searchSize is how long the history is that is searched; SREMP_BENCH_MESSAGES
// makes it a million.
func searchSize() int {
	if n, err := strconv.Atoi(os.Getenv("SREMP_BENCH_MESSAGES")); err == nil {
		return n
	}
	return 100_000
}

// BenchmarkHistory is the search through a long history, and its newest page.
func BenchmarkHistory(b *testing.B) {
	n := searchSize()
	const contacts = 100
	c, _ := benchClient(b, contacts)
	id := fill(b, c, n)
	runtime.GC()
	before := rss(b)
	took := func(f func() error) time.Duration {
		at := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(at)
	}
	search := func(text string, limit, want int) func() error {
		return func() error {
			got, err := c.Search(b.Context(), client.SearchQuery{Text: text, Limit: limit})
			if err == nil && len(got) != want {
				err = fmt.Errorf("%d found, want %d", len(got), want)
			}
			return err
		}
	}
	name := fmt.Sprintf("client.2.%d", n)
	b.Logf("figure: %s.search_all %.1f ms AGAINST 100 ms of 100 k, 1 s of 1 M", name, ms(took(search("nowhere to be found", 100, 0))))
	b.Logf("figure: %s.search_first %.1f ms AGAINST 100 ms of 100 k", name, ms(took(search("and some more", 20, 20))))
	b.Logf("figure: %s.search_memory %.1f MB AGAINST flat", name, (rss(b)-before)/1e6)
	b.Logf("figure: %s.open_conversation %.2f ms AGAINST 50 ms", name, ms(took(func() error {
		_, err := c.History(b.Context(), id, client.HistoryQuery{})
		return err
	})))
	file := filepath.Join(b.TempDir(), "backup")
	b.Logf("figure: client.5.%d.backup %.2f s AGAINST a restore within 120 s of 1 M and %d contacts", n, took(func() error {
		return c.Backup(b.Context(), file)
	}).Seconds(), contacts)
	b.Logf("figure: client.5.%d.restore %.2f s AGAINST 120 s of 1 M and %d contacts", n, took(func() error {
		return restoreBench(b, file, contacts)
	}).Seconds(), contacts)
}

// restoreBench restores a backup and opens what comes of it.
func restoreBench(b *testing.B, file string, contacts int) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := sqlite.Create(b.Context(), b.TempDir())
	if err != nil {
		return err
	}
	cfg := client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak, Listen: "127.0.0.1:0"}
	if _, err := client.Restore(b.Context(), cfg, f); err != nil {
		s.Close()
		return err
	}
	c, err := client.Open(b.Context(), cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	cs, err := c.Contacts(b.Context())
	if err == nil && len(cs) != contacts+1 {
		err = fmt.Errorf("%d contacts, want %d and one's own notes", len(cs), contacts)
	}
	return err
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// BenchmarkSend is a command to a message that is stored and handed to the
// transport, against the time of one fsync on the same disk.
func BenchmarkSend(b *testing.B) {
	c, ids := benchClient(b, 1)
	var sends, syncs []time.Duration
	f, err := os.Create(filepath.Join(b.TempDir(), "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for b.Loop() {
		at := time.Now()
		if _, err := c.Send(b.Context(), ids[0], "a text of some length, as people write"); err != nil {
			b.Fatal(err)
		}
		sends = append(sends, time.Since(at))
		at = time.Now()
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		syncs = append(syncs, time.Since(at))
	}
	slices.Sort(sends)
	slices.Sort(syncs)
	send, fsync := sends[len(sends)/2], syncs[len(syncs)/2]
	b.Logf("figure: client.1.send_p50 %.2f fsyncs AGAINST 2 (send %.2f ms, fsync %.2f ms)", float64(send)/float64(fsync), ms(send), ms(fsync))
}
