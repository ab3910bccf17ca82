package client_test

import (
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
	allArrive(t, a, b, count)
}
