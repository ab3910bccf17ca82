package present

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

const (
	// pageSize is how many messages are loaded at a time.
	pageSize = 100
	// chatSize is how many messages are kept of the open conversation: however far
	// one scrolls, a drawing costs the same. What falls out is loaded again.
	chatSize = 4 * pageSize
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

	openedAt int64            // Seq of the newest message when it was opened
	later    bool             // there are messages after the last: a hit was jumped to
	emptied  bool             // all messages are about to be deleted
	unread   int              // how many were unread when it was opened
	found    client.MessageID // what was jumped to
	jump     string           // key of the row to scroll to
	compose  compose

	pictures map[client.MessageID]*Picture // asked for; nil until they come

	draftDirty bool
	draftCount int
	typing     bool // what the contact is to be told, what it was told last, and when
	typingTold bool
	typingBusy bool
	typingAt   time.Time
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
// A new one behind a gap of messages that are not loaded is left to Later.
func (c *chat) add(m client.Message, key string) {
	if c.later && len(c.messages) > 0 && m.Seq > c.messages[len(c.messages)-1].Seq && !c.fetching {
		return
	}
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
	w.newChat(id)
	w.loadNewest(w.chat)
}

func (w *Window) newChat(id identity.PeerID) {
	w.storeDraft()
	w.leaveCompose()
	c := w.contacts[id]
	w.chat = &chat{
		id: id, loading: true, unread: c.Unread, early: map[client.MessageID]client.DeliveryState{}, compose: w.composing[id],
	}
	if _, ok := w.drafts[id]; !ok && c.Draft != "" {
		w.drafts[id] = c.Draft
	}
	w.swaps++
}

// openChatAt opens a conversation around one message.
func (w *Window) openChatAt(id identity.PeerID, at client.MessageID, seq int64) {
	w.newChat(id)
	c := w.chat
	c.found = at
	w.load(c, client.HistoryQuery{Before: seq + 1, Limit: pageSize / 2}, func(n int) {
		c.earlier = n == pageSize/2
		w.load(c, client.HistoryQuery{Forward: true, After: seq, Limit: pageSize / 2}, func(n int) {
			c.loading, c.later = false, n == pageSize/2
			if m := c.byID(at); m != nil {
				w.scrollTo(m.key)
			}
		})
	})
}

// Later loads the page after the last message that is shown.
func (w *Window) Later() {
	c := w.chat
	if c == nil || c.loading || c.fetching || !c.later || len(c.messages) == 0 {
		return
	}
	c.fetching = true
	last := c.messages[len(c.messages)-1].Seq
	w.load(c, client.HistoryQuery{Forward: true, After: last, Limit: pageSize}, func(n int) {
		c.fetching, c.later = false, n == pageSize
		c.dropFirst(chatSize)
	})
}

// dropFirst forgets the first messages beyond n.
func (c *chat) dropFirst(n int) {
	if over := len(c.messages) - n; over > 0 {
		c.forget(c.messages[:over])
		c.messages = slices.Delete(c.messages, 0, over)
		c.earlier = true
	}
}

// dropLast forgets the last messages beyond n.
func (c *chat) dropLast(n int) {
	if len(c.messages) > n {
		c.forget(c.messages[n:])
		c.messages = slices.Delete(c.messages, n, len(c.messages))
		c.later = true
	}
}

// forget lets go of what belongs to messages.
func (c *chat) forget(gone []message) {
	for _, m := range gone {
		delete(c.pictures, m.ID)
	}
}

// Newest goes to the end of the open conversation.
func (w *Window) Newest() {
	if c := w.chat; c != nil && c.later {
		w.openChat(c.id)
		w.redraw()
	}
}

// loadNewest loads the newest page, which also says what was missed.
func (w *Window) loadNewest(c *chat) {
	w.load(c, client.HistoryQuery{Limit: pageSize}, func(n int) {
		if c.loading {
			c.earlier = n == pageSize
			if len(c.messages) > 0 {
				c.openedAt = c.messages[len(c.messages)-1].Seq
			}
			if i := c.firstUnread(); i >= 0 {
				w.scrollTo("unread")
			}
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
		c.dropLast(chatSize)
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
				w.say(problem(tr.T("The messages could not be read"), err))
				return
			}
			for _, m := range page {
				c.add(m, "")
			}
			w.picturesOf(c)
			done(len(page))
		}
	})
}

