package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/relay"
)

// inFiles reports whether a text stands anywhere in the database's files.
func inFiles(t *testing.T, path, text string) (found []string) {
	t.Helper()
	all, err := filepath.Glob(path + "*")
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			found = append(found, filepath.Base(name))
		}
	}
	return found
}

// Spec §6.8: deleted is gone. Mail that was acknowledged or has expired, and
// prekeys that were handed out, are in no file any more, log included.
func TestDeletedIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	defer s.Close()
	setUp(t, s)
	ctx := t.Context()
	for name, del := range map[string]func(){
		"acknowledged": func() {
			mail, err := s.Fetch(ctx, owner, 0, time.Now(), 100, 1<<20)
			if err != nil || len(mail) == 0 {
				t.Fatal(err)
			}
			if err := s.Ack(ctx, owner, []uint64{mail[0].Seq}); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func() {},
		"blocked": func() {
			if err := s.Block(ctx, inbox, time.Now()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			marker := "marker of what is " + name
			d := delivery([]byte(strings.Repeat(marker+" ", 200))) // over a page: an overflow chain too
			d.Limits.TTL = time.Hour
			if _, err := s.Put(ctx, d); err != nil {
				t.Fatal(err)
			}
			if len(inFiles(t, path, marker)) == 0 {
				t.Fatal("the blob is in no file; the test finds nothing")
			}
			del()
			if err := s.Expire(ctx, time.Now().Add(2*time.Hour), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if found := inFiles(t, path, marker); found != nil {
				t.Errorf("still in %v", found)
			}
			if name == "blocked" {
				if _, err := s.Unblock(ctx, inbox); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.CreateInbox(ctx, owner, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}, 10); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A backup made while deliveries go on holds all that was acknowledged before it
// began, and nothing deleted; what is restored from it goes on without giving out
// a number or a prekey again.
func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "relay.db"))
	defer s.Close()
	setUp(t, s)
	ctx := t.Context()
	if err := s.PutPrekeys(ctx, owner, inbox, false, []byte("bundle"), []relay.SealedOneTime{{ID: 1, Blob: []byte("one-time")}}, 5); err != nil {
		t.Fatal(err)
	}
	before := map[string]bool{}
	for i := range 50 {
		body := fmt.Sprintf("before %d", i)
		before[body] = true
		if _, err := s.Put(ctx, delivery([]byte(body))); err != nil {
			t.Fatal(err)
		}
	}
	deleted, err := s.Put(ctx, delivery([]byte("deleted before the backup")))
	if err != nil || !deleted.Fresh {
		t.Fatal(err)
	}
	mail, err := s.Fetch(ctx, owner, 50, time.Now(), 10, 1<<20)
	if err != nil || len(mail) != 1 {
		t.Fatalf("%d, %v", len(mail), err)
	}
	if err := s.Ack(ctx, owner, []uint64{mail[0].Seq}); err != nil {
		t.Fatal(err)
	}
	busy, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; busy.Err() == nil; i++ {
			s.Put(busy, delivery(fmt.Append(nil, "during ", i)))
		}
	})
	backup := filepath.Join(dir, "backup")
	err = s.Backup(ctx, backup)
	stop()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(ctx, backup); err == nil {
		t.Error("a backup overwrote another")
	}
	info, err := os.Stat(backup)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if found := inFiles(t, backup, "deleted before the backup"); found != nil {
		t.Errorf("deleted mail in %v", found)
	}
	if err := Restore(ctx, filepath.Join(dir, "relay.db"), backup); err == nil {
		t.Error("Restore replaced a database")
	}
	restored := filepath.Join(dir, "restored.db")
	if err := Restore(ctx, restored, backup); err != nil {
		t.Fatal(err)
	}
	r := open(t, restored)
	defer r.Close()
	all, err := r.Fetch(ctx, owner, 0, time.Now(), 1<<30, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		delete(before, string(m.Blob))
	}
	if len(before) != 0 {
		t.Errorf("%d acknowledged blobs are not in the backup", len(before))
	}
	if n, err := r.PrekeyCount(ctx, owner, inbox); n != 0 || err != nil {
		t.Errorf("%d one-time prekeys restored, %v; want 0", n, err)
	}
	if _, err := r.Put(ctx, delivery([]byte("after"))); err != nil {
		t.Fatal(err)
	}
	newer, err := s.Fetch(ctx, owner, 0, time.Now(), 1<<30, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	last, err := r.Fetch(ctx, owner, newer[len(newer)-1].Seq, time.Now(), 10, 1<<20)
	if err != nil || len(last) != 1 || string(last[0].Blob) != "after" {
		t.Errorf("mail stored after the restore has no number above all given before: %d, %v", len(last), err)
	}
	if err := os.WriteFile(backup, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, filepath.Join(dir, "third.db"), backup); err == nil {
		t.Error("Restore took what is no database")
	}
}

// knows covers every table of the schema: a new one must say what it holds.
func TestKnowsCoversTheSchema(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	defer s.Close()
	rows, err := s.db.Query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
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
}
