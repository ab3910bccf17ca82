package client_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/leak"
)

// weak is fast, for tests.
var weak = identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}

func testLogger(t *testing.T, who string) *slog.Logger {
	if !testing.Verbose() || os.Getenv("SREMP_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("who", who)
}

// TestMain has more tests stand side by side than there are cores: most of their time
// they wait for a disk, or for who is to try again.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil { // -parallel has the last word
		panic(err)
	}
	leak.Main(m)
}

// hosts are the loopback addresses of tests, by their names.
var hosts = struct {
	sync.Mutex
	of map[string]netip.Addr
}{of: map[string]netip.Addr{}}

// loopback returns the address of a test's programs, which no other test uses: nobody
// takes the port of a program that is away for a moment.
func loopback(t *testing.T) netip.Addr {
	hosts.Lock()
	defer hosts.Unlock()
	a, ok := hosts.of[t.Name()]
	if !ok {
		n := len(hosts.of)
		a = netip.AddrFrom4([4]byte{127, 2, byte(n / 250), byte(1 + n%250)})
		hosts.of[t.Name()] = a
	}
	return a
}

func create(t *testing.T, dir, name string) {
	t.Helper()
	s, err := sqlite.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := client.Create(t.Context(), client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak}, name); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *client.Client {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Open(t.Context(), client.Config{
		Store: s, Passphrase: []byte("pw"), Listen: loopback(t).String() + ":0", Logger: testLogger(t, dir[len(dir)-5:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newClient(t *testing.T, name string) (*client.Client, string) {
	t.Helper()
	dir := t.TempDir()
	create(t, dir, name)
	return open(t, dir), dir
}

func me(t *testing.T, c *client.Client) identity.PeerID {
	t.Helper()
	m, err := c.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// eventually waits for cond to hold: it is asked again with every event of the
// clients and now and then besides.
func eventually(t *testing.T, what string, cond func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	timer := time.NewTicker(20 * time.Millisecond)
	defer timer.Stop()
	for {
		ok, got := cond()
		if ok {
			return
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			t.Fatalf("%s: still %s", what, got)
		}
	}
}

func texts(t *testing.T, c *client.Client, with identity.PeerID) []string {
	t.Helper()
	h, err := c.History(t.Context(), with, client.HistoryQuery{Limit: 10000})
	if errors.Is(err, client.ErrUnknownContact) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return lines(h)
}

func lines(h []client.Message) (out []string) {
	for _, m := range h {
		who := "<"
		if m.Mine {
			who = ">" + m.State.String() + " "
		}
		out = append(out, who+m.Text)
	}
	return out
}

func waitTexts(t *testing.T, c *client.Client, with identity.PeerID, want ...string) {
	t.Helper()
	eventually(t, "history", func() (bool, string) {
		got := texts(t, c, with)
		return fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprintf("%q, want %q", got, want)
	})
}

func send(t *testing.T, c *client.Client, to identity.PeerID, text string) {
	t.Helper()
	if _, err := c.Send(t.Context(), to, text); err != nil {
		t.Fatal(err)
	}
}

// Two people who share no server: the invite's addresses are enough.
func TestNoServer(t *testing.T) {
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	inv, err := a.Invite(t.Context(), client.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(t.Context(), inv.URI, ""); err != nil {
		t.Fatal(err)
	}
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	send(t, a, me(t, b), "welcome")
	waitTexts(t, b, me(t, a), ">delivered hello", "<welcome")
	waitTexts(t, a, me(t, b), "<hello", ">delivered welcome")
	for _, x := range []struct {
		c    *client.Client
		want string
	}{{a, "Bob"}, {b, "Alice"}} {
		cs, err := x.c.Contacts(t.Context())
		if err != nil || len(cs) != 1 || cs[0].Name != x.want || cs[0].Trust != client.Trusted {
			t.Errorf("contacts = %+v, %v; want %s, trusted", cs, err, x.want)
			continue
		}
		if cs[0].Path.Kind != client.PathDirect {
			t.Errorf("path to %s = %+v, want direct", x.want, cs[0].Path)
		}
	}
}
