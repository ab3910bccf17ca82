package client

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Formats of rows of TableMessages: with storedMore, extensions follow.
const (
	storedPlain = 1
	storedMore  = 2
)

// Types of the extensions of a stored message.
const (
	storedReply   = 1 // id of the message that it answers
	storedEdited  = 2 // when, Unix milliseconds
	storedExpires = 3 // when, Unix milliseconds
	storedOurs    = 4 // our reaction
	storedTheirs  = 5 // the contact's reaction
	storedFile    = 6 // a fileInfo: the message is a file, its text the name
	storedEditBy  = 7 // the payloadPlace of the contact's newest edit
	storedTheirBy = 8 // and of its newest reaction
)

// A storedMessage is the body of a row of TableMessages.
type storedMessage struct {
	id       MessageID
	mine     bool
	counter  uint64
	sent     time.Time
	received time.Time // zero of our own
	missing  uint32
	text     string

	reply        MessageID // zero if it answers none
	edited       time.Time // zero if it never was
	expires      time.Time // zero if it stays
	ours, theirs string    // reactions, empty for none
	file         *fileInfo // nil if it is none

	editedBy, theirsBy payloadPlace // of what the contact changed
}

// more returns what only few messages have.
func (m storedMessage) more() (out []wire.Extension) {
	add := func(typ uint16, set bool, data []byte) {
		if set {
			out = append(out, wire.Extension{Type: typ, Data: data})
		}
	}
	add(storedReply, m.reply != MessageID{}, m.reply[:])
	add(storedEdited, !m.edited.IsZero(), binary.BigEndian.AppendUint64(nil, millis(m.edited)))
	add(storedExpires, !m.expires.IsZero(), binary.BigEndian.AppendUint64(nil, millis(m.expires)))
	add(storedOurs, m.ours != "", []byte(m.ours))
	add(storedTheirs, m.theirs != "", []byte(m.theirs))
	if m.file != nil {
		add(storedFile, true, m.file.append(nil))
	}
	add(storedEditBy, m.editedBy != payloadPlace{}, m.editedBy.append(nil))
	add(storedTheirBy, m.theirsBy != payloadPlace{}, m.theirsBy.append(nil))
	return out
}

// extensions are those of the payload that carries the message.
func (m storedMessage) extensions() (out []wire.Extension) {
	if m.reply != (MessageID{}) {
		out = append(out, wire.Extension{Type: wire.ExtensionReply, Data: m.reply[:]})
	}
	if t := m.expires.Sub(m.sent).Truncate(time.Second); !m.expires.IsZero() && t > 0 {
		out = append(out, timerExtension(t))
	}
	return out
}

func (m *storedMessage) setMore(xs []wire.Extension) {
	for _, x := range xs {
		r := wire.NewReader(x.Data)
		switch x.Type {
		case storedReply:
			m.reply = r.Array16()
		case storedEdited:
			m.edited = fromMillis(r.Uint64())
		case storedExpires:
			m.expires = fromMillis(r.Uint64())
		case storedOurs:
			m.ours = string(x.Data)
		case storedTheirs:
			m.theirs = string(x.Data)
		case storedFile:
			m.file = parseFileInfo(x.Data)
		case storedEditBy:
			m.editedBy = payloadPlace{r.Uint32(), r.Uint64()}
		case storedTheirBy:
			m.theirsBy = payloadPlace{r.Uint32(), r.Uint64()}
		}
	}
}

// storedLen is what a message without a text and extensions takes.
const storedLen = 1 + 16 + 1 + 8 + 8 + 8 + 4 + 3

func (m storedMessage) append(b []byte) []byte {
	more := m.more()
	format := byte(storedPlain)
	if len(more) > 0 {
		format = storedMore
	}
	b = append(append(b, format), m.id[:]...)
	mine := byte(0)
	if m.mine {
		mine = 1
	}
	b = binary.BigEndian.AppendUint64(append(b, mine), m.counter)
	b = binary.BigEndian.AppendUint64(b, millis(m.sent))
	b = binary.BigEndian.AppendUint64(b, millis(m.received))
	b = binary.BigEndian.AppendUint32(b, m.missing)
	if b = wire.AppendVec24(b, []byte(m.text)); len(more) > 0 {
		b = wire.AppendExtensions(b, more)
	}
	return b
}

