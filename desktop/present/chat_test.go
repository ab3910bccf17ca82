package present

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

func TestSend(t *testing.T) {
	for _, quick := range []bool{false, true} {
		t.Run(fmt.Sprintf("event first %v", quick), func(t *testing.T) {
			bubble(t, func(t *testing.T, u *ui) {
				u.api.set(func(f *fakeAPI) { f.quick = quick })
				u.Select(bob)
				u.run(2 * callTime)
				u.Send(" hi ")
				u.Send("   ")
				first := u.last().Chat.Rows
				if got := texts(first); !slices.Equal(got, []string{"hi…"}) {
					t.Fatalf("at once: got %q, want hi, being stored", got)
				}
				u.run(2 * callTime)
				rows := u.last().Chat.Rows
				if got := texts(rows); !slices.Equal(got, []string{"hi◷"}) {
					t.Errorf("stored: got %q, want hi, queued", got)
				}
				if rows[1].Key != first[1].Key {
					t.Errorf("the row's key changed from %q to %q: the widget would be made anew", first[1].Key, rows[1].Key)
				}
				u.api.emit(client.MessageEvent{Message: client.Message{ID: client.MessageID{1}, Contact: bob, Mine: true, Text: "hi", Seq: 1001}})
				u.run(0)
				if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"hi◷"}) {
					t.Errorf("with its event: got %q, want one row", got)
				}
			})
		})
	}
}

func TestLadder(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.Send("hi")
		u.run(3 * callTime)
		var got []string
		for _, s := range []client.DeliveryState{client.Held, client.Delivered, client.Held, client.Read, client.Queued} {
			u.api.emit(client.DeliveryEvent{ID: client.MessageID{1}, Contact: bob, State: s})
			u.run(0)
			rows := u.last().Chat.Rows
			got = append(got, rows[len(rows)-1].Tick.Tip[:4])
		}
		if want := []string{"Held", "Deli", "Deli", "Read", "Read"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q: the ladder never goes back", got, want)
		}
	})
}

func TestDeliveryBeforeTheAnswerOfSend(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.Send("hi")
		u.api.emit(client.DeliveryEvent{ID: client.MessageID{1}, Contact: bob, State: client.Delivered})
		u.run(2 * callTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"hi✓✓"}) {
			t.Errorf("got %q, want delivered", got)
		}
	})
}

func TestHistoryOlderThanTheEvents(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		m := client.Message{ID: client.MessageID{7}, Contact: bob, Mine: true, Text: "x", Seq: 7, SentAt: time.Now()}
		u.api.set(func(f *fakeAPI) { f.history[bob] = []client.Message{m} })
		u.Select(bob)
		u.api.emit(client.DeliveryEvent{ID: m.ID, Contact: bob, State: client.Delivered})
		u.run(2 * callTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"x✓✓"}) {
			t.Errorf("got %q, want delivered: the history was read before the event", got)
		}
	})
}

func TestSendKeepsTheOrder(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		want := []string{"1", "2", "3", "2"}
		for _, s := range want {
			u.Send(s)
		}
		u.run(6 * callTime)
		u.api.mu.Lock()
		defer u.api.mu.Unlock()
		if !slices.Equal(u.api.sent, want) {
			t.Errorf("sent %q, want %q", u.api.sent, want)
		}
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"1◷", "2◷", "3◷", "2◷"}) {
			t.Errorf("shown %q", got)
		}
	})
}

func TestSendFails(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.api.set(func(f *fakeAPI) { f.fail = fmt.Errorf("outbox: %w", client.ErrDiskFull) })
		u.Send("hi")
		u.run(2 * callTime)
		v := u.last()
		row := v.Chat.Rows[len(v.Chat.Rows)-1]
		if !row.Failed || row.Text != "hi" {
			t.Fatalf("got %+v, want a failed row with the text", row)
		}
		if !strings.HasPrefix(v.Toast.Text, "The disk is full") {
			t.Errorf("toast %q, want what to do", v.Toast.Text)
		}
		u.api.set(func(f *fakeAPI) { f.fail = nil })
		u.Retry(row.Key)
		u.Retry(row.Key) // a double click
		u.run(3 * callTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"hi◷"}) {
			t.Errorf("after another try: got %q", got)
		}
		u.api.mu.Lock()
		defer u.api.mu.Unlock()
		if len(u.api.sent) != 1 {
			t.Errorf("sent %q, want it once", u.api.sent)
		}
	})
}

func TestFailedTextDoesNotBlockTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrTooLong })
		u.Send("long")
		u.run(2 * callTime)
		u.api.set(func(f *fakeAPI) { f.fail = nil })
		u.Send("short")
		u.run(2 * callTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"short◷", "long!"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestReceiveTwice(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		m := incoming(bob, 1, "a", time.Now())
		u.api.emit(client.MessageEvent{Message: m}, client.MessageEvent{Message: m})
		u.api.set(func(f *fakeAPI) { f.history[bob] = []client.Message{m} })
		u.run(3 * callTime)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q, want it once", got)
		}
	})
}

func TestMessageOfAnotherContactStaysOut(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.api.emit(client.MessageEvent{Message: incoming(carol, 1, "psst", time.Now())})
		u.run(0)
		v := u.last()
		if got := texts(v.Chat.Rows); len(got) != 0 {
			t.Errorf("Bob's conversation shows %q", got)
		}
		if v.Contacts[0].ID != carol || v.Contacts[0].Last != "psst" {
			t.Errorf("got %+v first in the list, want Carol with psst", v.Contacts[0])
		}
	})
}

func TestReadOnlyWhileTheWindowIsActive(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		count := func() int {
			u.api.mu.Lock()
			defer u.api.mu.Unlock()
			return u.api.calls["history"]
		}
		u.Select(bob)
		u.run(2 * callTime)
		before := count()
		u.api.emit(client.MessageEvent{Message: incoming(bob, 1, "x", time.Now())})
		u.run(2 * callTime)
		if n := count() - before; n != 0 {
			t.Errorf("in the background: told the client %d times that it was read", n)
		}
		u.SetActive(true)
		u.run(2 * callTime)
		u.api.emit(client.MessageEvent{Message: incoming(bob, 2, "y", time.Now())})
		u.run(2 * callTime)
		if n := count() - before; n != 2 {
			t.Errorf("told the client %d times, want 2: on looking and on the next message", n)
		}
		u.api.emit(client.MessageEvent{Message: incoming(carol, 1, "z", time.Now())})
		u.run(2 * callTime)
		if n := count() - before; n != 2 {
			t.Error("another contact's message counts as read")
		}
	})
}

func TestOrderIsBySeq(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		now := time.Now()
		for _, n := range []int{3, 1, 2} {
			u.api.emit(client.MessageEvent{Message: incoming(bob, n, fmt.Sprint(n), now)})
		}
		u.run(0)
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("got %q, want 1 2 3", got)
		}
	})
}

func TestEarlier(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) {
			for n := 1; n <= 2*pageSize+1; n++ {
				f.history[bob] = append(f.history[bob], incoming(bob, n, fmt.Sprint(n), time.Now()))
			}
		})
		u.Select(bob)
		u.Earlier() // nothing is there yet
		u.run(2 * callTime)
		for _, want := range []struct {
			n    int
			more bool
		}{{pageSize, true}, {2 * pageSize, true}, {2*pageSize + 1, false}, {2*pageSize + 1, false}} {
			c := u.last().Chat
			if got := texts(c.Rows); len(got) != want.n || c.Earlier != want.more {
				t.Fatalf("got %d messages, more %v; want %d, %v", len(got), c.Earlier, want.n, want.more)
			}
			u.Earlier()
			u.Earlier() // scrolling asks again and again
			u.run(2 * callTime)
		}
		if got := texts(u.last().Chat.Rows); got[0] != "1" || got[2*pageSize] != fmt.Sprint(2*pageSize+1) {
			t.Errorf("runs from %q to %q", got[0], got[2*pageSize])
		}
	})
}

func TestLateHistoryOfAnotherConversation(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) { f.history[bob] = []client.Message{incoming(bob, 1, "Bob's", time.Now())} })
		u.Select(bob)
		u.run(callTime / 2)
		u.Select(carol)
		u.run(3 * callTime)
		if v := u.last(); v.Chat.ID != carol || len(v.Chat.Rows) != 0 || v.Chat.Loading {
			t.Errorf("got %+v, want Carol's empty conversation", v.Chat)
		}
	})
}

