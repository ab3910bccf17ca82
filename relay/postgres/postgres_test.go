package postgres

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/pgtest"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/storetest"
	"github.com/sremp/sremp/transport"
)

var (
	owner = [32]byte{1}
	inbox = [32]byte{2}
	token = [32]byte{3}
)

const childEnv = "SREMP_TEST_POSTGRES"

func open(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func setUp(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.Owner(t.Context(), owner, time.Now(), relay.Admission{Open: true, Limit: 10}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateInbox(t.Context(), owner, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}, 1); err != nil {
		t.Fatal(err)
	}
}

func delivery(blob []byte) relay.Delivery {
	l := relay.DefaultLimits()
	l.InboxBlobs, l.OwnerBlobs, l.OwnerBytes, l.InboxBytes = 1<<30, 1<<30, 1<<40, 1<<40
	return relay.Delivery{Inbox: inbox, TokenHash: relay.TokenHash(token), Hash: sha256.Sum256(blob), Blob: blob, Now: time.Now(), Limits: l}
}

// stored returns the hashes of all mail.
func stored(t testing.TB, s *Store) map[string]int {
	t.Helper()
	mail, err := s.Fetch(t.Context(), owner, 0, time.Now(), 1<<30, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	var last uint64
	for _, m := range mail {
		if m.Hash != sha256.Sum256(m.Blob) || m.Seq <= last {
			t.Errorf("mail %d after %d is damaged or out of order", m.Seq, last)
		}
		last = m.Seq
		all[hex.EncodeToString(m.Hash[:])]++
	}
	return all
}

// One server for all: it takes seconds to make.
func TestPostgres(t *testing.T) {
	if dsn := os.Getenv(childEnv); dsn != "" {
		child(t, dsn)
	}
	if dsn := os.Getenv(fleetEnv); dsn != "" {
		fleetMember(t, dsn)
		return
	}
	pg := pgtest.Start(t)
	t.Run("Conformance", func(t *testing.T) {
		storetest.Test(t, func(t *testing.T) relay.Store { return open(t, pg.Database(t)) })
	})
	t.Run("Schema", func(t *testing.T) { testSchema(t, pg) })
	t.Run("Processes", func(t *testing.T) { testProcesses(t, pg) })
	t.Run("Fleet", func(t *testing.T) { testFleet(t, pg) })
	t.Run("Push", func(t *testing.T) { testPush(t, pg) })
	t.Run("Crash", func(t *testing.T) { testCrash(t, pg) })
	t.Run("Unavailable", func(t *testing.T) { testUnavailable(t, pg) })
	t.Run("Failover", testFailover)
}

// knows covers every table; a newer schema is refused; two may open at once.
func testSchema(t *testing.T, pg *pgtest.Server) {
	dsn := pg.Database(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { open(t, dsn) })
	}
	wg.Wait()
	s := open(t, dsn)
	rows, err := s.pool.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		covered := false
		for _, k := range knows {
			covered = covered || k.table == name
		}
		if !covered {
			t.Errorf("knows leaves out table %s", name)
		}
	}
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO schema_version (version) VALUES (99)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dsn); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("a newer schema: %v", err)
	}
	const secret = "hunter2"
	if _, err := Open(t.Context(), "postgres://u:"+secret+"@%zz/x"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a bad connection string: %v", err)
	}
}

// Several processes store into one database; one of them is killed at its work,
// and nothing that any had acknowledged is lost or doubled.
func testProcesses(t *testing.T, pg *pgtest.Server) {
	dsn := pg.Database(t)
	s := open(t, dsn)
	setUp(t, s)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var wg sync.WaitGroup
	for n := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestPostgres$")
		cmd.Env = append(os.Environ(), childEnv+"="+dsn, fmt.Sprint("SREMP_TEST_NAME=", n))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			lines := bufio.NewScanner(out)
			for k := 0; lines.Scan(); k++ {
				mu.Lock()
				acknowledged[lines.Text()] = true
				mu.Unlock()
				if k == 30+40*n {
					cmd.Process.Kill()
				}
			}
			cmd.Wait()
		})
	}
	wg.Wait()
	all := stored(t, s)
	if len(acknowledged) < 100 {
		t.Errorf("only %d acknowledged", len(acknowledged))
	}
	for h := range acknowledged {
		if all[h] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", h, all[h])
		}
	}
}

// child stores until it is killed.
func child(t *testing.T, dsn string) {
	s := open(t, dsn)
	for i := 0; ; i++ {
		d := delivery(fmt.Append(nil, os.Getenv("SREMP_TEST_NAME"), " ", i))
		if _, err := s.Put(t.Context(), d); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		fmt.Println(hex.EncodeToString(d.Hash[:]))
	}
}

