package client

import (
	"encoding/binary"
	"slices"

	"github.com/sremp/sremp/wire"
)

// outRow is one row of the outbox.
type outRow struct {
	counter uint64
	state   uint8
	typ     wire.PayloadType
	id      MessageID
	content []byte // a payload, or with outReady and outHeld a ratchet message
	plain   []byte // the payload that content encrypts, if it could not be made again
}

// A row's body is type(1) id(16) content; with the flag, the payload comes
// before the content, after its length(4).
const (
	outboxHeader  = 1 + 16
	outboxPayload = 0x80 // beside the type: types that are numbered are below it
)

// keepsPayload reports whether rows of a type keep what they encrypt: all that
// is in clear nowhere else. A text is in its conversation, a card is made anew.
func keepsPayload(typ wire.PayloadType) bool {
	return typ != wire.PayloadText && typ != wire.PayloadCard
}

func (k *core) putOutbox(c *contact, r outRow) {
	body := newBody(outboxHeader + 4 + len(r.plain) + len(r.content))
	typ := byte(r.typ)
	if len(r.plain) > 0 {
		typ |= outboxPayload
	}
	body = append(append(body, typ), r.id[:]...)
	if len(r.plain) > 0 {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(r.plain))), r.plain...)
	}
	k.changes = append(k.changes, k.v.putInto(TableOutbox, c.num, int64(r.counter), r.state, append(body, r.content...)))
}

func parseOutRow(row Row) (r outRow, ok bool) {
	in := wire.NewReader(row.Body)
	typ := in.Uint8()
	r = outRow{
		counter: uint64(row.Seq), state: row.State, typ: wire.PayloadType(typ &^ outboxPayload), id: in.Array16(),
	}
	if typ&outboxPayload != 0 {
		r.plain = in.Bytes(int(in.Uint32()))
	}
	r.content = in.Rest()
	return r, in.Err() == nil
}

// keptBytes bounds what is kept of a contact's outbox in memory: a window of short
// messages, padded as they are, takes two thirds of it.
const keptBytes = 1 << 20

// recentRows are copies of the newest rows of an outbox, without gaps and of ratchet
// messages only, while there is a link: what is sent, and what is acknowledged, need
// not be read from the disk. The zero value has none.
type recentRows struct {
	rows  []outRow // ascending by one
	bytes int      // of their contents
}

// add takes the next row. One that does not follow, or is none to send, leaves
// nothing before it.
func (q *recentRows) add(r outRow) {
	if n := len(q.rows); n > 0 && q.rows[n-1].counter+1 != r.counter || r.state == outPlain {
		*q = recentRows{}
	}
	if r.state == outPlain {
		return
	}
	q.rows = append(q.rows, r)
	q.bytes += len(r.content)
	for q.bytes > keptBytes {
		q.shift()
	}
}

func (q *recentRows) shift() {
	q.bytes -= len(q.rows[0].content)
	q.rows[0] = outRow{} // the array lives on
	q.rows = q.rows[1:]
}

// drop forgets the rows below a counter.
func (q *recentRows) drop(below uint64) {
	for len(q.rows) > 0 && q.rows[0].counter < below {
		q.shift()
	}
}

// from returns the rows from a counter on, nil if that one is not among them.
func (q *recentRows) from(counter uint64) []outRow {
	if len(q.rows) == 0 || counter < q.rows[0].counter || counter > q.rows[len(q.rows)-1].counter {
		return nil
	}
	return q.rows[counter-q.rows[0].counter:]
}

// between returns the rows of a range, nil if not all of them are among these.
func (q *recentRows) between(g wire.Range) []outRow {
	if all := q.from(g.First); uint64(len(all)) > g.Last-g.First {
		return slices.Clip(all[:g.Last-g.First+1])
	}
	return nil
}
