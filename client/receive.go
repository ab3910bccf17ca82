package client

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/wire"
)

// Tuning of receiving (spec §8.4).
const (
	// holdFor is how long messages behind a gap wait for what is missing. The
	// sender repeats within mailAfter.
	holdFor = 5 * time.Second
	// maxWaiting bounds how many wait.
	maxWaiting = 1024
	// An acknowledgement waits for ackEvery messages or ackDelay, so that it
	// answers many: each costs a transaction on both sides.
	ackEvery = 64
	ackDelay = 20 * time.Millisecond
)

// A waitingMessage is a message behind a gap: stored and acknowledged, not shown.
type waitingMessage struct {
	payload  wire.Payload
	received time.Time
}

// append encodes a row of TableWaiting: received at, uint64 milliseconds, and
// the payload with its padding.
func (m waitingMessage) append(b []byte) []byte {
	ms := millis(m.received)
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(ms>>shift))
	}
	return m.payload.Append(b)
}

func parseWaiting(b []byte) (m waitingMessage, err error) {
	r := wire.NewReader(b)
	m.received = fromMillis(r.Uint64())
	if m.payload, err = wire.ParsePayload(r.Rest()); err != nil {
		return m, ErrDamaged
	}
	return m, nil
}

// incoming takes a ratchet message of a contact, whichever way it came. It
// changes nothing if the message does not authenticate.
func (k *core) incoming(c *contact, msg []byte) error {
	if c.info.Trust == Rejected {
		return ratchet.ErrDecrypt
	}
	if c.session == nil {
		plain, err := k.firstAgain(c, msg)
		if err == nil {
			k.plaintext(c, plain)
		}
		return err
	}
	generation := c.session.Generation()
	plain, err := c.session.Decrypt(k.now(), k.local, k.prekeys, c.info.PSK.bytes(), msg)
	if errors.Is(err, ratchet.ErrWrongPeer) {
		plain, err = k.reborn(c, msg)
	}
	switch {
	case err != nil && c.seen.has(msg), errors.Is(err, ratchet.ErrDuplicate) && !errors.Is(err, ratchet.ErrReused):
		// The acknowledgement was lost, or is on its way.
		k.c.log.Debug("a message came again", "err", err)
		k.ackDue(c)
		return nil
	case err != nil:
		k.unreadable(c, err)
		return err
	}
	c.setSession(k)
	c.hasRead(msg)
	c.renewal.failures = 0
	if ratchet.IsInitial(msg) {
		k.dirtyPrekeys = true
		k.sayLastResort(c, msg)
	}
	if c.session.Generation() > generation {
		k.sessionBegan(c, false)
		k.rewrite(c) // the contact may be unable to read what is on its way
	}
	k.plaintext(c, plain)
	return nil
}

// ackDue notes that the contact is to get an acknowledgement.
func (k *core) ackDue(c *contact) {
	if c.info.Trust != Trusted {
		return // not even that it arrived
	}
	if !c.flow.AckDue {
		c.flow.AckDue = true
		c.ackSince, c.ackCount = time.Now(), 0
	}
	c.ackCount++
	c.setFlow(k)
}

// ackAgain repeats the acknowledgement of what was received, over a connection
// whose other end is authenticated.
func (k *core) ackAgain(c *contact) {
	if c.session != nil && c.flow.In.Next > 1 {
		k.ackDue(c)
	}
}

// plaintext takes what a session of the contact authenticated.
func (k *core) plaintext(c *contact, plain []byte) {
	p, err := wire.ParsePayload(plain)
	if err != nil || p.Conversation != c.conversation {
		k.c.log.Warn("payload ignored", "contact", c.info.ID.Short(), "err", err)
		return
	}
	c.flow.LastSeen = k.now()
	c.setFlow(k)
	if c.sending.plain {
		peer := c.info.ID
		k.then(func() { k.encryptWaiting(k.contacts[peer]) })
	}
	switch {
	case p.Type.Numbered():
		k.numbered(c, p)
	case p.Type == wire.PayloadAck:
		if a, err := wire.ParseAck(p.Body); err == nil {
			k.acked(c, a)
		}
	case p.Type == wire.PayloadRead:
		if m, err := wire.ParseReadMark(p.Body); err == nil {
			k.peerRead(c, m)
		}
	case p.Type == wire.PayloadTyping:
		k.takeTyping(c, p.Body)
	case p.Type == wire.PayloadFileChunk:
		k.takeChunk(c, p.Body)
	}
}