func TestHistoryFails(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) { f.fail = errors.New("io") })
		u.Select(bob)
		u.run(2 * callTime)
		if v := u.last(); v.Chat.Loading || v.Toast.Text != "The messages could not be read: io." {
			t.Errorf("got loading %v, toast %q", v.Chat.Loading, v.Toast.Text)
		}
	})
}

func TestDrafts(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.SetDraft("nobody's") // no conversation is open
		u.Select(bob)
		u.SetDraft("half a sent")
		swaps := u.last().Chat.Drafts
		u.Select(carol)
		if c := u.last().Chat; c.Draft != "" || c.Drafts == swaps {
			t.Errorf("Carol: draft %q, want an empty one that replaces Bob's", c.Draft)
		}
		u.Select(bob)
		if got := u.last().Chat.Draft; got != "half a sent" {
			t.Errorf("Bob again: draft %q", got)
		}
		u.Send("half a sentence")
		u.Select(carol)
		u.Select(bob)
		if got := u.last().Chat.Draft; got != "" {
			t.Errorf("after sending: draft %q, want none", got)
		}
	})
}

func TestRows(t *testing.T) {
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	c := &chat{early: map[client.MessageID]client.DeliveryState{}}
	n := 0
	add := func(mine bool, text string, at time.Time) {
		n++
		m := incoming(bob, n, text, at)
		if m.Mine = mine; mine {
			m.State, m.ReceivedAt = client.Delivered, time.Time{}
		}
		c.add(m, "")
	}
	add(false, "a", now.Add(-36*time.Hour))
	add(false, "b", now.Add(-36*time.Hour+time.Minute))
	add(true, "c", now.Add(-36*time.Hour+2*time.Minute))
	add(true, "d", now.Add(-36*time.Hour+10*time.Minute))
	add(true, "e", now.Add(-time.Minute))
	add(false, "f", now)
	got := ""
	for _, r := range c.rows([]*outgoing{{text: "g", at: now, key: "new 1"}}, "Bob", nil, now) {
		if r.Kind == DayRow {
			got += "-- " + r.Text + "\n"
			continue
		}
		got += strings.TrimSpace(fmt.Sprintf("%-3s %s %s %v/%v %s", r.Author, r.Time, r.Text, r.First, r.Last, r.Tick.Sign)) + "\n"
	}
	want := `-- Yesterday
Bob 00:00 a true/false
Bob 00:01 b false/true
You 00:02 c true/true ✓✓
You 00:10 d true/true ✓✓
-- Today
You 11:59 e true/true ✓✓
Bob 12:00 f true/true
You 12:00 g true/true …
`
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestMissingMessagesAreSaid(t *testing.T) {
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	c := &chat{early: map[client.MessageID]client.DeliveryState{}}
	m := incoming(bob, 1, "x", now)
	m.Missing = 2
	c.add(m, "")
	var got []string
	for _, r := range c.rows(nil, "Bob", nil, now) {
		got = append(got, r.Text)
	}
	if want := []string{"Today", "Not arrived yet: 2 messages before this one", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRowKeysAreUnique(t *testing.T) {
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	c := &chat{early: map[client.MessageID]client.DeliveryState{}}
	for n, hours := range []int{-48, 0, -48, 0, -48} { // a sender whose clock jumps
		m := incoming(bob, n+1, "x", now.Add(time.Duration(hours)*time.Hour))
		c.add(m, "")
	}
	seen := map[string]bool{}
	for _, r := range c.rows(nil, "Bob", nil, now) {
		if seen[r.Key] {
			t.Errorf("key %q comes twice", r.Key)
		}
		seen[r.Key] = true
	}
	if len(seen) != 10 {
		t.Errorf("got %d rows, want 5 messages under 5 headings", len(seen))
	}
}

func TestClockAhead(t *testing.T) {
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	m := incoming(bob, 1, "x", now.Add(3*time.Hour))
	m.ReceivedAt = now
	if got := shownTime(m); !got.Equal(now) {
		t.Errorf("got %v, want when it came: nothing was sent in the future", got)
	}
}

func TestHostileText(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.Select(bob)
		u.run(2 * callTime)
		u.api.emit(client.MessageEvent{Message: incoming(bob, 1, "<b>bold</b>\x00\x1b[31mred\u202egpj.exe", time.Now())})
		u.run(0)
		want := "<b>bold</b>␀␛[31mredgpj.exe"
		if got := texts(u.last().Chat.Rows); !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
