package rendezvous

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Contexts of records and introductions (spec §7.3, §7.5).
const (
	contextRecord    = "SREMP v1 rendezvous record"
	contextRecordKey = "SREMP v1 rendezvous record key"
	contextOfferKey  = "SREMP v1 rendezvous offer key"
	contextAnswerKey = "SREMP v1 rendezvous answer key"
)

// Content is what a person tells those who may look it up.
type Content struct {
	Record     *identity.Record
	Relays     []identity.ServerAddr // at most 4
	Rendezvous []identity.ServerAddr // at most 4
	KnockInbox [32]byte              // zero: none
	Issued     time.Time             // by the owner's clock, to the millisecond; set by Register
}

// recordBuckets are the sizes to which records are padded.
var recordBuckets = []int{1024, 4096, 16384}

// sealRecord signs and seals c for one period (spec §7.3).
func sealRecord(k identity.SecretKey, lookup [32]byte, period uint64, c Content, now time.Time) ([]byte, error) {
	if c.Record == nil || len(c.Relays) > wire.MaxRendezvousServers || len(c.Rendezvous) > wire.MaxRendezvousServers {
		return nil, fmt.Errorf("%w: a record needs an identity and at most %d servers of a kind", ErrTooLarge, wire.MaxRendezvousServers)
	}
	id := identity.PeerID(k.Public())
	if c.Record.Identity != id {
		return nil, fmt.Errorf("rendezvous: the record of another identity")
	}
	x := wire.RendezvousRecord{
		Issued: uint64(max(now.UnixMilli(), 0)), Identity: c.Record.Bytes(),
		Relays: toWire(c.Relays), Rendezvous: toWire(c.Rendezvous), KnockInbox: c.KnockInbox,
	}
	bk := blindKey(k, lookup, period)
	x.Signature = bk.sign(contextRecord, recordMessage(bk.public, period, x))
	return sealPadded(periodAEAD(contextRecordKey, id, lookup, period), bk.public[:], x.Append(nil), recordBuckets)
}

// openRecord opens and verifies what [sealRecord] made.
func openRecord(id identity.PeerID, lookup [32]byte, period uint64, sealed []byte) (*Content, error) {
	name := BlindedName(id, lookup, period)
	b, ok := openPadded(periodAEAD(contextRecordKey, id, lookup, period), name.Blinded[:], sealed, recordBuckets)
	if !ok {
		return nil, errBadRecord
	}
	x, err := wire.ParseRendezvousRecord(b)
	if err != nil || !identity.Verify(name.Blinded, contextRecord, recordMessage(name.Blinded, period, x), x.Signature) {
		return nil, errBadRecord
	}
	rec, err := identity.ParseRecord(x.Identity)
	if err != nil || rec.Identity != id {
		return nil, errBadRecord
	}
	c := &Content{Record: rec, KnockInbox: x.KnockInbox, Issued: time.UnixMilli(int64(x.Issued))}
	if c.Relays, err = fromWire(x.Relays); err != nil {
		return nil, errBadRecord
	}
	if c.Rendezvous, err = fromWire(x.Rendezvous); err != nil {
		return nil, errBadRecord
	}
	return c, nil
}

func recordMessage(blinded [32]byte, period uint64, x wire.RendezvousRecord) []byte {
	b := binary.BigEndian.AppendUint64(slices.Clone(blinded[:]), period)
	return x.AppendUnsigned(b)
}

func toWire(as []identity.ServerAddr) (xs []wire.Server) {
	for _, a := range as {
		xs = append(xs, wire.Server{ID: a.ID, Host: a.Host, Port: a.Port})
	}
	return xs
}

func fromWire(xs []wire.Server) (as []identity.ServerAddr, err error) {
	for _, x := range xs {
		if err := identity.CheckHost(x.Host); err != nil {
			return nil, err
		}
		if err := identity.CheckEd25519(x.ID); err != nil {
			return nil, err
		}
		as = append(as, identity.ServerAddr{ID: x.ID, Host: x.Host, Port: x.Port})
	}
	return as, nil
}

// periodAEAD returns the cipher of one purpose for those who know id's lookup
// secret, in one period (spec §7.3.2).
func periodAEAD(context string, id identity.PeerID, lookup [32]byte, period uint64) cipher.AEAD {
	salt := binary.BigEndian.AppendUint64(slices.Clone(id[:]), period)
	k, err := hkdf.Key(sha256.New, lookup[:], salt, context, chacha20poly1305.KeySize)
	if err != nil {
		panic(err)
	}
	aead, err := chacha20poly1305.NewX(k)
	if err != nil {
		panic(err)
	}
	return aead
}

// sealPadded returns nonce(24) and the sealed uint16 length, plain and zeros
// that fill the smallest bucket; ErrTooLarge if none is large enough.
func sealPadded(aead cipher.AEAD, ad []byte, plain []byte, buckets []int) ([]byte, error) {
	for _, size := range buckets {
		if 2+len(plain) <= size {
			b := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+size+chacha20poly1305.Overhead)
			rand.Read(b)
			padded := make([]byte, size)
			binary.BigEndian.PutUint16(padded, uint16(len(plain)))
			copy(padded[2:], plain)
			return aead.Seal(b, b, padded, ad), nil
		}
	}
	return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(plain))
}

// openPadded is the inverse of sealPadded.
func openPadded(aead cipher.AEAD, ad []byte, sealed []byte, buckets []int) ([]byte, bool) {
	size := len(sealed) - chacha20poly1305.NonceSizeX - chacha20poly1305.Overhead
	if !slices.Contains(buckets, size) {
		return nil, false
	}
	b, err := aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], ad)
	if err != nil {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if 2+n > len(b) || slices.ContainsFunc(b[2+n:], func(c byte) bool { return c != 0 }) {
		return nil, false
	}
	return b[2 : 2+n], true
}
