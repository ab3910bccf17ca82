package client

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sremp/sremp/wire"
)

// findMessage returns the message with an id, as the batch at hand leaves it.
func (k *core) findMessage(c *contact, id MessageID) (m storedMessage, seq int64, ok bool) {
	tag := k.tag(c.num, id)
	for i := len(k.changes) - 1; i >= 0; i-- {
		ch := k.changes[i]
		if ch.Table != TableMessages || ch.Owner != c.num {
			continue
		}
		if ch.Kind == Put && ch.Tag == tag {
			if seq != 0 && seq != ch.Seq {
				continue
			}
			return k.openMessage(ch.Row)
		}
	}
	rows, err := k.v.store.Rows(k.c.ctx, Query{Table: TableMessages, Owner: c.num, Tag: tag, Limit: 1})
	if err != nil || len(rows) == 0 {
		return m, 0, false
	}
	for _, ch := range k.changes { // deleted in this batch?
		if ch.Table == TableMessages && ch.Owner == c.num && ch.Kind == Delete && ch.Seq <= rows[0].Seq && rows[0].Seq <= ch.Through {
			return m, 0, false
		}
	}
	if m, seq, ok = k.openMessage(rows[0]); ok && m.id != id {
		return m, 0, false // somebody moved the tag
	}
	return m, seq, ok
}

func (k *core) openMessage(r Row) (m storedMessage, seq int64, ok bool) {
	body, err := k.v.open(TableMessages, r)
	if err == nil {
		m, err = parseStored(body)
	}
	if err != nil {
		k.c.log.Error("a message cannot be read", "err", err)
	}
	return m, r.Seq, err == nil
}

// A tagged is the message whose tag was asked for last: what comes is looked for first,
// then stored.
type tagged struct {
	owner int64
	id    MessageID
	tag   int64
}

func (k *core) tag(owner int64, id MessageID) int64 {
	if t := k.tagged; t.tag != 0 && t.owner == owner && t.id == id {
		return t.tag
	}
	k.tagged = tagged{owner, id, k.v.tag(owner, id)}
	return k.tagged.tag
}

// putMessage writes a message's row.
func (k *core) putMessage(c *contact, seq int64, m storedMessage) {
	ch := k.v.putInto(TableMessages, c.num, seq, 0, m.append(newBody(storedLen+len(m.text))))
	ch.Tag = k.tag(c.num, m.id)
	k.changes = append(k.changes, ch)
}

// tagOldRows gives the messages of the first schema their tags, once.
func (v *vault) tagOldRows(ctx context.Context) error {
	done, err := v.row(ctx, TableSettings, 0, settingTagged)
	if err != nil || done != nil {
		return err
	}
	contacts, err := v.rows(ctx, Query{Table: TableContacts})
	if err != nil {
		return err
	}
	const page = 512
	for _, c := range contacts {
		for from := int64(1); ; {
			rows, err := v.store.Rows(ctx, Query{Table: TableMessages, Owner: c.Seq, From: from, Limit: page})
			if err != nil {
				return err
			}
			var changes []Change
			for _, r := range rows {
				from = r.Seq + 1
				body, err := v.open(TableMessages, r)
				if err != nil {
					return err
				}
				m, err := parseStored(body)
				if err != nil {
					return err
				}
				r.Tag = v.tag(c.Seq, m.id)
				changes = append(changes, Change{Kind: Put, Table: TableMessages, Row: r})
			}
			if err := v.store.Apply(ctx, changes); err != nil {
				return err
			}
			if len(rows) < page {
				break
			}
		}
	}
	return v.store.Apply(ctx, []Change{v.put(TableSettings, 0, settingTagged, 0, []byte{1})})
}

// quote adds the beginnings of answered messages that still exist.
func (c *Client) quote(ctx context.Context, view *contactView, ms []Message) error {
	byID := map[MessageID]string{}
	for _, m := range ms {
		byID[m.ID] = m.Text
	}
	for i := range ms {
		id := ms[i].ReplyTo
		if id == (MessageID{}) {
			continue
		}
		text, ok := byID[id]
		if !ok {
			rows, err := c.vault.rows(ctx, Query{
				Table: TableMessages, Owner: view.num, Tag: c.vault.tag(view.num, id), Limit: 1,
			})
			if err != nil {
				return err
			}
			if len(rows) > 0 {
				m, err := parseStored(rows[0].Body)
				if err != nil {
					return err
				}
				if m.id == id {
					text = m.text
				}
			}
			byID[id] = text
		}
		ms[i].Quote = preview(text)
	}
	return nil
}

// viewMessage is what faces see of a message that the core has at hand.
func (k *core) viewMessage(c *contact, seq int64, m storedMessage) Message {
	v := k.viewOf(c)
	state := Delivered
	if m.mine && m.counter != 0 {
		switch {
		case isRead(m.counter, c.flow.ReadThrough, c.flow.ReadPast):
			state = Read
		case !c.flow.Acked.has(m.counter):
			state = Queued
			if rows := k.outbox(c, m.counter, m.counter+1, 1); len(rows) > 0 && rows[0].state == outHeld {
				state = Held
			}
		}
	}
	out := m.view(v, seq, state)
	if m.reply != (MessageID{}) {
		if q, _, ok := k.findMessage(c, m.reply); ok {
			out.Quote = preview(q.text)
		}
	}
	return out
}

// mentions reports whether a text has @name in it, as a word.
func mentions(text, name string) bool {
	if name == "" || !strings.Contains(text, "@") {
		return false
	}
	low, want := strings.ToLower(text), "@"+strings.ToLower(name)
	for from := 0; ; {
		i := strings.Index(low[from:], want)
		if i < 0 {
			return false
		}
		from += i + len(want)
		if r, _ := utf8.DecodeRuneInString(low[from:]); from == len(low) || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return true
		}
	}
}

// textOf checks a text that a contact sent.
func textOf(b []byte) (string, bool) {
	return string(b), len(b) > 0 && len(b) <= wire.MaxText && utf8.Valid(b)
}
