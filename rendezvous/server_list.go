package rendezvous

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// maxScan is how many names one Browse compares at most: a page costs the same,
// whatever is searched for.
const maxScan = 4096

// handleMore answers the requests of the list, of renewal and of subscription.
func (s *Server) handleMore(ctx context.Context, id connID, l link, typ uint16, b []byte) (out output, err error) {
	switch typ {
	case wire.FrameRendezvousRenew:
		x, perr := wire.ParseRendezvousRenew(b)
		err = perr
		out = output{typ: wire.FrameRendezvousRegistered, payload: s.renew(id, x).Append(nil)}
	case wire.FrameRendezvousList:
		x, perr := wire.ParseRendezvousList(b)
		if err = perr; err == nil {
			out = output{typ: wire.FrameRendezvousRegistered, payload: s.list(ctx, id, l.Binding(), x).Append(nil)}
		}
	case wire.FrameRendezvousBrowse:
		x, perr := wire.ParseRendezvousBrowse(b)
		if err = perr; err == nil {
			out = output{typ: wire.FrameRendezvousPage, payload: s.browse(ctx, id, x).Append(nil)}
		}
	case wire.FrameRendezvousSubscribe:
		x, perr := wire.ParseRendezvousSubscribe(b)
		if err = perr; err == nil {
			out = output{typ: wire.FrameRendezvousFound, payload: s.subscribe(ctx, id, x).Append(nil)}
		}
	case wire.FrameRendezvousServers:
		x, perr := wire.ParseRendezvousServers(b)
		err = perr
		out = output{typ: wire.FrameRendezvousKnown, payload: s.knownServers(id, x).Append(nil)}
	}
	if err != nil {
		return output{}, errors.Join(ErrProtocol, err)
	}
	return out, nil
}

func (s *Server) renew(id connID, x wire.RendezvousRenew) wire.RendezvousRegistered {
	now := s.now()
	s.mu.Lock()
	status, ttl := s.core.renew(now, id)
	s.mu.Unlock()
	return wire.RendezvousRegistered{Request: x.Request, Status: status, TTL: uint32(ttl / time.Second), Time: milliseconds(now)}
}

// list puts an entry on the list, or takes one off, before it answers.
func (s *Server) list(ctx context.Context, id connID, binding [32]byte, x wire.RendezvousList) wire.RendezvousRegistered {
	now := s.now()
	answer := wire.RendezvousRegistered{Request: x.Request, Time: milliseconds(now)}
	who := identity.PeerID(x.Identity)
	s.mu.Lock()
	answer.Status = s.core.mayList(now, id, who)
	s.mu.Unlock()
	if answer.Status != wire.RendezvousOK {
		return answer
	}
	if !identity.Verify(x.Identity, contextListRequest, listMessage(s.id, binding, x), x.Signature) {
		answer.Status = wire.RendezvousRefused
		return answer
	}
	if x.TTL == 0 {
		if err := s.store.Unlist(ctx, who); err != nil {
			answer.Status = s.storeFailed(ctx, err)
			return answer
		}
		s.mu.Lock()
		s.core.unlisted(who)
		s.mu.Unlock()
		s.registeredHere(ctx, who, time.Time{})
		return answer
	}
	l, err := openListing(who, x.Entry, now)
	if err != nil {
		answer.Status = wire.RendezvousRefused
		return answer
	}
	ttl := time.Duration(s.granted(x.TTL)) * time.Second
	r := ListedRecord{Identity: who, Fold: Fold(l.Record.Name), Entry: x.Entry, Expires: earlier(now.Add(ttl), l.Expires), Seen: now}
	switch err := s.store.List(ctx, r, s.lim.MaxListed); {
	case errors.Is(err, ErrFull):
		answer.Status = wire.RendezvousBusy
	case err != nil:
		answer.Status = s.storeFailed(ctx, err)
	default:
		answer.TTL = uint32(r.Expires.Sub(now) / time.Second)
		s.mu.Lock()
		s.core.listedBy(now, id, who, ttl, l.Expires)
		s.mu.Unlock()
		s.registeredHere(ctx, who, r.Expires)
	}
	return answer
}

