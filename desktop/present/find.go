package present

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

const (
	// searchAfter is how long the search waits for the next letter.
	searchAfter = 150 * time.Millisecond
	searchLimit = 100
	// hitBefore and hitAfter are how much of a text is shown around a match, in
	// bytes.
	hitBefore = 40
	hitAfter  = 120
)

// A search is the volatile side of View.Search.
type search struct {
	open  bool
	query string
	count int // of changes, so that a late answer finds its own
	busy  bool
	hits  []client.Message
}

// OpenSearch shows the search instead of the contacts.
func (w *Window) OpenSearch() {
	if w.stage != Main || w.search.open {
		return
	}
	w.search = search{open: true, count: w.search.count}
	w.redraw()
}

// CloseSearch shows the contacts again.
func (w *Window) CloseSearch() {
	if !w.search.open {
		return
	}
	w.search = search{count: w.search.count + 1}
	w.redraw()
}

// SetSearch looks for a text in all conversations.
func (w *Window) SetSearch(query string) {
	if w.stage != Main || w.search.open && query == w.search.query || !w.search.open && query == "" {
		return
	}
	s := &w.search
	s.open, s.query = true, query
	s.count++
	if s.busy = strings.TrimSpace(query) != ""; !s.busy {
		s.hits = nil
		w.redraw()
		return
	}
	api, count := w.api, s.count
	w.do(func(ctx context.Context) func() {
		select {
		case <-ctx.Done():
			return func() {}
		case <-time.After(searchAfter):
		}
		current := make(chan bool, 1)
		w.config.Post(func() { current <- w.search.count == count })
		select {
		case ok := <-current:
			if !ok {
				return func() {}
			}
		case <-ctx.Done():
			return func() {}
		}
		hits, err := api.Search(ctx, client.SearchQuery{Text: strings.TrimSpace(query), Limit: searchLimit})
		return func() {
			if w.search.count != count {
				return
			}
			w.search.busy, w.search.hits = false, hits
			if err != nil {
				w.say(problem(tr.T("The search failed"), err))
			}
		}
	})
	w.redraw()
}

// OpenHit opens the conversation of a hit at its message.
func (w *Window) OpenHit(key string) {
	for _, m := range w.search.hits {
		if m.ID.String() == key {
			w.Jump(m.Contact, m.ID, m.Seq)
			return
		}
	}
}

// Jump opens a conversation at a message of it.
func (w *Window) Jump(with identity.PeerID, id client.MessageID, seq int64) {
	if _, ok := w.contacts[with]; !ok {
		return
	}
	if w.chat == nil || w.chat.id != with {
		w.openChatAt(with, id, seq)
		w.redraw()
		return
	}
	c := w.chat
	c.found = id
	if m := c.byID(id); m != nil {
		w.scrollTo(m.key)
		w.redraw()
		return
	}
	w.storeDraft()
	w.openChatAt(with, id, seq)
	w.redraw()
}

// JumpQuote scrolls to the message that a row answers.
func (w *Window) JumpQuote(key string) {
	m := w.row(key)
	if m == nil || m.ReplyTo == (client.MessageID{}) {
		return
	}
	if q := w.chat.byID(m.ReplyTo); q != nil {
		w.chat.found = q.ID
		w.scrollTo(q.key)
		w.redraw()
		return
	}
	w.say(tr.T("The message that this answers is further up."))
	w.redraw()
}

func (c *chat) byID(id client.MessageID) *message {
	for i := range c.messages {
		if c.messages[i].ID == id {
			return &c.messages[i]
		}
	}
	return nil
}

func (w *Window) scrollTo(key string) {
	w.chat.jump = key
	w.jumps++
}

// searchView words the hits.
func (w *Window) searchView(now time.Time) Search {
	s := Search{Open: w.search.open, Query: w.search.query, Busy: w.search.busy}
	for _, m := range w.search.hits {
		c, ok := w.contacts[m.Contact]
		if !ok || w.hidden[m.ID] || w.hiddenContacts[m.Contact] {
			continue
		}
		label := w.label(c)
		h := Hit{
			Key: m.ID.String(), Label: label, Initials: Initials(w.name(c)), Colour: Colour(c.ID), Picture: w.faceOf(c),
			Author: label, When: listTime(shownTime(m), now),
		}
		if m.Mine {
			h.Author = you()
		}
		h.Before, h.Match, h.After = around(m.Text, strings.TrimSpace(w.search.query))
		s.Hits = append(s.Hits, h)
	}
	return s
}

// around cuts a text to what is shown of it around the first match. Case does
// not matter; without a match it is the beginning.
func around(text, query string) (before, match, after string) {
	from, to := foldIndex(text, query)
	start := max(0, from-hitBefore)
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	end := min(len(text), to+hitAfter)
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	before, match, after = Line(text[start:from]), Line(text[from:to]), Line(text[to:end])
	if start > 0 {
		before = "…" + before
	}
	if end < len(text) {
		after += "…"
	}
	// Line takes the spaces at the edges; between words they are wanted.
	if from > start && unicode.IsSpace(rune(text[from-1])) {
		before += " "
	}
	if to < end && unicode.IsSpace(rune(text[to])) {
		after = " " + after
	}
	return before, match, after
}

// foldIndex returns where query begins and ends in text, whatever the case; 0, 0
// if it is not there.
func foldIndex(text, query string) (from, to int) {
	if query == "" {
		return 0, 0
	}
	for i := range text {
		n := 0
		rest := text[i:]
		for _, q := range query {
			r, size := utf8.DecodeRuneInString(rest[n:])
			if size == 0 || unicode.ToLower(r) != unicode.ToLower(q) {
				n = -1
				break
			}
			n += size
		}
		if n >= 0 {
			return i, i + n
		}
	}
	return 0, 0
}
