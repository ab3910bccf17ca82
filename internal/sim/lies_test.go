package sim

import (
	"encoding/hex"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/sremp/sremp/internal/sim/history"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/wire"
)

// A lie is one thing that a cheat does to a victim.
type lie struct {
	name   string
	weight int
	tell   func(c *cheat, v *victim)
}

var lies = []lie{
	{"a text", 8, func(c *cheat, v *victim) { c.tell(v, c.payload(v, wire.PayloadText, nil)) }},
	{"a text under a name of its own again", 4, func(c *cheat, v *victim) { c.named(v, v.mine) }},
	{"a text under a name of the victim's", 4, func(c *cheat, v *victim) { c.named(v, v.theirs) }},
	{"a text under a name of others'", 3, func(c *cheat, v *victim) { c.named(v, c.overheard()) }},
	{"an edit", 8, (*cheat).edit},
	{"a deletion", 5, func(c *cheat, v *victim) {
		ids := [][16]byte{c.anyName(v), c.anyName(v)}
		for _, id := range ids {
			c.said(v, id, "")
		}
		c.number(v, wire.PayloadDelete, wire.Deletion{IDs: ids}.Append(nil))
	}},
	{"a reaction", 4, func(c *cheat, v *victim) {
		emoji := []string{"👍", "", "no emoji at all", "\xff"}[c.rng.IntN(4)]
		c.number(v, wire.PayloadReaction, wire.Reaction{ID: c.anyName(v), Emoji: []byte(emoji)}.Append(nil))
	}},
	{"again", 8, func(c *cheat, v *victim) {
		for range 1 + c.rng.IntN(5) {
			c.post(v, c.pick(v.sent))
		}
	}},
	{"out of order, with holes", 6, (*cheat).shuffle},
	{"a number", 4, (*cheat).farAhead},
	{"an epoch", 1, func(c *cheat, v *victim) {
		p := c.payload(v, wire.PayloadText, nil)
		p.Epoch = c.rng.Uint32N(3) * c.rng.Uint32()
		c.tell(v, p)
	}},
	{"another clock", 3, func(c *cheat, v *victim) {
		p := c.payload(v, wire.PayloadText, nil)
		p.SentAt = []uint64{0, 1, math.MaxInt64, math.MaxUint64, c.rng.Uint64()}[c.rng.IntN(5)]
		c.said(v, p.ID, "") // in time
		p.Extensions = []wire.Extension{{Type: wire.ExtensionTimer, Data: wire.Timer{Seconds: c.rng.Uint32()}.Append(nil)}}
		c.tell(v, p)
	}},
	{"another conversation", 4, func(c *cheat, v *victim) {
		p := c.payload(v, wire.PayloadText, []byte(c.text()))
		p.Conversation = conversation(v.p.id, c.w.people[c.rng.IntN(len(c.w.people))].id)
		v.next++
		c.post(v, c.encrypt(v, p))
	}},
	{"an acknowledgement", 8, (*cheat).acknowledge},
	{"a read mark", 3, func(c *cheat, v *victim) {
		c.notice(v, wire.PayloadRead, wire.ReadMark{Epoch: v.epoch, Through: c.big(v.came)}.Append(nil))
	}},
	{"no answers", 2, func(c *cheat, v *victim) { v.silence = time.Now().Add(time.Duration(c.rng.IntN(60)) * time.Minute) }},
	{"typing", 1, func(c *cheat, v *victim) {
		for range 50 {
			c.notice(v, wire.PayloadTyping, wire.Typing{On: c.rng.IntN(2) == 0}.Append(nil))
		}
	}},
	{"a changed message", 6, func(c *cheat, v *victim) { c.post(v, c.spoil(c.pick(v.sent))) }},
	{"an echo", 4, func(c *cheat, v *victim) { c.post(v, c.pick(v.got)) }},
	{"a message to another", 4, func(c *cheat, v *victim) {
		x := c.someone()
		c.post(v, c.pick(append(x.sent, x.got...)))
	}},
	{"junk", 5, (*cheat).junk},
	{"mail", 5, func(c *cheat, v *victim) {
		for range 1 + c.rng.IntN(8) {
			c.mail(v, c.spoil(c.pick(append(v.sent, v.got...))))
			c.mail(v, c.pick(v.sent))
		}
	}},
	{"a card", 3, (*cheat).card},
	{"a successor", 1, func(c *cheat, v *victim) { c.number(v, wire.PayloadSuccessor, c.noise(200)) }},
	{"a file", 1, (*cheat).file},
	{"prekeys", 3, (*cheat).giveBundle},
	{"questions", 2, func(c *cheat, v *victim) {
		for range 20 {
			x := wire.GetBundle{}
			copy(x.Token[:], c.noise(32))
			v.frame(wire.FrameGetBundle, x.Append(nil))
		}
	}},
	{"a knock", 2, func(c *cheat, v *victim) {
		if msg := c.pick(v.sent); msg != nil {
			v.frame(wire.FrameFirst, wire.Knock{Message: msg}.Append(nil))
		}
	}},
	{"an old state", 3, func(c *cheat, v *victim) {
		if state := c.pick(v.old); state != nil {
			if p, err := ratchet.ParsePeer(state); err == nil {
				v.session = p
				c.tell(v, c.payload(v, wire.PayloadText, nil))
			}
		}
	}},
	{"hanging up", 3, func(c *cheat, v *victim) {
		if conn, code := v.conn, c.rng.Uint64N(1<<62); conn != nil {
			v.conn = nil
			c.w.tasks.Go(func() { conn.Close(code, "no\x1b[2J reason") })
		}
	}},
}

