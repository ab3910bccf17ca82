package client_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// crashPoints is how many transactions are the last before a power failure;
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

// In the middle of a conversation one side dies again and again: at its first
// to seventh transaction after a message each way, before it is durable or
// after. Every message arrives once, in order, and is acknowledged.
func TestCrashPoints(t *testing.T) {
	const worlds = 12 // side by side: most of the time is spent waiting for a reconnection
	points := crashPoints(t)
	for w := range worlds {
		t.Run(strconv.Itoa(w), func(t *testing.T) {
			t.Parallel()
			crashWorld(t, w, (points+worlds-1)/worlds)
		})
	}
}

func crashWorld(t *testing.T, world, points int) {
	a, b := newPerson(t, "Alice"), newPerson(t, "Bob")
	a.open(nil)
	b.open(nil)
	add(t, b.c, invite(t, a.c))
	send(t, b.c, a.id, "hello")
	waitTexts(t, b.c, a.id, ">delivered hello")
	waitTexts(t, a.c, b.id, "<hello")
	for point := range points {
		n := point*12 + world
		mortal, other := a, b
		if n%2 == 1 {
			mortal, other = b, a
		}
		store := &crashStore{after: n/2%2 == 1, err: errDead}
		mortal.c.Close()
		mortal.open(func(s client.Store) client.Store { store.Store = s; return store })
		store.mu.Lock()
		store.left = 1 + n/4%7
		store.mu.Unlock()
		mine, theirs := fmt.Sprintf("%04d from the mortal", n), fmt.Sprintf("%04d to the mortal", n)
		reborn := false
		eventually(t, fmt.Sprintf("point %d", n), func() (bool, string) {
			if store.crashed() && !reborn {
				reborn = true
				mortal.c.Close()
				mortal.open(nil)
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
		for _, text := range []string{mine, theirs} {
			for _, h := range []string{mortal.heard(other.id), other.heard(mortal.id)} {
				if got := strings.Count(h, text); got != 1 {
					t.Fatalf("%q is there %d times: %s", text, got, h)
				}
			}
		}
	}
}

func has(history, entry string) bool { return strings.Contains(history, entry) }
