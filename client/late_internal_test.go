package client

import (
	"testing"
	"time"
)

// Who reads past a gap has not read what was missing: it is neither read nor
// delivered before it came, and delivered then, until a later mark.
func TestReadPastAGap(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, "one", "two", "three")
	p.deliver(p.a, msgs[0])
	p.deliver(p.a, msgs[2])
	p.clock.advance(holdFor + time.Second)
	p.do(p.a, func(k *core) { p.other(k).tickAt = time.Time{}; k.tick() })
	p.want(p.a, "one", "(1 missing) three")
	mark := func() (msg []byte) {
		p.do(p.a, func(k *core) {
			c := p.other(k)
			c.info.ShareRead = true
			k.markRead(c)
			var err error
			if msg, err = k.encryptRead(c); err != nil {
				t.Fatal(err)
			}
		})
		return msg
	}
	events, err := p.b.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.deliver(p.b, p.ack(p.a))
	p.deliver(p.b, mark())
	p.want(p.b, "read one", "queued two", "read three")

	p.deliver(p.a, msgs[1])
	p.deliver(p.b, p.ack(p.a))
	p.want(p.b, "read one", "delivered two", "read three")

	for _, m := range p.send(p.b, "four") {
		p.deliver(p.a, m)
	}
	p.deliver(p.b, p.ack(p.a))
	p.deliver(p.b, mark())
	p.want(p.b, "read one", "read two", "read three", "read four")

	last := map[MessageID]DeliveryState{}
	reads := 0
	timeout := time.After(time.Minute)
	for reads < 4 {
		select {
		case e := <-events:
			if d, ok := e.(DeliveryEvent); ok {
				if d.State < last[d.ID] {
					t.Errorf("the tick of %v went from %v to %v", d.ID, last[d.ID], d.State)
				}
				if d.State == Read && last[d.ID] != Read {
					reads++
				}
				last[d.ID] = d.State
			}
		case <-timeout:
			t.Fatalf("%d messages were told to be read, want 4", reads)
		}
	}
}
