package client

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// maxDeleted bounds the deletions kept for messages that have not arrived.
const maxDeleted = 64

// checkText returns why a text cannot be sent.
func checkText(text string) error {
	switch {
	case len(text) > wire.MaxText:
		return ErrTooLong
	case text == "" || !utf8.ValidString(text):
		return ErrBadText
	}
	return nil
}

// checkEmoji wants something short without spaces and control characters.
func checkEmoji(s string) bool {
	return len(s) <= wire.MaxEmoji && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || isBidi(r)
	})
}

// isBidi reports characters that turn text around.
func isBidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}

// Edit implements [API].
func (c *Client) Edit(ctx context.Context, with identity.PeerID, id MessageID, text string) (out Message, err error) {
	if err := checkText(text); err != nil {
		return Message{}, err
	}
	err = c.do(ctx, func(k *core) error {
		p, m, seq, err := k.ownMessage(with, id)
		if err == nil && m.file != nil {
			err = ErrNoMessage // a file's name is no text
		}
		if err != nil {
			return err
		}
		m.text, m.edited = text, k.now()
		if err := k.tell(p, wire.PayloadEdit, wire.Edit{ID: id, Text: []byte(text)}.Append(nil)); err != nil {
			return err
		}
		k.textGone(p, seq)
		out = k.changed(p, seq, m)
		return nil
	})
	return out, err
}

// ownMessage finds a message of ours in a conversation that may be written to.
func (k *core) ownMessage(with identity.PeerID, id MessageID) (p *contact, m storedMessage, seq int64, err error) {
	if p, err = k.writable(with); err != nil {
		return nil, m, 0, err
	}
	m, seq, ok := k.findMessage(p, id)
	switch {
	case !ok:
		return nil, m, 0, ErrNoMessage
	case !m.mine:
		return nil, m, 0, ErrNotMine
	}
	return p, m, seq, nil
}

// writable returns a contact that messages may go to.
func (k *core) writable(id identity.PeerID) (*contact, error) {
	p, err := k.contact(id)
	switch {
	case err != nil:
		return nil, err
	case p.info.Trust == Rejected:
		return nil, ErrUnknownContact
	case p.info.Trust == TrustUnknown:
		return nil, ErrRequest
	}
	return p, nil
}

// tell puts a payload that is no message of its own into the outbox.
func (k *core) tell(c *contact, typ wire.PayloadType, body []byte) error {
	if c.self {
		return nil
	}
	_, _, err := k.enqueue(c, typ, body)
	return err
}

// changed stores a message that is another now, and says so.
func (k *core) changed(c *contact, seq int64, m storedMessage) Message {
	k.putMessage(c, seq, m)
	if seq == c.flow.NextSeq-1 {
		c.flow.LastText = preview(m.text)
		c.setFlow(k)
	}
	v := k.viewMessage(c, seq, m)
	k.emit(ChangeEvent{Message: v})
	return v
}

// React implements [API].
func (c *Client) React(ctx context.Context, with identity.PeerID, id MessageID, emoji string) (out Message, err error) {
	if !checkEmoji(emoji) {
		return Message{}, ErrBadText
	}
	err = c.do(ctx, func(k *core) error {
		p, err := k.writable(with)
		if err != nil {
			return err
		}
		m, seq, ok := k.findMessage(p, id)
		if !ok {
			return ErrNoMessage
		}
		m.ours = emoji
		if err := k.tell(p, wire.PayloadReaction, wire.Reaction{ID: id, Emoji: []byte(emoji)}.Append(nil)); err != nil {
			return err
		}
		out = k.changed(p, seq, m)
		return nil
	})
	return out, err
}

// Delete implements [API].
func (c *Client) Delete(ctx context.Context, with identity.PeerID, ids []MessageID, everywhere bool) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(with)
		if everywhere {
			p, err = k.writable(with)
		}
		if err != nil {
			return err
		}
		seqs := make([]int64, len(ids))
		for i, id := range ids {
			m, seq, ok := k.findMessage(p, id)
			switch {
			case !ok:
				return ErrNoMessage
			case everywhere && !m.mine:
				return ErrNotMine
			}
			seqs[i] = seq
		}
		if everywhere {
			for part := range slices.Chunk(ids, wire.MaxDeletions) {
				var x wire.Deletion
				for _, id := range part {
					x.IDs = append(x.IDs, id)
				}
				if err := k.tell(p, wire.PayloadDelete, x.Append(nil)); err != nil {
					return err
				}
			}
		}
		k.remove(p, ids, seqs)
		return nil
	})
}

// remove deletes messages from the disk.
func (k *core) remove(c *contact, ids []MessageID, seqs []int64) {
	k.forgetFiles(c, seqs)
	for _, seq := range seqs {
		k.changes = append(k.changes, Change{
			Kind: Delete, Table: TableMessages, Row: Row{Owner: c.num, Seq: seq}, Through: seq,
		})
		k.textGone(c, seq)
		if _, ok := c.expiries[seq]; ok {
			k.dropExpiry(c, seq)
		}
	}
	k.emit(RemovalEvent{Contact: c.info.ID, IDs: ids})
	k.emit(WithdrawEvent{Contact: c.info.ID, IDs: ids})
	// The text in lists goes with its message; the one before it shows once
	// the batch is stored.
	c.flow.LastText = ""
	c.setFlow(k)
	peer := c.info.ID
	k.then(func() { k.showLast(k.contacts[peer]) })
}

