package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
)

func create(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "profile")
	s, err := Create(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func put(table client.Table, owner, seq int64, body string) client.Change {
	return client.Change{Kind: client.Put, Table: table, Row: client.Row{Owner: owner, Seq: seq, Body: []byte(body)}}
}

func rows(t *testing.T, s client.Store, q client.Query) (out string) {
	t.Helper()
	got, err := s.Rows(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		if r.Owner != q.Owner {
			t.Errorf("row of owner %d for a query of %d", r.Owner, q.Owner)
		}
		out += fmt.Sprintf("%d:%d:%s ", r.Seq, r.State, r.Body)
	}
	return out
}

func TestRows(t *testing.T) {
	s, _ := create(t)
	all := client.Query{Table: client.TableOutbox, Owner: 7}
	apply := func(cs ...client.Change) {
		t.Helper()
		if err := s.Apply(t.Context(), cs); err != nil {
			t.Fatal(err)
		}
	}
	apply(put(client.TableOutbox, 7, 1, "a"), put(client.TableOutbox, 7, 2, "b"), put(client.TableOutbox, 7, 5, "e"),
		put(client.TableOutbox, 8, 1, "other owner"), put(client.TableMessages, 7, 1, "other table"))
	gone := client.Change{Kind: client.Delete, Table: client.TableOutbox, Row: client.Row{Owner: 7, Seq: 1}, Through: 2}
	for _, step := range []struct {
		name    string
		changes []client.Change
		q       client.Query
		want    string
	}{
		{"all", nil, all, "1:0:a 2:0:b 5:0:e "},
		{"from", nil, client.Query{Table: client.TableOutbox, Owner: 7, From: 2}, "2:0:b 5:0:e "},
		{"below", nil, client.Query{Table: client.TableOutbox, Owner: 7, Below: 5}, "1:0:a 2:0:b "},
		{"limit", nil, client.Query{Table: client.TableOutbox, Owner: 7, Limit: 1}, "1:0:a "},
		{"descending", nil, client.Query{Table: client.TableOutbox, Owner: 7, Limit: 2, Descending: true}, "5:0:e 2:0:b "},
		{"replace", []client.Change{put(client.TableOutbox, 7, 2, "B")}, all, "1:0:a 2:0:B 5:0:e "},
		{"delete", []client.Change{gone}, all, "5:0:e "},
		{"other owner", nil, client.Query{Table: client.TableOutbox, Owner: 8}, "1:0:other owner "},
		{"other table", nil, client.Query{Table: client.TableMessages, Owner: 7}, "1:0:other table "},
		{"in order", []client.Change{gone, put(client.TableOutbox, 7, 1, "x"), gone}, all, "5:0:e "},
	} {
		apply(step.changes...)
		if got := rows(t, s, step.q); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
}

// A transaction that fails leaves nothing.
// One message is found by its tag, however long its conversation is.
func TestTagIsFoundByItsIndex(t *testing.T) {
	s, _ := create(t)
	text, args := selection(client.Query{Table: client.TableMessages, Owner: 7, Tag: 1, Limit: 1})
	rows, err := s.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := plan[0], "SEARCH row USING INDEX row_tag (tag=?)"; got != want {
		t.Errorf("the plan is %q, want %q first", plan, want)
	}
}

func TestApplyIsAtomic(t *testing.T) {
	s, _ := create(t)
	bad := put(client.TableOutbox, 1, 2, "")
	bad.Body = nil // NOT NULL
	if err := s.Apply(t.Context(), []client.Change{put(client.TableOutbox, 1, 1, "a"), bad}); err == nil {
		t.Fatal("a row without a body was stored")
	}
	if got := rows(t, s, client.Query{Table: client.TableOutbox, Owner: 1}); got != "" {
		t.Errorf("after a failed transaction: %q", got)
	}
}

func TestReopen(t *testing.T) {
	s, dir := create(t)
	if h, err := s.Header(t.Context()); h != nil || err != nil {
		t.Errorf("header of a new store = %x, %v", h, err)
	}
	if err := s.SetHeader(t.Context(), []byte("wrapped")); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), []client.Change{put(client.TableContacts, 0, 1, "c")}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir); !errors.Is(err, client.ErrProfileInUse) {
		t.Errorf("second Open = %v, want ErrProfileInUse", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := s.Header(t.Context()); !bytes.Equal(h, []byte("wrapped")) || err != nil {
		t.Errorf("header = %q, %v", h, err)
	}
	if got := rows(t, s, client.Query{Table: client.TableContacts}); got != "1:0:c " {
		t.Errorf("rows = %q", got)
	}
	s.Close()
	if _, err := Create(t.Context(), dir); !errors.Is(err, client.ErrProfileExists) {
		t.Errorf("Create again = %v, want ErrProfileExists", err)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir()); !errors.Is(err, client.ErrNoProfile) {
		t.Errorf("empty directory: %v, want ErrNoProfile", err)
	}
	s, dir := create(t)
	if _, err := s.db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(t.Context(), dir); !errors.Is(err, client.ErrNewerProfile) {
		t.Errorf("newer schema: %v, want ErrNewerProfile", err)
	}
	file := filepath.Join(dir, databaseFile)
	if err := os.WriteFile(file, bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir); !errors.Is(err, client.ErrDamaged) {
		t.Errorf("garbage: %v, want ErrDamaged", err)
	}
}

func TestDiskFull(t *testing.T) {
	s, _ := create(t)
	if _, err := s.db.ExecContext(t.Context(), "PRAGMA max_page_count = 20"); err != nil {
		t.Fatal(err)
	}
	s.db.SetMaxOpenConns(1) // the pragma holds for its connection
	err := s.Apply(t.Context(), []client.Change{put(client.TableMessages, 1, 1, string(make([]byte, 1<<20)))})
	if !errors.Is(err, client.ErrDiskFull) {
		t.Errorf("Apply = %v, want ErrDiskFull", err)
	}
}
