package sqlite

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/storetest"
)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Test(t, func(t *testing.T) relay.Store { return open(t, filepath.Join(t.TempDir(), "relay.db")) })
}

var (
	owner = [32]byte{1}
	inbox = [32]byte{2}
	token = [32]byte{3}
)

func setUp(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.Owner(t.Context(), owner, time.Now(), relay.Admission{Open: true, Limit: 1}); err != nil {
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

// What Put has answered survives kill -9: the child prints a blob's hash after
// Put has returned, and is killed in the middle of its work (spec §6.8).
func TestKill(t *testing.T) {
	if path := os.Getenv("SREMP_TEST_KILL"); path != "" {
		killed(t, path)
	}
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	setUp(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	rounds := 3
	if os.Getenv("SREMP_FIGURES") != "" {
		rounds = 200
	}
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKill$")
		cmd.Env = append(os.Environ(), "SREMP_TEST_KILL="+path, "SREMP_TEST_ROUND="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acknowledged[lines.Text()] = true
			if n == 40+17*(round%7) {
				cmd.Process.Kill()
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
	}
	s = open(t, path)
	defer s.Close()
	var check string
	if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity_check = %q, %v", check, err)
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d blobs acknowledged", len(acknowledged))
	}
	lost := checkStored(t, s, acknowledged)
	if rounds > 3 {
		fmt.Printf("figure: relay.5.kill_lost %d messages of %d acknowledged, in %d rounds of kill -9\n", lost, len(acknowledged), rounds)
	}
}

// checkStored returns how many acknowledged blobs are gone; each is there once.
func checkStored(t *testing.T, s *Store, acknowledged map[string]bool) (lost int) {
	t.Helper()
	mail, err := s.Fetch(t.Context(), owner, 0, time.Now(), 1<<30, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]int{}
	for _, m := range mail {
		if m.Hash != sha256.Sum256(m.Blob) {
			t.Error("a blob was damaged")
		}
		stored[hex.EncodeToString(m.Hash[:])]++
	}
	for h := range acknowledged {
		if stored[h] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", h, stored[h])
			lost++
		}
	}
	return lost
}

// killed stores until it is killed.
func killed(t *testing.T, path string) {
	s := open(t, path)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for sender := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				d := delivery(fmt.Append(nil, os.Getenv("SREMP_TEST_ROUND"), " ", sender, " ", i))
				if _, err := s.Put(t.Context(), d); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(3)
				}
				mu.Lock()
				os.Stdout.WriteString(hex.EncodeToString(d.Hash[:]) + "\n")
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestClosed(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	setUp(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := s.Put(t.Context(), delivery([]byte("x"))); err == nil {
		t.Error("a closed store took a blob")
	}
}

func TestDiskFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	defer s.Close()
	setUp(t, s)
	if err := s.w.Alone(t.Context(), func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "PRAGMA max_page_count = 40")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), delivery(make([]byte, 1<<20))); !errors.Is(err, relay.ErrFull) {
		t.Errorf("err = %v, want ErrFull", err)
	}
	if _, err := s.Put(t.Context(), delivery([]byte("small"))); err != nil {
		t.Errorf("after a full disk: %v", err)
	}
}

func BenchmarkPut(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "relay.db"))
	defer s.Close()
	setUp(b, s)
	var next struct {
		sync.Mutex
		n int
	}
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			next.Lock()
			next.n++
			blob := make([]byte, 1536)
			copy(blob, strconv.Itoa(next.n))
			next.Unlock()
			if _, err := s.Put(b.Context(), delivery(blob)); err != nil {
				b.Error(err)
			}
		}
	})
}
