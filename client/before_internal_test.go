package client

import (
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// ids returns the ids of c's conversation, by their texts.
func (p *postman) ids(c *Client) (with identity.PeerID, ids map[string]MessageID) {
	p.t.Helper()
	p.do(c, func(k *core) { with = p.other(k).info.ID })
	h, err := c.History(p.t.Context(), with, HistoryQuery{Limit: 1000})
	if err != nil {
		p.t.Fatal(err)
	}
	ids = map[string]MessageID{}
	for _, m := range h {
		ids[m.Text] = m.ID
	}
	return with, ids
}

// last returns the newest ratchet message that c has waiting.
func (p *postman) last(c *Client) []byte {
	p.t.Helper()
	all := p.outbox(c)
	return all[len(all)-1]
}

// edit returns the message that changes a text of c's.
func (p *postman) edit(c *Client, text, to string) []byte {
	p.t.Helper()
	with, ids := p.ids(c)
	if _, err := c.Edit(p.t.Context(), with, ids[text], to); err != nil {
		p.t.Fatal(err)
	}
	return p.last(c)
}

func (p *postman) giveUpGaps(c *Client) {
	p.t.Helper()
	p.clock.advance(holdFor + time.Second)
	p.do(c, func(k *core) { p.other(k).tickAt = time.Time{}; k.tick() })
}

func (p *postman) mustDeliver(c *Client, msgs ...[]byte) {
	p.t.Helper()
	for _, m := range msgs {
		if err := p.deliver(c, m); err != nil {
			p.t.Fatal(err)
		}
	}
}

// An edit and a reaction that come before the message that they are about, which was
// lost on the way at first, count when it comes: also if the program was started anew
// in between, or the profile restored.
func TestEditBeforeItsMessage(t *testing.T) {
	p := newPostman(t)
	one := p.send(p.b, "one")[0]
	edit := p.edit(p.b, "one", "uno")
	with, ids := p.ids(p.b)
	if _, err := p.b.React(t.Context(), with, ids["uno"], "👍"); err != nil {
		t.Fatal(err)
	}
	reaction := p.last(p.b)
	two := p.send(p.b, "two")[0]
	p.mustDeliver(p.a, edit, reaction, two)
	p.giveUpGaps(p.a)
	p.want(p.a, "(1 missing) two")
	p.do(p.a, func(k *core) {
		if err := k.load(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	p.mustDeliver(p.a, one)
	p.want(p.a, "two", "uno")
	p.do(p.a, func(k *core) {
		c := p.other(k)
		if m, _, ok := k.findMessage(c, ids["uno"]); !ok || m.theirs != "👍" {
			t.Errorf("the message is there: %v, with the reaction %q", ok, m.theirs)
		}
		if rows, err := k.v.rows(t.Context(), Query{Table: TableWaiting, Owner: c.num}); err != nil || len(rows)+len(c.early) > 0 {
			t.Errorf("%d rows wait still, %d here, %v", len(rows), len(c.early), err)
		}
	})
}

// What is about a message that never comes is forgotten when all before it is here,
// and is bounded until then.
func TestEarlyIsBounded(t *testing.T) {
	p := newPostman(t)
	lost := p.send(p.b, "lost")[0]
	for range 2 * maxEarly {
		p.send(p.b, "gone")
	}
	with, ids := p.ids(p.b)
	var edits [][]byte
	for range 2 * maxEarly {
		if _, err := p.b.Edit(t.Context(), with, ids["gone"], "gone"); err != nil {
			t.Fatal(err)
		}
		edits = append(edits, p.last(p.b))
	}
	p.mustDeliver(p.a, edits...)
	p.giveUpGaps(p.a)
	early := func() (n, rows int) {
		p.do(p.a, func(k *core) {
			c := p.other(k)
			all, err := k.v.rows(t.Context(), Query{Table: TableWaiting, Owner: c.num})
			if err != nil {
				t.Fatal(err)
			}
			n, rows = len(c.early), len(all)
		})
		return n, rows
	}
	p.do(p.a, func(*core) {})
	if n, rows := early(); n != maxEarly || rows != maxEarly {
		t.Errorf("%d are kept, in %d rows, want %d", n, rows, maxEarly)
	}
	p.mustDeliver(p.a, lost)
	p.mustDeliver(p.a, p.outbox(p.b)[1:2*maxEarly+1]...)
	p.do(p.a, func(*core) {})
	if n, rows := early(); n != 0 || rows != 0 {
		t.Errorf("%d are kept, in %d rows, although nothing is missing", n, rows)
	}
}

// What comes late takes back nothing that was set later: an edit, a reaction, the
// time after which texts disappear.
func TestLateChangesTakeNothingBack(t *testing.T) {
	p := newPostman(t)
	p.mustDeliver(p.a, p.send(p.b, "one")...)
	with, ids := p.ids(p.b)
	var late, soon [][]byte
	for i, to := range []*[][]byte{&late, &soon} {
		emoji, timer := []string{"👎", "👍"}[i], []time.Duration{2 * time.Hour, time.Hour}[i]
		for _, change := range []func() error{
			func() error {
				_, err := p.b.Edit(t.Context(), with, ids["one"], []string{"first", "second"}[i])
				return err
			},
			func() error { _, err := p.b.React(t.Context(), with, ids["one"], emoji); return err },
			func() error { _, err := p.b.SetContact(t.Context(), with, ContactSettings{Timer: &timer}); return err },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			*to = append(*to, p.last(p.b))
		}
	}
	p.mustDeliver(p.a, soon...)
	p.giveUpGaps(p.a)
	p.mustDeliver(p.a, late...)
	p.want(p.a, "second")
	p.do(p.a, func(k *core) {
		c := p.other(k)
		if m, _, _ := k.findMessage(c, ids["one"]); m.theirs != "👍" || c.info.Timer != time.Hour {
			t.Errorf("the reaction is %q, the timer %v", m.theirs, c.info.Timer)
		}
	})
}

// A gap that is followed by something that is not shown is said by the next message
// that is, until what was missing comes.
func TestGapBeforeWhatIsNotShown(t *testing.T) {
	p := newPostman(t)
	p.mustDeliver(p.a, p.send(p.b, "one")...)
	lost := p.send(p.b, "lost", "lost, too")
	edit := p.edit(p.b, "one", "uno")
	p.mustDeliver(p.a, edit)
	p.giveUpGaps(p.a)
	p.mustDeliver(p.a, lost[0])
	three := p.send(p.b, "three")
	p.mustDeliver(p.a, three...)
	if got := p.history(p.a); !slices.Equal(got, []string{"uno", "(1 missing) lost", "three"}) {
		t.Errorf("history = %q, want it to say that one is missing", got)
	}
	p.mustDeliver(p.a, lost[1])
	p.want(p.a, "uno", "lost", "three", "lost, too")
	p.do(p.a, func(k *core) {
		if g := p.other(k).flow.Gaps; len(g) > 0 {
			t.Errorf("gaps are left: %v", g)
		}
	})
}

// An edit that is encrypted anew takes back no later one, which has arrived.
func TestEditAnew(t *testing.T) {
	p := newPostman(t)
	p.mustDeliver(p.a, p.send(p.b, "one")...)
	p.deliver(p.b, p.ack(p.a))
	p.edit(p.b, "one", "first")
	second := p.edit(p.b, "first", "second")
	p.mustDeliver(p.a, second)
	p.giveUpGaps(p.a)
	p.deliver(p.b, p.ack(p.a)) // of the second
	p.do(p.b, func(k *core) {  // numbers change
		c := p.other(k)
		k.wentBack(c, wire.Ack{Epoch: k.local.Record().Epoch, Next: c.flow.Acked.Next, Ranges: c.flow.Acked.Ranges, Digest: c.flow.AckedSum})
	})
	p.settle(p.b, p.a)
	p.want(p.a, "second")
}
