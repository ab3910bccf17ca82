package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
)

// A counting handler counts the log lines that contain a text.
type counting struct {
	text string
	n    *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }
func (c counting) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c counting) WithGroup(string) slog.Handler            { return c }
func (c counting) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, c.text) {
		c.n.Add(1)
	}
	return nil
}

// Spec §8.5: what waits for a contact leaves with the first packets of a
// connection, before the contact has proven itself, and arrives once and in
// order.
func TestEarlyMessages(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	reopen := func(dir string) *client.Client {
		s, err := sqlite.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Open(t.Context(), client.Config{
			Store: s, Passphrase: []byte("pw"), Listen: "127.0.0.1:0", Logger: slog.New(counting{"before the peer had proven itself", &sent}),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	s := startServer(t)
	a, dirA := newClient(t, "Alice")
	b, dirB := newClient(t, "Bob")
	useServer(t, a, s)
	useServer(t, b, s)
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	send(t, a, me(t, b), "welcome")
	waitTexts(t, b, me(t, a), ">delivered hello", "<welcome")
	waitTexts(t, a, me(t, b), "<hello", ">delivered welcome")
	ida, idb := me(t, a), me(t, b)
	low, high, dirLow, dirHigh := a, b, dirA, dirB
	idHigh, idLow := idb, ida
	if ida.Compare(idb) > 0 {
		low, high, dirLow, dirHigh, idHigh, idLow = b, a, dirB, dirA, ida, idb
	}
	before := len(texts(t, high, idLow))
	// Their relay is a second way, which may be the faster one on a busy machine.
	const rounds = 10
	for round := 1; sent.Load() == 0 && round <= rounds; round++ {
		if err := high.Close(); err != nil {
			t.Fatal(err)
		}
		one, two := fmt.Sprint("one ", round), fmt.Sprint("two ", round)
		send(t, low, idHigh, one)
		send(t, low, idHigh, two)
		if err := low.Close(); err != nil { // its mail may not have left yet
			t.Fatal(err)
		}
		low, high = reopen(dirLow), reopen(dirHigh)
		eventually(t, "arrival", func() (bool, string) {
			got := texts(t, high, idLow)
			n := len(got)
			return n == before+2*round && got[n-2] == "<"+one && got[n-1] == "<"+two, strings.Join(got, ", ")
		})
		eventually(t, "delivery", func() (bool, string) {
			got := strings.Join(texts(t, low, idHigh), ", ")
			return strings.HasSuffix(got, ">delivered "+one+", >delivered "+two), got
		})
	}
	if sent.Load() == 0 {
		t.Errorf("nothing was sent early in %d rounds", rounds)
	}
}
