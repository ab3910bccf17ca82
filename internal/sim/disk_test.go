package sim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/sremp/sremp/client"
)

var (
	errDisk = errors.New("sim: input/output error")
	errOff  = errors.New("sim: the machine is off")
)

// A disk keeps one file. What was written and not synced is lost when the power
// fails, all of it or its end, and the last write of what stays may be torn.
type disk struct {
	mu      sync.Mutex
	synced  []byte
	pending [][]byte
	full    bool
	failing bool
}

func (d *disk) write(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.failing:
		return errDisk
	case d.full: // as much as there is room for
		d.pending = append(d.pending, slices.Clone(b[:len(b)/2]))
		return client.ErrDiskFull
	}
	d.pending = append(d.pending, slices.Clone(b))
	return nil
}

func (d *disk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing {
		return errDisk
	}
	d.flush(len(d.pending))
	return nil
}

func (d *disk) flush(n int) {
	for _, b := range d.pending[:n] {
		d.synced = append(d.synced, b...)
	}
	d.pending = nil
}

// undo takes back what was written and not synced, as a rollback does.
func (d *disk) undo() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = nil
}

// powerFails forgets what was not synced, as far as rng says.
func (d *disk) powerFails(rng *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.pending) > 0 {
		keep := rng.IntN(len(d.pending) + 1)
		var torn []byte
		if keep < len(d.pending) {
			torn = d.pending[keep][:rng.IntN(len(d.pending[keep])+1)]
		}
		d.flush(keep)
		d.synced = append(d.synced, torn...)
	}
	d.full, d.failing = false, false
}

// open implements drive.
func (d *disk) open(context.Context) (client.Store, error) { return openJournal(d) }

// cutIn implements drive: a log ends with a whole transaction or before it.
func (d *disk) cutIn(int) bool { return false }

// breaks implements drive.
func (d *disk) breaks(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.failing = full, !full
}

// repair implements drive.
func (d *disk) repair() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	broken := d.full || d.failing
	d.full, d.failing = false, false
	return broken
}

// image is what a thief copies.
func (d *disk) image() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.synced)
}

// replace exchanges the file for another at once, as a rename does.
func (d *disk) replace(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced, d.pending = b, nil
}

// A journal is a client.Store: a log of transactions on a disk, each with its
// checksum, and all rows in memory.
type journal struct {
	d *disk

	mu     sync.Mutex
	header []byte
	rows   map[rowKey]client.Row
}

type rowKey struct {
	table      client.Table
	owner, seq int64
}

type record struct {
	Header  []byte
	Changes []client.Change
}

// compactAt is how long the log may become.
const compactAt = 16 << 20

// openJournal reads what is whole on the disk, and cuts off what is not.
func openJournal(d *disk) (*journal, error) {
	j := &journal{d: d, rows: map[rowKey]client.Row{}}
	b := d.image()
	at := 0
	for len(b)-at >= 8 {
		n := int(binary.BigEndian.Uint32(b[at:]))
		sum := binary.BigEndian.Uint32(b[at+4:])
		if n > len(b)-at-8 || crc32.ChecksumIEEE(b[at+8:at+8+n]) != sum {
			break
		}
		var r record
		if err := gob.NewDecoder(bytes.NewReader(b[at+8 : at+8+n])).Decode(&r); err != nil {
			return nil, err
		}
		j.take(r)
		at += 8 + n
	}
	d.replace(b[:at:at])
	return j, nil
}

func encode(r record) ([]byte, error) {
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(r); err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(body.Len()))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body.Bytes()))
	return append(b, body.Bytes()...), nil
}

func (j *journal) take(r record) {
	if r.Header != nil {
		j.header = r.Header
	}
	for _, c := range r.Changes {
		if c.Kind == client.Put {
			j.rows[rowKey{c.Table, c.Owner, c.Seq}] = c.Row
			continue
		}
		if c.Seq == c.Through {
			delete(j.rows, rowKey{c.Table, c.Owner, c.Seq})
			continue
		}
		for k := range j.rows {
			if k.table == c.Table && k.owner == c.Owner && k.seq >= c.Seq && k.seq <= c.Through {
				delete(j.rows, k)
			}
		}
	}
}

// commit makes r durable, then true.
func (j *journal) commit(r record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	// Bodies are the caller's.
	for i := range r.Changes {
		r.Changes[i].Body = slices.Clone(r.Changes[i].Body)
	}
	b, err := encode(r)
	if err != nil {
		return err
	}
	half := len(b) / 2
	if err := errors.Join(j.d.write(b[:half]), j.d.write(b[half:])); err != nil {
		j.d.undo()
		return err
	}
	if err := j.d.sync(); err != nil {
		j.d.undo()
		return err
	}
	j.take(r)
	if len(j.d.synced) > compactAt {
		return j.compactLocked()
	}
	return nil
}

func (j *journal) compactLocked() error {
	all := record{Header: j.header}
	for k, r := range j.rows {
		all.Changes = append(all.Changes, client.Change{Kind: client.Put, Table: k.table, Row: r})
	}
	b, err := encode(all)
	if err == nil {
		j.d.replace(b)
	}
	return err
}

// Header implements client.Store.
func (j *journal) Header(context.Context) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.header, nil
}

// SetHeader implements client.Store.
func (j *journal) SetHeader(_ context.Context, h []byte) error { return j.commit(record{Header: h}) }

// Apply implements client.Store.
func (j *journal) Apply(_ context.Context, changes []client.Change) error {
	return j.commit(record{Changes: slices.Clone(changes)})
}

// Rows implements client.Store.
func (j *journal) Rows(_ context.Context, q client.Query) (out []client.Row, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if q.Below == q.From+1 {
		if r, ok := j.rows[rowKey{q.Table, q.Owner, q.From}]; ok && (q.Tag == 0 || r.Tag == q.Tag) {
			return []client.Row{r}, nil
		}
		return nil, nil
	}
	for k, r := range j.rows {
		if k.table == q.Table && k.owner == q.Owner && k.seq >= q.From && (q.Below == 0 || k.seq < q.Below) && (q.Tag == 0 || r.Tag == q.Tag) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b client.Row) int {
		if q.Descending {
			a, b = b, a
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	if q.Limit > 0 {
		out = out[:min(len(out), q.Limit)]
	}
	return out, nil
}

// Close implements client.Store.
func (j *journal) Close() error { return nil }
