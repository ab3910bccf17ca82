package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/internal/faults"
)

// A ledger notes which transactions a store has acknowledged, and when.
type ledger struct {
	client.Store
	disk *faults.Disk

	mu      sync.Mutex
	commits []commit
}

type commit struct {
	ops     int // of the disk, when it was acknowledged
	changes []client.Change
}

func (l *ledger) Apply(ctx context.Context, changes []client.Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.Store.Apply(ctx, changes)
	if err == nil {
		l.commits = append(l.commits, commit{l.disk.Ops(), slices.Clone(changes)})
	}
	return err
}

// A place is where a row stands.
type place struct {
	table      client.Table
	owner, seq int64
}

// A rowSum stands for all rows of a database, in any order.
type rowSum uint64

func (r *rowSum) toggle(p place, row client.Row) {
	h := sha256.New()
	for _, x := range []int64{int64(p.table), p.owner, p.seq, row.Tag, int64(row.State)} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(x)))
	}
	h.Write(row.Body)
	*r ^= rowSum(binary.BigEndian.Uint64(h.Sum(nil)))
}

// owners is one more than the highest number of a contact in these tests.
const owners = 3

// allRows reads a database.
func allRows(t *testing.T, s client.Store) map[place]client.Row {
	t.Helper()
	all := map[place]client.Row{}
	for table := client.TableSettings; table <= client.TablePictures; table++ {
		for owner := range int64(owners) {
			rows, err := s.Rows(t.Context(), client.Query{Table: table, Owner: owner})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				all[place{table, owner, r.Seq}] = r
			}
		}
	}
	return all
}

// sums returns the sum of all rows after 0, 1, 2 and so on of the commits.
func sums(rows map[place]client.Row, commits []commit) []rowSum {
	var sum rowSum
	for p, r := range rows {
		sum.toggle(p, r)
	}
	out := []rowSum{sum}
	for _, c := range commits {
		for _, ch := range c.changes {
			p := place{ch.Table, ch.Owner, ch.Seq}
			if ch.Kind == client.Put {
				if old, ok := rows[p]; ok {
					sum.toggle(p, old)
				}
				rows[p] = ch.Row
				sum.toggle(p, ch.Row)
				continue
			}
			for p, old := range rows {
				if p.table == ch.Table && p.owner == ch.Owner && p.seq >= ch.Seq && p.seq <= ch.Through {
					sum.toggle(p, old)
					delete(rows, p)
				}
			}
		}
		out = append(out, sum)
	}
	return out
}

// converse has two people use all that a conversation has.
func converse(t *testing.T, a, b *person) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add(t, b.c, invite(t, a.c))
	for i := range 12 {
		from, to := a, b
		if i%2 == 0 {
			from, to = b, a
		}
		m, err := from.c.Send(ctx, to.id, fmt.Sprintf("number %d %s", i, strings.Repeat("x", i*i*20)))
		must(err)
		eventually(t, "acknowledgement", func() (bool, string) {
			got := from.heard(to.id)
			return has(got, ">delivered "+m.Text), got
		})
		switch i % 6 {
		case 1:
			_, err = from.c.Edit(ctx, to.id, m.ID, m.Text+" again")
		case 2:
			_, err = to.c.React(ctx, from.id, m.ID, "+1")
		case 3:
			err = from.c.Delete(ctx, to.id, []client.MessageID{m.ID}, true)
		case 4:
			_, err = from.c.SendDraft(ctx, to.id, client.Draft{Text: "not for long", ReplyTo: m.ID, Timer: time.Second})
		case 5:
			err = to.c.MarkRead(ctx, from.id, false)
		}
		must(err)
	}
	m, err := b.c.Send(ctx, a.id, "the end")
	must(err)
	eventually(t, "the end", func() (bool, string) {
		got := b.heard(a.id)
		return has(got, ">delivered "+m.Text) && !has(got, "not for long"), got
	})
}

// The power fails at every single write of a profile's life, and the disk keeps
// all, none, or any part of what was not synced. What is left opens, and is exactly
// what was stored by all transactions that were acknowledged, or by one more that
// was being stored: none is lost, none is half there. With TestCrashPoints, where
// the machine dies around each transaction, that is every point.
func TestPowerFailsAtEveryWrite(t *testing.T) {
	t.Parallel()
	disk := faults.New()
	t.Cleanup(disk.Remove)
	disk.Record()
	a, b := newPersonOn(t, disk, "Alice"), newPerson(t, "Bob")
	made := disk.Ops()
	l := &ledger{disk: disk}
	var before map[place]client.Row
	a.open(func(s client.Store) client.Store {
		before = allRows(t, s)
		l.Store = s
		return l
	})
	b.open(nil)
	converse(t, a, b)
	a.c.Close()
	b.c.Close()

	sum := sums(before, l.commits)
	replay := faults.New()
	t.Cleanup(replay.Remove)
	acknowledged, points := 0, 0
	for i, op := range disk.Log() {
		replay.Replay(op)
		for acknowledged < len(l.commits) && l.commits[acknowledged].ops <= i+1 {
			acknowledged++
		}
		for _, loss := range []faults.Loss{faults.LoseAll, faults.LoseSome, faults.LoseNone} {
			if testing.Short() && i%8 != 0 || t.Failed() {
				continue
			}
			points++
			what := fmt.Sprintf("power fails after write %d, of %s, loses %s", i+1, op.File, loss)
			img := replay.Image(loss, uint64(i))
			if i+1 < made {
				checkUnmade(t, what, img)
			} else {
				checkImage(t, what, img, sum[acknowledged:min(acknowledged+2, len(sum))])
			}
			img.Remove()
		}
	}
	t.Logf("%d points, %d transactions", points, len(l.commits))
	if points < 1000 && !testing.Short() {
		t.Errorf("the power failed at %d points, want 1000 or more", points)
	}
	a.disk = replay
	a.open(nil)
	if got := a.heard(b.id); strings.Count(got, "<the end") != 1 {
		t.Errorf("after the last one: %s, want the end once", got)
	}
}

// checkImage opens what a disk has kept.
func checkImage(t *testing.T, what string, img *faults.Disk, want []rowSum) {
	t.Helper()
	s, err := sqlite.OpenOn(t.Context(), faults.VFS, img.Path("client.db"))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer s.Close()
	var got rowSum
	for p, r := range allRows(t, s) {
		got.toggle(p, r)
	}
	if !slices.Contains(want, got) {
		t.Errorf("%s: the rows are %x, want one of %x", what, got, want)
	}
	if h, err := s.Header(t.Context()); err != nil || h == nil {
		t.Errorf("%s: header %x, %v", what, h, err)
	}
}

// checkUnmade opens a profile that was being made: it is there or can be made.
func checkUnmade(t *testing.T, what string, img *faults.Disk) {
	t.Helper()
	s, err := sqlite.OpenOn(t.Context(), faults.VFS, img.Path("client.db"))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer s.Close()
	cfg := client.Config{Store: s, Passphrase: []byte("pw"), KDF: weak}
	if err := client.Create(t.Context(), cfg, "Alice"); err != nil && !errors.Is(err, client.ErrProfileExists) {
		t.Errorf("%s: %v", what, err)
	}
}
