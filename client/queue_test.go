package client_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/sremp/sremp/client"
)

// Each writes more while the other is away than a ratchet keeps keys for. What
// leaves first when they meet, such as an acknowledgement, overtakes none of it.
func TestLongQueues(t *testing.T) {
	const count = 2500
	a, dirA := newClient(t, "Alice")
	b, dirB := newClient(t, "Bob")
	aID, bID := me(t, a), me(t, b)
	greet(t, a, b, aID, bID)
	queue := func(c *client.Client) {
		t.Helper()
		to := aID
		if me(t, c) == aID {
			to = bID
		}
		for i := range count {
			send(t, c, to, strconv.Itoa(i))
		}
	}
	b.Close()
	queue(a)
	a.Close()
	b = open(t, dirB)
	queue(b)
	a = open(t, dirA)
	for _, x := range []struct{ from, to *client.Client }{{a, b}, {b, a}} {
		var sent, got []client.Message
		eventually(t, "all delivered", func() (bool, string) {
			var err error
			if sent, err = x.from.History(t.Context(), me(t, x.to), client.HistoryQuery{Limit: 3 * count}); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, m := range sent {
				if m.Mine && m.State == client.Delivered {
					n++
				}
			}
			return n >= count, fmt.Sprint(n)
		})
		got, err := x.to.History(t.Context(), me(t, x.from), client.HistoryQuery{Limit: 3 * count})
		if err != nil {
			t.Fatal(err)
		}
		if want, have := order(sent, true), order(got, false); want != have {
			t.Errorf("order differs:\n%.300s\n%.300s", have, want)
		}
	}
}
