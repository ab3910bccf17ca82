package client

import (
	"slices"
	"time"

	"github.com/sremp/sremp/wire"
)

// Tuning of asking again for what is missing (spec §8.4).
const (
	askFirst = 30 * time.Second
	askMax   = time.Hour
	maxGaps  = 64 // that are remembered, to say that they are filled
)

// A shownGap is a gap in a sender's counters that a message was shown behind.
type shownGap struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Seq   int64  `json:"seq"`           // of that message; 0: none has come since
	Came  uint64 `json:"came,omitzero"` // of them, since
}

// noteGap remembers what is missing before a payload that is acted on now: the next
// message says so, which may be a later payload.
func (c *contact) noteGap(counter, missing uint64) {
	if missing == 0 {
		return
	}
	c.flow.Gaps = append(c.flow.Gaps, shownGap{First: counter - missing, Last: counter - 1})
	c.flow.Gaps = c.flow.Gaps[max(0, len(c.flow.Gaps)-maxGaps):]
}

// unsaidGaps returns how many are missing of which no message says so yet.
func (c *contact) unsaidGaps() (missing uint64) {
	for _, g := range c.flow.Gaps {
		if g.Seq == 0 {
			missing += g.Last - g.First + 1 - g.Came
		}
	}
	return missing
}

// sayGaps notes that the message at a position says so.
func (c *contact) sayGaps(seq int64) {
	for i := range c.flow.Gaps {
		if g := &c.flow.Gaps[i]; g.Seq == 0 {
			g.Seq = seq
		}
	}
}

// filled notes that one came that was missing: the message behind the gap says so.
func (k *core) filled(c *contact, counter uint64) {
	i := slices.IndexFunc(c.flow.Gaps, func(g shownGap) bool { return g.First <= counter && counter <= g.Last })
	if i < 0 {
		return
	}
	c.setFlow(k)
	g := &c.flow.Gaps[i]
	g.Came++
	over := g.Came > g.Last-g.First
	if g.Seq != 0 {
		m, ok := k.messageAt(c, g.Seq)
		if ok && m.missing > 0 {
			m.missing--
			k.changed(c, g.Seq, m)
		}
		over = over || !ok || m.missing == 0
	}
	if over {
		c.flow.Gaps = slices.Delete(c.flow.Gaps, i, i+1)
	}
}

// messageAt returns the message at a position, as the batch at hand leaves it.
func (k *core) messageAt(c *contact, seq int64) (m storedMessage, ok bool) {
	for i := len(k.changes) - 1; i >= 0; i-- {
		ch := k.changes[i]
		if ch.Table != TableMessages || ch.Owner != c.num {
			continue
		}
		switch {
		case ch.Kind == Put && ch.Seq == seq:
			m, _, ok = k.openMessage(ch.Row)
			return m, ok
		case ch.Kind == Delete && ch.Seq <= seq && seq <= ch.Through:
			return m, false
		}
	}
	rows, err := k.v.store.Rows(k.c.ctx, Query{Table: TableMessages, Owner: c.num, From: seq, Below: seq + 1})
	if err != nil || len(rows) == 0 {
		return m, false
	}
	m, _, ok = k.openMessage(rows[0])
	return m, ok
}

// incomplete reports whether messages of the contact are missing that it can send
// again.
func (c *contact) incomplete() bool { return len(c.flow.In.Ranges) > 0 && c.info.Trust == Trusted }

// tickGaps asks again for what is missing: an acknowledgement names what is here,
// by connection or by mail. The pauses double up to askMax.
func (k *core) tickGaps(c *contact) {
	now := k.now()
	if !c.incomplete() || c.session == nil || now.Before(c.askAt) && c.askAt.Sub(now) <= askMax {
		return
	}
	if !c.askAt.IsZero() {
		k.ackDue(c)
	}
	c.askWait = min(max(2*c.askWait, askFirst), askMax)
	c.askAt = now.Add(c.askWait)
}

// mailAgain has what the peer lacks mailed again, once a minute at most: it has
// later ones, so no mailbox will give it those.
func (k *core) mailAgain(c *contact, a wire.Ack) {
	m := &c.sending.mail
	if n := len(a.Ranges); n > 0 && k.now().Sub(m.remail).Abs() > remailAfter {
		m.again, m.cursor, m.remail = a.Ranges[n-1].First, 0, k.now()
		k.touched[c] = true
	}
}
