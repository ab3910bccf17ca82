package client

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/wire"
)

// Outbox states. A row is deleted when it is acknowledged.
const (
	outPlain = 0 // a payload: there is no session to encrypt it with yet, or too many are under way
	outReady = 1 // a ratchet message, never encrypted again
	outHeld  = 2 // as outReady, and a relay signed that it holds it
	outMoved = 3 // without content: it waits under another number, but may arrive under this one
)

// Tuning of sending (spec §8.4).
const (
	// sendWindow is how far beyond the oldest unacknowledged message a
	// connection may be ahead.
	sendWindow = 512
	// sealWindow is how far beyond it messages are encrypted. An acknowledgement
	// leaves at once, and overtakes those that were encrypted before it and wait
	// here or in a mailbox: the contact keeps the keys of as many as it skips, but
	// of no more than ratchet.MaxSkip. The difference is for what is not numbered.
	sealWindow = ratchet.MaxSkip * 3 / 4
	// resendAfter is how long a connection may acknowledge nothing before all
	// that is unacknowledged goes over it again.
	resendAfter = 10 * time.Second
	// mailAfter is how long before it goes to the mailbox as well.
	mailAfter = 2500 * time.Millisecond
	// outboxRead is how many rows are read at once.
	outboxRead = 64
)

// sending is the volatile side of a contact's outbox.
type sending struct {
	cursor   uint64    // next counter for the link
	progress time.Time // when the peer last acknowledged, or the outbox was last empty
	plain    bool      // the outbox ends in rows that wait for a session, or for the window
	sealed   uint64    // rows of counters below it are encrypted, as far as is known
	recent   recentRows
	mail     mailing
	files    fileMailing

	move     time.Time // numbers are not changed before
	moveWait time.Duration
}

// isMessage reports whether a payload is a message of its own, whose delivery is
// shown.
func isMessage(t wire.PayloadType) bool { return t == wire.PayloadText || t == wire.PayloadFile }

// Send implements [API].
func (c *Client) Send(ctx context.Context, to identity.PeerID, text string) (m Message, err error) {
	return c.SendDraft(ctx, to, Draft{Text: text})
}

