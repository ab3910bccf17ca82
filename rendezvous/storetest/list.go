package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

func entry(id byte, fold string, ttl time.Duration) rendezvous.ListedRecord {
	return rendezvous.ListedRecord{
		Identity: identity.PeerID{id}, Fold: fold, Entry: fmt.Appendf(nil, "%s-%d", fold, id), Expires: t0.Add(ttl), Seen: t0,
	}
}

func list(t *testing.T, s rendezvous.Store, rs ...rendezvous.ListedRecord) {
	t.Helper()
	for _, r := range rs {
		if err := s.List(t.Context(), r, 1000); err != nil {
			t.Fatal(err)
		}
	}
}

// browse turns all pages of q, and returns the entries and the number of pages.
func browse(t *testing.T, s rendezvous.Store, q rendezvous.ListQuery, at time.Time) (got []string, pages int) {
	t.Helper()
	if q.Bytes == 0 {
		q.Bytes = 1 << 20
	}
	if q.Scan == 0 {
		q.Scan = 1000
	}
	for pages < 100 {
		page, err := s.Browse(t.Context(), q, at)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		if len(page.Records) > q.Limit {
			t.Fatalf("%d entries in a page of %d", len(page.Records), q.Limit)
		}
		for _, r := range page.Records {
			got = append(got, string(r.Entry))
		}
		if !page.More {
			return got, pages
		}
		q.After = page.Next
	}
	t.Fatal("the list does not end")
	return nil, 0
}

func testList(t *testing.T, s rendezvous.Store) {
	list(t, s, entry(1, "bob", time.Hour), entry(2, "ada", time.Hour), entry(4, "zoë", 2*time.Hour), entry(3, "ada", time.Hour))
	want := func(what string, q rendezvous.ListQuery, at time.Time, want ...string) {
		t.Helper()
		q.Limit = max(q.Limit, 1)
		for _, q.Limit = range []int{q.Limit, 2, 100} {
			if got, _ := browse(t, s, q, at); !slices.Equal(got, want) {
				t.Errorf("%s, pages of %d: got %q, want %q", what, q.Limit, got, want)
			}
		}
	}
	want("all", rendezvous.ListQuery{}, t0, "ada-2", "ada-3", "bob-1", "zoë-4")
	want("one compared a page", rendezvous.ListQuery{Scan: 1}, t0, "ada-2", "ada-3", "bob-1", "zoë-4")
	want("few bytes", rendezvous.ListQuery{Bytes: 1}, t0, "ada-2", "ada-3", "bob-1", "zoë-4")
	want("a prefix", rendezvous.ListQuery{Fold: "ad"}, t0, "ada-2", "ada-3")
	want("a prefix in the middle", rendezvous.ListQuery{Fold: "bo"}, t0, "bob-1")
	want("a prefix of nobody", rendezvous.ListQuery{Fold: "bx"}, t0)
	want("a prefix, not of the name", rendezvous.ListQuery{Fold: "ob"}, t0)
	want("a substring", rendezvous.ListQuery{Fold: "o", Substring: true}, t0, "bob-1", "zoë-4")
	want("a substring, one compared a page", rendezvous.ListQuery{Fold: "o", Substring: true, Scan: 1}, t0, "bob-1", "zoë-4")
	want("wildcards are letters", rendezvous.ListQuery{Fold: "%", Substring: true}, t0)
	want("after the first expiry", rendezvous.ListQuery{}, t0.Add(time.Hour), "zoë-4")
	if _, pages := browse(t, s, rendezvous.ListQuery{Limit: 3}, t0); pages != 2 {
		t.Errorf("4 entries in pages of 3: %d pages, want 2", pages)
	}

	list(t, s, entry(2, "charles", time.Hour))
	want("after a change of name", rendezvous.ListQuery{}, t0, "ada-3", "bob-1", "charles-2", "zoë-4")
	for range 2 {
		if err := s.Unlist(t.Context(), identity.PeerID{3}); err != nil {
			t.Fatal(err)
		}
	}
	want("after one left", rendezvous.ListQuery{}, t0, "bob-1", "charles-2", "zoë-4")
	if n, err := s.Expire(t.Context(), t0.Add(time.Hour)); n != 2 || err != nil {
		t.Errorf("Expire: got %d, %v, want 2", n, err)
	}
	want("after the sweep", rendezvous.ListQuery{}, t0, "zoë-4")
}

func testListLimit(t *testing.T, s rendezvous.Store) {
	list(t, s, entry(1, "bob", time.Hour))
	if err := s.List(t.Context(), entry(2, "ada", time.Hour), 1); !errors.Is(err, rendezvous.ErrFull) {
		t.Errorf("a second entry of one: %v, want ErrFull", err)
	}
	if err := s.List(t.Context(), entry(1, "rob", time.Hour), 1); err != nil {
		t.Errorf("a change in a full list: %v", err)
	}
	if err := s.Unlist(t.Context(), identity.PeerID{1}); err != nil {
		t.Fatal(err)
	}
	if err := s.List(t.Context(), entry(2, "ada", time.Hour), 1); err != nil {
		t.Errorf("after one left: %v", err)
	}
}

func testSeen(t *testing.T, s rendezvous.Store) {
	list(t, s, entry(1, "bob", time.Hour))
	if err := s.Seen(t.Context(), []identity.PeerID{{1}, {9}}, t0.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	page, err := s.Browse(t.Context(), rendezvous.ListQuery{Limit: 9, Bytes: 1000, Scan: 9}, t0)
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("got %d entries, %v, want 1", len(page.Records), err)
	}
	r := page.Records[0]
	if r.Identity != (identity.PeerID{1}) || r.Fold != "bob" || !r.Seen.Equal(t0.Add(time.Minute)) || !r.Expires.Equal(t0.Add(time.Hour)) {
		t.Errorf("got %+v", r)
	}
}

func testRenew(t *testing.T, s rendezvous.Store) {
	put(t, s, record(1, "one", time.Hour))
	put(t, s, record(2, "two", time.Hour))
	list(t, s, entry(1, "bob", time.Hour))
	later := t0.Add(3 * time.Hour)
	err := s.Renew(t.Context(), []rendezvous.Renewal{{Name: [32]byte{1}, Expires: later}, {Name: [32]byte{9}, Expires: later}},
		[]rendezvous.Renewal{{Name: [32]byte{1}, Expires: later}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, 1, t0.Add(2*time.Hour), "one")
	want(t, s, 2, t0.Add(2*time.Hour), "")
	want(t, s, 9, t0, "")
	if got, _ := browse(t, s, rendezvous.ListQuery{Limit: 9}, t0.Add(2*time.Hour)); len(got) != 1 {
		t.Errorf("entries after renewal: got %q, want bob's", got)
	}
}
