package client

import (
	"bufio"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Tuning of links.
const (
	// linkQueue is how many frames may wait for a link: a whole window and
	// acknowledgements.
	linkQueue = sendWindow + 64
	// maxLinkStreams bounds the peer's message streams on one connection.
	maxLinkStreams = 4
	linkBuffer     = 64 << 10
	maxGuests      = 16
	replaceTime    = 2 * time.Second
	// unheard is how long before a connection counts as lost its other side may have
	// been gone: the transport's time-out, and a little.
	unheard = 200 * time.Second
)

// A link is one connection to a contact, or to somebody who uses an invite.
// Each side writes frames to a stream that it opened (spec §8.5).
type link struct {
	peer  identity.PeerID
	conn  *transport.PeerConn
	out   chan frame
	early uint64 // the counter after the last message that is on its way already, 0 for none
	since time.Time
	files atomic.Int32 // streams of files that are served

	hidden bool // it was made without an address of ours

	told time.Time // when an acknowledgement last went over it; the core's
}

// A frame is what one message of a stream is.
type frame struct {
	typ     uint16
	payload []byte
}

// send queues a frame, whose payload nobody writes to any more. It never blocks: false
// means that the link is behind.
func (l *link) send(typ uint16, payload []byte) bool {
	if l.conn.Err() != nil {
		return false
	}
	select {
	case l.out <- frame{typ, payload}:
		return true
	default:
		return false
	}
}

// idle reports whether all that was sent is on its way.
func (l *link) idle() bool { return len(l.out) == 0 }

// linked takes a connection over.
func (n *network) linked(conn *transport.PeerConn, sent early, hidden bool) {
	l := &link{peer: conn.Peer().Identity, conn: conn, out: make(chan frame, linkQueue), since: time.Now(), hidden: hidden}
	if conn.EarlyStream() != nil {
		l.early = sent.next
		n.c.log.Debug("messages left before the peer had proven itself", "peer", l.peer.Short())
	}
	ok := n.run(func() { l.write(n.ctx) }) && n.run(func() { n.readLink(l) }) && n.run(func() { n.watchLink(l) })
	if !ok {
		conn.Close(0, "")
		return
	}
	n.c.post(func(k *core) { k.linkUp(l) })
}

// write owns the stream that we open.
func (l *link) write(ctx context.Context) {
	defer l.conn.Close(0, "")
	s := l.conn.EarlyStream()
	if s == nil {
		var err error
		if s, err = l.conn.OpenStream(ctx); err != nil {
			return
		}
	}
	w := bufio.NewWriterSize(s, linkBuffer)
	var header [wire.FrameHeaderLen]byte
	for {
		select {
		case f := <-l.out:
			w.Write(wire.AppendFrameHeader(header[:0], f.typ, len(f.payload))) // w keeps its error
			if _, err := w.Write(f.payload); err != nil {
				return
			}
			if len(l.out) == 0 {
				if err := w.Flush(); err != nil {
					return
				}
			}
		case <-l.conn.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// readLink accepts the peer's streams: of messages, and of files.
func (n *network) readLink(l *link) {
	var messages atomic.Int32
	for {
		s, err := l.conn.AcceptStream(n.ctx)
		if err != nil {
			return
		}
		if !n.run(func() { n.readStream(l, s, &messages) }) {
			return
		}
	}
}

// readStream reads a stream to its end. Its first frame says what it is for.
func (n *network) readStream(l *link, s *transport.Stream, messages *atomic.Int32) {
	r := bufio.NewReaderSize(s, linkBuffer)
	for first := true; ; first = false {
		typ, payload, err := transport.ReadFrame(r, wire.MaxMessageFrame)
		if err != nil {
			if l.conn.Err() == nil {
				l.conn.Close(0, "")
			}
			return
		}
		if first && typ == wire.FrameFileGet {
			get, err := wire.ParseFileGet(payload)
			if err != nil {
				l.conn.Close(0, "")
				return
			}
			n.serveFile(l, s, get)
			return
		}
		if first && messages.Add(1) > maxLinkStreams {
			l.conn.Close(0, "")
			return
		}
		if !n.c.post(func(k *core) { k.frame(l, typ, payload) }) {
			return
		}
	}
}

// watchLink reports the path and the end.
func (n *network) watchLink(l *link) {
	report := func(p transport.Path) { n.c.post(func(k *core) { k.linkPath(l, p) }) }
	for open := true; open; {
		select {
		case p, ok := <-l.conn.PathChanges():
			if open = ok; ok {
				report(p)
			}
		case <-l.conn.Done():
			open = false
		}
	}
	<-l.conn.Done()
	err := l.conn.Err()
	n.c.post(func(k *core) { k.linkDown(l, err) })
}

// linkUp makes a link the one that its contact is written to. The side that
// dialled closes an older one: both then agree.
func (k *core) linkUp(l *link) {
	c := k.contacts[l.peer]
	if c != nil && c.info.Trust == Rejected {
		k.then(func() { l.conn.Close(0, "") })
		return
	}
	if c != nil && c.record != nil && l.conn.Peer().Epoch < c.record.Epoch {
		k.c.log.Warn("a lost device of a contact was refused", "contact", l.peer.Short())
		k.then(func() { l.conn.Close(0, "") })
		return
	}
	if c == nil || c.info.Trust == TrustUnknown {
		k.guests[l.peer] = l
		if len(k.guests) > maxGuests {
			for id, g := range k.guests {
				if g != l {
					g.conn.Close(0, "")
					delete(k.guests, id)
					break
				}
			}
		}
		return
	}
	if c.info.RelayOnly && !l.hidden {
		k.c.log.Debug("a connection was refused that could show our address", "contact", l.peer.Short())
		k.then(func() { l.conn.Close(0, "") })
		return
	}
	k.attach(c, l)
}

func (k *core) attach(c *contact, l *link) {
	if old := c.link; old != nil && k.local.PeerID().Compare(c.info.ID) < 0 {
		net := k.c.net
		net.run(func() {
			net.sleep(replaceTime) // the other side moves to the new one meanwhile
			old.conn.Close(0, "")
		})
	}
	c.link, c.refused, c.away, c.pokeAt = l, false, time.Time{}, time.Time{}
	c.sending.cursor = l.early
	c.sending.progress = k.steady()
	c.flow.LastSeen = k.now()
	c.readDue = c.readDue || c.info.ShareRead && c.flow.ReadTold > 0 // it may have been lost
	c.setFlow(k)
	k.ackAgain(c)
	k.takeRecord(c, l.conn.Peer().Bytes())
	k.linkPath(l, l.conn.Path())
	k.c.net.setLinked(c.info.ID, true)
	if inv, ok := c.joined(); ok && c.session == nil {
		l.send(wire.FrameGetBundle, wire.GetBundle{Token: inv.Knock()}.Append(nil))
	} else if c.session == nil && c.card != nil {
		l.send(wire.FrameGetBundle, wire.GetBundle{}.Append(nil))
	}
	peer := c.info.ID
	k.then(func() {
		c := k.contacts[peer]
		k.pump(c)
		for _, f := range c.files {
			f.run.next = time.Time{}
			if f.wanted() {
				k.stopFile(f) // it goes on over this connection; the old one may be dead for long
			}
		}
		k.startFiles(c)
	})
}

func (k *core) linkPath(l *link, p transport.Path) {
	c := k.contacts[l.peer]
	if c == nil || c.link != l {
		return
	}
	path := Path{Kind: PathDirect, Remote: p.Remote.String(), RTT: p.RTT, Reason: p.Reason, Why: Why(p.Why.Code())}
	if p.Kind == transport.PathRelay {
		path.Kind = PathRelay
	}
	if p.Kind == 0 {
		return // not yet known; a change follows
	}
	if path.Kind == PathDirect && c.info.RelayOnly {
		k.c.log.Warn("a direct connection was refused", "contact", l.peer.Short())
		k.then(func() { l.conn.Close(0, "") })
		return
	}
	if path.Kind == PathDirect && onLocalNetwork(p.Remote.Addr()) {
		path.Reason += textLocal
	}
	if path.Kind == PathDirect && c.info.LastAddr != path.Remote {
		c.info.LastAddr = path.Remote
		c.setInfo(k)
		k.c.net.contactChanged(k, c)
	}
	k.setPath(c, path)
}

func (k *core) linkDown(l *link, err error) {
	if k.guests[l.peer] == l {
		delete(k.guests, l.peer)
	}
	c := k.contacts[l.peer]
	if c == nil || c.link != l {
		return
	}
	k.c.log.Debug("link lost", "contact", l.peer.Short(), "err", err)
	if errors.Is(err, transport.ErrLeftBehind) {
		k.leftBehind(c)
	}
	c.link, c.sending.recent = nil, recentRows{}
	if errors.Is(err, transport.ErrLost) && !l.told.IsZero() && time.Since(l.told) < unheard {
		k.ackDue(c) // it may be lost: who has mailed what it is about waits for it
	}
	k.active(c)
	k.c.net.setLinked(c.info.ID, false)
	k.unlinkedPath(c, textLost)
}

// unlinkedPath shows the path of a contact without a link.
func (k *core) unlinkedPath(c *contact, reason string) {
	if c.link != nil {
		return
	}
	if c.refused && c.session == nil && reason != textBlocked {
		// Whatever else is in the way; and no mail can be sealed for it.
		k.setPath(c, Path{Kind: PathNone, Reason: textRefused, Why: whyOf(textRefused)})
		return
	}
	p := Path{Kind: PathNone, Reason: reason, Why: whyOf(reason)}
	if box := k.mailTarget(c); box != nil {
		p.Kind, p.Remote = PathMailbox, box.relay.HostPort()
		p.Reason = reason + "; its relay keeps the mail"
	}
	k.setPath(c, p)
}

// frame takes a frame from a link.
func (k *core) frame(l *link, typ uint16, payload []byte) {
	c := k.contacts[l.peer]
	switch typ {
	case wire.FrameMessage:
		if c == nil {
			return
		}
		if err := k.incoming(c, payload); err != nil {
			k.c.log.Warn("message dropped", "contact", l.peer.Short(), "err", err)
			// It may be a repeat that is too old for the ratchet to know: who
			// repeats it lacks an acknowledgement.
			k.ackAgain(c)
		}
	case wire.FrameFirst:
		x, err := wire.ParseKnock(payload)
		if err != nil {
			return
		}
		k.knock(l.peer, x)
	case wire.FrameGetBundle:
		x, err := wire.ParseGetBundle(payload)
		if err != nil {
			return
		}
		k.giveBundle(l, x)
	case wire.FrameBundle:
		x, err := wire.ParsePrekeyBox(payload)
		if err != nil || c == nil {
			return
		}
		k.takeBundle(c, x, true)
	}
}