// showLast puts the newest message into lists.
func (k *core) showLast(c *contact) {
	if c == nil {
		return
	}
	rows, err := k.v.rows(k.c.ctx, Query{Table: TableMessages, Owner: c.num, From: 1, Limit: 1, Descending: true})
	if err != nil {
		return
	}
	c.flow.LastText, c.flow.LastAt = "", time.Time{}
	if len(rows) > 0 {
		m, err := parseStored(rows[0].Body)
		if err != nil {
			return
		}
		c.flow.LastText, c.flow.LastAt = preview(m.text), m.received
		if m.mine {
			c.flow.LastAt = m.sent
		}
	}
	c.setFlow(k)
	k.emit(ContactEvent{Contact: c.view()})
}

// DeleteHistory implements [API].
func (c *Client) DeleteHistory(ctx context.Context, with identity.PeerID) error {
	return c.do(ctx, func(k *core) error {
		p, err := k.contact(with)
		if err != nil {
			return err
		}
		k.forgetHistory(p)
		return nil
	})
}

func (k *core) forgetHistory(c *contact) {
	k.forgetFiles(c, nil)
	k.texts++
	for _, t := range []Table{TableMessages, TableExpiries, TableSegments} {
		k.changes = append(k.changes, Change{Kind: Delete, Table: t, Row: Row{Owner: c.num}, Through: 1<<63 - 1})
	}
	clear(c.expiries)
	c.flow.Unread, c.flow.Mentions, c.flow.LastText, c.flow.LastAt = 0, 0, "", time.Time{}
	c.setFlow(k)
	k.emit(RemovalEvent{Contact: c.info.ID})
	k.emit(WithdrawEvent{Contact: c.info.ID})
	k.emit(ContactEvent{Contact: c.view()})
}

// takeEdit takes an edit of a contact's own message.
func (k *core) takeEdit(c *contact, w waitingMessage) {
	x, err := wire.ParseEdit(w.payload.Body)
	if err != nil {
		return
	}
	text, ok := textOf(x.Text)
	m, seq, found := k.findMessage(c, x.ID)
	if ok && !found {
		k.keepEarly(c, w)
	}
	at := placeOf(w.payload)
	if !ok || !found || m.mine || m.file != nil || !m.editedBy.before(at) {
		return
	}
	m.text, m.edited, m.editedBy = text, w.received, at
	k.textGone(c, seq)
	k.changed(c, seq, m)
}

// takeDeletion takes a deletion of a contact's own messages.
func (k *core) takeDeletion(c *contact, p wire.Payload) {
	x, err := wire.ParseDeletion(p.Body)
	if err != nil {
		return
	}
	var ids []MessageID
	var seqs []int64
	for _, id := range x.IDs {
		m, seq, found := k.findMessage(c, id)
		switch {
		case found && m.mine:
		case found:
			ids, seqs = append(ids, id), append(seqs, seq)
		default: // it may come later, behind a gap
			c.flow.Deleted = append(c.flow.Deleted, id)
			c.flow.Deleted = c.flow.Deleted[max(0, len(c.flow.Deleted)-maxDeleted):]
			c.setFlow(k)
		}
	}
	if len(ids) > 0 {
		k.remove(c, ids, seqs)
	}
}

// takeReaction takes a contact's reaction to a message of either side. One to a
// message that is not there changes nothing and is not answered in any way.
func (k *core) takeReaction(c *contact, w waitingMessage) {
	x, err := wire.ParseReaction(w.payload.Body)
	if err != nil || !checkEmoji(string(x.Emoji)) {
		return
	}
	m, seq, found := k.findMessage(c, x.ID)
	if !found {
		k.keepEarly(c, w)
	}
	at := placeOf(w.payload)
	if !found || !m.theirsBy.before(at) {
		return
	}
	m.theirs, m.theirsBy = string(x.Emoji), at
	v := k.changed(c, seq, m)
	switch {
	case m.theirs == "":
		k.emit(WithdrawEvent{Contact: c.info.ID, IDs: []MessageID{m.id}})
	case m.mine:
		k.notify(c, NotifyReaction, v)
	}
}

// takeTimer takes a contact's setting for both sides.
func (k *core) takeTimer(c *contact, p wire.Payload) {
	x, err := wire.ParseTimer(p.Body)
	if err != nil || !c.info.TimerBy.before(placeOf(p)) {
		return
	}
	c.info.TimerBy = placeOf(p)
	c.info.Timer = time.Duration(x.Seconds) * time.Second
	c.setInfo(k)
	k.emit(ContactEvent{Contact: c.view()})
}
