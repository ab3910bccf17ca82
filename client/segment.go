package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"

	"github.com/sremp/sremp/identity"
)

// Tuning of segments. A flat scan of one sealed row a message takes 3 s a
// million; of segments 0.2 s.
const (
	segmentBits  = 10 // a batch has 1024 positions
	segmentWorth = 64 // uncovered messages that a search adds to a segment
	segmentEvery = 256
	// segmentText is the longest text that stands in a segment, so that it has at
	// most 4 MiB; of a longer one only that it is there.
	segmentText   = 4 << 10
	segmentFormat = 1
	longText      = 1<<16 - 1 // in place of a length
)

func batchOf(seq int64) int64 { return seq >> segmentBits }

// A segment has the texts of one batch of a conversation, in lower case, up to
// some position. Its row's body is
//
//	struct {
//	    uint8 format = 1;
//	    uint16 through;              // last position covered, within the batch
//	    struct { uint16 position; opaque text<0..2^16-2>; } entries[];
//	} Segment;
//
// with the length 2^16-1 for a text that is too long to stand there.
type segment struct {
	batch   int64
	through int64 // a position of the conversation
	entries []byte
}

func parseSegment(b []byte, batch int64) (*segment, error) {
	if len(b) < 3 || b[0] != segmentFormat {
		return nil, ErrDamaged
	}
	s := &segment{batch: batch, through: batch<<segmentBits | int64(binary.BigEndian.Uint16(b[1:])), entries: b[3:]}
	ok := true
	for rest := s.entries; len(rest) > 0 && ok; {
		_, _, rest, ok = nextEntry(rest)
	}
	if !ok {
		return nil, ErrDamaged
	}
	return s, nil
}