// cheats has the cheat, if there is one, lie a while, and others write to it.
func (w *world) cheats() {
	c := w.cheat
	if c == nil {
		return
	}
	total := 0
	for _, l := range lies {
		total += l.weight
	}
	events := w.history.Events()
	c.mu.Lock()
	for _, e := range events[c.read:] {
		if e.Kind == history.Accepted {
			c.names[e.ID] = true
		}
	}
	c.read = len(events)
	for range c.rng.IntN(8) {
		v := c.someone()
		n := c.rng.IntN(total)
		for _, l := range lies {
			if n -= l.weight; n < 0 {
				c.lies[l.name]++
				l.tell(c, v)
				break
			}
		}
	}
	to := c.rng.IntN(2) == 0
	p := w.people[c.rng.IntN(len(w.people))]
	c.mu.Unlock()
	if to {
		w.sendTo(p, c.person)
	}
}

// endCheat has the cheat do nothing any more but answer.
func (w *world) endCheat() {
	if c := w.cheat; c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(c.lies)) {
			w.note(c.name, "lied %d times: %s", c.lies[name], name)
		}
	}
}

// cheating returns how often the cheat has lied.
func (w *world) cheating() (n int) {
	if w.cheat != nil {
		w.cheat.mu.Lock()
		defer w.cheat.mu.Unlock()
		for _, x := range w.cheat.lies {
			n += x
		}
	}
	return n
}

// addrs are where a victim says to be.
func (v *victim) addrs() []netip.AddrPort {
	if v.card == nil {
		return nil
	}
	return slices.Clone(v.card.Addrs[:min(len(v.card.Addrs), wire.MaxCardAddrs-1)])
}

func (c *cheat) someone() *victim { return c.victims[c.w.people[c.rng.IntN(len(c.w.people))].id] }

// pick returns one of several, the last ones more often; nil if there is none.
func (c *cheat) pick(all [][]byte) []byte {
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1-c.rng.IntN(1+c.rng.IntN(len(all)))]
}

func (c *cheat) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.rng.Uint32())
	}
	return b
}

// spoil returns b cut or with a bit changed.
func (c *cheat) spoil(b []byte) []byte {
	if b = slices.Clone(b); len(b) == 0 || c.rng.IntN(3) == 0 {
		return b[:c.rng.IntN(len(b)+1)]
	}
	b[c.rng.IntN(len(b))] ^= 1 << c.rng.IntN(8)
	return b
}

// big is a number about n, or one that is too large.
func (c *cheat) big(n uint64) uint64 {
	return []uint64{n, n + 1, n + 2, n + 1000, n + 1<<32, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64, c.rng.Uint64()}[c.rng.IntN(9)]
}

// tell sends p as a text of its own.
func (c *cheat) tell(v *victim, p wire.Payload) {
	text := c.text()
	p.Body = []byte(text)
	if v.session == nil {
		return
	}
	c.said(v, p.ID, text)
	v.next++
	c.post(v, c.encrypt(v, p))
}

// named sends a text under one of several names.
func (c *cheat) named(v *victim, names [][16]byte) {
	if len(names) > 0 {
		p := c.payload(v, wire.PayloadText, nil)
		p.ID = names[c.rng.IntN(len(names))]
		c.tell(v, p)
	}
}

// overheard are names of messages that are none of its own.
func (c *cheat) overheard() (out [][16]byte) {
	names := slices.Sorted(maps.Keys(c.names))
	for range min(4, len(names)) {
		if b, err := hex.DecodeString(names[c.rng.IntN(len(names))]); err == nil && len(b) == 16 {
			out = append(out, [16]byte(b))
		}
	}
	return out
}

// anyName is of a message of anybody's, or of none.
func (c *cheat) anyName(v *victim) (id [16]byte) {
	names := [][][16]byte{v.mine, v.theirs, c.overheard(), nil}[c.rng.IntN(4)]
	if len(names) == 0 {
		copy(id[:], c.noise(16))
		return id
	}
	return names[c.rng.IntN(len(names))]
}

func (c *cheat) edit(v *victim) {
	if v.session == nil {
		return
	}
	id, text := c.anyName(v), c.text()
	c.said(v, id, text)
	c.number(v, wire.PayloadEdit, wire.Edit{ID: id, Text: []byte(text)}.Append(nil))
}

