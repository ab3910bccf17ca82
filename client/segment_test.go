package client

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// notes is a client with a store in memory and its own id.
func notes(t *testing.T) (*Client, *memStore, identity.PeerID) {
	t.Helper()
	s := newMemStore()
	cfg := Config{Store: s, KDF: identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}, Listen: "127.0.0.1:0"}
	if err := Create(t.Context(), cfg, "Ann"); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	me, err := c.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c, s, me.ID
}

// segments returns what all segments say, opened.
func segments(t *testing.T, c *Client, s *memStore) (all string, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range s.rows {
		if key.table != TableSegments {
			continue
		}
		body, err := c.vault.open(TableSegments, r)
		if err != nil {
			t.Fatal(err)
		}
		all, n = all+string(body), n+1
	}
	return all, n
}

func found(t *testing.T, c *Client, text string) (out []string) {
	t.Helper()
	ms, err := c.Search(t.Context(), SearchQuery{Text: text, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		out = append(out, m.Text)
	}
	return out
}

// A search finds the same in segments, in what they do not cover, and in texts
// that are too long for them; newest first.
func TestSegments(t *testing.T) {
	c, s, me := notes(t)
	ctx := t.Context()
	var want []string
	const n = 2600
	for i := range n {
		text := fmt.Sprintf("Note %d", i)
		if i%500 == 7 {
			text = fmt.Sprintf("ein Übermäßiger Satz %d", i)
			want = append(want, text)
		}
		if i == 1500 {
			text = strings.Repeat("long ", 2000) + "übermäßig"
			want = append(want, text)
		}
		if _, err := c.Send(ctx, me, text); err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(want)
	for range 2 { // the first one may have to make segments
		if got := found(t, c, "ÜBERMÄSSIG"); len(got) != 0 {
			t.Errorf("found %q by other letters", got)
		}
		if got := found(t, c, "übermäßig"); !slices.Equal(got, want) {
			t.Errorf("found %.60q, want %.60q", got, want)
		}
		if got := found(t, c, "note 25"); len(got) != 110 || got[0] != "Note 2599" || got[109] != "Note 25" {
			t.Errorf("found %d, %q to %q", len(got), got[0], got[len(got)-1])
		}
	}
	waitSegments(t, c, s, 3)
}

func waitSegments(t *testing.T, c *Client, s *memStore, want int) {
	t.Helper()
	for until := time.Now().Add(3 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		_, n := segments(t, c, s)
		if n == want {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d segments, want %d", n, want)
		}
	}
}

// What is deleted, edited, or disappears is gone from segments in the same
// transaction, and does not come back by one that was being made meanwhile.
func TestDeletedLeavesSegments(t *testing.T) {
	c, s, me := notes(t)
	ctx := t.Context()
	send := func(d Draft) Message {
		t.Helper()
		m, err := c.SendDraft(ctx, me, d)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for i := range 300 {
		send(Draft{Text: fmt.Sprintf("filler %d", i)})
	}
	secret, other := send(Draft{Text: "the secret word"}), send(Draft{Text: "the first wording"})
	send(Draft{Text: "a fleeting word", Timer: time.Second})
	for i := range 300 {
		send(Draft{Text: fmt.Sprintf("more %d", i)})
	}
	if got := found(t, c, "word"); len(got) < 2 {
		t.Fatalf("found %q", got)
	}
	waitSegments(t, c, s, 1)
	// A segment that is half made when a text is deleted is not stored.
	stale, err := c.viewNow(me)
	if err != nil {
		t.Fatal(err)
	}
	more, err := c.uncovered(ctx, stale, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, me, []MessageID{secret.ID}, false); err != nil {
		t.Fatal(err)
	}
	c.extendSegment(stale, 0, nil, more)
	if _, err := c.Edit(ctx, me, other.ID, "the second version"); err != nil {
		t.Fatal(err)
	}
	check := func(gone ...string) {
		t.Helper()
		all, _ := segments(t, c, s)
		for _, text := range gone {
			if strings.Contains(all, text) {
				t.Errorf("%q is in a segment", text)
			}
			if got := found(t, c, text); len(got) != 0 {
				t.Errorf("found %q", got)
			}
		}
	}
	check("secret word", "first wording")
	if got := found(t, c, "second version"); len(got) != 1 {
		t.Errorf("found %q, want the edited text", got)
	}
	for until := time.Now().Add(3 * time.Minute); len(found(t, c, "fleeting")) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("a message did not disappear from the search")
		}
	}
	check("fleeting word", "secret word", "first wording")
	if err := c.DeleteHistory(ctx, me); err != nil {
		t.Fatal(err)
	}
	check("filler", "second version")
	if _, n := segments(t, c, s); n != 0 {
		t.Errorf("%d segments of a conversation that was deleted", n)
	}
}

// A profile without segments gets them when it is opened.
func TestSegmentsOfOldProfile(t *testing.T) {
	c, s, me := notes(t)
	for i := range 1500 {
		if _, err := c.Send(t.Context(), me, fmt.Sprintf("note %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	cfg := c.cfg
	c.Close()
	for key := range s.rows {
		if key.table == TableSegments || key.table == TableSettings && key.seq == settingIndexed {
			delete(s.rows, key)
		}
	}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waitSegments(t, c, s, 2)
	if all, _ := segments(t, c, s); !strings.Contains(all, "note 0") || !strings.Contains(all, "note 1499") {
		t.Error("a message is in no segment")
	}
}

func TestParseSegment(t *testing.T) {
	var none *segment
	body := none.with(3, []segmentEntry{{3<<10 | 1, "Hello"}, {3<<10 | 2, strings.Repeat("x", segmentText+1)}, {3<<10 | 900, "Ä"}})
	s, err := parseSegment(body, 3)
	if err != nil || s.through != 3<<10|900 {
		t.Fatalf("parseSegment = %+v, %v", s, err)
	}
	if got := s.find(newFinder("ä")); !slices.Equal(got, []int64{3<<10 | 900, 3<<10 | 2}) {
		t.Errorf("find = %v, want the one that has it, and the one that is too long to say", got)
	}
	if again := (&segment{batch: 3, entries: nil}).with(3, []segmentEntry{{3<<10 | 1, "hello"}}); !bytes.HasPrefix(body[3:], again[3:]) {
		t.Error("an entry is not what the spec says")
	}
	whole := map[int]bool{3: true, 3 + 4 + 5: true, 3 + 4 + 5 + 4: true, len(body): true}
	for i := range body {
		if _, err := parseSegment(body[:i], 3); (err == nil) != whole[i] {
			t.Errorf("%d of %d bytes: %v", i, len(body), err)
		}
	}
}

func FuzzParseSegment(f *testing.F) {
	var none *segment
	f.Add(none.with(0, []segmentEntry{{1, "hello"}, {2, "world"}}), "o")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		if s, err := parseSegment(b, 0); err == nil && text != "" {
			s.find(newFinder(text))
		}
	})
}

// Texts that go into a segment from memory are those that are next, in one batch, and as
// long as none of them was changed.
func TestUnindexed(t *testing.T) {
	var u unindexed
	have := func() (out []int64) {
		for _, e := range u.entries {
			out = append(out, e.seq)
		}
		return out
	}
	step := func(what string, seq int64, text string, texts int64, want ...int64) {
		t.Helper()
		if u.add(segmentEntry{seq, text}, texts); !slices.Equal(have(), want) {
			t.Errorf("%s: got %v, want %v", what, have(), want)
		}
	}
	step("the first", 5, "a", 3, 5)
	step("the next", 6, "b", 3, 5, 6)
	step("one that does not follow", 8, "c", 3, 8)
	step("the next of it", 9, "d", 3, 8, 9)
	for _, x := range []struct {
		from, texts int64
		want        int
	}{{8, 3, 2}, {9, 3, 1}, {10, 3, 0}, {7, 3, 0}, {8, 4, 0}} {
		if got := u.from(x.from, x.texts); len(got) != x.want {
			t.Errorf("from %d, after %d changes: got %v, want %d", x.from, x.texts, got, x.want)
		}
	}
	if u.from(7, 3) != nil || u.from(8, 4) != nil {
		t.Error("what is not known passes for nothing new")
	}
	step("after a change", 10, "e", 4, 10)
	step("too much", 11, strings.Repeat("x", unindexedBytes), 4, 11)
	step("the last of a batch", 1<<segmentBits-1, "f", 4, 1<<segmentBits-1)
	step("the first of the next", 1<<segmentBits, "g", 4, 1<<segmentBits)
}

// A text that was edited or deleted before its segment is made is not in it.
func TestChangedBeforeItsSegment(t *testing.T) {
	c, s, me := notes(t)
	ctx := t.Context()
	var all []Message
	fill := func(n int) {
		t.Helper()
		for range n {
			m, err := c.Send(ctx, me, fmt.Sprintf("wording %d", len(all)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
	}
	fill(200)
	if _, err := c.Edit(ctx, me, all[20].ID, "another text"); err != nil {
		t.Fatal(err)
	}
	fill(20)
	if err := c.Delete(ctx, me, []MessageID{all[210].ID}, false); err != nil {
		t.Fatal(err)
	}
	fill(100)
	waitSegments(t, c, s, 1)
	got, _ := segments(t, c, s)
	for _, text := range []string{"wording 20\x00", "wording 210\x00"} {
		if strings.Contains(got, text) {
			t.Errorf("%q is in a segment", text)
		}
	}
	for _, text := range []string{"another text", "wording 19\x00", "wording 211\x00", "wording 250\x00"} {
		if !strings.Contains(got, text) {
			t.Errorf("%q is in no segment", text)
		}
	}
}
