package client

import (
	"slices"
	"testing"
	"time"
)

// What is missing is asked for again and again, ever more seldom, also while the
// two are apart: each acknowledgement in the mailbox names it, and the other side
// mails it again although a relay held it.
func TestMissingIsAskedFor(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, "one", "two", "three")
	p.do(p.b, func(k *core) { // a relay says that it holds them
		c := p.other(k)
		for _, r := range k.outbox(c, 1, 1<<40, 0) {
			r.state = outHeld
			k.putOutbox(c, r)
		}
	})
	p.deliver(p.a, msgs[0])
	p.deliver(p.a, msgs[2])
	p.clock.advance(holdFor + time.Second)
	tick := func() { p.do(p.a, func(k *core) { p.other(k).tickAt = time.Time{}; k.tick() }) }
	tick()
	p.want(p.a, "one", "(1 missing) three")

	due := func() (due bool) {
		p.do(p.a, func(k *core) {
			c := p.other(k)
			due, c.flow.AckDue = c.flow.AckDue, false // it went to the mailbox
		})
		return due
	}
	if !due() {
		t.Error("the gap was not told with the first acknowledgement")
	}
	asked := 0
	for range 120 {
		p.clock.advance(time.Minute)
		tick()
		if due() {
			asked++
		}
	}
	if asked < 5 || asked > 12 {
		t.Errorf("asked %d times within two hours, want a few, ever more seldom", asked)
	}

	// The answer: the second is due for the mailbox again, and only that one.
	again := func() (out []uint64) {
		p.do(p.b, func(k *core) {
			c := p.other(k)
			for _, l := range k.letters(c, &mailBox{}) {
				if l.row.counter != 0 {
					out = append(out, l.row.counter)
				}
			}
		})
		return out
	}
	p.do(p.b, func(k *core) { p.other(k).sending.mail.cursor = 1 << 30 }) // all had been mailed
	p.deliver(p.b, p.ack(p.a))
	first := again()
	if len(first) != 1 {
		t.Errorf("messages %d are mailed again, want one", first)
	}
	// Lost once more: asked once more, it is mailed once more, but not at once.
	p.deliver(p.b, p.ack(p.a))
	if got := again(); len(got) != 0 {
		t.Errorf("messages %d are mailed again within the minute", got)
	}
	p.clock.advance(2 * time.Minute)
	p.deliver(p.b, p.ack(p.a))
	if got := again(); !slices.Equal(got, first) {
		t.Errorf("messages %d are mailed again, want %d", got, first)
	}

	// It came: nothing is missing, and nobody asks any more.
	p.deliver(p.a, msgs[1])
	p.want(p.a, "one", "three", "two")
	due()
	p.clock.advance(3 * time.Hour)
	tick()
	if due() {
		t.Error("asked again although nothing is missing")
	}
}

// A gap of several is filled one by one, in whatever batch.
func TestGapIsFilled(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, numbers(6)...)
	p.deliver(p.a, msgs[0])
	p.deliver(p.a, msgs[5])
	p.clock.advance(holdFor + time.Second)
	p.do(p.a, func(k *core) { p.other(k).tickAt = time.Time{}; k.tick() })
	p.want(p.a, "m0", "(4 missing) m5")
	p.do(p.a, func(k *core) { // one transaction
		for _, m := range [][]byte{msgs[3], msgs[1]} {
			if err := k.incoming(p.other(k), m); err != nil {
				t.Error(err)
			}
		}
	})
	p.want(p.a, "m0", "(2 missing) m5", "m3", "m1")
	p.deliver(p.a, msgs[2])
	p.deliver(p.a, msgs[4])
	p.want(p.a, "m0", "m5", "m3", "m1", "m2", "m4")
}