// SendDraft implements [API].
func (c *Client) SendDraft(ctx context.Context, to identity.PeerID, d Draft) (m Message, err error) {
	if err := checkText(d.Text); err != nil {
		return Message{}, err
	}
	if !goodTimer(max(d.Timer, 0)) {
		return Message{}, ErrBadTimer
	}
	err = c.do(ctx, func(k *core) error {
		if to == k.local.PeerID() {
			k.selfContact()
		}
		p, err := k.writable(to)
		if err != nil {
			return err
		}
		m, err = k.sendText(p, d)
		return err
	})
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

func (k *core) sendText(c *contact, d Draft) (Message, error) {
	stored := storedMessage{mine: true, sent: k.now(), text: d.Text}
	quote := ""
	if d.ReplyTo != (MessageID{}) {
		q, _, ok := k.findMessage(c, d.ReplyTo)
		if !ok {
			return Message{}, ErrNoMessage
		}
		stored.reply, quote = d.ReplyTo, preview(q.text)
	}
	if t := timerOf(c.info.Timer, d.Timer); t > 0 {
		stored.expires = stored.sent.Add(t)
	}
	if c.self {
		rand.Read(stored.id[:])
	} else {
		var err error
		if stored.id, stored.counter, err = k.enqueueWith(c, wire.PayloadText, []byte(d.Text), stored.extensions()); err != nil {
			return Message{}, err
		}
	}
	if c.info.Draft != "" {
		c.info.Draft = ""
		c.setInfo(k)
	}
	seq := k.storeMessage(c, stored)
	state := Queued
	if c.self {
		state = Delivered
	}
	m := stored.view(k.viewOf(c), seq, state)
	m.Quote = quote
	k.emit(MessageEvent{Message: m})
	return m, nil
}

// storeMessage appends to the conversation.
func (k *core) storeMessage(c *contact, m storedMessage) (seq int64) {
	seq = c.flow.NextSeq
	c.flow.NextSeq++
	c.flow.LastText, c.flow.LastAt = preview(m.text), k.now()
	c.setFlow(k)
	k.putMessage(c, seq, m)
	k.indexLater(c, segmentEntry{seq, m.text})
	if !m.expires.IsZero() {
		k.setExpiry(c, seq, m.expires)
	}
	return seq
}

// previewLen bounds Contact.LastText, in bytes.
const previewLen = 200

func preview(s string) string {
	if len(s) <= previewLen {
		return s
	}
	n := previewLen
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// enqueue puts a numbered payload into the outbox, encrypted if there is a
// session, and has it sent once it is stored.
func (k *core) enqueue(c *contact, typ wire.PayloadType, body []byte) (id MessageID, counter uint64, err error) {
	return k.enqueueWith(c, typ, body, nil)
}

func (k *core) enqueueWith(c *contact, typ wire.PayloadType, body []byte, ext []wire.Extension) (
	id MessageID, counter uint64, err error,
) {
	rand.Read(id[:])
	counter = c.flow.NextOut
	plain := k.payload(c, typ, id, counter, body, ext)
	state, content := uint8(outPlain), plain
	if c.session != nil && !c.sending.plain && counter < c.flow.Acked.Next+sealWindow {
		switch msg, err := c.session.Encrypt(nil, plain); {
		case err == nil:
			state, content = outReady, msg
			c.setSession(k)
		case !errors.Is(err, ratchet.ErrExhausted):
			return id, 0, err
		}
	}
	if c.flow.Acked.Next == counter {
		c.sending.progress = k.steady()
	}
	c.sending.plain = state == outPlain
	c.flow.NextOut++
	c.setFlow(k)
	row := outRow{counter: counter, state: state, typ: typ, id: id, content: content}
	if c.link != nil {
		c.sending.recent.add(row)
	}
	if state == outReady && keepsPayload(typ) {
		row.plain = plain
	}
	k.putOutbox(c, row)
	peer := c.info.ID
	k.then(func() {
		if c := k.contacts[peer]; c != nil && c.link != nil {
			k.pump(c)
		} else {
			k.c.net.poke(peer)
		}
	})
	return id, counter, nil
}

// payload returns the padded plaintext of one message.
func (k *core) payload(c *contact, typ wire.PayloadType, id MessageID, counter uint64, body []byte, ext []wire.Extension) []byte {
	return wire.Payload{
		Type: typ, ID: id, Conversation: c.conversation, Device: k.local.Device(),
		Epoch: k.local.Record().Epoch, Counter: counter, SentAt: millis(k.now()), Body: body,
		Extensions: ext,
	}.Append(nil)
}

// outbox reads rows of the outbox. Errors of the store are logged: the next
// tick tries again.
func (k *core) outbox(c *contact, from, below uint64, limit int) (out []outRow) {
	if from >= below {
		return nil
	}
	rows, err := k.v.rows(k.c.ctx, Query{
		Table: TableOutbox, Owner: c.num, From: int64(from), Below: int64(below), Limit: limit,
	})
	if err != nil {
		k.c.log.Error("reading the outbox failed", "err", err)
		return nil
	}
	for _, r := range rows {
		if row, ok := parseOutRow(r); ok {
			out = append(out, row)
		}
	}
	return out
}

// eachOutbox calls f for the stored rows of the outbox, in order and a few at a
// time, until it returns false. It reports whether all were seen.
func (k *core) eachOutbox(c *contact, from, below uint64, f func(outRow) bool) bool {
	for {
		rows := k.outbox(c, from, below, outboxRead)
		for _, r := range rows {
			from = r.counter + 1
			if !f(r) {
				return false
			}
		}
		if len(rows) < outboxRead {
			return true
		}
	}
}

// encryptWaiting encrypts what waited for a session, or for others to arrive, in
// order and as far as the window goes. It runs after a batch was stored, so that it
// sees all rows.
func (k *core) encryptWaiting(c *contact) {
	if c == nil || c.session == nil || !c.sending.plain {
		return
	}
	s := &c.sending
	from, limit := max(s.sealed, c.flow.Acked.Next), min(c.flow.NextOut, c.flow.Acked.Next+sealWindow)
	if from >= limit && limit < c.flow.NextOut {
		return // an acknowledgement moves it on
	}
	all := k.eachOutbox(c, from, limit, func(r outRow) bool {
		if r.state != outPlain {
			return true
		}
		msg, err := c.session.Encrypt(nil, r.content)
		if err != nil {
			return false // a later reply allows more
		}
		c.setSession(k)
		if keepsPayload(r.typ) {
			r.plain = r.content
		}
		r.state, r.content = outReady, msg
		k.putOutbox(c, r)
		s.sealed = r.counter + 1
		return true
	})
	s.plain = !all || limit < c.flow.NextOut
	peer := c.info.ID
	k.then(func() { k.pump(k.contacts[peer]) })
}

// pump hands the link what the window allows. It runs after a batch was stored,
// so that nothing leaves before it was.
func (k *core) pump(c *contact) {
	if c == nil || c.link == nil {
		return
	}
	s := &c.sending
	s.cursor = max(s.cursor, c.flow.Acked.Next)
	limit := min(c.flow.NextOut, c.flow.Acked.Next+sendWindow)
	for s.cursor < limit {
		rows := s.recent.from(s.cursor)
		stored := rows == nil
		if stored {
			rows = k.outbox(c, s.cursor, limit, outboxRead)
		}
		for _, r := range rows {
			if r.counter >= limit {
				return
			}
			if r.state == outPlain || !k.sendRow(c, r) {
				return
			}
			s.cursor = r.counter + 1
		}
		if stored && len(rows) < outboxRead {
			s.cursor = limit
		}
	}
}

// sendRow puts one message on the link, as first contact needs it.
func (k *core) sendRow(c *contact, r outRow) bool {
	if ratchet.IsInitial(r.content) {
		if inv, ok := c.joined(); ok {
			return c.link.send(wire.FrameFirst, wire.Knock{Token: inv.Knock(), Message: r.content}.Append(nil))
		}
	}
	return c.link.send(wire.FrameMessage, r.content)
}

// tickSend repeats what was not acknowledged in time.
func (k *core) tickSend(c *contact) {
	if c.sending.plain && c.session != nil {
		peer := c.info.ID
		k.then(func() { k.encryptWaiting(k.contacts[peer]) })
	}
	if c.flow.NextOut > c.flow.Acked.Next {
		idle := k.steady().Sub(c.sending.progress)
		if c.link != nil {
			if idle > resendAfter && c.link.idle() {
				c.sending.cursor = 0
				c.sending.progress = k.steady()
			}
			peer := c.info.ID
			k.then(func() { k.pump(k.contacts[peer]) })
		}
	}
	k.tickMail(c)
}

// acked takes an acknowledgement of the peer.
func (k *core) acked(c *contact, a wire.Ack) {
	if a.Epoch != k.local.Record().Epoch {
		return
	}
	theirs := c.flow.theirs()
	added, ok := theirs.merge(a, c.flow.NextOut)
	if !ok {
		k.wentBack(c, a)
		return
	}
	if len(added) == 0 {
		k.mailAgain(c, a)
		return
	}
	var rows []outRow // the acknowledged ones; their contents do not matter
	for _, g := range added {
		if kept := c.sending.recent.between(g); kept != nil {
			rows = append(rows, kept...)
		} else if !k.eachOutbox(c, g.First, g.Last+1, func(r outRow) bool {
			rows = append(rows, outRow{counter: r.counter, state: r.state, typ: r.typ, id: r.id})
			return true
		}) {
			return // the next acknowledgement tells it again
		}
	}
	sum := c.flow.AckedSum
	for _, r := range rows {
		sum = sum.add(r.counter, r.id)
	}
	switch {
	case c.flow.unsure():
		theirs, sum = ackedSet(a), a.Digest
	case a.Digest == sum || a.Digest == digest{}:
	default:
		k.wentBack(c, a)
		return
	}
	c.flow.Acked.merge(a, c.flow.NextOut)
	c.flow.setTheirs(theirs, sum)
	c.sending.recent.drop(c.flow.Acked.Next)
	c.sending.progress = k.steady()
	c.setFlow(k)
	k.mailAgain(c, a)
	for _, r := range rows {
		if isMessage(r.typ) && r.state != outMoved {
			k.emit(DeliveryEvent{ID: r.id, Contact: c.info.ID, State: Delivered})
		}
	}
	for _, g := range added {
		k.changes = append(k.changes, Change{
			Kind: Delete, Table: TableOutbox, Row: Row{Owner: c.num, Seq: int64(g.First)}, Through: int64(g.Last),
		})
	}
	peer := c.info.ID
	k.then(func() { k.pump(k.contacts[peer]) })
}
