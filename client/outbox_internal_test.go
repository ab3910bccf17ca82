package client

import (
	"fmt"
	"testing"

	"github.com/sremp/sremp/wire"
)

// What is kept of an outbox has no gaps, is no more than is allowed, and is never what
// the disk has otherwise.
func TestRecentRows(t *testing.T) {
	row := func(counter uint64, size int) outRow {
		return outRow{counter: counter, state: outReady, content: make([]byte, size)}
	}
	have := func(q recentRows) string {
		s := fmt.Sprint(q.bytes, ":")
		for _, r := range q.rows {
			s += fmt.Sprint(" ", r.counter)
		}
		return s
	}
	var q recentRows
	step := func(what string, f func(), want string) {
		t.Helper()
		if f(); have(q) != want {
			t.Fatalf("%s: got %s, want %s", what, have(q), want)
		}
	}
	step("the first ones", func() {
		for n := uint64(7); n < 12; n++ {
			q.add(row(n, 10))
		}
	}, "50: 7 8 9 10 11")
	for _, x := range []struct {
		first, last uint64
		want        int
	}{{7, 11, 5}, {8, 8, 1}, {9, 11, 3}, {6, 8, 0}, {11, 12, 0}, {12, 12, 0}, {1, 1 << 62, 0}} {
		got := q.between(wire.Range{First: x.first, Last: x.last})
		if len(got) != x.want || x.want > 0 && (got[0].counter != x.first || got[x.want-1].counter != x.last) {
			t.Errorf("between %d and %d: got %v, want %d", x.first, x.last, got, x.want)
		}
	}
	if got := q.from(9); len(got) != 3 || got[0].counter != 9 {
		t.Errorf("from 9: got %v", got)
	}
	if q.from(6) != nil || q.from(12) != nil {
		t.Error("rows that it does not have are returned")
	}
	step("acknowledged", func() { q.drop(9) }, "30: 9 10 11")
	step("one does not follow", func() { q.add(row(13, 1)) }, "1: 13")
	step("too much", func() { q.add(row(14, keptBytes)) }, fmt.Sprint(keptBytes, ": 14"))
	step("one is too large alone", func() { q.add(row(15, keptBytes+1)) }, "0:")
	step("another", func() { q.add(row(16, 2)) }, "2: 16")
	step("one waits for a session", func() { q.add(outRow{counter: 17, state: outPlain}) }, "0:")
	step("none to forget", func() { q.drop(100) }, "0:")
}