// numbered takes a numbered payload once, and shows it in its sender's order.
func (k *core) numbered(c *contact, p wire.Payload) {
	f := &c.flow
	if p.Epoch < f.InEpoch {
		return // of a device that was left behind
	}
	if p.Epoch > f.InEpoch {
		k.release(c)
		k.forgetEarly(c, func(uint64, waitingMessage) bool { return true })
		f.InEpoch, f.In, f.InSum, f.Shown, f.Gaps = p.Epoch, counterSet{Next: 1}, digest{}, 1, nil
	}
	k.ackDue(c)
	if !f.In.add(p.Counter) {
		return
	}
	f.InSum = f.InSum.add(p.Counter, p.ID)
	c.askAt, c.askWait = time.Time{}, 0
	m := waitingMessage{payload: p, received: k.now()}
	switch {
	case p.Counter < f.Shown: // its gap was given up
		k.filled(c, p.Counter)
		k.show(c, m)
	case p.Counter == f.Shown:
		k.show(c, m)
		f.Shown++
		k.showNext(c)
	default:
		if len(c.waiting) == 0 {
			c.waitingSince = m.received
		}
		p.Body = slices.Clone(p.Body)
		m.payload = p
		c.waiting[p.Counter] = m
		k.changes = append(k.changes, k.v.put(TableWaiting, c.num, int64(p.Counter), 0, m.append(nil)))
		if len(c.waiting) >= maxWaiting {
			k.release(c)
		}
	}
	k.forgetEarly(c, func(counter uint64, _ waitingMessage) bool { return counter < f.In.Next }) // all before it is here
}

// showNext shows what waited and is next.
func (k *core) showNext(c *contact) {
	for {
		m, ok := c.waiting[c.flow.Shown]
		if !ok {
			return
		}
		k.showWaiting(c, m, 0)
		c.waitingSince = k.now()
	}
}

// release gives up on gaps: it shows all that waits, in order, each with the
// number of messages missing before it.
func (k *core) release(c *contact) {
	for _, n := range slices.Sorted(maps.Keys(c.waiting)) {
		k.showWaiting(c, c.waiting[n], n-c.flow.Shown)
	}
}

func (k *core) showWaiting(c *contact, m waitingMessage, missing uint64) {
	n := m.payload.Counter
	k.deleteWaiting(c, n)
	delete(c.waiting, n)
	c.noteGap(n, missing)
	k.show(c, m)
	c.flow.Shown = n + 1
	c.setFlow(k)
}

func (k *core) deleteWaiting(c *contact, counter uint64) {
	k.changes = append(k.changes, Change{
		Kind: Delete, Table: TableWaiting, Row: Row{Owner: c.num, Seq: int64(counter)}, Through: int64(counter),
	})
}

// show acts on a numbered payload.
func (k *core) show(c *contact, m waitingMessage) {
	p := m.payload
	switch p.Type {
	case wire.PayloadText:
		k.showText(c, m)
	case wire.PayloadEdit:
		k.takeEdit(c, m)
	case wire.PayloadDelete:
		k.takeDeletion(c, p)
	case wire.PayloadReaction:
		k.takeReaction(c, m)
	case wire.PayloadTimer:
		k.takeTimer(c, p)
	case wire.PayloadSuccessor:
		k.takeSuccessor(c, p.Body)
	case wire.PayloadCard:
		k.takeCard(c, p.Body)
	case wire.PayloadPicture:
		k.takePicture(c, p)
	case wire.PayloadFile:
		k.showFile(c, m)
	case wire.PayloadFileState:
		k.takeFileState(c, p.Body)
	}
}

// showText appends a text to the conversation.
func (k *core) showText(c *contact, m waitingMessage) {
	text, ok := textOf(m.payload.Body)
	if !ok {
		k.c.log.Warn("text ignored", "contact", c.info.ID.Short(), "len", len(m.payload.Body))
		return
	}
	k.showMessage(c, m, text, nil)
}

