package client

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/sremp/sremp/wire"
)

// setExpiry has a message disappear at t.
func (k *core) setExpiry(c *contact, seq int64, t time.Time) {
	if c.expiries == nil {
		c.expiries = map[int64]time.Time{}
	}
	c.expiries[seq] = t
	if c.nextExpiry.IsZero() || t.Before(c.nextExpiry) {
		c.nextExpiry = t
	}
	k.wakeAt(t)
	body := binary.BigEndian.AppendUint64(nil, millis(t))
	k.changes = append(k.changes, k.v.put(TableExpiries, c.num, seq, 0, body))
}

func (k *core) dropExpiry(c *contact, seq int64) {
	delete(c.expiries, seq)
	k.changes = append(k.changes, Change{
		Kind: Delete, Table: TableExpiries, Row: Row{Owner: c.num, Seq: seq}, Through: seq,
	})
}

// loadExpiries reads when the messages of a contact disappear.
func (c *contact) loadExpiries(ctx context.Context, v *vault) error {
	rows, err := v.rows(ctx, Query{Table: TableExpiries, Owner: c.num})
	if err != nil {
		return err
	}
	c.expiries = map[int64]time.Time{}
	for _, r := range rows {
		if len(r.Body) != 8 {
			return ErrDamaged
		}
		c.expiries[r.Seq] = fromMillis(binary.BigEndian.Uint64(r.Body))
	}
	return nil
}

// expire deletes the messages whose time is over, and says when to look again.
func (k *core) expire(c *contact, now time.Time) {
	var ids []MessageID
	var seqs []int64
	if c.nextExpiry.After(now) {
		k.wakeAt(c.nextExpiry)
		return
	}
	c.nextExpiry = now.Add(maintainEvery)
	for seq, t := range c.expiries {
		if t.After(now) {
			if t.Before(c.nextExpiry) {
				c.nextExpiry = t
			}
			continue
		}
		rows, err := k.v.rows(k.c.ctx, Query{Table: TableMessages, Owner: c.num, From: seq, Below: seq + 1})
		if err != nil {
			k.c.log.Error("reading an expired message failed", "err", err)
			c.nextExpiry = now.Add(tickMax)
			continue
		}
		if len(rows) == 0 {
			k.dropExpiry(c, seq)
			continue
		}
		m, err := parseStored(rows[0].Body)
		if err == nil {
			ids = append(ids, m.id)
		}
		seqs = append(seqs, seq)
	}
	k.wakeAt(c.nextExpiry)
	if len(seqs) > 0 {
		k.remove(c, ids, seqs)
	}
}

// timerOf returns how long a message of ours stays; 0 is for ever.
func timerOf(conversation, own time.Duration) time.Duration {
	switch {
	case own < 0:
		return 0
	case own > 0:
		return own
	}
	return conversation
}

// timerExtension carries it.
func timerExtension(d time.Duration) wire.Extension {
	return wire.Extension{Type: wire.ExtensionTimer, Data: wire.Timer{Seconds: uint32(d / time.Second)}.Append(nil)}
}

// goodTimer reports whether d can be said on the wire.
func goodTimer(d time.Duration) bool {
	return d%time.Second == 0 && d <= wire.MaxTimer*time.Second
}