// nextEntry takes the first entry off b. text is nil for one that is too long.
func nextEntry(b []byte) (position int64, text, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	position, n := int64(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
	if b = b[4:]; n == longText {
		return position, nil, b, true
	}
	if n > len(b) {
		return 0, nil, nil, false
	}
	return position, b[:n:n], b[n:], true
}

// find returns the positions that may have the text, newest first.
func (s *segment) find(f finder) (seqs []int64) {
	want := []byte(f.want)
	// Most segments have it nowhere: one look at all of it, which costs nothing
	// but the memory's speed. Long texts are looked for one by one.
	if !bytes.Contains(s.entries, want) && !bytes.Contains(s.entries, []byte{longText >> 8, longText & 0xff}) {
		return nil
	}
	for rest := s.entries; len(rest) > 0; {
		position, text, next, ok := nextEntry(rest)
		if !ok {
			return nil
		}
		if rest = next; text == nil || bytes.Contains(text, want) {
			seqs = append([]int64{s.batch<<segmentBits | position}, seqs...)
		}
	}
	return seqs
}

// A segmentEntry is a message that is to stand in a segment.
type segmentEntry struct {
	seq  int64
	text string
}

// with returns the body of the segment with more entries.
func (s *segment) with(batch int64, more []segmentEntry) []byte {
	through := more[len(more)-1].seq
	b := binary.BigEndian.AppendUint16([]byte{segmentFormat}, uint16(through&(1<<segmentBits-1)))
	if s != nil {
		b = append(b, s.entries...)
	}
	for _, e := range more {
		b = binary.BigEndian.AppendUint16(b, uint16(e.seq&(1<<segmentBits-1)))
		text := strings.ToLower(e.text)
		if len(text) > segmentText {
			b = binary.BigEndian.AppendUint16(b, longText)
			continue
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
	}
	return b
}

// next is the first position of a batch that its segment, nil if there is none, does
// not cover.
func (s *segment) next(batch int64) int64 {
	if s == nil {
		return batch << segmentBits
	}
	return s.through + 1
}

// uncovered returns the messages of a batch that its segment does not cover,
// oldest first.
func (c *Client) uncovered(ctx context.Context, view *contactView, batch int64, seg *segment) (out []segmentEntry, err error) {
	from, below := seg.next(batch), (batch+1)<<segmentBits
	if below = min(below, view.nextSeq); from >= below {
		return nil, nil
	}
	rows, err := c.vault.rows(ctx, Query{Table: TableMessages, Owner: view.num, From: from, Below: below})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		m, err := parseStored(r.Body)
		if err != nil {
			return nil, err
		}
		out = append(out, segmentEntry{r.Seq, m.text})
	}
	return out, nil
}

// extendSegment stores a segment with more entries, unless a text was
// changed or removed since view was made: what was deleted must
// not come back in a segment.
func (c *Client) extendSegment(view *contactView, batch int64, seg *segment, more []segmentEntry) {
	body := seg.with(batch, more)
	change := c.vault.put(TableSegments, view.num, batch, 0, body)
	id, num, texts := view.id, view.num, view.texts
	c.post(func(k *core) {
		if p := k.contacts[id]; p != nil && p.num == num && k.texts == texts {
			k.changes = append(k.changes, change)
		}
	})
}

// textGone notes that the text at a position is another, or none any more: its
// segment goes in the same transaction.
func (k *core) textGone(c *contact, seq int64) {
	k.texts++
	b := batchOf(seq)
	k.changes = append(k.changes, Change{Kind: Delete, Table: TableSegments, Row: Row{Owner: c.num, Seq: b}, Through: b})
}

// unindexedBytes bounds the texts that a contact's unindexed has.
const unindexedBytes = 64 << 10

// An unindexed is the newest texts of a conversation, without gaps and of one batch: they
// go into its segment and need not be read again. The zero value has none.
type unindexed struct {
	entries []segmentEntry // ascending by one
	bytes   int
	texts   int64 // the core's: since then no text was changed or removed
}

// add takes the next text. Older ones are forgotten if one of them may be another
// now, or all are too long.
func (u *unindexed) add(e segmentEntry, texts int64) {
	n := len(u.entries)
	if u.texts != texts || n > 0 && u.entries[n-1].seq+1 != e.seq || batchOf(e.seq) != batchOf(e.seq-1) ||
		u.bytes+len(e.text) > unindexedBytes {
		*u = unindexed{texts: texts}
	}
	u.entries, u.bytes = append(u.entries, e), u.bytes+len(e.text)
}

// from returns the texts from a position on, if it has that one and none was changed or
// removed.
func (u unindexed) from(seq, texts int64) []segmentEntry {
	if len(u.entries) == 0 || u.texts != texts || seq < u.entries[0].seq {
		return nil
	}
	return u.entries[min(int(seq-u.entries[0].seq), len(u.entries)):]
}

// indexLater has what was stored up to a position added to its segment, now and then.
func (k *core) indexLater(c *contact, e segmentEntry) {
	c.unindexed.add(e, k.texts)
	if (e.seq+1)%segmentEvery != 0 {
		return
	}
	id, newest := c.info.ID, c.unindexed
	k.then(func() { k.c.net.run(func() { k.c.index(id, batchOf(e.seq), newest) }) })
}

// index brings the segment of one batch up to date. What newest has is not read.
func (c *Client) index(id identity.PeerID, batch int64, newest unindexed) {
	view, err := c.viewNow(id)
	if err != nil {
		return
	}
	var seg *segment
	body, err := c.vault.row(c.ctx, TableSegments, view.num, batch)
	if err == nil && body != nil {
		seg, err = parseSegment(body, batch)
	}
	if err == nil {
		more := newest.from(seg.next(batch), view.texts)
		if more == nil {
			more, err = c.uncovered(c.ctx, view, batch, seg)
		}
		if err == nil && len(more) >= segmentWorth {
			c.extendSegment(view, batch, seg, more)
		}
	}
	if err != nil && c.ctx.Err() == nil {
		c.log.Error("a segment for the search was not made", "err", err)
	}
}

func (c *Client) viewNow(id identity.PeerID) (view *contactView, err error) {
	err = c.do(c.ctx, func(k *core) error {
		p, err := k.contact(id)
		if err == nil {
			view = k.viewOf(p)
		}
		return err
	})
	return view, err
}

// indexAll makes the segments of a profile that has none yet: one that was
// restored, or of an older version. It runs beside everything else, once.
func (c *Client) indexAll() {
	done, err := c.vault.row(c.ctx, TableSettings, 0, settingIndexed)
	if err != nil || done != nil {
		return
	}
	var ids []identity.PeerID
	err = c.do(c.ctx, func(k *core) error {
		for id := range k.contacts {
			ids = append(ids, id)
		}
		return nil
	})
	for _, id := range ids {
		view, viewErr := c.viewNow(id)
		for b := int64(0); viewErr == nil && c.ctx.Err() == nil && b <= batchOf(view.nextSeq-1); b++ {
			c.index(id, b, unindexed{})
		}
	}
	if err == nil {
		c.post(func(k *core) { k.changes = append(k.changes, k.v.put(TableSettings, 0, settingIndexed, 0, []byte{1})) })
	}
}