// shuffle sends several texts in another order, and not all.
func (c *cheat) shuffle(v *victim) {
	var msgs [][]byte
	for range 2 + c.rng.IntN(8) {
		p := c.payload(v, wire.PayloadText, []byte(c.text()))
		c.said(v, p.ID, string(p.Body))
		v.next++
		msgs = append(msgs, c.encrypt(v, p))
	}
	c.rng.Shuffle(len(msgs), func(i, j int) { msgs[i], msgs[j] = msgs[j], msgs[i] })
	for _, m := range msgs[c.rng.IntN(2):] {
		c.post(v, m)
	}
}

// farAhead sends a text under a number that is far away.
func (c *cheat) farAhead(v *victim) {
	p := c.payload(v, wire.PayloadText, nil)
	if p.Counter = c.big(v.next); c.rng.IntN(2) == 0 {
		p.Counter = v.next + 1 + c.rng.Uint64N(3000)
	}
	p.Counter = max(p.Counter, 1)
	c.tell(v, p)
}

// acknowledge says of any numbers that they came.
func (c *cheat) acknowledge(v *victim) {
	a := wire.Ack{Epoch: v.epoch, Next: c.big(v.came)}
	a.Next = max(a.Next, 1)
	for at := a.Next; c.rng.IntN(3) > 0 && len(a.Ranges) < wire.MaxAckRanges && at < math.MaxUint64-1<<40; {
		first := at + 1 + c.rng.Uint64N(1<<(1+c.rng.IntN(38)))
		at = first + c.rng.Uint64N(1<<(1+c.rng.IntN(38)))
		a.Ranges = append(a.Ranges, wire.Range{First: first, Last: at})
	}
	if c.rng.IntN(2) == 0 {
		copy(a.Digest[:], c.noise(16))
	}
	c.notice(v, wire.PayloadAck, a.Append(nil))
}

// junk sends frames and messages that are none.
func (c *cheat) junk(v *victim) {
	for range 1 + c.rng.IntN(8) {
		typ := []uint16{wire.FrameMessage, wire.FrameFirst, wire.FrameGetBundle, wire.FrameBundle, wire.FrameFileGet, uint16(c.rng.Uint32())}[c.rng.IntN(6)]
		v.frame(typ, c.noise(c.rng.IntN(1<<c.rng.IntN(17))))
	}
	b := c.noise(c.rng.IntN(300))
	c.post(v, c.encrypt(v, wire.Payload{
		Type: wire.PayloadType(0x20 + c.rng.Uint32N(0x60)), ID: [16]byte(c.noise(16)), Conversation: conversation(c.id, v.p.id),
		Counter: v.next, Body: b,
	}))
	v.next++
}

// card sends a card that names others, or nobody.
func (c *cheat) card(v *victim) {
	v.cards++
	card := wire.Card{Version: v.cards, Hello: v.hello, Addrs: append(c.someone().addrs(), c.public), Record: c.local.Record().Bytes()}
	x := c.someone()
	switch c.rng.IntN(3) {
	case 0:
		if x.record != nil {
			card.Record = x.record.Bytes()
		}
	case 1:
		card.Record = c.spoil(card.Record)
	}
	if x.card != nil {
		card.Rendezvous, card.Lookup, card.Intro = x.card.Rendezvous, x.card.Lookup, x.card.Intro
		for _, m := range x.card.Mailboxes {
			m.Token = [32]byte(c.noise(32))
			card.Mailboxes = append(card.Mailboxes, m)
		}
	}
	c.number(v, wire.PayloadCard, card.Append(nil))
}

// file offers a file that is not there, and sends parts of it.
func (c *cheat) file(v *victim) {
	o := wire.FileOffer{Size: c.rng.Uint64N(1 << (1 + c.rng.IntN(40))), Root: [32]byte(c.noise(32)), Key: [32]byte(c.noise(32)), Name: c.text() + ".bin"}
	p := c.payload(v, wire.PayloadFile, o.Append(nil))
	c.said(v, p.ID, o.Name)
	v.next++
	c.post(v, c.encrypt(v, p))
	for i := range uint64(3) {
		x := wire.FileChunk{ID: p.ID, Round: c.rng.Uint32N(3), Chunk: wire.FileData{Index: i, Data: c.noise(1000)}}
		c.notice(v, wire.PayloadFileChunk, x.Append(nil))
	}
	c.number(v, wire.PayloadFileState, c.noise(40))
}

// giveBundle sends prekeys that nobody asked for: old ones, or another's.
func (c *cheat) giveBundle(v *victim) {
	box := wire.PrekeyBox{Bundle: c.bundles[c.rng.IntN(len(c.bundles))], KnockKey: []byte("none")}
	if c.rng.IntN(3) == 0 {
		box.Bundle = c.spoil(box.Bundle)
	}
	if c.rng.IntN(3) == 0 {
		box.OneTime = c.noise(300)
	}
	if len(box.Bundle) > 0 {
		v.frame(wire.FrameBundle, box.Append(nil))
	}
}