// testPush stores at one relay what is pushed to an owner connected to another.
func testPush(t *testing.T, pg *pgtest.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dsn := pg.Database(t)
	key, err := identity.NewServerKey(make([]byte, 32)) // one name for the fleet
	if err != nil {
		t.Fatal(err)
	}
	endpoint := func(c transport.Config) *transport.Endpoint {
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
	var fleet []identity.ServerAddr
	for range 2 {
		s, err := relay.NewServer(relay.ServerConfig{Key: key, Store: open(t, dsn)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		ep := endpoint(transport.Config{ServerKey: key, Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve}})
		fleet = append(fleet, identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: ep.LocalAddr().Port()})
	}
	c, err := relay.Dial(ctx, endpoint(transport.Config{}), fleet[0], identity.GenerateSecretKey(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.CreateInbox(ctx, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}); err != nil {
		t.Fatal(err)
	}
	s, err := relay.DialSender(ctx, endpoint(transport.Config{}), fleet[1])
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	receive := func(want string) {
		t.Helper()
		select {
		case m := <-c.Mail():
			if string(m.Blob) != want {
				t.Errorf("mail %q, want %q", m.Blob, want)
			}
		case <-ctx.Done():
			t.Fatal("nothing was pushed")
		}
	}
	for i := range 5 {
		body := fmt.Sprint("message ", i)
		if _, err := s.Store(ctx, inbox, token, []byte(body)); err != nil {
			t.Fatal(err)
		}
		receive(body)
	}
	// The listening connections break; what comes afterwards is pushed still.
	pg.Kill()
	pg.Run(t)
	if _, err := s.Store(ctx, inbox, token, []byte("after a crash")); err != nil {
		t.Fatal(err)
	}
	receive("after a crash")
}

// The database crashes and comes back under load: calls wait for it, nothing
// acknowledged is lost, and nothing is stored twice.
func testCrash(t *testing.T, pg *pgtest.Server) {
	s := open(t, pg.Database(t))
	setUp(t, s)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				d := delivery(fmt.Append(nil, w, " ", i))
				_, err := s.Put(ctx, d)
				if err == nil {
					mu.Lock()
					acknowledged[hex.EncodeToString(d.Hash[:])] = true
					mu.Unlock()
				} else if ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	reached := func(n int) {
		for {
			mu.Lock()
			k := len(acknowledged)
			mu.Unlock()
			if k >= n || t.Failed() {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	for round := range 3 {
		reached(100 * (round + 1))
		if round == 2 {
			pg.Stop()
		} else {
			pg.Kill()
		}
		pg.Run(t)
	}
	mu.Lock()
	n := len(acknowledged)
	mu.Unlock()
	reached(n + 100)
	stop()
	wg.Wait()
	all := stored(t, s)
	for h := range acknowledged {
		if all[h] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", h, all[h])
		}
	}
}

// A database that is gone, or that has become a standby, is one typed error.
func testUnavailable(t *testing.T, pg *pgtest.Server) {
	dsn := pg.Database(t)
	s := open(t, dsn)
	setUp(t, s)
	if _, err := s.pool.Exec(t.Context(), "ALTER DATABASE "+dsn[strings.Index(dsn, "dbname=")+7:strings.Index(dsn, " sslmode")]+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	s.pool.Reset()
	if _, err := s.Put(t.Context(), delivery([]byte("x"))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a server that takes no writes: %v", err)
	}
	pg.Kill()
	start := time.Now()
	if _, err := s.Put(t.Context(), delivery([]byte("x"))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no server: %v", err)
	}
	if time.Since(start) < retryFor {
		t.Error("it was not tried again")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, delivery([]byte("x"))); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

// The primary dies under load and its standby is promoted: calls wait or say that
// the database cannot be reached, what was acknowledged is on the new primary, and
// a primary that waits for a standby of its own is that error too, not silence.
func testFailover(t *testing.T) {
	primary := pgtest.Start(t)
	dsn := primary.Database(t)
	standby := primary.Standby(t)
	s := open(t, primary.Failover(dsn, standby))
	setUp(t, s)
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				d := delivery(fmt.Append(nil, w, " ", i))
				switch _, err := s.Put(ctx, d); {
				case err == nil:
					mu.Lock()
					acknowledged[hex.EncodeToString(d.Hash[:])] = true
					mu.Unlock()
				case ctx.Err() == nil && !errors.Is(err, ErrUnavailable):
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	reached := func(n int) {
		for ; !t.Failed(); time.Sleep(5 * time.Millisecond) {
			mu.Lock()
			k := len(acknowledged)
			mu.Unlock()
			if k >= n {
				return
			}
		}
	}
	reached(100)
	primary.Kill()
	standby.Promote(t)
	// The new primary waits for a standby, as the old one did; there is none.
	standby.SetSynchronous(t, "*")
	if _, err := s.Put(ctx, delivery([]byte("nobody follows"))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a primary whose standby is missing: %v, want ErrUnavailable", err)
	}
	standby.SetSynchronous(t, "")
	mu.Lock()
	n := len(acknowledged)
	mu.Unlock()
	reached(n + 100)
	stop()
	wg.Wait()
	all := stored(t, s)
	for h := range acknowledged {
		if all[h] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", h, all[h])
		}
	}
}
