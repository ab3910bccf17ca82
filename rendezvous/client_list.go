package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// MaxPage is the most entries that one page of the list has.
const MaxPage = 100

// Renew extends what this connection has registered and listed, each by the
// lifetime that it was registered for, at a fraction of what Register costs. It
// returns the shortest. ErrNotFound: register again; nothing of today is there.
func (c *Client) Renew(ctx context.Context) (ttl time.Duration, err error) {
	return c.registration(ctx, wire.FrameRendezvousRenew, func(req uint32) []byte {
		return wire.RendezvousRenew{Request: req}.Append(nil)
	})
}

// registration sends a request that is answered by a Registered.
func (c *Client) registration(ctx context.Context, typ uint16, request func(uint32) []byte) (ttl time.Duration, err error) {
	b, err := c.call(ctx, typ, wire.FrameRendezvousRegistered, request)
	if err != nil {
		return 0, err
	}
	answer, err := wire.ParseRendezvousRegistered(b)
	if err != nil {
		return 0, c.fail(err)
	}
	c.heardTime(answer.Time)
	return time.Duration(answer.TTL) * time.Second, statusError(answer.Status)
}

// List puts l on the server's public list, in place of the entry before, and
// shows its owner online there. A ttl of 0 means the longest.
func (c *Client) List(ctx context.Context, now time.Time, owner *identity.Local, l Listing, ttl time.Duration) error {
	entry, err := sealListing(owner.IdentityKey(), l, now)
	if err != nil {
		return err
	}
	if ttl <= 0 || ttl > c.MaxTTL() {
		ttl = c.MaxTTL()
	}
	return c.list(ctx, owner, uint32(max(ttl/time.Second, 1)), entry)
}

// Unlist takes the owner off the list. Nobody who asks after it returns is shown
// the entry.
func (c *Client) Unlist(ctx context.Context, owner *identity.Local) error {
	return c.list(ctx, owner, 0, nil)
}

func (c *Client) list(ctx context.Context, owner *identity.Local, ttl uint32, entry []byte) error {
	x := wire.RendezvousList{Identity: owner.PeerID(), TTL: ttl, Entry: entry}
	x.Signature = owner.Sign(contextListRequest, listMessage(c.server, c.link.Binding(), x))
	_, err := c.registration(ctx, wire.FrameRendezvousList, func(req uint32) []byte {
		x.Request = req
		return x.Append(nil)
	})
	return err
}

// A Search selects people of the list. The zero value selects all.
type Search struct {
	Name      string // what names begin with; lookalike letters are one
	Substring bool   // what they contain
	Limit     int    // of a page; 0 means 20, at most MaxPage
	After     []byte // Next of the page before
}

// A Page is a part of the list, sorted by folded name. Next is nil at its end.
type Page struct {
	People []Person
	Next   []byte
}

// Browse returns a page of the public list. It may be empty and not the last.
// Entries that are not authentic are left out.
func (c *Client) Browse(ctx context.Context, now time.Time, s Search) (Page, error) {
	x := wire.RendezvousBrowse{Query: []byte(Fold(s.Name)), After: s.After, Limit: 20}
	if s.Substring {
		x.Kind = wire.BrowseSubstring
	}
	if s.Limit > 0 {
		x.Limit = uint8(min(s.Limit, MaxPage))
	}
	if len(x.Query) > wire.MaxBrowseQuery {
		return Page{}, fmt.Errorf("%w: a name of %d bytes", ErrTooLarge, len(x.Query))
	}
	if len(x.After) > wire.MaxBrowsePosition {
		return Page{}, fmt.Errorf("%w: not a place of a page", ErrTooLarge)
	}
	b, err := c.call(ctx, wire.FrameRendezvousBrowse, wire.FrameRendezvousPage, func(req uint32) []byte {
		x.Request = req
		return x.Append(nil)
	})
	if err != nil {
		return Page{}, err
	}
	answer, err := wire.ParseRendezvousPage(b)
	if err != nil {
		return Page{}, c.fail(err)
	}
	if err := statusError(answer.Status); err != nil {
		return Page{}, err
	}
	page := Page{Next: answer.Next}
	if len(page.Next) == 0 {
		page.Next = nil
	}
	for _, e := range answer.Entries {
		if l, err := parseListing(e.Listing, now); err == nil {
			page.People = append(page.People, Person{Listing: *l, Online: e.Online, Seen: fromMilliseconds(e.Seen)})
		}
	}
	markSuspects(page.People)
	return page, nil
}

