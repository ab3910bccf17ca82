package client_test

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

// Both write at full speed: everything arrives once and in order.
func TestFlood(t *testing.T) {
	count := 1500
	if s := os.Getenv("SREMP_FLOOD"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	}
	a, _ := newClient(t, "Alice")
	b, _ := newClient(t, "Bob")
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	began := time.Now()
	var wg sync.WaitGroup
	for _, x := range []struct{ from, to *client.Client }{{a, b}, {b, a}} {
		to := me(t, x.to)
		next := make(chan int)
		for range 64 {
			wg.Go(func() {
				for i := range next {
					if _, err := x.from.Send(t.Context(), to, strconv.Itoa(i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for i := range count {
				next <- i
			}
			close(next)
		})
	}
	wg.Wait()
	t.Logf("sent after %v", time.Since(began))
	allArrive(t, a, b, count)
	t.Logf("delivered after %v", time.Since(began))
}

// allArrive waits until count messages of each are delivered to the other, and compares
// their order.
func allArrive(t *testing.T, a, b *client.Client, count int) {
	t.Helper()
	for _, x := range []struct{ from, to *client.Client }{{a, b}, {b, a}} {
		fromID, toID := me(t, x.from), me(t, x.to)
		eventually(t, "all delivered", func() (bool, string) {
			h, err := x.from.History(t.Context(), toID, client.HistoryQuery{Limit: 3 * count})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, m := range h {
				if m.Mine && m.State == client.Delivered {
					n++
				}
			}
			return n >= count, fmt.Sprint(n)
		})
		sent, err := x.from.History(t.Context(), toID, client.HistoryQuery{Limit: 3 * count})
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.to.History(t.Context(), fromID, client.HistoryQuery{Limit: 3 * count})
		if err != nil {
			t.Fatal(err)
		}
		if want, have := order(sent, true), order(got, false); want != have {
			t.Errorf("order differs:\n%.300s\n%.300s", have, want)
		}
	}
}

func order(ms []client.Message, mine bool) string {
	var out []string
	for _, m := range ms {
		if m.Mine == mine {
			out = append(out, m.Text)
		}
	}
	return fmt.Sprint(out)
}
