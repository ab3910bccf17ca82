package wire

import "encoding/binary"

// A Deliver stores a blob in somebody's inbox, anonymously (spec §6.4).
type Deliver struct {
	Inbox [32]byte
	Token [32]byte // the inbox's delivery token, or a knock
	Blob  []byte
}

// Append appends the payload.
func (x Deliver) Append(b []byte) []byte {
	return AppendVec24(append(append(b, x.Inbox[:]...), x.Token[:]...), x.Blob)
}

// ParseDeliver parses it.
func ParseDeliver(b []byte) (Deliver, error) {
	r := NewReader(b)
	return done(r, Deliver{r.Array32(), r.Array32(), r.Vec24(1, MaxBlob)})
}

// A Receipt is the relay's word that it holds a blob.
type Receipt struct {
	Inbox     [32]byte
	Hash      [32]byte // SHA-256 of the blob
	StoredAt  uint64   // Unix ms
	Expires   uint64   // Unix ms
	Signature [64]byte // over Signed, by the server's key
}

// Signed returns what the server signs: the payload without the signature.
func (x Receipt) Signed() []byte {
	b := append(append([]byte{}, x.Inbox[:]...), x.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, x.StoredAt)
	return binary.BigEndian.AppendUint64(b, x.Expires)
}

// Append appends the payload.
func (x Receipt) Append(b []byte) []byte {
	return append(append(b, x.Signed()...), x.Signature[:]...)
}

// ParseReceipt parses it.
func ParseReceipt(b []byte) (Receipt, error) {
	r := NewReader(b)
	return done(r, Receipt{r.Array32(), r.Array32(), r.Uint64(), r.Uint64(), r.Array64()})
}

// A Mail is a stored blob on its way to the owner.
type Mail struct {
	Inbox    [32]byte
	Seq      uint64 // counts the owner's blobs
	StoredAt uint64 // Unix ms
	Blob     []byte
}

// Append appends the payload.
func (x Mail) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, x.Inbox[:]...), x.Seq)
	return AppendVec24(binary.BigEndian.AppendUint64(b, x.StoredAt), x.Blob)
}

// ParseMail parses it.
func ParseMail(b []byte) (Mail, error) {
	r := NewReader(b)
	return done(r, Mail{r.Array32(), r.Uint64(), r.Uint64(), r.Vec24(1, MaxBlob)})
}

// A MailAck deletes the owner's blobs of these numbers.
type MailAck struct{ Seqs []uint64 }

// Append appends the payload.
func (x MailAck) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.Seqs)))
	for _, s := range x.Seqs {
		b = binary.BigEndian.AppendUint64(b, s)
	}
	return b
}

// ParseMailAck parses it.
func ParseMailAck(b []byte) (MailAck, error) {
	r := NewReader(b)
	n := int(r.Uint16())
	if n < 1 || n > MaxMailAcks {
		r.Fail(ErrTooLarge)
	}
	var x MailAck
	for i := 0; i < n && r.Err() == nil; i++ {
		x.Seqs = append(x.Seqs, r.Uint64())
	}
	return done(r, x)
}
