package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Slack is how much later than its time a message may disappear: clocks were
// wrong by up to three hours when it was stored.
const Slack = 4 * time.Hour

// A message is what is known of one that a device has accepted.
type message struct {
	Event                 // of its acceptance
	order   int           // among all acceptances
	shown   []int         // numbers of the events that showed it to Peer
	texts   []string      // it had, the last one last
	deleted time.Duration // 0: it was not
	maybe   []string      // texts that an edit which failed may have given it
	unclear bool          // a wish to delete it failed
	removed map[string]time.Duration
	reached State         // the highest state that Who was told of
	held    time.Duration // when that was Held first; 0: never
	there   bool          // on Peer's device, says There
	missed  []Event       // when its reader was alone with what held it, and did not show it
	told    time.Duration // when that was Delivered first
	// finals are where it stands in the end, by person.
	finals map[string][]Event
}

type restore struct{ backup, at time.Duration }

// A step is a clock's: from at on it is wrong by skew.
type step struct{ at, skew time.Duration }

type checker struct {
	events   []Event
	messages map[string]*message // by id
	inOrder  []*message
	restores map[string][]restore
	unsure   map[string]bool // texts
	stopped  map[string][]time.Duration
	clocks   map[string][]step
	lying    []time.Duration // when servers began to lie
	healed   time.Duration   // when they ended; 0: never
	end      time.Duration
	cheats   map[string]bool
	said     map[saying][]string // texts
	showings map[saying]int      // what cheats said, as it was shown
	standing map[saying]int      // and as it is there in the end
	fleeting map[saying]bool     // it was to go, and may have come again
	cleared  map[saying]int      // how often its reader removed what had this name
	broken   []string
}

// A saying is a cheat's message: a name that it may use often, for one person.
type saying struct{ from, to, id string }

// Check returns the laws that a finished history breaks, each with its message:
//
//   - every accepted message is shown to the right person once, and is in the
//     end in the conversation on both sides, delivered, once;
//   - a sender's messages are shown in the order in which they were accepted,
//     unless a gap was said;
//   - ticks never go back, and none says delivered of what was never shown;
//   - what a relay holds arrives without its sender;
//   - nothing is shown that was not sent by that person to that person;
//   - deleted and expired messages are gone on both sides;
//   - the last edit is what both sides see.
//
// A cheat is a person to whom no law applies, and about whom these do: what is shown
// as its message it said to that person, each name once; and what others sent it
// stays as they left it. When that arrived only it can tell, so a tick of its own
// messages may be a lie: it ticks nobody else's.
//
// Who lost a device and began from a backup may have lost what came between the
// two, and what was on its way out; and what a server took and dropped while it lied
// may have disappeared at its sender before it was asked for again, held and never
// ticked as delivered. So may what a sender's clock, set forward, took for old before
// it could be encrypted for a session that had to begin anew, because the power had
// failed on one side. Nobody loses anything else.
func Check(events []Event) []string {
	c := &checker{events: events, messages: map[string]*message{}, restores: map[string][]restore{}, unsure: map[string]bool{}, stopped: map[string][]time.Duration{}, clocks: map[string][]step{},
		cheats: map[string]bool{}, said: map[saying][]string{}, showings: map[saying]int{}, standing: map[saying]int{}, fleeting: map[saying]bool{}, cleared: map[saying]int{}}
	c.collect()
	c.walk()
	for _, m := range c.inOrder {
		c.arrival(m)
		c.waited(m)
		c.ends(m)
		c.disappearance(m)
	}
	c.orders()
	return c.broken
}

func (c *checker) fail(e Event, format string, args ...any) {
	c.broken = append(c.broken, fmt.Sprintf(format, args...)+": "+e.String())
}

