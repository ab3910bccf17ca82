package client

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/sremp/sremp/wire"
)

// maxEarly bounds what is kept of a contact about messages that have not come.
const maxEarly = 64

// A payloadPlace is where a numbered payload of a contact stands among all of them.
// What changes something that can change again is acted on in this order, also where a
// gap before it was given up: what came late takes no newer change back (spec §8.10).
type payloadPlace struct {
	Epoch   uint32 `json:"epoch"`
	Counter uint64 `json:"counter"`
}

func placeOf(p wire.Payload) payloadPlace { return payloadPlace{p.Epoch, p.Counter} }

func (p payloadPlace) before(x payloadPlace) bool {
	return p.Epoch < x.Epoch || p.Epoch == x.Epoch && p.Counter < x.Counter
}

// append encodes epoch(4) and counter(8).
func (p payloadPlace) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, p.Epoch), p.Counter)
}

// isAbout reports whether a payload changes the message with an id.
func isAbout(p wire.Payload, id MessageID) bool {
	switch p.Type {
	case wire.PayloadEdit:
		x, err := wire.ParseEdit(p.Body)
		return err == nil && x.ID == id
	case wire.PayloadReaction:
		x, err := wire.ParseReaction(p.Body)
		return err == nil && x.ID == id
	}
	return false
}

// keepEarly keeps a payload about a message that is not here while it may come: as
// long as some before the payload are missing. It has the row of one that waits, under
// a counter that was passed.
func (k *core) keepEarly(c *contact, m waitingMessage) {
	n := m.payload.Counter
	if n < c.flow.In.Next || m.payload.Epoch != c.flow.InEpoch {
		return
	}
	m.payload.Body = slices.Clone(m.payload.Body)
	c.early[n] = m
	k.changes = append(k.changes, k.v.put(TableWaiting, c.num, int64(n), 0, m.append(nil)))
	for len(c.early) > maxEarly {
		oldest := slices.Min(slices.Collect(maps.Keys(c.early)))
		k.forgetEarly(c, func(counter uint64, _ waitingMessage) bool { return counter == oldest })
	}
}

// actOnEarly acts on what came before the message that it is about.
func (k *core) actOnEarly(c *contact, id MessageID) {
	for _, n := range slices.Sorted(maps.Keys(c.early)) {
		if m := c.early[n]; isAbout(m.payload, id) {
			delete(c.early, n)
			k.deleteWaiting(c, n)
			k.show(c, m)
		}
	}
}

func (k *core) forgetEarly(c *contact, which func(counter uint64, m waitingMessage) bool) {
	for n, m := range c.early {
		if which(n, m) {
			delete(c.early, n)
			k.deleteWaiting(c, n)
		}
	}
}
