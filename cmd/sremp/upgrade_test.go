package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// sessionLog is what a client logs when another ratchet begins.
const sessionLog = `msg="a session began"`

// Journey J14: Ann's program is replaced in the middle of a chat, and her database,
// full of notes, is one of the first schema by then. It opens, the chat goes on in the
// session that it was in, and all that both wrote is there once. SREMP_JOURNEY_DATABASE
// is how many bytes the database has; SREMP_JOURNEY_OLD the program before, else it
// is this one.
func TestUpgradeInAChat(t *testing.T) {
	t.Parallel() // it mostly waits
	size := int64(20_000_000)
	if full := os.Getenv("SREMP_JOURNEY_DATABASE"); full != "" {
		var err error
		if size, err = strconv.ParseInt(full, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	bob := newUser(t, "Bob", addr)
	ann := oldUser(t, addr)
	bobLog := logged(t, bob, (*exec.Cmd).Start)
	logged(t, ann, oldProgram)
	meet(t, ann, bob)
	chat(t, ann, bob, "hello")
	chat(t, bob, ann, "welcome")
	notes := writeNotes(t, ann, size)

	// Both write; Ann's program ends in the middle, and Bob goes on alone.
	const each = 200
	var flows sync.WaitGroup
	var told [2]atomic.Int64
	for i, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
		api := x.from.api
		flows.Go(func() {
			for n := range each {
				if _, err := api.Send(t.Context(), x.to.id, fmt.Sprintf("before, %d", n)); err != nil {
					return // it ended: whether that one was stored is in the history
				}
				told[i].Add(1)
			}
		})
	}
	within(t, "the middle of the chat", func() (bool, string) {
		a, b := told[0].Load(), told[1].Load()
		return a >= each/4 && b >= each/4, fmt.Sprint(a, b)
	})
	ann.end(t, syscall.SIGTERM)
	flows.Wait()
	if n := told[1].Load(); n != each {
		t.Errorf("Bob could write %d messages while Ann's program was replaced, want %d", n, each)
	}
	sessions := strings.Count(read(t, bobLog), sessionLog)
	if sessions == 0 {
		t.Error("Bob's log does not tell of the first session: it would not tell of another one")
	}
	database := filepath.Join(ann.dir, "client.db")
	firstSchema(t, database)
	info, err := os.Stat(database)
	if err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	annLog := logged(t, ann, (*exec.Cmd).Start)
	if _, err := ann.api.History(t.Context(), bob.id, client.HistoryQuery{}); err != nil {
		t.Fatal(err)
	}
	usable := time.Since(began)
	chat(t, bob, ann, "are you there?")
	chat(t, ann, bob, "with another program")
	t.Logf("figure: client.journey14.usable %.2f s AGAINST a database of 1 GB: until the chat is shown, that of %d MB made one of today (%d notes)", usable.Seconds(), info.Size()/1e6, notes)
	t.Logf("figure: client.journey14.answered %.2f s until both have written and seen it", time.Since(began).Seconds())

	for _, x := range []struct{ from, to *user }{{ann, bob}, {bob, ann}} {
		want := x.from.texts(t, x.to, true)
		var got []string
		within(t, "all messages", func() (bool, string) {
			got = x.to.texts(t, x.from, false)
			return len(got) >= len(want), fmt.Sprintf("%d of %d", len(got), len(want))
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d messages were written, %d came, want the same ones in the same order", len(want), len(got))
		}
	}
	if n := int64(len(ann.texts(t, bob, true))); n < told[0].Load()+2 {
		t.Errorf("Ann's history has %d messages of hers, want the %d that were accepted and two", n, told[0].Load())
	}
	if n := strings.Count(read(t, annLog), sessionLog); n != 0 {
		t.Errorf("Ann's program of today began %d sessions, want to go on in that of before", n)
	}
	if n := strings.Count(read(t, bobLog), sessionLog); n != sessions {
		t.Errorf("%d sessions began at Bob's, want no more than the %d before the upgrade", n, sessions)
	}
	readNotes(t, ann, notes)

	ann.end(t, syscall.SIGTERM)
	began = time.Now()
	logged(t, ann, (*exec.Cmd).Start)
	if _, err := ann.api.History(t.Context(), bob.id, client.HistoryQuery{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("figure: client.journey14.usable_next %.2f s AGAINST a database of 1 GB: the same of %d MB that is of today", time.Since(began).Seconds(), info.Size()/1e6)
}

// oldProgram starts the program before this one, where there is one.
func oldProgram(cmd *exec.Cmd) error {
	cmd.Path = cmp.Or(os.Getenv("SREMP_JOURNEY_OLD"), cmd.Path)
	return cmd.Start()
}

// oldUser is newUser by the program before.
func oldUser(t *testing.T, addr identity.ServerAddr) *user {
	t.Helper()
	u := &user{dir: filepath.Join(t.TempDir(), "Ann")}
	c := spawnBy(t, oldProgram, "--profile", u.dir, "init", "--name", "Ann", "--server", addr.String())
	<-c.ended
	if !c.cmd.ProcessState.Success() {
		t.Fatalf("init: %v", c.cmd.ProcessState)
	}
	return u
}

// logged starts a user's client and returns the name of the file that it logs to.
func logged(t *testing.T, u *user, start func(*exec.Cmd) error) (log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	u.listenBy(t, func(cmd *exec.Cmd) error {
		f, err := os.Create(log)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stderr = f
		return start(cmd)
	}, "--verbose", "--no-port-mapping", "--no-lan")
	me, err := u.api.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u.id = me.ID
	return log
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// note is the n-th note, 200 to 8000 bytes long.
func note(n int) string {
	const rest = "this and that, and some more words to be read, "
	begin := fmt.Sprintf("note %d, about ", n)
	return (begin + strings.Repeat(rest, 8000/len(rest)))[:200+n*7919%7701]
}

// writeNotes has a user write to herself until the database has so many bytes.
func writeNotes(t *testing.T, u *user, size int64) (notes int) {
	t.Helper()
	big := func() bool {
		var n int64
		for _, suffix := range []string{"", "-wal"} {
			if info, err := os.Stat(filepath.Join(u.dir, "client.db"+suffix)); err == nil {
				n += info.Size()
			}
		}
		return n >= size
	}
	for !big() {
		const batch, writers = 1000, 50
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for n := notes + w; n < notes+batch; n += writers {
					if _, err := u.api.Send(t.Context(), u.id, note(n)); err != nil {
						t.Errorf("note %d: %v", n, err)
						return
					}
				}
			})
		}
		all.Wait()
		if t.Failed() {
			t.FailNow()
		}
		notes += batch
	}
	return notes
}

// readNotes checks that they are all there, can be found, and answered.
func readNotes(t *testing.T, u *user, notes int) {
	t.Helper()
	ctx := t.Context()
	seen := make([]bool, notes)
	var before int64
	for found := 0; found < notes; {
		page, err := u.api.History(ctx, u.id, client.HistoryQuery{Before: before, Limit: 250})
		if err != nil || len(page) == 0 {
			t.Fatalf("after %d notes of %d: %d more, %v", found, notes, len(page), err)
		}
		for _, m := range page {
			var n int
			if _, err := fmt.Sscanf(m.Text, "note %d,", &n); err != nil || n >= notes || seen[n] || m.Text != note(n) {
				t.Fatalf("a note is %.40q, %v: another text, or there twice", m.Text, err)
			}
			seen[n] = true
			found++
		}
		before = page[0].Seq
	}
	var hit client.Message
	within(t, "an old note found by its text", func() (bool, string) {
		hits, err := u.api.Search(ctx, client.SearchQuery{Text: "NOTE 17, about", Limit: 2})
		if len(hits) == 1 {
			hit = hits[0]
		}
		return err == nil && len(hits) == 1, fmt.Sprint(len(hits), err)
	})
	if m, err := u.api.React(ctx, u.id, hit.ID, "+1"); err != nil || m.Text != note(17) {
		t.Errorf("an old note found by its id: %.40q, %v", m.Text, err)
	}
}

// firstSchema makes a closed database what the first schema had: no tags, and no
// texts in segments.
func firstSchema(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	const settingTagged, settingIndexed = 3, 4 // that both are there
	for _, text := range []string{
		"DROP INDEX row_tag",
		"ALTER TABLE row DROP COLUMN tag",
		fmt.Sprintf("DELETE FROM row WHERE kind = %d AND seq IN (%d, %d)", client.TableSettings, settingTagged, settingIndexed),
		fmt.Sprintf("DELETE FROM row WHERE kind = %d", client.TableSegments),
		"PRAGMA user_version = 1",
		"PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		_, e := db.ExecContext(ctx, text)
		err = errors.Join(err, e)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
