package client

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tuning of the search.
const (
	maxFound    = 1000
	searchQuery = 256 // bytes
	segmentPage = 8   // segments read at once, so that memory does not grow with the history
)

// Search implements [API]. It reads beside the core: nothing waits for it.
func (c *Client) Search(ctx context.Context, q SearchQuery) ([]Message, error) {
	if q.Text == "" || len(q.Text) > searchQuery || !utf8.ValidString(q.Text) {
		return nil, ErrBadText
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultHistory
	}
	limit = min(limit, maxFound)
	var views []*contactView
	err := c.do(ctx, func(k *core) error {
		if !q.With.IsZero() {
			p, err := k.contact(q.With)
			if err != nil {
				return err
			}
			views = append(views, k.viewOf(p))
			return nil
		}
		all := make([]*contact, 0, len(k.contacts))
		for _, p := range k.contacts {
			all = append(all, p)
		}
		slices.SortFunc(all, func(a, b *contact) int {
			return cmp.Or(b.flow.LastAt.Compare(a.flow.LastAt), cmp.Compare(a.num, b.num))
		})
		for _, p := range all {
			views = append(views, k.viewOf(p))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	find := newFinder(q.Text)
	var out []Message
	for _, view := range views {
		if out, err = c.searchIn(ctx, view, find, limit, out); err != nil || len(out) == limit {
			return out, err
		}
	}
	return out, nil
}

// searchIn searches one conversation, newest first: what segments hold in them,
// the rest row by row.
func (c *Client) searchIn(ctx context.Context, view *contactView, find finder, limit int, out []Message) ([]Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan foundPage, 1)
	defer func() {
		cancel()
		for range pages { // until the reader has ended
		}
	}()
	go c.readSegments(ctx, view.num, pages) // ends with the last page, or with ctx
	take := func(seq int64) (full bool, err error) {
		m, ok, err := c.found(ctx, view, seq, find)
		if err != nil || !ok {
			return false, err
		}
		out = append(out, m)
		return len(out) == limit, nil
	}
	var page foundPage
	last := view.nextSeq - 1
	for b := batchOf(last); b >= 0; b-- {
		var seg *segment
		for {
			if len(page.rows) == 0 {
				var open bool
				if page, open = <-pages; !open {
					page = foundPage{}
					break
				}
				if page.err != nil {
					return nil, page.err
				}
				continue
			}
			r := page.rows[0]
			if r.Seq < b {
				break
			}
			page.rows = page.rows[1:]
			if r.Seq > b {
				continue
			}
			body, err := c.vault.open(TableSegments, r)
			if err != nil {
				return nil, err
			}
			if seg, err = parseSegment(body, b); err != nil {
				return nil, err
			}
			break
		}
		seqs, err := c.searchRows(ctx, view, b, &seg, find)
		if err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			if full, err := take(seq); err != nil || full {
				return out, err
			}
		}
		if seg != nil {
			for _, seq := range seg.find(find) {
				if full, err := take(seq); err != nil || full {
					return out, err
				}
			}
		}
	}
	return out, ctx.Err()
}

type foundPage struct {
	rows []Row
	err  error
}

// readSegments reads the segments of one conversation, newest first, ahead of
// who looks through them.
func (c *Client) readSegments(ctx context.Context, owner int64, pages chan<- foundPage) {
	defer close(pages)
	for below := int64(0); ; {
		rows, err := c.vault.store.Rows(ctx, Query{
			Table: TableSegments, Owner: owner, Below: below, Limit: segmentPage, Descending: true,
		})
		select {
		case pages <- foundPage{rows, err}:
		case <-ctx.Done():
			return
		}
		if err != nil || len(rows) < segmentPage {
			return
		}
		if below = rows[len(rows)-1].Seq; below == 0 {
			return
		}
	}
}

// searchRows looks through what the segment of batch b does not cover, and adds
// that to the segment if it is much. It returns the positions where the text is,
// newest first.
func (c *Client) searchRows(ctx context.Context, view *contactView, b int64, seg **segment, find finder) (seqs []int64, err error) {
	more, err := c.uncovered(ctx, view, b, *seg)
	if err != nil {
		return nil, err
	}
	for _, e := range more {
		if find.in(e.text) {
			seqs = append(seqs, e.seq)
		}
	}
	slices.Reverse(seqs)
	if len(more) >= segmentWorth {
		c.extendSegment(view, b, *seg, more)
	}
	return seqs, nil
}

// found returns the message at a position, if the text is in it still.
func (c *Client) found(ctx context.Context, view *contactView, seq int64, find finder) (v Message, ok bool, err error) {
	rows, err := c.vault.rows(ctx, Query{Table: TableMessages, Owner: view.num, From: seq, Below: seq + 1})
	if err != nil || len(rows) == 0 {
		return v, false, err
	}
	m, err := parseStored(rows[0].Body)
	if err != nil || !find.in(m.text) {
		return v, false, err
	}
	state, err := c.stateOf(ctx, view, m)
	if err != nil {
		return v, false, err
	}
	return m.view(view, seq, state), true, nil
}

// A finder looks for a text without regard to case.
type finder struct {
	want string // in lower case
}

func newFinder(text string) finder { return finder{strings.ToLower(text)} }

func (f finder) in(text string) bool { return strings.Contains(strings.ToLower(text), f.want) }