// showMessage appends a text, or the file f with its name, to the conversation,
// unless its sender has deleted it since. It reports whether it did.
func (k *core) showMessage(c *contact, m waitingMessage, text string, f *file) bool {
	p := m.payload
	if k.isRepeat(c, p) {
		return false
	}
	if i := slices.Index(c.flow.Deleted, p.ID); i >= 0 {
		c.flow.Deleted = slices.Delete(c.flow.Deleted, i, i+1)
		c.setFlow(k)
		k.forgetEarly(c, func(_ uint64, m waitingMessage) bool { return isAbout(m.payload, p.ID) })
		return false
	}
	stored := storedMessage{
		id: p.ID, counter: p.Counter, sent: fromMillis(p.SentAt), received: m.received,
		missing: uint32(min(c.unsaidGaps(), 1<<31-1)), text: text,
	}
	if f != nil {
		stored.file = f.info()
	}
	for _, x := range p.Extensions {
		switch x.Type {
		case wire.ExtensionReply:
			if len(x.Data) == len(stored.reply) {
				stored.reply = MessageID(x.Data)
			}
		case wire.ExtensionTimer:
			if t, err := wire.ParseTimer(x.Data); err == nil && t.Seconds > 0 {
				stored.expires = m.received.Add(time.Duration(t.Seconds) * time.Second)
			}
		}
	}
	seq := k.storeMessage(c, stored)
	c.sayGaps(seq)
	c.flow.Unread++
	v := stored.view(k.viewOf(c), seq, Delivered)
	if f != nil {
		f.seq = seq
		file := f.view(c.info.ID)
		v.File = &file
	}
	if stored.reply != (MessageID{}) {
		if q, _, ok := k.findMessage(c, stored.reply); ok {
			v.Quote = preview(q.text)
		}
	}
	kind := NotifyMessage
	if v.Mention {
		kind = NotifyMention
		c.flow.Mentions++
	}
	k.emit(MessageEvent{Message: v})
	k.notify(c, kind, v)
	k.actOnEarly(c, p.ID)
	return true
}

// sendAcks acknowledges what waited for more.
func (k *core) sendAcks() {
	for _, id := range k.acksLater {
		if c := k.contacts[id]; c != nil {
			c.ackSince = time.Time{}
			k.touched[c] = true
		}
	}
	k.acksLater = k.acksLater[:0]
}

// tickReceive gives up on gaps whose time is over.
func (k *core) tickReceive(c *contact) {
	// Since is stored, so it is of the clock that may have been set back.
	if waited := k.now().Sub(c.waitingSince); len(c.waiting) > 0 && (waited > holdFor || waited < 0) {
		k.release(c)
	}
	if c.flow.AckDue && c.link != nil {
		k.touched[c] = true // the link was behind
	}
}

// finishReceive acknowledges what the batch received: one message for all of
// it, encrypted in the same transaction (spec §8.4).
func (k *core) finishReceive(c *contact) {
	if !c.flow.AckDue || c.session == nil || c.link == nil {
		return
	}
	if c.ackCount < ackEvery && time.Since(c.ackSince) < ackDelay {
		k.acksLater = append(k.acksLater, c.info.ID)
		return
	}
	msg, err := k.encryptAck(c)
	if err != nil {
		return
	}
	peer, l := c.info.ID, c.link
	k.then(func() {
		if c := k.contacts[peer]; l.send(wire.FrameMessage, msg) && c != nil {
			// Written with the next change: a crash before it repeats the
			// acknowledgement, which harms nobody.
			c.flow.AckDue, l.told = false, time.Now()
		}
	})
}

func (k *core) encryptAck(c *contact) ([]byte, error) {
	return k.encryptNotice(c, wire.PayloadAck, c.flow.ack().Append(nil))
}

// acksDue reports whether an acknowledgement could leave soon.
func (k *core) acksDue() bool {
	due := false
	for _, c := range k.contacts {
		if !c.flow.AckDue || c.session == nil {
			continue
		}
		k.tickMail(c)
		due = due || c.link != nil || k.mailTarget(c) != nil && c.sending.mail.wait == 0
	}
	return due
}
