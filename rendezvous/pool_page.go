package rendezvous

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
)

// maxPageTurns bounds the pages that one server is asked for to fill one of ours.
const maxPageTurns = 20

// A bookmark is a place in the lists of several servers at once: the last person
// that was shown, and where each server goes on. Servers that are not in it are
// at their end. It stays on this machine.
type bookmark struct {
	Fold    string            `json:"fold"`
	ID      [32]byte          `json:"id"`
	Servers map[string][]byte `json:"servers"` // by id, in text
}

// A leaf is one page of one server, and the place at which it was asked for.
type leaf struct {
	after  []byte
	people []Person
}

// A shelf is what one server gave for one page of ours.
type shelf struct {
	server identity.ServerID
	leaves []leaf
	next   []byte // after the last leaf; nil: the end
	err    error
}

// BrowsePage returns a page of the public lists of all servers as if they were
// one: sorted by folded name, of one person the newest entry. Its errors are
// those of [Client.Browse]; ErrClosed means that no server is connected. Next and
// After are of BrowsePage alone.
func (p *Pool) BrowsePage(ctx context.Context, s Search) (Page, error) {
	if s.Limit <= 0 {
		s.Limit = 20
	}
	s.Limit = min(s.Limit, MaxPage)
	var from bookmark
	if len(s.After) > 0 {
		if err := json.Unmarshal(s.After, &from); err != nil {
			return Page{}, fmt.Errorf("rendezvous: not a place of a page: %w", err)
		}
	}
	shelves, err := p.shelves(ctx, s, from)
	if err != nil {
		return Page{}, err
	}
	best := map[identity.PeerID]Person{}
	for _, sh := range shelves {
		for _, l := range sh.leaves {
			for _, x := range l.people {
				addPerson(best, x)
			}
		}
	}
	page := Page{People: sortPeople(best, s.Limit)}
	to := bookmark{Fold: from.Fold, ID: from.ID, Servers: map[string][]byte{}}
	if n := len(page.People); n > 0 {
		last := positionOf(page.People[n-1])
		to.Fold, to.ID = last.Fold, last.Identity
	}
	for _, sh := range shelves {
		if after, more := sh.goesOn(Position{to.Fold, to.ID}, len(best) > len(page.People)); more {
			to.Servers[sh.server.String()] = after
		}
	}
	if len(to.Servers) > 0 {
		if page.Next, err = json.Marshal(to); err != nil {
			return Page{}, fmt.Errorf("rendezvous: noting a place: %w", err)
		}
	}
	return page, nil
}

// goesOn returns where to ask next, if there may be people after last.
func (sh *shelf) goesOn(last Position, cut bool) (after []byte, more bool) {
	for _, l := range sh.leaves {
		if cut && slices.ContainsFunc(l.people, func(x Person) bool { return comparePositions(positionOf(x), last) > 0 }) {
			return l.after, true
		}
	}
	return sh.next, sh.next != nil
}

// shelves asks all servers that are not at their end. One that is slower than the
// others is asked again for the next page.
func (p *Pool) shelves(ctx context.Context, s Search, from bookmark) (out []shelf, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := map[identity.ServerID][]byte{}
	results := make(chan shelf, len(p.connected()))
	p.mu.Lock()
	for id, x := range p.servers {
		after, ok := from.Servers[id.String()]
		if x.client == nil || !ok && from.Servers != nil || len(waiting) == cap(results) {
			continue
		}
		waiting[id] = after
		c := x.client
		go func() { // ends with ctx at the latest; the channel has room
			results <- c.shelf(ctx, p.c.Now(), s, after, Position{from.Fold, from.ID})
		}()
	}
	p.mu.Unlock()
	err = ErrClosed
	var grace <-chan time.Time
wait:
	for range len(waiting) {
		select {
		case sh := <-results:
			if sh.err != nil {
				err = sh.err
				continue
			}
			delete(waiting, sh.server)
			out = append(out, sh)
			if grace == nil {
				grace = time.After(browseGrace)
			}
		case <-grace:
			break wait
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if len(out) == 0 {
		if from.Servers != nil && len(waiting) == 0 {
			return nil, nil // all are at their end
		}
		return nil, err
	}
	for id, after := range waiting {
		if after == nil {
			after = []byte{}
		}
		out = append(out, shelf{server: id, next: after})
	}
	return out, nil
}

// shelf turns pages until there are s.Limit people after last.
func (c *Client) shelf(ctx context.Context, now time.Time, s Search, after []byte, last Position) (sh shelf) {
	sh.server, sh.next = c.server, after
	n := 0
	for range maxPageTurns {
		s.After = sh.next
		page, err := c.Browse(ctx, now, s)
		if err != nil {
			sh.err = err
			return sh
		}
		l := leaf{after: sh.next}
		if l.after == nil {
			l.after = []byte{}
		}
		for _, x := range page.People {
			if comparePositions(positionOf(x), last) > 0 {
				l.people = append(l.people, x)
			}
		}
		n += len(l.people)
		sh.leaves, sh.next = append(sh.leaves, l), page.Next
		if sh.next == nil || n >= s.Limit {
			break
		}
	}
	return sh
}

func positionOf(x Person) Position { return Position{Fold(x.Record.Name), x.Record.Identity} }

// addPerson keeps the newest entry of one person, and whether any server sees it.
func addPerson(best map[identity.PeerID]Person, x Person) {
	old, ok := best[x.Record.Identity]
	if ok {
		online, seen := x.Online || old.Online, x.Seen
		if old.Seen.After(seen) {
			seen = old.Seen
		}
		if !Newer(&x.Content, &old.Content) {
			x = old
		}
		x.Online, x.Seen = online, seen
	}
	best[x.Record.Identity] = x
}
