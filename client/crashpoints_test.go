package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/faults"
	"github.com/sremp/sremp/ratchet"
)

// crashPoints is at how many points of a conversation a machine dies or a disk fails;
// SREMP_CRASH_POINTS makes it more.
func crashPoints(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("SREMP_CRASH_POINTS")); err == nil {
		return n
	}
	if testing.Short() {
		return 8
	}
	return 40
}

// An end is what happens to a client in the middle of a conversation.
type end struct {
	name  string
	fault faults.Fault // of its disk; None: the machine dies around a transaction
	after bool         // that transaction is durable, and nothing of it has left
	loss  faults.Loss  // what the disk loses with its power
}

var ends = []end{
	{name: "dies before a transaction is durable"},
	{name: "dies between persist and send", after: true},
	{name: "loses power and all unsynced writes", fault: faults.PowerOff, loss: faults.LoseAll},
	{name: "loses power and some unsynced writes", fault: faults.PowerOff, loss: faults.LoseSome},
	{name: "loses power with all writes done", fault: faults.PowerOff, loss: faults.LoseNone},
	{name: "has an I/O error and lives on", fault: faults.IOError},
	{name: "has no space for a moment and lives on", fault: faults.Full},
}

// In the middle of a conversation one side dies again and again, or its disk
// fails: around one of the transactions, or at one of the writes, after a message
// each way. Every message arrives once, in order, and is acknowledged, and no key
// of the ratchet is used twice.
func TestCrashPoints(t *testing.T) {
	points := crashPoints(t)
	worlds := max(12, points/12) // side by side: most of the time is spent waiting for a reconnection
	for w := range worlds {
		t.Run(strconv.Itoa(w), func(t *testing.T) {
			t.Parallel()
			crashWorld(t, w, (points+worlds-1)/worlds, worlds)
		})
	}
}

func crashWorld(t *testing.T, world, points, worlds int) {
	var people [2]*person
	for i, name := range []string{"Alice", "Bob"} {
		disk := faults.New()
		t.Cleanup(disk.Remove)
		people[i] = newPersonOn(t, disk, name)
		people[i].log = new(keyWatch)
		people[i].open(nil)
	}
	a, b := people[0], people[1]
	add(t, b.c, invite(t, a.c))
	send(t, b.c, a.id, "hello")
	waitTexts(t, b.c, a.id, ">delivered hello")
	waitTexts(t, a.c, b.id, "<hello")
	for point := range points {
		n := point*worlds + world
		mortal, other := people[n%2], people[1-n%2]
		e := ends[n/2%len(ends)]
		what := fmt.Sprintf("point %d: %s", n, e.name)
		fails, restart, disarm := e.arm(t, mortal, n)
		mine, theirs := fmt.Sprintf("%04d from the mortal", n), fmt.Sprintf("%04d to the mortal", n)
		reborn := false
		eventually(t, what, func() (bool, string) {
			if !reborn && fails() {
				reborn = true
				restart()
			}
			if err := other.say(mortal.id, theirs); err != nil {
				return false, err.Error()
			}
			if err := mortal.say(other.id, mine); err != nil {
				return false, err.Error()
			}
			at, bt := mortal.heard(other.id), other.heard(mortal.id)
			done := has(at, ">delivered "+mine) && has(at, "<"+theirs) && has(bt, "<"+mine) && has(bt, ">delivered "+theirs)
			return done, at[max(0, len(at)-300):] + " | " + bt[max(0, len(bt)-300):]
		})
		if disarm(); !reborn && fails() { // at the last moment
			restart()
		}
		for _, text := range []string{mine, theirs} {
			for _, h := range []string{mortal.heard(other.id), other.heard(mortal.id)} {
				if got := strings.Count(h, text); got != 1 {
					t.Fatalf("%s: %q is there %d times: %s", what, text, got, h)
				}
			}
		}
	}
	for _, p := range people {
		if got := p.log.reused.Load(); got != 0 {
			t.Errorf("%d messages came under a number that another one had used", got)
		}
	}
}

// arm has the end come at the first to seventh transaction, or the first to
// thirtieth write, from now on. fails reports that it came; restart is what people
// do then; disarm puts it off for ever.
func (e end) arm(t *testing.T, p *person, n int) (fails func() bool, restart, disarm func()) {
	rebirth := func() {
		p.c.Close()
		if e.fault == faults.PowerOff {
			old := p.disk
			p.disk = old.Image(e.loss, uint64(n))
			t.Cleanup(p.disk.Remove)
			old.Remove()
		}
		p.open(nil)
	}
	switch e.fault {
	case faults.None:
		store := &crashStore{after: e.after, err: errDead}
		p.c.Close()
		p.open(func(s client.Store) client.Store { store.Store = s; return store })
		store.mu.Lock()
		defer store.mu.Unlock()
		store.left = 1 + n/2/len(ends)%7
		return store.crashed, rebirth, func() {
			store.mu.Lock()
			defer store.mu.Unlock()
			store.left = 0
		}
	case faults.PowerOff:
		d := p.disk
		d.Fail(e.fault, 1+n/2/len(ends)*7%30, 1)
		return d.Off, rebirth, d.Heal
	}
	d := p.disk
	d.Fail(e.fault, 1+n/2/len(ends)*7%30, 4)
	return func() bool { return false }, func() {}, d.Heal
}

func has(history, entry string) bool { return strings.Contains(history, entry) }

// A keyWatch counts messages whose number in the ratchet was used by another.
type keyWatch struct{ reused atomic.Int64 }

func (k *keyWatch) Enabled(context.Context, slog.Level) bool { return true }

func (k *keyWatch) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && errors.Is(err, ratchet.ErrReused) {
			k.reused.Add(1)
		}
		return true
	})
	return nil
}

func (k *keyWatch) WithAttrs([]slog.Attr) slog.Handler { return k }
func (k *keyWatch) WithGroup(string) slog.Handler      { return k }
