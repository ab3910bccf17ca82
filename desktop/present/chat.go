package present

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

const (
	// pageSize is how many messages are loaded at a time.
	pageSize = 100
	// groupGap parts groups: messages of one author that are closer belong to one.
	groupGap = 5 * time.Minute
)

// A chat is the open conversation, owned by the main loop.
type chat struct {
	id       identity.PeerID
	messages []message // by Seq
	loading  bool
	earlier  bool // there may be more before the first
	fetching bool // a page of them is under way
	// early holds steps of messages that are not known yet: the step and the
	// message travel by different ways.
	early map[client.MessageID]client.DeliveryState
}

type message struct {
	client.Message
	key string // of its row
}

// shownTime is when a message was sent; a sender's clock that runs ahead does
// not put it into the future.
func shownTime(m client.Message) time.Time {
	if !m.ReceivedAt.IsZero() && m.SentAt.After(m.ReceivedAt) {
		return m.ReceivedAt
	}
	return m.SentAt
}

// add takes in a message, new or known. Its row is named key, or by the message.
func (c *chat) add(m client.Message, key string) {
	if s, ok := c.early[m.ID]; ok {
		m.State = max(m.State, s)
		delete(c.early, m.ID)
	}
	for i := range slices.Backward(c.messages) {
		if o := &c.messages[i]; o.ID == m.ID {
			m.State = max(m.State, o.State) // the ladder never goes back
			o.Message = m
			return
		}
	}
	if key == "" {
		key = m.ID.String()
	}
	i, _ := slices.BinarySearchFunc(c.messages, m.Seq, func(o message, seq int64) int { return cmp.Compare(o.Seq, seq) })
	c.messages = slices.Insert(c.messages, i, message{m, key})
}

// delivery takes in a step of a message.
func (c *chat) delivery(id client.MessageID, s client.DeliveryState) {
	for i := range slices.Backward(c.messages) {
		if o := &c.messages[i]; o.ID == id {
			o.State = max(o.State, s)
			return
		}
	}
	c.early[id] = max(c.early[id], s)
}

func (w *Window) openChat(id identity.PeerID) {
	w.chat = &chat{id: id, loading: true, early: map[client.MessageID]client.DeliveryState{}}
	w.swaps++
	w.loadNewest(w.chat)
}

// loadNewest loads the newest page, which also says what was missed.
func (w *Window) loadNewest(c *chat) {
	w.load(c, client.HistoryQuery{Limit: pageSize}, func(n int) {
		if c.loading {
			c.earlier = n == pageSize
		}
		c.loading = false
	})
}

// Earlier loads the page before the first message that is shown.
func (w *Window) Earlier() {
	c := w.chat
	if c == nil || c.loading || c.fetching || !c.earlier || len(c.messages) == 0 {
		return
	}
	c.fetching = true
	w.load(c, client.HistoryQuery{Before: c.messages[0].Seq, Limit: pageSize}, func(n int) {
		c.fetching, c.earlier = false, n == pageSize
	})
}

func (w *Window) load(c *chat, q client.HistoryQuery, done func(n int)) {
	api := w.api
	w.do(func(ctx context.Context) func() {
		page, err := api.History(ctx, c.id, q)
		return func() {
			if w.chat != c {
				return // another conversation is open by now
			}
			if err != nil {
				c.loading, c.fetching = false, false
				w.say(problem("The messages could not be read", err))
				return
			}
			for _, m := range page {
				c.add(m, "")
			}
			done(len(page))
		}
	})
}

// rows returns what to draw of a conversation.
func (c *chat) rows(waiting []*outgoing, peer string, now time.Time) []Row {
	rows := make([]Row, 0, len(c.messages)+len(waiting)+8)
	var day, last time.Time
	add := func(r Row, at time.Time, missing int) {
		at = at.In(now.Location())
		if last.IsZero() || days(day, at) != 0 {
			day = at
			rows = append(rows, Row{Key: dayKey(rows, at), Kind: DayRow, Text: dayName(at, now)})
			last = time.Time{}
		}
		if missing > 0 {
			rows = append(rows, Row{Key: "before " + r.Key, Kind: NoticeRow,
				Text: "Not arrived yet: " + plural(missing, "message") + " before this one"})
		}
		prev := &rows[len(rows)-1]
		r.First = prev.Kind != MessageRow || prev.Mine != r.Mine || at.Sub(last) >= groupGap
		r.Last = true
		prev.Last = prev.Last && r.First
		r.Time, r.Date, last = clock(at), at.Format("Monday, 2 January 2006, 15:04"), at
		rows = append(rows, r)
	}
	for _, m := range c.messages {
		r := Row{Key: m.key, Kind: MessageRow, Text: Literal(m.Text), Author: peer, Mine: m.Mine}
		if m.Mine {
			r.Author, r.Tick = you, tick(m.State)
		}
		add(r, shownTime(m.Message), m.Missing)
	}
	for _, o := range waiting {
		r := Row{Key: o.key, Kind: MessageRow, Text: Literal(o.text), Author: you, Mine: true, Tick: tickSaving}
		if o.failed {
			r.Failed, r.Tick = true, tickFailed
		}
		add(r, o.at, 0)
	}
	return rows
}

// you is the author of one's own messages.
const you = "You"

// dayKey names a heading. A day comes twice if a sender's clock jumped.
func dayKey(rows []Row, day time.Time) string {
	key := "day " + day.Format(time.DateOnly)
	n := 0
	for _, r := range rows {
		if r.Kind == DayRow && strings.HasPrefix(r.Key, key) {
			n++
		}
	}
	if n > 0 {
		key = fmt.Sprintf("%s %d", key, n)
	}
	return key
}
