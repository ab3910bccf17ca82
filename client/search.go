package client

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tuning of the search: rows are opened a page at a time, so that memory does
// not grow with the history.
const (
	searchPage  = 512
	maxFound    = 1000
	searchQuery = 256 // bytes
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

// searchIn searches one conversation, newest first. The next page is read while
// one is opened and looked through.
func (c *Client) searchIn(ctx context.Context, view *contactView, find finder, limit int, out []Message) ([]Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan foundPage, 1)
	defer func() {
		cancel()
		for range pages { // until the reader has ended
		}
	}()
	go func() { // ends with the last page, or with ctx
		defer close(pages)
		for below := int64(0); ; {
			rows, err := c.vault.store.Rows(ctx, Query{
				Table: TableMessages, Owner: view.num, From: 1, Below: below, Limit: searchPage, Descending: true,
			})
			select {
			case pages <- foundPage{rows, err}:
			case <-ctx.Done():
				return
			}
			if err != nil || len(rows) < searchPage {
				return
			}
			below = rows[len(rows)-1].Seq
		}
	}()
	for p := range pages {
		if p.err != nil {
			return nil, p.err
		}
		for _, r := range p.rows {
			body, err := c.vault.open(TableMessages, r)
			if err != nil {
				return nil, err
			}
			m, err := parseStored(body)
			if err != nil {
				return nil, err
			}
			if !find.in(m.text) {
				continue
			}
			state, err := c.stateOf(ctx, view, m)
			if err != nil {
				return nil, err
			}
			if out = append(out, m.view(view, r.Seq, state)); len(out) == limit {
				return out, nil
			}
		}
	}
	return out, ctx.Err()
}

type foundPage struct {
	rows []Row
	err  error
}

// A finder looks for a text without regard to case.
type finder struct {
	want  string // in lower case
	ascii bool
	first [2]byte // both cases of the first byte, if that is ASCII
}

func newFinder(text string) finder {
	f := finder{want: strings.ToLower(text), ascii: true}
	for i := range len(f.want) {
		f.ascii = f.ascii && f.want[i] < utf8.RuneSelf
	}
	if f.ascii {
		f.first = [2]byte{f.want[0], bytes.ToUpper([]byte{f.want[0]})[0]}
	}
	return f
}

// in does not allocate for what can be compared byte by byte.
func (f finder) in(text string) bool {
	if !f.ascii {
		return strings.Contains(strings.ToLower(text), f.want)
	}
	for i := 0; i+len(f.want) <= len(text); i++ {
		if (text[i] == f.first[0] || text[i] == f.first[1]) && strings.EqualFold(text[i:i+len(f.want)], f.want) {
			return true
		}
	}
	return false
}