func (s *Server) browse(ctx context.Context, id connID, x wire.RendezvousBrowse) wire.RendezvousPage {
	now := s.now()
	page := wire.RendezvousPage{Request: x.Request}
	s.mu.Lock()
	allowed := s.core.allow(now, id, rateBrowse)
	s.mu.Unlock()
	after, ok := parsePosition(x.After)
	switch {
	case !allowed:
		page.Status = wire.RendezvousBusy
		return page
	case !ok:
		page.Status = wire.RendezvousRefused
		return page
	}
	const overhead = 11 // of an entry in a page (wire.RendezvousEntry)
	found, err := s.store.Browse(ctx, ListQuery{
		Fold: string(x.Query), Substring: x.Kind == wire.BrowseSubstring, After: after,
		Limit: int(x.Limit), Bytes: wire.MaxBrowsePage - overhead*int(x.Limit), Scan: maxScan,
	}, now)
	if err != nil {
		page.Status = s.storeFailed(ctx, err)
		return page
	}
	for _, r := range found.Records {
		s.mu.Lock()
		online := s.core.isListedOnline(now, r.Identity)
		s.mu.Unlock()
		e := wire.RendezvousEntry{Online: online || s.onlineElsewhere(ctx, r.Identity, now), Seen: milliseconds(r.Seen), Listing: r.Entry}
		if e.Online {
			e.Seen = milliseconds(now)
		}
		page.Entries = append(page.Entries, e)
	}
	if found.More {
		page.Next = appendPosition(found.Next)
	}
	return page
}

// subscribe answers with what stands there now. A name that is absent, or
// hidden, is subscribed to like any other.
func (s *Server) subscribe(ctx context.Context, id connID, x wire.RendezvousSubscribe) wire.RendezvousFound {
	s.mu.Lock()
	ok := x.On && s.core.subscribe(id, x.Blinded)
	if !x.On {
		s.core.unsubscribe(id, x.Blinded)
	}
	s.mu.Unlock()
	switch {
	case !x.On:
		return wire.RendezvousFound{Request: x.Request, Status: wire.RendezvousNotFound}
	case !ok:
		return wire.RendezvousFound{Request: x.Request, Status: wire.RendezvousBusy}
	}
	return s.lookup(ctx, id, wire.RendezvousLookup{Request: x.Request, Blinded: x.Blinded})
}

// tellLocked notes a change for the subscribers of a name.
func (s *Server) tellLocked(name [32]byte) {
	for _, id := range s.core.subscribers(name) {
		if box := s.boxes[id]; box != nil {
			box.tell(name)
		}
	}
}

// changedFrame tells a subscriber what stands under a name now.
func (s *Server) changedFrame(ctx context.Context, name [32]byte) output {
	x := wire.RendezvousChanged{Blinded: name, RendezvousFound: s.find(ctx, s.now(), name)}
	return output{typ: wire.FrameRendezvousChanged, payload: x.Append(nil)}
}

// goneLocked notes that a listed person leaves.
func (s *Server) goneLocked(id connID) {
	m := s.core.conns[id]
	if m != nil && m.listing != (identity.PeerID{}) {
		s.gone = append(s.gone, m.listing)
	}
}

// save writes what the store does not know yet: renewals, and when listed people
// were seen.
func (s *Server) save(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	gone := s.gone
	s.gone = nil
	records, entries := s.core.takeRenewed()
	s.mu.Unlock()
	var errs []error
	for chunk := range slices.Chunk(records, 1000) {
		errs = append(errs, s.store.Renew(ctx, chunk, nil))
	}
	if len(entries) > 0 {
		errs = append(errs, s.store.Renew(ctx, nil, entries))
	}
	if len(gone) > 0 {
		errs = append(errs, s.store.Seen(ctx, gone, now))
	}
	return errors.Join(errs...)
}