// rows returns what to draw of a conversation.
func (c *chat) rows(waiting []*outgoing, peer string, hidden map[client.MessageID]bool, now time.Time) []Row {
	if c.emptied {
		return nil
	}
	rows := make([]Row, 0, len(c.messages)+len(waiting)+8)
	var day, last time.Time
	unread := false // the next row is the first unread one
	add := func(r Row, at time.Time, missing int) {
		at = at.In(now.Location())
		if last.IsZero() || days(day, at) != 0 {
			day = at
			rows = append(rows, Row{Key: dayKey(rows, at), Kind: DayRow, Text: dayName(at, now)})
			last = time.Time{}
		}
		if unread {
			unread = false
			rows = append(rows, Row{Key: "unread", Kind: NoticeRow, Text: tr.T("New messages")})
		}
		if missing > 0 {
			rows = append(rows, Row{Key: "before " + r.Key, Kind: NoticeRow,
				Text: tr.N("Not arrived yet: %d message before this one", "Not arrived yet: %d messages before this one", missing, missing)})
		}
		prev := &rows[len(rows)-1]
		r.First = prev.Kind != MessageRow || prev.Mine != r.Mine || at.Sub(last) >= groupGap
		r.Last = true
		prev.Last = prev.Last && r.First
		r.Time, r.Date, last = clock(at), tr.Date(at, tr.Mark("Monday, 2 January 2006, 15:04")), at
		rows = append(rows, r)
	}
	first := c.firstUnread()
	for i, m := range c.messages {
		if hidden[m.ID] {
			continue
		}
		r := Row{Key: m.key, Kind: MessageRow, Text: Literal(m.Text), Author: peer, Mine: m.Mine, Found: m.ID == c.found}
		if m.Mine {
			r.Author, r.Tick = you(), tick(m.State)
		}
		r.Edited, r.Reaction, r.Reacted = !m.EditedAt.IsZero(), Line(m.MyReaction), Line(m.Reaction)
		r.File = fileView(m.File, c.pictures[m.ID])
		if m.ReplyTo != (client.MessageID{}) {
			r.Quote, r.QuoteAuthor = c.quote(m.Message, peer)
		}
		if !m.ExpiresAt.IsZero() {
			r.Expires = tr.T("Disappears %s", listTime(m.ExpiresAt, now))
			if days(m.ExpiresAt, now) == 0 {
				r.Expires = tr.T("Disappears at %s", clock(m.ExpiresAt.In(now.Location())))
			}
		}
		unread = i == first
		add(r, shownTime(m.Message), m.Missing)
	}
	if c.later {
		return rows // what is being sent comes after what is not loaded
	}
	for _, o := range waiting {
		r := Row{Key: o.key, Kind: MessageRow, Text: Literal(o.text), Author: you(), Mine: true, Tick: tickSaving()}
		if o.failed {
			r.Failed, r.Tick = true, tickFailed()
		}
		add(r, o.at, 0)
	}
	return rows
}

// quote returns the beginning of the message that m answers, and its author.
func (c *chat) quote(m client.Message, peer string) (text, author string) {
	text, author = Preview(m.Quote), peer
	q := c.byID(m.ReplyTo)
	switch {
	case q != nil && q.Mine:
		author = you()
	case q == nil && m.Quote == "":
		return tr.T("A message that is gone"), ""
	case q == nil:
		author = ""
	}
	return text, author
}

// firstUnread returns the index of the first message that was unread when the
// conversation was opened; -1 if there was none, or it is not loaded.
func (c *chat) firstUnread() int {
	if c.unread == 0 || c.later {
		return -1
	}
	n := 0
	for i := len(c.messages) - 1; i >= 0; i-- {
		if m := c.messages[i]; !m.Mine && m.Seq <= c.openedAt {
			if n++; n == c.unread {
				return i
			}
		}
	}
	return -1
}

// you is the author of one's own messages.
func you() string { return tr.T("You") }

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
