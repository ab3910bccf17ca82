package sqlite

import (
	"bytes"
	"context"
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

// One message is found by its tag, however long its conversation is, and no query
// has SQLite make a table of its own to sort rows in, which takes longer than all
// the rest.
func TestTagIsFoundByItsIndex(t *testing.T) {
	s, _ := create(t)
	for _, test := range []struct {
		q    client.Query
		want string
	}{
		{client.Query{Tag: 1}, "SEARCH row USING INDEX row_tag (tag=?)"},
		{client.Query{Tag: 1, Descending: true}, "SEARCH row USING INDEX row_tag (tag=?)"},
		{client.Query{}, "SEARCH row USING INDEX row_place (kind=? AND owner=? AND seq>? AND seq<?)"},
		{client.Query{Descending: true}, "SEARCH row USING INDEX row_place (kind=? AND owner=? AND seq>? AND seq<?)"},
	} {
		test.q.Table, test.q.Owner, test.q.Limit = client.TableMessages, 7, 1
		if got := plan(t, s, test.q); len(got) != 1 || got[0] != test.want {
			t.Errorf("tag %d, descending %v: the plan is %q, want %q alone", test.q.Tag, test.q.Descending, got, test.want)
		}
	}
}

func plan(t *testing.T, s *Store, q client.Query) (steps []string) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+shapeOf(q).text(), arguments(q)...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestRowsOfOneTag(t *testing.T) {
	s, _ := create(t)
	var changes []client.Change
	for _, x := range []struct{ owner, seq, tag int64 }{{7, 5, 1}, {7, 2, 1}, {7, 9, 1}, {7, 3, 2}, {7, 4, 0}, {8, 6, 1}} {
		c := put(client.TableMessages, x.owner, x.seq, fmt.Sprint(x.tag))
		c.Tag = x.tag
		changes = append(changes, c)
	}
	if err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		q    client.Query
		want string
	}{
		{client.Query{Tag: 1}, "2:0:1 5:0:1 9:0:1 "},
		{client.Query{Tag: 1, Limit: 2}, "2:0:1 5:0:1 "},
		{client.Query{Tag: 1, Limit: 2, Descending: true}, "9:0:1 5:0:1 "},
		{client.Query{Tag: 1, From: 3, Below: 9}, "5:0:1 "},
		{client.Query{Tag: 2, Limit: 1}, "3:0:2 "},
		{client.Query{Tag: 3}, ""},
	} {
		test.q.Table, test.q.Owner = client.TableMessages, 7
		if got := rows(t, s, test.q); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.q, got, test.want)
		}
	}
}

// endsAfter is a context that is over once it was asked n times.
type endsAfter struct {
	context.Context
	n int
}

func (e *endsAfter) Err() error {
	if e.n--; e.n < 0 {
		return context.Canceled
	}
	return nil
}

// Reading and writing end with their context, between rows too, and what was begun
// leaves nothing.
func TestContextEnds(t *testing.T) {
	s, _ := create(t)
	var changes []client.Change
	for i := range int64(20) {
		changes = append(changes, put(client.TableOutbox, 1, i+1, "a"))
	}
	q := client.Query{Table: client.TableOutbox, Owner: 1}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ctx := range map[string]func() context.Context{
		"before":  func() context.Context { return over },
		"between": func() context.Context { return &endsAfter{t.Context(), 10} },
	} {
		if err := s.Apply(ctx(), changes); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Apply = %v, want context.Canceled", name, err)
		}
		if got := rows(t, s, q); got != "" {
			t.Errorf("%s: Apply left %q", name, got)
		}
	}
	if err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{"before": over, "between": &endsAfter{t.Context(), 10}} {
		if got, err := s.Rows(ctx, q); !errors.Is(err, context.Canceled) || got != nil {
			t.Errorf("%s: Rows = %d rows, %v, want context.Canceled", name, len(got), err)
		}
	}
}

// A transaction that fails leaves nothing.
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