// collect reads what was done.
func (c *checker) collect() {
	backups := map[string]map[int]time.Duration{}
	for _, e := range c.events {
		c.end = max(c.end, e.At)
		switch e.Kind {
		case Accepted:
			if c.messages[e.ID] != nil {
				c.fail(e, "one id for two messages")
				continue
			}
			m := &message{Event: e, order: len(c.inOrder), texts: []string{e.Text}, removed: map[string]time.Duration{}, finals: map[string][]Event{}}
			c.messages[e.ID], c.inOrder = m, append(c.inOrder, m)
		case Unsure:
			c.unsure[e.Text] = true
		case Edited:
			if m := c.messages[e.ID]; m != nil {
				m.texts, m.maybe = append(m.texts, e.Text), nil
			}
		case MaybeEdited:
			if m := c.messages[e.ID]; m != nil {
				m.maybe = append(m.maybe, e.Text)
			}
		case MaybeDeleted:
			c.cleared[saying{e.Peer, e.Who, e.ID}]++
			if m := c.messages[e.ID]; m != nil {
				m.unclear = true
			}
		case Deleted:
			c.cleared[saying{e.Peer, e.Who, e.ID}]++
			if m := c.messages[e.ID]; m != nil {
				m.deleted = e.At
			}
		case Removed:
			c.cleared[saying{e.Peer, e.Who, e.ID}]++
			if m := c.messages[e.ID]; m != nil {
				m.removed[e.Who] = e.At
			}
		case Clock:
			c.clocks[e.Who] = append(c.clocks[e.Who], step{e.At, e.After})
		case Cheat:
			c.cheats[e.Who] = true
		case Said:
			x := saying{e.Who, e.Peer, e.ID}
			if e.Text != "" {
				c.said[x] = append(c.said[x], e.Text)
			} else {
				c.fleeting[x] = true
			}
		case Lying:
			c.lying = append(c.lying, e.At)
		case Healed:
			c.healed = e.At
		case Stopped:
			c.stopped[e.Who] = append(c.stopped[e.Who], e.At)
		case BackedUp:
			if backups[e.Who] == nil {
				backups[e.Who] = map[int]time.Duration{}
			}
			backups[e.Who][e.N] = e.At
		case Restored:
			c.restores[e.Who] = append(c.restores[e.Who], restore{backups[e.Who][e.N], e.At})
		}
	}
}

// walk judges what was seen when it was seen.
func (c *checker) walk() {
	for i, e := range c.events {
		switch e.Kind {
		case Shown:
			if c.cheats[e.Peer] {
				c.ofCheat(e, c.showings)
				continue
			}
			m := c.messages[e.ID]
			if m == nil {
				if !c.unsure[e.Text] {
					c.fail(e, "shown, but nobody sent it")
				}
				continue
			}
			switch {
			case m.Who != e.Peer || m.Peer != e.Who:
				c.fail(e, "shown to the wrong person, or as of the wrong one")
			case !slices.Contains(m.texts, e.Text) && !slices.Contains(m.maybe, e.Text):
				c.fail(e, "shown with another text than it was sent with")
			}
			m.shown = append(m.shown, i)
			if len(m.shown) > 1+len(c.restores[e.Who]) {
				c.fail(e, "shown twice")
			}
		case Ticked:
			m := c.messages[e.ID]
			if m == nil {
				continue // its sender never learned that it was accepted
			}
			if m.Who != e.Who {
				c.fail(e, "a tick for another's message")
			}
			if m.Peer != e.Peer {
				c.fail(e, "a tick by somebody else than its reader")
				continue
			}
			if e.State < m.reached && len(c.restores[e.Who]) == 0 {
				c.fail(e, "the tick went back")
			}
			if e.State == Held && m.held == 0 {
				m.held = e.At
			}
			if e.State >= Delivered && m.reached < Delivered {
				m.told = e.At
			}
			m.reached = max(m.reached, e.State)
		case There:
			if m := c.messages[e.ID]; m != nil && m.Who == e.Peer && m.Peer == e.Who {
				m.there = true
			}
		case Alone:
			c.alone(e)
		case Final:
			if c.cheats[e.Peer] && !e.Mine {
				c.ofCheat(e, c.standing)
				continue
			}
			if m := c.messages[e.ID]; m != nil {
				if e.Mine && (m.Who != e.Who || m.Peer != e.Peer) || !e.Mine && (m.Who != e.Peer || m.Peer != e.Who) {
					c.fail(e, "in the end it is in another conversation")
					continue
				}
				m.finals[e.Who] = append(m.finals[e.Who], e)
			} else if !c.unsure[e.Text] {
				c.fail(e, "in the end there is a message that nobody sent")
			}
		}
	}
}

// alone judges what relays held for somebody who was well, and the senders away.
func (c *checker) alone(e Event) {
	for _, m := range c.inOrder {
		if m.Peer != e.Who || m.held == 0 || m.held > e.At-e.After || m.there || len(m.shown) > 0 {
			continue
		}
		if m.deleted != 0 || m.unclear || len(m.removed) > 0 || len(c.lying) > 0 || len(c.restores[m.Who])+len(c.restores[m.Peer]) > 0 {
			continue
		}
		m.missed = append(m.missed, e)
	}
}

// waited: what was held for somebody who was alone with the relays was shown then. What
// disappears may have come in the moment in which the device ended, and be gone when
// it begins again: its sender hears of that, if only later.
func (c *checker) waited(m *message) {
	for _, e := range m.missed {
		if m.After == 0 || m.told == 0 {
			c.fail(m.Event, "held by a relay, and %v later not shown to %s, who was there", (e.At - m.held).Round(time.Second), e.Who)
		}
	}
}

