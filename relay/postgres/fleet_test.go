package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/pgtest"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

const fleetEnv = "SREMP_TEST_FLEET"

// fleetKey is one name for the fleet.
func fleetKey(t testing.TB) *identity.ServerKey {
	t.Helper()
	key, err := identity.NewServerKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func udpEndpoint(t testing.TB, c transport.Config) *transport.Endpoint {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c.PacketConn = pc
	ep, err := transport.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	return ep
}

// fleetMember is the child: a relay of the fleet, until it is killed.
func fleetMember(t *testing.T, dsn string) {
	key := fleetKey(t)
	s, err := relay.NewServer(relay.ServerConfig{Key: key, Store: open(t, dsn)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ep := udpEndpoint(t, transport.Config{ServerKey: key, Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve}})
	fmt.Printf("member %v\n", ep.LocalAddr())
	io.Copy(io.Discard, os.Stdin)
}

// testFleet has relays in processes of their own on one database. The owner's is
// killed with mail on its way, then the senders': what was acknowledged arrives,
// and once.
func testFleet(t *testing.T, pg *pgtest.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dsn := pg.Database(t)
	start := func() (identity.ServerAddr, func()) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run", "^TestPostgres$")
		cmd.Env = append(os.Environ(), fleetEnv+"="+dsn)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := sync.OnceFunc(func() {
			cmd.Process.Kill()
			in.Close()
			cmd.Wait()
		})
		t.Cleanup(kill)
		for out := bufio.NewScanner(pipe); out.Scan(); {
			if text, found := strings.CutPrefix(out.Text(), "member "); found {
				at := netip.MustParseAddrPort(text)
				return identity.ServerAddr{ID: fleetKey(t).ID(), Host: "127.0.0.1", Port: at.Port()}, kill
			}
		}
		t.Fatal("the relay has ended")
		return identity.ServerAddr{}, nil
	}
	own := identity.GenerateSecretKey()
	dial := func(a identity.ServerAddr) *relay.Client {
		t.Helper()
		c, err := relay.Dial(ctx, udpEndpoint(t, transport.Config{}), a, own, "")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	acknowledged := map[string]bool{}
	store := func(s *relay.Sender, text string) {
		t.Helper()
		if _, err := s.Store(ctx, inbox, token, []byte(text)); err != nil {
			t.Fatal(err)
		}
		acknowledged[text] = true
	}
	got := map[string]int{}
	// receive takes mail until n have come in all; every third is acknowledged.
	receive := func(c *relay.Client, n int) {
		t.Helper()
		for len(got) < n {
			select {
			case m, open := <-c.Mail():
				if !open {
					t.Fatalf("the connection ended: %v", c.Err())
				}
				if got[string(m.Blob)]++; len(got)%3 == 0 {
					if err := c.Ack(ctx, []uint64{m.Seq}); err != nil {
						t.Fatal(err)
					}
				}
			case <-ctx.Done():
				t.Fatalf("only %d of %d came", len(got), n)
			}
		}
	}
	first, killFirst := start()
	second, killSecond := start()
	c := dial(first)
	if err := c.CreateInbox(ctx, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}); err != nil {
		t.Fatal(err)
	}
	s, err := relay.DialSender(ctx, udpEndpoint(t, transport.Config{}), second)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		store(s, fmt.Sprint("to the first ", i))
	}
	receive(c, 20) // pushed from the other process
	killFirst()
	for i := range 20 {
		store(s, fmt.Sprint("while nobody is there ", i))
	}
	c = dial(second)
	receive(c, 40)
	third, _ := start()
	killSecond()
	if s, err = relay.DialSender(ctx, udpEndpoint(t, transport.Config{}), third); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		store(s, fmt.Sprint("by the third ", i))
	}
	c = dial(third)
	receive(c, 60)
	for text := range acknowledged {
		if got[text] == 0 {
			t.Errorf("%q was acknowledged and never came", text)
		}
	}
	mail, err := open(t, dsn).Fetch(ctx, own.Public(), 0, time.Now(), 1000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range mail {
		if seen[string(m.Blob)] {
			t.Errorf("%q is stored twice", m.Blob)
		}
		seen[string(m.Blob)] = true
	}
}
