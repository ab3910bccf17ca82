package client

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/sremp/sremp/wire"
)

// This file is about acknowledgements that mean other messages than those that we
// remember under their numbers (spec §8.30).

// contextDigest is of what a contact has received (spec §8.4).
const contextDigest = "SREMP v1 received"

const (
	// maxAhead bounds how far an acknowledgement may be ahead of what we remember.
	maxAhead = 1 << 32
	// maxMoved is how far below the next number messages are remembered that wait under
	// another number now.
	maxMoved = 8192
	// Between two changes of numbers.
	moveMin = 5 * time.Second
	moveMax = time.Hour
)

// wentBack takes an acknowledgement that means other messages than those that we
// remember under its numbers: our disk is an old copy, or the contact's. What waits
// gets numbers that were never used, so that nothing is taken for delivered that the
// contact never saw. What is on its way under the numbers of before may still arrive:
// it is remembered by them, or the next acknowledgement would look as this one does.
func (k *core) wentBack(c *contact, a wire.Ack) {
	f, s, peer := &c.flow, &c.sending, c.info.ID
	top := a.Next - 1
	if n := len(a.Ranges); n > 0 {
		top = a.Ranges[n-1].Last
	}
	if top >= f.NextOut+maxAhead || k.steady().Before(s.move) {
		return // a later one tells it again
	}
	if slices.ContainsFunc(k.changes, func(ch Change) bool { return ch.Table == TableOutbox && ch.Owner == c.num }) {
		// Rows that are not stored yet would not be found.
		k.then(func() {
			if c := k.contacts[peer]; c != nil {
				k.acked(c, a)
			}
		})
		return
	}
	theirs, next, old, before := ackedSet(a), max(top+1, f.NextOut), f.NextOut, len(k.changes)
	if !k.eachOutbox(c, f.Acked.Next, old, func(r outRow) bool {
		k.putPlain(c, r, next)
		next++
		if !theirs.has(r.counter) {
			k.putOutbox(c, outRow{counter: r.counter, state: outMoved, typ: r.typ, id: r.id})
		}
		return true
	}) {
		k.changes = k.changes[:before]
		return // the next acknowledgement tells it again
	}
	k.c.log.Warn("this profile, or the contact's, is an old copy: numbers of messages mean others there", "contact", peer.Short())
	forgotten := append([]wire.Range{{First: 1, Last: theirs.Next - 1}}, theirs.Ranges...)
	if old > maxMoved {
		forgotten = append(forgotten, wire.Range{First: 1, Last: old - maxMoved})
	}
	for _, g := range forgotten {
		if g.Last = min(g.Last, old-1); g.First <= g.Last {
			k.changes = append(k.changes, Change{
				Kind: Delete, Table: TableOutbox, Row: Row{Owner: c.num, Seq: int64(g.First)}, Through: int64(g.Last),
			})
		}
	}
	if k.steady().Sub(s.move) > moveMax {
		s.moveWait = 0
	}
	s.moveWait = min(max(2*s.moveWait, moveMin), moveMax)
	s.move = k.steady().Add(s.moveWait)
	f.Acked, f.NextOut = counterSet{Next: max(top+1, old)}, next
	f.setTheirs(theirs, a.Digest)
	k.outboxChanged(c)
}

// theirs returns what the contact said that it has of ours.
func (f *flow) theirs() counterSet {
	if f.Theirs != nil {
		return f.Theirs.clone()
	}
	return f.Acked.clone()
}

func (f *flow) setTheirs(s counterSet, sum digest) {
	f.Theirs, f.AckedSum = &s, sum
	if s.Next == f.Acked.Next && slices.Equal(s.Ranges, f.Acked.Ranges) {
		f.Theirs = nil
	}
}

// forgetTheirs has the next acknowledgement believed, whatever the contact has: one
// that begins again from a backup has less than it acknowledged.
func (f *flow) forgetTheirs() { f.Theirs, f.AckedSum = nil, digest{} }

// unsure reports whether it is not known what the contact has of what it acknowledged.
func (f *flow) unsure() bool {
	return f.AckedSum == digest{} && (f.Acked.Next > 1 || len(f.Acked.Ranges) > 0)
}

// ackedSet returns what an acknowledgement names.
func ackedSet(a wire.Ack) counterSet { return counterSet{a.Next, slices.Clone(a.Ranges)} }

// A digest stands for a set of numbered payloads: the sum, modulo 2^64 in each
// half, of the first 16 bytes of a hash of each one's counter and id (spec §8.4).
type digest [16]byte

func (d digest) add(counter uint64, id MessageID) digest {
	b := binary.BigEndian.AppendUint64([]byte(contextDigest), counter)
	h := sha256.Sum256(append(b, id[:]...))
	for _, i := range []int{0, 8} {
		binary.BigEndian.PutUint64(d[i:], binary.BigEndian.Uint64(d[i:])+binary.BigEndian.Uint64(h[i:]))
	}
	return d
}

// MarshalText makes a digest a string in a flow's JSON.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText decodes MarshalText's form.
func (d *digest) UnmarshalText(b []byte) error {
	if len(b) != 2*len(d) {
		return errDigest
	}
	_, err := hex.Decode(d[:], b)
	return err
}

var errDigest = errors.New("client: not a digest")