// parseListing verifies an entry under the identity that it names.
func parseListing(b []byte, now time.Time) (*Listing, error) {
	x, err := wire.ParseRendezvousListing(b)
	if err != nil {
		return nil, errBadRecord
	}
	rec, err := identity.ParseRecord(x.Identity)
	if err != nil {
		return nil, errBadRecord
	}
	return openListing(rec.Identity, b, now)
}

// announcements returns what the server knows of itself and others.
func (c *Client) announcements(ctx context.Context) ([][]byte, error) {
	b, err := c.call(ctx, wire.FrameRendezvousServers, wire.FrameRendezvousKnown, func(req uint32) []byte {
		return wire.RendezvousServers{Request: req}.Append(nil)
	})
	if err != nil {
		return nil, err
	}
	x, err := wire.ParseRendezvousKnown(b)
	if err != nil {
		return nil, c.fail(err)
	}
	return x.Announcements, statusError(x.Status)
}

// Servers returns what servers the server announces, itself among them. They
// are there to be shown: that a server is announced is no reason to use it.
func (c *Client) Servers(ctx context.Context, now time.Time) (out []Announcement, err error) {
	bs, err := c.announcements(ctx)
	for _, b := range bs {
		if a, ok := openAnnouncement(b, now); ok {
			out = append(out, a)
		}
	}
	return out, err
}

// subscriptionQueue bounds the changes that nobody has taken yet; the newest of
// a name are kept.
const subscriptionQueue = 16

// A Change is what stands under a subscribed name now.
type Change struct {
	ID      identity.PeerID
	Content *Content // nil: nothing any more
	Online  bool
	TTL     time.Duration
}

// Subscribe makes the server tell of changes of id's record, and returns what
// stands there now; ErrNotFound if nothing does, which is subscribed to as well.
// It holds for today's name: call it again when [Period] changes.
func (c *Client) Subscribe(ctx context.Context, now time.Time, id identity.PeerID, lookup [32]byte) (Change, error) {
	name := BlindedName(id, lookup, c.period(now))
	c.mu.Lock()
	c.subs[name.Blinded] = ownName{id, lookup, name.Period}
	c.forgetOldNames(name.Period)
	c.mu.Unlock()
	ch, err := c.subscription(ctx, id, lookup, name, true)
	if err != nil && !errors.Is(err, ErrNotFound) {
		c.mu.Lock()
		delete(c.subs, name.Blinded)
		c.mu.Unlock()
	}
	return ch, err
}

// Unsubscribe ends what Subscribe began, under whichever day's names.
func (c *Client) Unsubscribe(ctx context.Context, id identity.PeerID, lookup [32]byte) error {
	var names []Name
	c.mu.Lock()
	for blinded, n := range c.subs {
		if n.id == id && n.lookup == lookup {
			delete(c.subs, blinded)
			names = append(names, Name{blinded, n.period})
		}
	}
	c.mu.Unlock()
	for _, name := range names {
		if _, err := c.subscription(ctx, id, lookup, name, false); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

func (c *Client) subscription(ctx context.Context, id identity.PeerID, lookup [32]byte, name Name, on bool) (Change, error) {
	b, err := c.call(ctx, wire.FrameRendezvousSubscribe, wire.FrameRendezvousFound, func(req uint32) []byte {
		return wire.RendezvousSubscribe{Request: req, Blinded: name.Blinded, On: on}.Append(nil)
	})
	if err != nil {
		return Change{}, err
	}
	found, err := wire.ParseRendezvousFound(b)
	if err != nil {
		return Change{}, c.fail(err)
	}
	return openFound(found, ownName{id, lookup, name.Period})
}

// openFound is what a Found says about a name of ours to know.
func openFound(x wire.RendezvousFound, n ownName) (Change, error) {
	if err := statusError(x.Status); err != nil {
		return Change{}, err
	}
	content, err := openRecord(n.id, n.lookup, n.period, x.Sealed)
	if err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return Change{ID: n.id, Content: content, Online: x.Online, TTL: time.Duration(x.TTL) * time.Second}, nil
}

// Changes returns the changes of what was subscribed to. Of those that nobody
// takes the oldest are dropped. It is closed when the connection ends.
func (c *Client) Changes() <-chan Change { return c.changes }

// handleChanged passes on what is authentic, or that a name is gone.
func (c *Client) handleChanged(x wire.RendezvousChanged) {
	c.mu.Lock()
	n, ok := c.subs[x.Blinded]
	c.mu.Unlock()
	if !ok {
		return
	}
	change, err := openFound(x.RendezvousFound, n)
	if err != nil {
		if x.Status != wire.RendezvousNotFound {
			return
		}
		change = Change{ID: n.id}
	}
	for {
		select {
		case c.changes <- change:
			return
		default:
		}
		select {
		case <-c.changes:
		default:
		}
	}
}