// ofCheat judges what is shown, or there in the end, as a cheat's message.
func (c *checker) ofCheat(e Event, times map[saying]int) {
	x := saying{e.Peer, e.Who, e.ID}
	if !slices.Contains(c.said[x], e.Text) {
		c.fail(e, "shown, but the cheat did not say so to this person")
	}
	if times[x]++; times[x] > 1 && (e.Kind == Final || !c.fleeting[x] && times[x] > 1+len(c.restores[e.Who])+c.cleared[x]) {
		c.fail(e, "a name of the cheat's is there twice")
	}
}

// firstShown returns when a message was first shown to whom it was sent.
func (c *checker) firstShown(m *message) (time.Duration, bool) {
	if len(m.shown) == 0 {
		return 0, false
	}
	return c.events[m.shown[0]].At, true
}

// lostWithSender reports whether m may have been in an outbox that was lost.
func (c *checker) lostWithSender(m *message) bool {
	at, shown := c.firstShown(m)
	return slices.ContainsFunc(c.restores[m.Who], func(r restore) bool { return m.At <= r.at && (!shown || at > r.at) })
}

// lostWithReader reports whether m may have been on a device that was lost, after
// its last backup.
func (c *checker) lostWithReader(m *message) bool {
	at, shown := c.firstShown(m)
	return slices.ContainsFunc(c.restores[m.Peer], func(r restore) bool {
		if shown {
			return at > r.backup && at <= r.at
		}
		return m.At <= r.at && m.reached >= Delivered // it waited behind a gap
	})
}

// gone reports whether m is to be nowhere in the end.
func (c *checker) gone(m *message) bool { return m.deleted != 0 || m.unclear || m.After > 0 }

// hold is how long a message that has arrived may wait for one before it.
const hold = 10 * time.Second

// arrival: shown, unless a device was lost; and ticked as delivered only then.
func (c *checker) arrival(m *message) {
	if c.lostWithSender(m) || c.lostWithReader(m) || m.deleted != 0 || m.unclear || c.cheats[m.Peer] {
		return
	}
	at, shown := c.firstShown(m)
	if !shown && len(m.finals[m.Peer]) > 0 {
		return // it arrived in the moment in which the device ended, and is there
	}
	switch {
	case m.told != 0 && !shown && m.After == 0 && !c.isRemoved(m, m.Peer):
		c.fail(m.Event, "ticked as delivered and never shown")
	case m.told != 0 && shown && at > m.told+hold && !c.stoppedBetween(m.Peer, m.told-hold, at):
		c.fail(m.Event, "ticked as delivered %v before it was shown", at-m.told)
	case m.told == 0 && !shown && !c.isRemoved(m, m.Who) && (m.After == 0 || len(c.restores) == 0 && !c.mayBeDropped(m) && !c.mayBeOld(m)):
		// What its sender removed, or what expired there, is not encrypted anew for
		// another device.
		c.fail(m.Event, "accepted and never shown")
	}
}

// mayBeDropped reports whether a server that lied may have taken m: its sender was
// told that it is held, or ended before it could be.
func (c *checker) mayBeDropped(m *message) bool {
	until := c.healed
	if until == 0 {
		until = c.end
	}
	lied := slices.ContainsFunc(c.lying, func(at time.Duration) bool { return at <= until }) && m.At < until
	return lied && (m.reached == Held || c.stoppedBetween(m.Who, m.At, until))
}

// skew returns by how much somebody's clock was wrong.
func (c *checker) skew(who string, at time.Duration) (skew time.Duration) {
	for _, s := range c.clocks[who] {
		if s.at <= at {
			skew = s.skew
		}
	}
	return skew
}

// mayBeOld reports whether a step of its sender's clock made m disappear there by the
// time at which all was healed, and a device of the two had ended, so that their
// session may have begun anew.
func (c *checker) mayBeOld(m *message) bool {
	if len(c.stopped[m.Who])+len(c.stopped[m.Peer]) == 0 {
		return false
	}
	return slices.ContainsFunc(c.clocks[m.Who], func(s step) bool {
		return s.at > m.At && s.at <= c.healed && s.at-m.At+s.skew-c.skew(m.Who, m.At) >= m.After
	})
}

func (c *checker) isRemoved(m *message, who string) bool {
	_, ok := m.removed[who]
	return ok
}

// stoppedBetween reports whether a device ended or could not store in a time.
func (c *checker) stoppedBetween(who string, from, to time.Duration) bool {
	return slices.ContainsFunc(c.stopped[who], func(at time.Duration) bool { return at >= from && at <= to }) || len(c.restores[who]) > 0
}