func parseStored(b []byte) (m storedMessage, err error) {
	r := wire.NewReader(b)
	format := r.Uint8()
	if format != storedPlain && format != storedMore {
		return m, ErrDamaged
	}
	m.id, m.mine, m.counter = r.Array16(), r.Bool(), r.Uint64()
	m.sent, m.received = fromMillis(r.Uint64()), fromMillis(r.Uint64())
	m.missing = r.Uint32()
	m.text = string(r.Vec24(0, wire.MaxPayloadBody))
	if format == storedMore {
		m.setMore(r.Extensions())
	}
	if r.Done() != nil {
		return m, ErrDamaged
	}
	return m, nil
}

// millis returns Unix milliseconds, 0 for the zero time and those before 1970.
func millis(t time.Time) uint64 {
	if t.IsZero() || t.UnixMilli() < 0 {
		return 0
	}
	return uint64(t.UnixMilli())
}

// fromMillis is the inverse; what no calendar has becomes the zero time.
func fromMillis(ms uint64) time.Time {
	if ms == 0 || ms > wire.MaxTime*1000 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// view is what faces see of a message; state is that of our own.
func (m storedMessage) view(c *contactView, seq int64, state DeliveryState) Message {
	v := Message{
		ID: m.id, Contact: c.id, From: c.id, Mine: m.mine, Text: m.text, SentAt: m.sent,
		ReceivedAt: m.received, State: Delivered, Seq: seq, Missing: int(m.missing),
		ReplyTo: m.reply, EditedAt: m.edited, ExpiresAt: m.expires, MyReaction: m.ours, Reaction: m.theirs,
		Mention: !m.mine && mentions(m.text, c.myName),
	}
	if m.mine {
		v.From, v.State = c.me, state
	}
	if m.file != nil {
		v.Mention = false
		f := m.file.view()
		f.ID, f.Contact, f.Mine, f.Name = m.id, c.id, m.mine, m.text
		v.File = &f
	}
	return v
}

// A contactView is what reading a conversation needs to know of its flow. It is
// a copy: History reads beside the core.
type contactView struct {
	num         int64
	id, me      identity.PeerID
	myName      string
	acked       counterSet
	readThrough uint64
	readPast    []wire.Range
	nextSeq     int64
	texts       int64 // of the core
}

func (k *core) viewOf(c *contact) *contactView {
	acked := c.flow.Acked
	acked.Ranges = append([]wire.Range(nil), acked.Ranges...)
	return &contactView{
		num: c.num, id: c.info.ID, me: k.local.PeerID(), myName: k.local.Record().Name,
		acked: acked, readThrough: c.flow.ReadThrough, readPast: slices.Clone(c.flow.ReadPast),
		nextSeq: c.flow.NextSeq, texts: k.texts,
	}
}

// Limits of History.
const (
	defaultHistory = 100
	maxHistory     = 10000
)

// History implements [API]. Asking for the newest messages marks the
// conversation as read here; nobody is told.
func (c *Client) History(ctx context.Context, with identity.PeerID, q HistoryQuery) ([]Message, error) {
	var view *contactView
	err := c.do(ctx, func(k *core) error {
		p, err := k.contact(with)
		if err != nil {
			return err
		}
		view = k.viewOf(p)
		if q.Before == 0 && !q.Forward {
			k.markRead(p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultHistory
	}
	rows, err := c.vault.rows(ctx, Query{
		Table: TableMessages, Owner: view.num, From: max(q.After, 0) + 1, Below: q.Before,
		Limit: min(limit, maxHistory), Descending: !q.Forward,
	})
	if q.Forward {
		slices.Reverse(rows)
	}
	if err != nil {
		return nil, err
	}
	out := make([]Message, len(rows))
	for i, r := range rows {
		m, err := parseStored(r.Body)
		if err != nil {
			return nil, err
		}
		state, err := c.stateOf(ctx, view, m)
		if err != nil {
			return nil, err
		}
		out[len(rows)-1-i] = m.view(view, r.Seq, state)
	}
	if err := c.fileStates(ctx, view, out); err != nil {
		return nil, err
	}
	return out, c.quote(ctx, view, out)
}

// stateOf derives the delivery state: a message of ours is in the outbox until
// it is acknowledged.
func (c *Client) stateOf(ctx context.Context, view *contactView, m storedMessage) (DeliveryState, error) {
	switch {
	case !m.mine || m.counter == 0:
		return Delivered, nil
	case isRead(m.counter, view.readThrough, view.readPast):
		return Read, nil
	case view.acked.has(m.counter):
		return Delivered, nil
	}
	n := int64(m.counter)
	rows, err := c.vault.rows(ctx, Query{Table: TableOutbox, Owner: view.num, From: n, Below: n + 1})
	switch {
	case err != nil:
		return Queued, err
	case len(rows) == 0:
		return Delivered, nil // acknowledged since
	case rows[0].State == outHeld:
		return Held, nil
	}
	return Queued, nil
}
