package client

import (
	"context"
	"errors"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

// contextFirstMail is of messages that begin a session in a contact's own inbox:
// they carry the sender's record, which is not for the relay (spec §8.30).
const contextFirstMail = "SREMP v1 sealed first message"

// Tuning of the way through mailboxes (spec §8.4).
const (
	mailBatch     = 16 // messages handed to a courier at once
	mailTime      = 20 * time.Second
	mailRetryMin  = 2 * time.Second
	mailRetryMax  = 2 * time.Minute
	connectGrace  = 2 * time.Second // what an attempt to connect gets before the mailbox
	remailAfter   = time.Minute     // between two repeats of what a relay seems to have lost
	maxSenders    = 32
	senderTimeout = 5 * time.Second
)

// mailing is the volatile side of a contact's way through its mailbox.
type mailing struct {
	busy   bool
	round  int       // of the outbox: a courier's report is of the one it was sent out with
	cursor uint64    // next counter to mail
	next   time.Time // not before
	wait   time.Duration
	again  uint64                         // messages below it are mailed though a relay held them
	remail time.Time                      // when that was last decided
	knocks map[uint64][]byte              // sealed first messages by counter, until the first answer
	boxes  map[identity.ServerID]boxState // that failed lately
}

// letter is one message on its way to a mailbox.
type letter struct {
	row  outRow // counter 0: an acknowledgement, or a read mark
	read bool
	blob []byte
}

// tickMail hands what is due to a courier.
func (k *core) tickMail(c *contact) {
	m := &c.sending.mail
	pending := c.flow.NextOut > c.flow.Acked.Next
	if m.busy || c.session == nil || !pending && !c.flow.AckDue && !c.readDue || k.steady().Before(m.next) {
		return
	}
	if c.link != nil {
		if !pending || k.steady().Sub(c.sending.progress) < mailAfter {
			return
		}
	} else if pending && k.c.net.connecting(c.info.ID, connectGrace) {
		return
	}
	box := k.mailTarget(c)
	if box == nil {
		return
	}
	letters := k.letters(c, box)
	if len(letters) == 0 {
		return
	}
	m.busy = true
	id, round := c.info.ID, m.round
	k.then(func() {
		if !k.c.net.run(func() { k.c.net.courier(id, round, *box, letters) }) {
			m.busy = false
		}
	})
}

// letters chooses what goes into the mailbox next: the oldest messages that no
// relay holds yet, or an acknowledgement.
func (k *core) letters(c *contact, box *mailBox) (out []letter) {
	m := &c.sending.mail
	m.cursor = max(m.cursor, c.flow.Acked.Next)
	if box.knockKey == nil {
		m.knocks = nil
	}
	limit := c.flow.NextOut
	if c.link != nil {
		limit = min(limit, c.sending.cursor) // only what the link did not get through
	}
	k.eachOutbox(c, m.cursor, limit, func(r outRow) bool {
		if r.state == outPlain || len(out) >= mailBatch {
			return false
		}
		if r.state == outReady || r.counter < m.again {
			blob := k.letterBlob(c, box, r)
			if blob == nil {
				return false // the invite's allowance is used up; an answer allows more
			}
			out = append(out, letter{row: r, blob: blob})
		}
		m.cursor = r.counter + 1
		return true
	})
	if c.flow.AckDue && c.link == nil && box.knockKey == nil {
		if msg, err := k.encryptAck(c); err == nil {
			out = append(out, letter{blob: msg})
		}
	}
	if c.readDue && c.link == nil && box.knockKey == nil {
		if msg, err := k.encryptRead(c); err == nil {
			out = append(out, letter{blob: msg, read: true})
		}
	}
	return out
}

// letterBlob returns what the relay is to hold. A first message is sealed once:
// repeated, it is the same blob, and uses up nothing of the invite's allowance.
func (k *core) letterBlob(c *contact, box *mailBox, r outRow) []byte {
	if box.knockKey == nil {
		return r.content
	}
	m := &c.sending.mail
	if blob := m.knocks[r.counter]; blob != nil {
		return blob
	}
	if !ratchet.IsInitial(r.content) || len(m.knocks) >= relay.KnockBlobs {
		return nil
	}
	blob, err := sealKnock(box.knockKey, wire.Knock{Token: box.token, Message: r.content})
	if err != nil {
		k.c.log.Warn("knock not sealed", "contact", c.info.ID.Short(), "err", err)
		return nil
	}
	if m.knocks == nil {
		m.knocks = map[uint64][]byte{}
	}
	m.knocks[r.counter] = blob
	return blob
}

// courier stores letters, in order, and reports what the relay holds. It runs
// on a goroutine of its own.
func (n *network) courier(id identity.PeerID, round int, box mailBox, letters []letter) {
	ctx, cancel := context.WithTimeout(n.ctx, mailTime)
	defer cancel()
	var held []letter
	err := n.deliver(ctx, box, letters, func(l letter) { held = append(held, l) })
	n.c.post(func(k *core) { k.mailed(id, box.relay.ID, round, held, letters, err) })
}

func (n *network) deliver(ctx context.Context, box mailBox, letters []letter, held func(letter)) error {
	s, err := n.sender(ctx, box.relay)
	if err != nil {
		return err
	}
	for _, l := range letters {
		if err := leave(ctx, s, box, l.blob); err != nil {
			n.senderFailed(box.relay, s, err)
			return err
		}
		held(l)
	}
	return nil
}

// mailed takes a courier's report.
func (k *core) mailed(id identity.PeerID, box identity.ServerID, round int, held, all []letter, err error) {
	c := k.contacts[id]
	if c == nil {
		return
	}
	m := &c.sending.mail
	m.busy = false
	k.active(c)
	for _, l := range held {
		if l.read {
			c.readDue = false
			continue
		}
		if l.row.counter == 0 {
			c.flow.AckDue = false
			c.setFlow(k)
			continue
		}
		if c.flow.Acked.has(l.row.counter) || round != m.round {
			continue // it is encrypted anew since
		}
		row := l.row
		row.state = outHeld
		k.putOutbox(c, row)
		if l.row.state != outHeld && isMessage(l.row.typ) {
			k.emit(DeliveryEvent{ID: l.row.id, Contact: id, State: Held})
		}
	}
	if err == nil {
		k.boxWorks(c, box)
		if c.link == nil {
			reason := "the peer is away"
			if k.c.net.connecting(id, connectTime) {
				reason = textConnecting
			}
			k.unlinkedPath(c, reason)
		}
		k.tickMail(c)
		return
	}
	if k.c.ctx.Err() != nil {
		return
	}
	for _, l := range all { // what was not stored comes again
		if l.row.counter != 0 && !containsLetter(held, l.row.counter) {
			m.cursor = min(m.cursor, l.row.counter)
		}
	}
	k.boxFailed(c, box, err)
	k.c.log.Info("mailbox not reached", "contact", id.Short(), "err", err)
	if !m.next.After(k.steady()) {
		k.tickMail(c) // by the next one
		return
	}
	if c.link == nil && !errors.Is(err, relay.ErrBusy) {
		k.setPath(c, Path{Kind: PathNone, Reason: "the peer is away and its relay: " + plain(err), Why: whyOf(plain(err))})
	}
}

func containsLetter(ls []letter, counter uint64) bool {
	for _, l := range ls {
		if l.row.counter == counter {
			return true
		}
	}
	return false
}

// sender returns an anonymous connection to a relay, shared by all contacts.
func (n *network) sender(ctx context.Context, a identity.ServerAddr) (*relay.Sender, error) {
	n.mu.Lock()
	s := n.senders[a.ID]
	n.mu.Unlock()
	if s != nil {
		select {
		case <-s.Done():
		default:
			return s, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, senderTimeout)
	defer cancel()
	s, err := relay.DialSender(ctx, n.anon, a)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.senders[a.ID]; old != nil {
		select {
		case <-old.Done():
		default:
			s.Close()
			return old, nil
		}
	}
	if len(n.senders) >= maxSenders {
		for id, old := range n.senders {
			old.Close()
			delete(n.senders, id)
			break
		}
	}
	n.senders[a.ID] = s
	return s, nil
}

// senderFailed drops a connection after an error that is not the relay's answer.
func (n *network) senderFailed(a identity.ServerAddr, s *relay.Sender, err error) {
	for _, answer := range []error{
		relay.ErrNoInbox, relay.ErrQuota, relay.ErrTooLarge, relay.ErrBusy, relay.ErrFull, relay.ErrNoPrekeys,
	} {
		if errors.Is(err, answer) {
			return
		}
	}
	n.mu.Lock()
	if n.senders[a.ID] == s {
		delete(n.senders, a.ID)
	}
	n.mu.Unlock()
	s.Close()
}

// mailArrived takes a blob from one of our relays. It is deleted there whatever
// it is: what cannot be read now never will be, and its sender has it still.
func (k *core) mailArrived(relayID identity.ServerID, m relay.Mail) {
	if m.Inbox == k.profile.KnockInbox.bytes() {
		x, err := k.openKnock(m.Blob)
		if err != nil {
			k.c.log.Warn("knock dropped", "err", err)
			return
		}
		k.knock(identity.PeerID{}, x)
		return
	}
	c := k.inboxOwner(relayID, m.Inbox)
	if c == nil && k.isPrekeyInbox(relayID, m.Inbox) {
		k.returned(m)
		return
	}
	if c == nil {
		k.c.log.Warn("mail for an unknown inbox dropped")
		return
	}
	blob := m.Blob
	if first, err := openBox(introAEAD(c.info.Intro.bytes()), contextFirstMail, blob); err == nil {
		blob = first
	}
	if err := k.incoming(c, blob); err != nil {
		k.c.log.Warn("mail dropped", "contact", c.info.ID.Short(), "err", err)
	}
}

// inboxKey names one inbox at one relay.
type inboxKey struct {
	relay identity.ServerID
	inbox [32]byte
}

// inboxOwner returns the contact that we made an inbox for.
func (k *core) inboxOwner(relayID identity.ServerID, inbox [32]byte) *contact {
	key := inboxKey{relayID, inbox}
	id, ok := k.inboxes[key]
	if !ok {
		for _, c := range k.contacts {
			in, _ := c.mailboxAt(relayID)
			k.inboxes[inboxKey{relayID, in}] = c.info.ID
		}
		if id, ok = k.inboxes[key]; !ok {
			return nil
		}
	}
	return k.contacts[id]
}
