package client

import (
	"encoding/binary"

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
	body := make([]byte, 0, outboxHeader+4+len(r.plain)+len(r.content))
	body = append(append(body, byte(r.typ)), r.id[:]...)
	if len(r.plain) > 0 {
		body[0] |= outboxPayload
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(r.plain))), r.plain...)
	}
	k.changes = append(k.changes, k.v.put(TableOutbox, c.num, int64(r.counter), r.state, append(body, r.content...)))
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
