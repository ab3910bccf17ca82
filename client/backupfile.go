package client

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/wire"
)

// The format of backups (spec §8.13).
const (
	contextBackup = "SREMP v1 backup"
	backupMagic   = "SREMP backup 1\n"
	backupChunk   = 64 << 10
	backupMin     = 4                                                                     // chunks of the first segment
	sealedChunk   = chacha20poly1305.NonceSizeX + backupChunk + chacha20poly1305.Overhead // bytes
	backupGone    = 0x80                                                                  // added to a table: rows are gone
	backupTime    = 0                                                                     // seq of settings: when the segment was made
	backupTag     = chacha20poly1305.Overhead                                             // bytes
)

// A backupRow is one row in a backup: table(1), owner(8), seq(8), body<0..2^24-1>.
// Table 0 ends a segment. A table with backupGone says that the rows from seq to
// the number in the body are gone.
type backupRow struct {
	table      Table
	owner, seq int64
	body       []byte
}

func jsonRow(t Table, owner, seq int64, x any) backupRow {
	b, err := json.Marshal(x)
	if err != nil {
		panic(fmt.Sprintf("client: row of table %d does not encode: %v", t, err))
	}
	return backupRow{t, owner, seq, b}
}

func goneRow(t Table, owner, seq, through int64) backupRow {
	return backupRow{t | backupGone, owner, seq, binary.BigEndian.AppendUint64(nil, uint64(through))}
}

// gone returns the last of the rows that are gone; ok is false if r is a row.
func (r backupRow) gone() (through int64, ok bool) {
	if r.table&backupGone == 0 || len(r.body) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(r.body)), true
}

// A backupPlace is where a chunk stands: it opens nowhere else.
type backupPlace struct {
	segment, chunk uint64
	before         [backupTag]byte // of the last chunk of the segment before, its tag
}

func (p backupPlace) data(last bool) string {
	ad := binary.BigEndian.AppendUint64([]byte(contextBackup), p.segment)
	ad = append(binary.BigEndian.AppendUint64(ad, p.chunk), p.before[:]...)
	if last {
		return string(append(ad, 1))
	}
	return string(append(ad, 0))
}

// next is the place after a chunk.
func (p *backupPlace) next(sealed []byte, last bool) {
	if p.chunk++; last {
		*p = backupPlace{segment: p.segment + 1, before: [backupTag]byte(sealed[len(sealed)-backupTag:])}
	}
}

// A backupWriter seals rows in chunks of one size.
type backupWriter struct {
	w    io.Writer
	aead *vault
	at   backupPlace
	buf  []byte
}

func (b *backupWriter) row(r backupRow) error {
	b.buf = append(b.buf, byte(r.table))
	b.buf = binary.BigEndian.AppendUint64(b.buf, uint64(r.owner))
	b.buf = binary.BigEndian.AppendUint64(b.buf, uint64(r.seq))
	b.buf = wire.AppendVec24(b.buf, r.body)
	for len(b.buf) > backupChunk {
		if err := b.chunk(b.buf[:backupChunk], false); err != nil {
			return err
		}
		b.buf = append(b.buf[:0], b.buf[backupChunk:]...)
	}
	return nil
}

// close ends the segment and pads it, so that its size says little of what is in it.
func (b *backupWriter) close() error {
	b.buf = append(b.buf, 0)
	total := b.at.chunk + uint64(len(b.buf)+backupChunk-1)/backupChunk
	if b.at.segment == 0 {
		total = max(total, backupMin)
	}
	for total = backupChunks(total); total > 0; {
		chunk := make([]byte, backupChunk)
		b.buf = b.buf[copy(chunk, b.buf):]
		last := b.at.chunk == total-1
		if err := b.chunk(chunk, last); err != nil || last {
			return err
		}
	}
	return nil
}

// backupChunks rounds up to a number with three significant bits.
func backupChunks(n uint64) uint64 {
	step := uint64(1) << max(bits.Len64(n)-3, 0)
	return (n + step - 1) / step * step
}

func (b *backupWriter) chunk(plain []byte, last bool) error {
	sealed := sealBox(b.aead.aead, b.at.data(last), plain)
	_, err := b.w.Write(sealed)
	b.at.next(sealed, last)
	return err
}

// A backupReader opens them.
type backupReader struct {
	r    *bufio.Reader
	aead *vault
	at   backupPlace
	buf  []byte
	done bool  // the segment's last chunk was read
	read int64 // bytes of whole segments
	part int64 // bytes of this one
}

// need has n bytes of the segment in buf.
func (b *backupReader) need(n int) error {
	for len(b.buf) < n {
		if b.done {
			return ErrBadBackup
		}
		sealed := make([]byte, sealedChunk)
		if _, err := io.ReadFull(b.r, sealed); err != nil {
			return ErrBadBackup
		}
		plain, err := openBox(b.aead.aead, b.at.data(false), sealed)
		if err != nil {
			if plain, err = openBox(b.aead.aead, b.at.data(true), sealed); err != nil {
				return ErrBadBackup
			}
			b.done = true
		}
		b.part += sealedChunk
		b.at.next(sealed, b.done)
		b.buf = append(b.buf, plain...)
	}
	return nil
}

// next returns a row of the segment; one of table 0 is its end, and all of it was
// there. io.EOF if there is no other segment.
func (b *backupReader) next() (r backupRow, err error) {
	if len(b.buf) == 0 && b.part == 0 {
		if _, err := b.r.Peek(1); errors.Is(err, io.EOF) {
			return r, io.EOF
		}
	}
	if err := b.need(1); err != nil {
		return r, err
	}
	if r.table = Table(b.buf[0]); r.table == 0 {
		for !b.done {
			b.buf = b.buf[:0]
			if err := b.need(1); err != nil {
				return r, err
			}
		}
		b.buf, b.done, b.read, b.part = b.buf[:0], false, b.read+b.part, 0
		return r, nil
	}
	const head = 1 + 8 + 8 + 3
	if err := b.need(head); err != nil {
		return r, err
	}
	r.owner = int64(binary.BigEndian.Uint64(b.buf[1:]))
	r.seq = int64(binary.BigEndian.Uint64(b.buf[9:]))
	n := int(b.buf[17])<<16 | int(b.buf[18])<<8 | int(b.buf[19])
	if err := b.need(head + n); err != nil {
		return r, err
	}
	r.body = append([]byte(nil), b.buf[head:head+n]...)
	b.buf = append(b.buf[:0], b.buf[head+n:]...)
	return r, nil
}

// segments reads all that is whole and calls take with each row, table 0 at the
// end of a segment. It returns how many segments there are, and whether
// something that is no segment follows: a backup that was interrupted, or damage.
func (b *backupReader) segments(take func(backupRow) error) (n uint64, damaged bool, err error) {
	for {
		r, err := b.next()
		switch {
		case errors.Is(err, io.EOF):
			return n, false, nil
		case err != nil:
			return n, true, nil
		}
		if err := take(r); err != nil {
			return n, false, err
		}
		if r.table == 0 {
			n++
		}
	}
}

// readBackupHeader reads what stands before the segments: who holds the key, and
// the bytes that this takes.
func readBackupHeader(r io.Reader) (header []byte, size int64, err error) {
	start := make([]byte, len(backupMagic)+2)
	if _, err := io.ReadFull(r, start); err != nil || string(start[:len(backupMagic)]) != backupMagic {
		return nil, 0, ErrBadBackup
	}
	header = make([]byte, binary.BigEndian.Uint16(start[len(backupMagic):]))
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, 0, ErrBadBackup
	}
	return header, int64(len(start) + len(header)), nil
}