// ends: in the conversation on both sides, once, delivered, with its last text.
func (c *checker) ends(m *message) {
	sender, reader := m.finals[m.Who], m.finals[m.Peer]
	for who, fs := range m.finals {
		if who != m.Who && who != m.Peer {
			c.fail(fs[0], "in the end it is in another's conversation")
		}
		if len(fs) > 1 {
			c.fail(fs[0], "in the end it is there %d times", len(fs))
		}
	}
	if c.gone(m) {
		return
	}
	lost := c.lostWithSender(m) || c.lostWithReader(m)
	cheated := c.cheats[m.Peer] // it alone knows what it has
	if len(reader) == 0 && !cheated && !c.isRemoved(m, m.Peer) && !lost && (len(m.shown) > 0 || m.told != 0 || !c.isRemoved(m, m.Who)) {
		c.fail(m.Event, "in the end its reader does not have it")
	}
	restored := slices.ContainsFunc(c.restores[m.Who], func(r restore) bool { return m.At > r.backup && m.At <= r.at })
	if len(sender) == 0 && !c.isRemoved(m, m.Who) && !restored {
		c.fail(m.Event, "in the end its sender does not have it")
	}
	if len(sender) == 1 && len(c.restores[m.Who]) == 0 {
		if s := sender[0].State; s < Delivered && !lost && !cheated {
			c.fail(sender[0], "in the end it was not delivered")
		} else if s < m.reached {
			c.fail(sender[0], "in the end its tick went back")
		}
	}
	if len(c.restores[m.Who]) > 0 || len(c.restores[m.Peer]) > 0 {
		return
	}
	want := m.texts[len(m.texts)-1]
	for _, fs := range [][]Event{sender, reader} {
		if len(fs) == 1 && fs[0].Text != want && !slices.Contains(m.maybe, fs[0].Text) {
			c.fail(fs[0], "in the end it does not have its last text %.40q", want)
		}
	}
}

// disappearance: what was deleted or has expired is gone on both sides.
func (c *checker) disappearance(m *message) {
	for who, fs := range m.finals {
		if slices.ContainsFunc(c.restores[who], func(r restore) bool { return m.At <= r.at }) ||
			slices.ContainsFunc(c.restores[m.Who], func(r restore) bool { return m.At <= r.at }) {
			continue // it came back from a backup, or the wish was lost
		}
		if m.deleted != 0 {
			c.fail(fs[0], "deleted and still there")
		}
		if _, removed := m.removed[who]; removed {
			c.fail(fs[0], "removed and still there")
		}
		if at, shown := c.firstShown(m); m.After > 0 && shown && c.end > max(at, m.At)+m.After+Slack {
			c.fail(fs[0], "expired and still there")
		}
	}
}

// orders: a message is shown before those that were sent after it, unless one of
// them was shown with the word that something is missing, or it had disappeared for
// its sender by then.
func (c *checker) orders() {
	type pair struct{ from, to string }
	by := map[pair][]*message{}
	for _, m := range c.inOrder {
		if len(m.shown) > 0 {
			by[pair{m.Who, m.Peer}] = append(by[pair{m.Who, m.Peer}], m)
		}
	}
	for p, ms := range by {
		if len(c.restores[p.from]) > 0 || len(c.restores[p.to]) > 0 {
			continue
		}
		slices.SortFunc(ms, func(a, b *message) int { return cmp.Compare(a.shown[0], b.shown[0]) })
		for i, late := range ms {
			// One that came in the moment in which the device ended may have said it.
			overtaken, said := false, late.order < c.unseen(p.from, p.to) || c.saidByUnsure(late)
			for _, early := range ms[:i] {
				if late.After > 0 && c.events[early.shown[0]].At >= late.At+late.After {
					break // it was over for its sender, who gave its number to something else
				}
				if early.order > late.order {
					overtaken = true
					said = said || c.events[early.shown[0]].Missing > 0
				}
			}
			if overtaken && !said {
				c.fail(c.events[late.shown[0]], "shown after what was sent later, and no gap was said")
			}
		}
	}
}

// saidByUnsure reports whether a gap was said, since m was accepted and before it was
// shown, by a message of which its sender did not hear that it was accepted.
func (c *checker) saidByUnsure(m *message) bool {
	return slices.ContainsFunc(c.events[:m.shown[0]], func(e Event) bool {
		return e.Kind == Shown && e.Who == m.Peer && e.Peer == m.Who && e.Missing > 0 && e.At > m.At && c.messages[e.ID] == nil && c.unsure[e.Text]
	})
}

// unseen returns the order of the last message that its reader has and was not seen
// to be shown, -1 for none.
func (c *checker) unseen(from, to string) int {
	for _, m := range slices.Backward(c.inOrder) {
		if m.Who == from && m.Peer == to && len(m.shown) == 0 && (m.there || len(m.finals[to]) > 0) {
			return m.order
		}
	}
	return -1
}
