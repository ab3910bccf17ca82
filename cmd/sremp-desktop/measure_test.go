//go:build gtk

package main

import (
	"fmt"
	"image/color"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// filled makes a profile with a number of messages in the notes, the oldest of
// which are given, some in the conversation with somebody who is never there, and
// an empty passphrase.
func filled(t *testing.T, notes, others int, oldest ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "filled")
	s, err := sqlite.Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := client.Config{Store: s, KDF: identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}, Listen: "127.0.0.1:0"}
	if err := client.Create(t.Context(), cfg, "Lena"); err != nil {
		t.Fatal(err)
	}
	c, err := client.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	me, err := c.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	olga, err := c.Add(t.Context(), identity.Invite{
		Peer: identity.GenerateSecretKey().Public(), Name: "Olga", Secret: identity.NewInviteSecret(),
		Expires: time.Now().Add(time.Hour).Truncate(time.Second), Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")},
	}.URI(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetPicture(t.Context(), writePortrait(t, color.Black)); err != nil {
		t.Fatal(err)
	}
	fill := func(to identity.PeerID, n int) {
		const writers = 256
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := w; i < n; i += writers {
					text := fmt.Sprintf("Note %d. %s", i, strings.Repeat("Words that wrap. ", i%9))
					if _, err := c.Send(t.Context(), to, text); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	for _, text := range oldest {
		if _, err := c.Send(t.Context(), me.ID, text); err != nil {
			t.Fatal(err)
		}
	}
	fill(me.ID, notes)
	fill(olga.ID, others)
	if t.Failed() {
		t.FailNow()
	}
	return dir
}

// watched runs the desktop on a profile while it watches itself, to its end.
func (s *seat) watched(what, profile string) map[string]float64 {
	s.t.Helper()
	results := filepath.Join(s.t.TempDir(), "watched")
	s.launch([]string{
		passphraseVariable + "=", watchVariable + "=" + what, watchFile + "=" + results,
		startedVariable + "=" + strconv.FormatInt(time.Now().UnixNano(), 10),
	}, "--profile", profile, "--listen", "127.0.0.1:0")
	select {
	case <-s.program.done:
	case <-time.After(5 * patience): // it has much to do
	}
	s.wait()
	b, err := os.ReadFile(results)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		name, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if all[name], err = strconv.ParseFloat(v, 64); err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

// TestMemory opens conversations of 10 000 messages again and again: once they
// were all open a few times, neither widgets nor memory become more, nor goroutines
// and descriptors.
func TestMemory(t *testing.T) {
	s := newSeat(t, "memory", "960x680")
	got := s.watched("switch", filled(t, 5000, 5000))
	t.Logf("figure: desktop.4.switches_%d.before %.1f MB resident", switchCounted, got["before_mb"])
	t.Logf("figure: desktop.4.switches_%d.halfway %.1f MB resident", switchCounted, got["halfway_mb"])
	t.Logf("figure: desktop.4.switches_%d.after %.1f MB resident AGAINST the same as before", switchCounted, got["after_mb"])
	t.Logf("figure: desktop.4.switch_cpu %.1f ms", got["switch_cpu_ms"])
	for _, what := range []string{"mb", "widgets"} {
		// Rows that are made anew at each switch cost two times this much at the least.
		if before, after := got["before_"+what], got["after_"+what]; before == 0 || after > before*1.15 {
			t.Errorf("%d switches made %.0f %s out of %.0f", switchCounted, after, what, before)
		}
	}
	// What a switch leaves would be there as often; what comes and goes with time,
	// as an attempt to reach a contact, is a few.
	for _, what := range []string{"goroutines", "descriptors"} {
		if before, after := got["before_"+what], got["after_"+what]; before == 0 || after > before+switchCounted/4 {
			t.Errorf("%d switches made %.0f %s out of %.0f", switchCounted, after, what, before)
		}
	}
}

// TestDialogMemory opens and closes each dialog again and again: neither widgets
// nor memory become more.
func TestDialogMemory(t *testing.T) {
	s := newSeat(t, "dialogs", "960x680")
	got := s.watched("dialogs", filled(t, 5, 5))
	t.Logf("%d times each dialog: %.0f widgets and %.1f MB, %.0f and %.1f MB before", dialogCounted,
		got["after_widgets"], got["after_mb"], got["before_widgets"], got["before_mb"])
	if got["failed"] != 0 {
		t.Errorf("%.0f dialogs did not open", got["failed"])
	}
	if before, after := got["before_widgets"], got["after_widgets"]; before == 0 || after != before {
		t.Errorf("%.0f widgets were %.0f before", after, before)
	}
	// A window that is made anew at each showing costs 1.6 times this much.
	if before, after := got["before_mb"], got["after_mb"]; after > before*1.3 {
		t.Errorf("%.1f MB were %.1f before", after, before)
	}
}

// TestFigures measures on a quiet machine: SREMP_FIGURES=1, and
// SREMP_FIGURES_MESSAGES for how many there are at the start, a million if unset.
func TestFigures(t *testing.T) {
	if os.Getenv("SREMP_FIGURES") == "" {
		t.Log("no figures are wanted: SREMP_FIGURES is not set")
		return
	}
	many := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("SREMP_FIGURES_MESSAGES")); err == nil {
		many = n
	}
	t.Run("scroll", func(t *testing.T) {
		s := newSeat(t, "figures", "960x680")
		dir := filled(t, 100_000, 0)
		for name, v := range s.watched("scroll", dir) {
			switch name {
			case "frame_p50_ms", "frame_max_ms", "frame_cpu_p50_ms", "frame_cpu_p99_ms", "frame_cpu_max_ms":
				t.Logf("figure: desktop.1.scroll_100k.%s %.1f ms", name, v)
			case "frame_p99_ms":
				t.Logf("figure: desktop.1.scroll_100k.%s %.1f ms AGAINST 33 ms, software renderer", name, v)
			case "longest_block_ms":
				t.Logf("figure: desktop.3.scroll_100k.%s %.1f ms AGAINST 50 ms", name, v)
			case "longest_work_ms":
				t.Logf("figure: desktop.3.scroll_100k.%s %.1f ms of processor time", name, v)
			}
		}
	})
	t.Run("start", func(t *testing.T) {
		s := newSeat(t, "figures", "960x680")
		dir := filled(t, many, 0)
		for i := range 4 {
			got := s.watched("start", dir)
			if i == 0 {
				continue // the cache is cold
			}
			t.Logf("figure: desktop.2.start_%d.usable_ms_%d %.0f ms AGAINST 1000 ms", many, i, got["usable_ms"])
			t.Logf("figure: desktop.3.start_%d.longest_block_ms_%d %.1f ms AGAINST 50 ms", many, i, got["longest_block_ms"])
			t.Logf("figure: desktop.3.start_%d.longest_work_ms_%d %.1f ms of processor time", many, i, got["longest_work_ms"])
		}
	})
}
